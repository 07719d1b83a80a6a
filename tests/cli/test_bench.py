"""contentq bench: figures of the user's database, without leaving any trace."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from contentq.errors import ContentQueueError
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests.cli.conftest import Outcome, Run, Start
from tests.cli.terminal import on_terminal
from tests.support.cluster import Cluster
from tests.support.databases import Connection
from tests.support.pooler import Pooler
from tests.support.programs import installed
from tests.support.queue import Queue
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow

QUICK = ["bench", "--tasks", "300", "--samples", "3"]
LONG = ["bench", "--samples", "100000", "--seconds", "600"]

AT_WORK = {
    "starting tasks": "query LIKE 'INSERT INTO %%A topic%%'",
    "filling the queue": "query LIKE '%%topic, priority)%%generate_series%%' AND state = 'active'",
    "draining the queue": "query LIKE 'SELECT contentq.complete(%%'",
}
"""A phase of a bench in pg_stat_activity."""


@pytest.fixture
def plain(empty_dsn: str) -> Iterator[Connection]:
    """A connection to the empty database of `empty_dsn`."""
    with psycopg.connect(empty_dsn, autocommit=True) as connection:
        yield connection


def _value(connection: Connection, query: str, *values: Any) -> Any:
    row = connection.execute(query.encode(), values).fetchone()
    return None if row is None else row[0]


_OF_BENCH = (
    "starts_with(datname, 'contentq_bench_' || (SELECT oid FROM pg_database WHERE datname = current_database()))"
)
"""The condition for objects of a scratch database next to the current one."""


def _is_clean(connection: Connection) -> bool:
    """Whether no scratch database exists next to this one."""
    return not _value(connection, f"SELECT count(*) FROM pg_database WHERE {_OF_BENCH}")


def _until(connection: Connection, condition: str) -> None:
    """Waits until a bench of this database reaches this phase."""
    query = f"SELECT count(*) FROM pg_stat_activity WHERE {_OF_BENCH} AND {condition}"
    eventually(lambda: _value(connection, query), within=30)


def _end(process: subprocess.Popen[bytes]) -> Outcome:
    out, err = process.communicate(timeout=60)
    return Outcome(process.returncode, out.decode(), err.decode())


def test_database_with_nothing_in_it_is_measured_and_left_as_it_was(
    contentq: Run, empty_dsn: str, plain: Connection
) -> None:
    def catalog() -> list[Any]:
        return plain.execute(
            "SELECT oid, relname FROM pg_class UNION SELECT oid, nspname FROM pg_namespace"
        ).fetchall()

    before = sorted(catalog())

    outcome = contentq("--dsn", empty_dsn, *QUICK)

    assert (outcome.code, outcome.err) == (0, "")
    assert sorted(catalog()) == before
    assert _is_clean(plain)


def test_table_and_verdict_tell_rate_start_and_limit(contentq: Run) -> None:
    outcome = contentq("bench", "--tasks", "12000", "--samples", "12")

    assert outcome.code == 0
    _, table, *verdict = outcome.out.split("\n\n")
    assert re.search(r"^drain +[\d,]+ tasks/s +12,000 tasks that do nothing, one worker$", table, re.MULTILINE)
    assert re.search(r"^insert to start +[\d.]+ ms +median of 12$", table, re.MULTILINE)
    assert re.search(r"^ +[\d.]+ ms +all 12 are within this$", table, re.MULTILINE)
    assert re.search(r"^commit +[\d.]+ ms +", table, re.MULTILINE)
    assert re.search(r"^ +[\d.]+ ms +after a pause of 10 ms$", table, re.MULTILINE)
    assert re.search(r"^round trip +[\d.]+ ms +", table, re.MULTILINE)
    said = [" ".join(paragraph.split()) for paragraph in verdict]
    assert re.match(r"One worker completes [\d,]+ tasks a second on this database if they are already", said[-3])
    assert re.match(r"An idle worker starts a task [\d.]+ ms after the INSERT began, all 12 within", said[-2])
    assert re.match(r"The limit is |There is no single limit\.", said[-1])
    assert re.search(r"at most \d+% went into waiting for the network and at most \d+% into", said[-1])


def test_tiny_run_gets_no_verdict(contentq: Run) -> None:
    said = " ".join(contentq("bench", "--tasks", "10", "--samples", "1").out.split())

    assert "too little for a verdict on rate and limit" in said
    assert "Only one start was timed, too few for a verdict" in said
    assert "tasks a second" not in said
    assert "The limit is" not in said
    assert "are within this" not in said


def test_place_of_the_database_is_told_and_no_password(
    contentq: Run, dsn: str, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = queue.value("SELECT current_database()")
    parameters = conninfo_to_dict(dsn)
    monkeypatch.setenv("DATABASE_URL", make_conninfo(dsn, password="geheim"))

    shown = contentq(*QUICK)
    found = contentq(*QUICK, "--json")

    first, *rest = shown.out.partition("\n\n")[0].splitlines()
    second = " ".join(rest)  # long names wrap it
    assert re.fullmatch(r"contentq [\d.]+ on PostgreSQL [\d.a-z]+", first)
    assert re.fullmatch(rf"database {name} on \S+, as user {parameters['user']}", second)
    assert str(parameters["host"]) in second
    assert found.json["database"] == {
        "host": parameters["host"],
        "port": int(str(parameters["port"])),
        "name": name,
        "user": parameters["user"],
    }
    assert "geheim" not in shown.out + found.out


def test_database_that_may_only_be_read_is_told_to_be_a_replica_perhaps(contentq: Run, dsn: str) -> None:
    outcome = contentq("--dsn", make_conninfo(dsn, options="-c default_transaction_read_only=on"), *QUICK)

    assert outcome.code == 1
    assert outcome.error.endswith(
        "in a read-only transaction; this is a standby, or a user with read-only sessions: connect to the primary"
    )


def test_json_has_every_figure_as_a_number_and_no_words(contentq: Run) -> None:
    found = contentq(*QUICK, "--json").json

    numbers = [found.pop("commit_ms"), found.pop("commit_after_pause_ms"), found.pop("round_trip_ms")]
    drain, started = found.pop("drain"), found.pop("insert_to_start")
    numbers += [
        drain.pop("seconds"),
        drain.pop("tasks_per_second"),
        started.pop("median_ms"),
        started.pop("p99_ms"),
    ]
    assert all(isinstance(number, float) and number > 0 for number in numbers)
    shares = [*drain["waiting_at_most"].values(), drain.pop("worker_computing")]
    assert all(0 <= share <= 1 for share in shares)
    assert {*drain.pop("waiting_at_most")} == {"network", "disk"}
    assert drain == {"tasks": 300, "completed": 300}
    assert started == {"samples": 3}
    assert {*found.pop("settings")} == {"fsync", "synchronous_commit"}
    assert found.pop("limited_by") in (None, "network", "disk", "worker", "server", "several")
    assert {*found} == {"contentq", "postgresql", "database", "durable"}


def test_eighty_columns_are_enough(dsn: str) -> None:
    code, shown = on_terminal(*QUICK, columns=80, DATABASE_URL=dsn)

    assert code == 0, shown
    lines = [line.rpartition("\r")[2] for line in shown.splitlines()]
    assert [line for line in lines if len(line) > 80] == []
    assert "draining the queue" in shown


def test_real_queue_is_neither_touched_nor_woken(
    contentq: Run, queue: Queue, connect: Callable[[], Connection]
) -> None:
    running, waiting = queue.running().id, queue.add()
    listening = connect()
    for channel in ("contentq_ready", "public_ready"):
        listening.execute(f"LISTEN {channel}".encode())

    def state() -> list[Any]:
        names = queue.values(
            "SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) FROM pg_tables "
            "WHERE schemaname IN ('public', 'contentq')"
        )
        rows = {
            name: queue.values(f"SELECT (xmin, ctid, t)::text FROM {name} AS t ORDER BY ctid") for name in names
        }
        return [rows, queue.rows("SELECT schemaname, sequencename, last_value FROM pg_sequences")]

    before = state()

    assert contentq(*QUICK).code == 0

    assert state() == before
    assert list(listening.notifies(timeout=0)) == []
    assert (queue.status(waiting), queue.status(running)) == ("pending", "processing")


def test_time_limit_ends_the_drain_and_the_figures_are_of_what_was_done(contentq: Run) -> None:
    found = contentq("bench", "--tasks", "10000000", "--samples", "100000", "--seconds", "2", "--json").json
    shown = contentq("bench", "--tasks", "10000000", "--samples", "2", "--seconds", "2")

    assert 0 < found["drain"]["completed"] < 10_000_000
    assert 0 < found["insert_to_start"]["samples"] < 100_000
    assert "The drain was stopped at its time limit (--seconds)." in " ".join(shown.out.split())


@pytest.mark.usefixtures("dsn")
def test_settings_that_make_the_figures_meaningless_are_named(contentq: Run, queue: Queue) -> None:
    database = queue.value("SELECT current_database()")
    queue.run(f'ALTER DATABASE "{database}" SET synchronous_commit = off')

    found = contentq(*QUICK, "--json").json
    shown = contentq(*QUICK)

    assert found["durable"] is False
    assert found["settings"] == {"fsync": queue.value("SHOW fsync"), "synchronous_commit": "off"}
    first = " ".join(shown.out.split("\n\n")[2].split())
    what = "synchronous_commit" if found["settings"]["fsync"] == "on" else "fsync"
    assert first.startswith(f"These figures mean little: {what} is off, ")


@pytest.mark.parametrize("phase", AT_WORK)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_bench_leaves_nothing(
    start: Start, empty_dsn: str, plain: Connection, phase: str, number: signal.Signals
) -> None:
    process = start(*_long(phase), DATABASE_URL=empty_dsn)
    _until(plain, AT_WORK[phase])
    process.send_signal(number)
    outcome = _end(process)

    assert (outcome.code, outcome.out, outcome.err.strip()) == (130, "", "interrupted")
    assert _is_clean(plain)


@pytest.mark.parametrize("phase", AT_WORK)
def test_bench_in_the_background_of_a_script_ends_when_it_is_terminated(
    empty_dsn: str, plain: Connection, phase: str
) -> None:
    background = "trap '' INT; exec \"$@\""
    command = ["sh", "-c", background, "sh", sys.executable, "-m", "contentq", *_long(phase)]
    environment = {**os.environ, "DATABASE_URL": empty_dsn}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        _until(plain, AT_WORK[phase])
        process.terminate()
        outcome = _end(process)

    assert (outcome.code, outcome.out, outcome.err.strip()) == (130, "", "interrupted")
    assert _is_clean(plain)


@pytest.mark.parametrize("phase", AT_WORK)
def test_lost_connections_end_with_3_and_leave_nothing(
    start: Start, empty_dsn: str, plain: Connection, phase: str
) -> None:
    process = start(*_long(phase), DATABASE_URL=empty_dsn)
    _until(plain, AT_WORK[phase])
    plain.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
        f"AND (datname = current_database() OR {_OF_BENCH})"
    )
    outcome = _end(process)

    assert outcome.code == 3
    assert outcome.error.startswith("the connection to the database was lost: ")
    assert _is_clean(plain)


def test_what_a_killed_bench_has_left_is_dropped_by_a_later_one(
    contentq: Run, start: Start, empty_dsn: str, plain: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = start(*LONG, DATABASE_URL=empty_dsn)
    _until(plain, AT_WORK["starting tasks"])
    process.kill()
    process.wait()
    left = _value(plain, f"SELECT datname FROM pg_database WHERE {_OF_BENCH}")
    unused = f"SELECT count(*) = 0 FROM pg_stat_activity WHERE {_OF_BENCH}"
    eventually(lambda: _value(plain, unused))

    assert contentq("--dsn", empty_dsn, *QUICK).code == 0
    assert _value(plain, "SELECT count(*) FROM pg_database WHERE datname = %s", left) == 1, "it may be starting"
    monkeypatch.setattr("contentq.bench.scratch.LEFT_AFTER", 0)
    assert contentq("--dsn", empty_dsn, *QUICK).code == 0
    assert _is_clean(plain)


def test_second_bench_at_once_says_so(contentq: Run, start: Start, empty_dsn: str, plain: Connection) -> None:
    first = start(*LONG, DATABASE_URL=empty_dsn)
    _until(plain, AT_WORK["starting tasks"])

    second = contentq("--dsn", empty_dsn, *QUICK)

    assert second.code == 1
    assert second.error == "another contentq bench of this database is running; wait until it ends"
    first.send_signal(signal.SIGINT)
    assert _end(first).code == 130


def test_database_of_a_similar_name_is_left_alone(
    contentq: Run, empty_dsn: str, plain: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("contentq.bench.scratch.LEFT_AFTER", 0)
    name = f"contentq_bench_{_value(plain, 'SELECT current_database()')}"
    plain.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        assert contentq("--dsn", empty_dsn, *QUICK).code == 0
    finally:
        plain.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))


def test_user_who_may_not_create_a_database_is_told_what_to_ask_for(
    empty_dsn: str, plain: Connection, contentq: Run
) -> None:
    with _user(plain) as name:
        dsn = make_conninfo(empty_dsn, options=f"-c role={name}")
        refused = contentq("--dsn", dsn, *QUICK)
        said, _, grant = refused.error.rpartition(": ")
        plain.execute(grant.encode())
        granted = contentq("--dsn", dsn, *QUICK)

    assert refused.code == 1
    assert said.startswith("the benchmark creates its own database, and user ")
    assert grant == f'ALTER ROLE "{name}" CREATEDB'
    assert (granted.code, granted.err) == (0, "")
    assert _is_clean(plain)


def test_half_made_scratch_database_is_not_left(
    contentq: Run, empty_dsn: str, plain: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(dsn: str) -> None:
        raise ContentQueueError(f"no migration of {dsn}")

    monkeypatch.setattr("contentq.database.migrations.migrate", fail)

    assert "no migration of" in contentq("--dsn", empty_dsn, *QUICK).error
    assert _is_clean(plain)


def test_through_a_pooler_only_the_drain_is_measured(contentq: Run, request: pytest.FixtureRequest) -> None:
    with Cluster(next(iter(installed().values())).folder, tcp=True) as cluster:
        url = Pooler(cluster.dsn(host="127.0.0.1"), request, databases="*").url
        found = contentq("--dsn", url, *QUICK, "--json").json
        shown = contentq("--dsn", url, *QUICK)
        with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
            assert _is_clean(connection)

    assert found["drain"]["completed"] == 300
    assert found["insert_to_start"] == {"samples": 0, "median_ms": None, "p99_ms": None}
    assert "insert to start" not in shown.out
    assert "A pooler prevents workers from listening" in " ".join(shown.out.split())


@pytest.mark.usefixtures("dsn")
def test_pooler_that_leads_to_one_database_only_is_told_what_it_needs(
    contentq: Run, request: pytest.FixtureRequest
) -> None:
    with Cluster(next(iter(installed().values())).folder, tcp=True) as cluster:
        outcome = contentq("--dsn", Pooler(cluster.dsn(host="127.0.0.1"), request).url, *QUICK)
        with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
            assert _is_clean(connection)

    assert outcome.code == 3
    assert "give a --dsn that leads to the server itself" in outcome.error


def test_unreachable_database_ends_with_3_and_shows_no_password(
    contentq: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://user:geheim@127.0.0.1:1/queue")

    outcome = contentq(*QUICK)

    assert outcome.code == 3
    assert "cannot connect to the database (user=user dbname=queue host=127.0.0.1 port=1)" in outcome.error
    assert "geheim" not in outcome.err


@pytest.mark.parametrize(
    "option", [["--tasks", "0"], ["--samples", "-1"], ["--seconds", "0"], ["--seconds", "0.5s"]]
)
def test_senseless_numbers_are_wrong_usage(dsn: str, contentq: Run, option: list[str]) -> None:
    assert contentq("--dsn", dsn, "bench", *option).code == 2


def test_time_limit_may_have_a_unit(contentq: Run) -> None:
    assert contentq(*QUICK, "--seconds", "5m").code == 0


def _long(phase: str) -> list[str]:
    """Arguments of a bench that stays in this phase long enough to be observed."""
    if phase == "starting tasks":
        return LONG
    return ["bench", "--tasks", "10000000", "--samples", "1", "--seconds", "60" if phase[0] == "f" else "8"]


@contextmanager
def _user(connection: Connection) -> Iterator[str]:
    """A role without rights whose name must be quoted. Roles belong to the whole server."""
    name = f"Bench_{_value(connection, 'SELECT current_database()')}"
    role = sql.Identifier(name)
    connection.execute(sql.SQL("CREATE ROLE {}").format(role))
    try:
        yield name
    finally:
        connection.execute(sql.SQL("DROP OWNED BY {}").format(role))
        connection.execute(sql.SQL("DROP ROLE {}").format(role))
