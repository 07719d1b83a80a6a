"""A worker that cannot use its direct connection reports an error before it starts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from contentq.cli.main import execute
from psycopg.conninfo import make_conninfo

from tests.support.databases import Connection
from tests.support.forked import CONTENTQ
from tests.support.logins import Logins, made_logins
from tests.support.queue import Queue
from tests.support.roles import applied_roles
from tests.support.servers import Server


@pytest.fixture
def owner(database: Connection, server: Server, dsn: str) -> Iterator[Queue]:
    queue = Queue(database)
    with applied_roles(queue, server, dsn):
        yield queue


@pytest.fixture
def logins(owner: Queue, dsn: str) -> Iterator[Logins]:
    with made_logins(owner, dsn) as made:
        yield made


def _refused(owner: Queue, capsys: pytest.CaptureFixture[str], dsn: str, listen_dsn: str) -> str:
    """The only line of a worker that ends before it starts."""
    assert execute(["--dsn", dsn, "worker", "--until-empty", "--listen-dsn", listen_dsn]) not in (0, 6)
    assert owner.value("SELECT count(*) FROM contentq.workers") == 0
    line = capsys.readouterr().err.splitlines()[-1]
    assert "the direct connection to the database (--listen-dsn, CONTENTQ_LISTEN_DSN)" in line
    return line


def test_login_that_may_not_connect(
    owner: Queue, logins: Logins, dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = _refused(owner, capsys, dsn, make_conninfo(dsn, user="nobody at all"))

    assert 'role "nobody at all" does not exist' in said


def test_login_that_may_not_act_as_a_worker(
    owner: Queue, logins: Logins, capsys: pytest.CaptureFixture[str]
) -> None:
    reader = logins.add("reader", "contentq_reader")

    said = _refused(owner, capsys, logins.add("worker", "contentq_worker"), reader)

    assert f"user {logins.name('reader')} may not act as a worker" in said
    assert f"GRANT contentq_worker TO {logins.name('reader')}" in said


def test_another_login(owner: Queue, logins: Logins, capsys: pytest.CaptureFixture[str]) -> None:
    """One login cannot act for a worker that the other has registered."""
    one, other = (logins.add(name, "contentq_worker") for name in ("one", "other"))

    said = _refused(owner, capsys, one, other)

    assert f"logs in as {logins.name('other')}, but --dsn as {logins.name('one')}" in said


def test_another_database(owner: Queue, server: Server, dsn: str, capsys: pytest.CaptureFixture[str]) -> None:
    with server.databases.migrated() as other:
        assert "goes to another database than --dsn" in _refused(owner, capsys, dsn, other)


def test_login_of_a_worker_may_go_both_ways(owner: Queue, logins: Logins) -> None:
    worker = logins.add("worker", "contentq_worker")
    id_ = owner.add(topic="Tea")

    assert CONTENTQ.run("--dsn", worker, "worker", "--until-empty", "--listen-dsn", worker).returncode == 0

    assert owner.status(id_) == "completed"
