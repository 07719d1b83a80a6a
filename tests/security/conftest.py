"""The attackers of the tests in this folder, and their targets."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from secrets import token_hex
from typing import Protocol

import pytest
from contentq.database.connect import connect as open_connection

from tests.support.databases import Connection
from tests.support.forked import CONTENTQ
from tests.support.logins import Logins, made_logins
from tests.support.queue import Queue
from tests.support.roles import applied_roles
from tests.support.servers import Server


@pytest.fixture
def queue(database: Connection) -> Queue:
    """The queue in the test's database."""
    return Queue(database)


@pytest.fixture
def connect_queue(connect: Callable[[], Connection]) -> Callable[[], Queue]:
    """Opens the queue once more, in a separate session."""
    return lambda: Queue(connect())


@pytest.fixture
def bare(empty_dsn: str) -> Iterator[Queue]:
    """A session in the database of `empty_dsn`, which is not migrated."""
    with closing(open_connection(empty_dsn, "contentq test", plain=True)) as connection:
        yield Queue(connection)


@pytest.fixture
def owner(database: Connection, server: Server, dsn: str) -> Iterator[Queue]:
    """The owner of the tables, with the roles of sql/roles.sql applied."""
    queue = Queue(database)
    with applied_roles(queue, server, dsn):
        yield queue


@pytest.fixture
def logins(owner: Queue, dsn: str) -> Iterator[Logins]:
    """Makes logins that are members of these roles."""
    with made_logins(owner, dsn) as made:
        yield made


@pytest.fixture
def role(queue: Queue) -> Iterator[str]:
    """A role that may only connect."""
    if not queue.value("SELECT rolsuper FROM pg_roles WHERE rolname = current_user"):
        pytest.skip("the user of CONTENTQ_TEST_DSN may not make roles and act as them")
    name = f"contentq_stranger_{token_hex(4)}"
    queue.run(f"CREATE ROLE {name}")
    yield name
    queue.run("RESET ROLE")
    queue.run(f"DROP OWNED BY {name} CASCADE")
    queue.run(f"DROP ROLE {name}")


class StartWorker(Protocol):
    def __call__(self, *options: str) -> subprocess.Popen[bytes]: ...


@pytest.fixture
def start_worker(dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartWorker]:
    """Starts workers with the handler template as programs; the attribute `log` of each is its log."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*options: str) -> subprocess.Popen[bytes]:
        log = tmp_path_factory.mktemp("worker") / "log"
        with log.open("wb") as file:
            process = CONTENTQ.start(
                *("--dsn", dsn, "worker", "--handler", "template", *options),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=file,
                env={name: value for name, value in os.environ.items() if not name.startswith(("PG", "CONTENTQ"))},
            )
        process.log = log  # type: ignore[attr-defined]
        started.append(process)
        return process

    yield start
    for process in started:
        process.terminate()
    for process in started:
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
