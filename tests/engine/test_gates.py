"""Gates: how workers of one provider behave when it refuses them, is down, or is paced. The database decides."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg
import pytest
from contentq import Context, ProviderUnavailable, RateLimited, Task
from contentq.database import database as databases
from contentq.database.connect import connect_async
from contentq.engine.worker import Ending
from contentq.queue import contract

from tests.engine.conftest import Database, Insert, Row, StartWorker
from tests.engine.test_outages import TERMINATE
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow

CLOSE = "SELECT contentq.close_gate(%s, clock_timestamp() + %s * interval '1 second', 'because')"
OPEN = "SELECT contentq.open_gate(%s)"
CLOSED = "SELECT extract(epoch FROM opens_at - clock_timestamp())::float8 FROM contentq.gates WHERE key = %s"
USAGE = "SELECT attempts, prompt_tokens, cost::float8 FROM contentq.usage"


class Provider:
    """A handler whose provider can refuse or not answer. seconds: duration of a call."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.error: Exception | None = None
        self.began: list[tuple[float, int]] = []

    async def __call__(self, task: Task, _context: Context) -> None:
        self.began.append((time.monotonic(), task.id))
        await asyncio.sleep(self.seconds)
        if self.error is not None:
            raise self.error


def closed_for(database: Database, key: str = "p") -> float:
    """Seconds until a gate opens; not positive if it is open."""
    found = database.execute(CLOSED, [key]).fetchone()
    return 0.0 if found is None else float(found[0])


@pytest.fixture
def claims(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Number of tasks that each completed claim of this process requested."""
    asked: list[int] = []
    claim = contract.claim

    async def counted(connection: Any, worker_id: int, max_tasks: int) -> contract.Claimed:
        claimed = await claim(connection, worker_id, max_tasks)
        asked.append(max_tasks)
        return claimed

    monkeypatch.setattr(contract, "claim", counted)
    return asked


def registered(database: Database, workers: int = 1) -> None:
    eventually(lambda: database.execute("SELECT count(*) FROM contentq.workers").fetchone() == (workers,))


def wait_for_claims_under_way(database: Database) -> None:
    """Returns when all claims that may have seen the gate open have ended."""
    claiming = """
        SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'contentq claim' AND state <> 'idle'"""
    eventually(lambda: database.execute(claiming).fetchone() == (0,))


def waiting_lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Log lines about what workers wait for."""
    return [message for message in caplog.messages if message.startswith("waiting ")]


def test_gate_and_categories_are_registered(start_worker: StartWorker, database: Database) -> None:
    start_worker(Provider(), gate="api.example.com", categories=("blog", "faq"))
    start_worker(Provider())

    registered(database, 2)
    found = database.execute("SELECT gate, categories FROM contentq.workers ORDER BY gate").fetchall()
    assert found == [("api.example.com", ["blog", "faq"]), (None, None)]


def test_refusal_puts_off_its_own_task_and_no_other(
    start_worker: StartWorker, insert: Insert, row: Row, database: Database
) -> None:
    async def handler(task: Task, _context: Context) -> None:
        if task.topic == "refused":
            raise RateLimited("slow down", retry_after=3600)

    start_worker(handler, gate="p")
    refused = insert(topic="refused", max_retries=0)
    eventually(lambda: row(refused).error_message == "slow down")

    other = insert()

    eventually(lambda: row(other).status == "completed", within=3)
    assert (row(refused).status, row(refused).retry_count) == ("pending", 0)
    assert row(refused).scheduled_at is not None
    assert closed_for(database) <= 0


def test_provider_with_nothing_left_stops_those_with_its_key_and_no_others(
    start_worker: StartWorker, insert: Insert, row: Row, database: Database, claims: list[int]
) -> None:
    refusing, same, other = Provider(), Provider(), Provider()
    refusing.error = RateLimited("used up", retry_after=3, nothing_left=True)
    start_worker(refusing, gate="p", categories=("first",))
    start_worker(same, gate="p", categories=("blog",))
    start_worker(other, gate="q", categories=("faq",))
    registered(database, 3)
    refused = insert(category="first", max_retries=0)
    eventually(lambda: closed_for(database) > 0)
    began = time.monotonic()

    waits, goes = insert(category="blog"), insert(category="faq")

    eventually(lambda: row(goes).status == "completed")
    refusing.error = None
    eventually(lambda: row(waits).status == row(refused).status == "completed")
    assert same.began[0][0] - began > 2
    assert (row(refused).retry_count, row(waits).attempt) == (0, 1)


def test_what_is_waited_for_is_logged_once_and_when_it_is_over(
    start_worker: StartWorker,
    insert: Insert,
    row: Row,
    database: Database,
    claims: list[int],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    database.execute("SELECT contentq.close_gate('p', 'infinity', 'the bill' || chr(10) || 'of May')")
    start_worker(Provider(), gate="p", poll=0.1)
    id_ = insert()
    eventually(lambda: len(claims) >= 5)
    (line,) = waiting_lines(caplog)
    assert line.startswith("waiting for=gate p: closed, until someone opens it")
    assert "the bill of May" in line

    database.execute(OPEN, ["p"])

    eventually(lambda: row(id_).status == "completed")
    eventually(lambda: len(waiting_lines(caplog)) == 2)
    assert waiting_lines(caplog)[1].startswith("waiting ended for=gate p after=")


def test_pace_of_an_operator_is_kept_to_by_all_and_logged_once(
    start_worker: StartWorker,
    insert: Insert,
    row: Row,
    database: Database,
    claims: list[int],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    database.execute("SELECT contentq.set_gate('p', requests_per_minute => 600)")
    providers = [Provider(), Provider()]
    with database.transaction():
        tasks = [insert() for _ in range(30)]
    for provider in providers:
        start_worker(provider, gate="p", concurrency=50)

    eventually(lambda: all(row(id_).status == "completed" for id_ in tasks))

    began = sorted(at for provider in providers for at, _ in provider.began)
    assert 2 < began[-1] - began[0] < 5
    assert len(claims) <= 3 * 30
    assert len(waiting_lines(caplog)) <= 2


def test_outage_is_tried_with_one_task_of_all_workers_and_then_work_comes_back(
    start_worker: StartWorker, insert: Insert, database: Database
) -> None:
    providers = [Provider(seconds=0.3), Provider(seconds=0.3)]
    for provider in providers:
        provider.error = ProviderUnavailable("502", retry_after=0)
        start_worker(provider, gate="p", concurrency=3)
    registered(database, 2)
    with database.transaction():
        for _ in range(60):
            insert(max_retries=10)

    eventually(lambda: closed_for(database) > 0)
    closed_at = time.monotonic()

    def tries() -> list[float]:
        """Start times of tasks, without those claimed just before the gate closed."""
        return sorted(at for provider in providers for at, _ in provider.began if at > closed_at + 0.5)

    eventually(lambda: len(tries()) >= 3)
    assert all(later - earlier > 0.8 for earlier, later in pairwise(tries()))
    assert sum(len(provider.began) for provider in providers) <= 5 * 6  # of 60 tasks

    for provider in providers:
        provider.error = None
    waiting = "SELECT count(*) FROM content_generation_tasks WHERE status <> 'completed' AND scheduled_at IS NULL"
    eventually(lambda: database.execute(waiting).fetchone() == (0,), within=15)


@pytest.mark.parametrize("key", ["p", "*"])
@pytest.mark.parametrize("until", ["2100-01-01", "infinity"])
def test_operator_closes_and_opens_and_it_starts_at_once(
    start_worker: StartWorker,
    insert: Insert,
    row: Row,
    database: Database,
    key: str,
    until: str,
    claims: list[int],
) -> None:
    database.execute("SELECT contentq.close_gate(%s, %s::timestamptz, 'Sunday')", [key, until])
    start_worker(Provider(), gate="p", poll=60)
    eventually(lambda: len(claims) == 1)
    id_ = insert()
    eventually(lambda: len(claims) >= 2)
    assert row(id_).status == "pending"

    database.execute(OPEN, [key])

    eventually(lambda: row(id_).status == "completed", within=2)


def test_gate_of_every_worker_stops_those_without_one(
    start_worker: StartWorker, insert: Insert, row: Row, database: Database, claims: list[int]
) -> None:
    start_worker(Provider())
    registered(database)
    database.execute("SELECT contentq.close_gate('*', 'infinity')")
    wait_for_claims_under_way(database)
    before = len(claims)
    id_ = insert()
    eventually(lambda: len(claims) > before)
    assert row(id_).status == "pending"

    database.execute(OPEN, ["*"])

    eventually(lambda: row(id_).status == "completed")


def test_notification_that_is_missed_costs_nothing(
    start_worker: StartWorker, insert: Insert, row: Row, database: Database
) -> None:
    provider = Provider()
    running = start_worker(provider, gate="p", listen=False, poll=0.2)
    registered(database)
    first = insert()
    eventually(lambda: row(first).status == "completed")
    database.execute(CLOSE, ["p", 2])
    id_ = insert()
    closed_at = time.monotonic()

    eventually(lambda: row(id_).status == "completed")

    assert provider.began[1][0] >= closed_at + 1.5
    assert running.worker.counts.claimed == 2


def test_worker_wakes_when_the_gate_opens_by_itself(
    start_worker: StartWorker, insert: Insert, row: Row, database: Database
) -> None:
    provider = Provider()
    database.execute(CLOSE, ["p", 1.5])
    start_worker(provider, gate="p", poll=60)
    id_ = insert()

    eventually(lambda: row(id_).status == "completed", within=4)

    late = "SELECT extract(epoch FROM started_at - opens_at) FROM content_generation_tasks, contentq.gates"
    found = database.execute(late).fetchone()
    assert found is not None
    assert 0 <= found[0] < 0.5


def test_until_empty_waits_for_the_gate_and_then_ends(
    start_worker: StartWorker, insert: Insert, row: Row, database: Database
) -> None:
    database.execute(CLOSE, ["p", 1.5])
    id_ = insert()
    running = start_worker(Provider(), gate="p", until_empty=True)

    assert running.ending() is Ending.DONE

    assert row(id_).status == "completed"


def test_until_empty_ends_although_an_account_is_paused(
    start_worker: StartWorker, insert: Insert, row: Row, database: Database
) -> None:
    database.execute("UPDATE accounts SET paused_until = 'infinity'")
    id_ = insert()
    running = start_worker(Provider(), gate="p", until_empty=True)

    assert running.ending() is Ending.DONE

    assert row(id_).status == "pending"


def test_until_empty_with_nothing_to_do_ends_although_the_gate_is_closed(
    start_worker: StartWorker, database: Database
) -> None:
    database.execute("SELECT contentq.close_gate('p', 'infinity')")

    assert start_worker(Provider(), gate="p", until_empty=True).ending() is Ending.DONE


def test_worker_stops_at_once_while_it_waits_for_its_gate(
    start_worker: StartWorker, insert: Insert, row: Row
) -> None:
    provider = Provider()
    provider.error = RateLimited(retry_after=3600, nothing_left=True)
    running = start_worker(provider, gate="p")
    id_ = insert()
    eventually(lambda: row(id_).error_message is not None)

    running.stop()

    assert running.ending(3) is Ending.DONE


@pytest.mark.parametrize("key", ["\ud800", "a\x00b", "x" * 100_000], ids=["surrogate", "NUL", "long"])
def test_key_that_cannot_be_stored_costs_the_task_nothing(
    start_worker: StartWorker, insert: Insert, row: Row, key: str
) -> None:
    provider = Provider()
    provider.error = RateLimited("slow down", gate=key, retry_after=3600)
    start_worker(provider)
    id_ = insert(max_retries=0)

    eventually(lambda: row(id_).error_message is not None)

    assert (row(id_).status, row(id_).error_message) == ("pending", "slow down")


def test_worker_whose_connections_break_while_the_gate_is_closed_goes_on_when_it_opens(
    start_worker: StartWorker, insert: Insert, row: Row, database: Database, claims: list[int]
) -> None:
    database.execute("SELECT contentq.close_gate('p', 'infinity')")
    start_worker(Provider(), gate="p", poll=60)
    eventually(lambda: len(claims) == 1)
    id_ = insert()
    eventually(lambda: len(claims) >= 2)
    before = len(claims)

    database.execute(TERMINATE, ["contentq %"])

    eventually(lambda: len(claims) > before)
    assert row(id_).status == "pending"
    database.execute(OPEN, ["p"])
    eventually(lambda: row(id_).status == "completed", within=5)


def test_worker_that_was_given_up_registers_its_gate_anew(
    start_worker: StartWorker, insert: Insert, row: Row, database: Database, claims: list[int]
) -> None:
    start_worker(Provider(), gate="p")
    registered(database)
    database.execute("DELETE FROM contentq.workers")
    eventually(lambda: database.execute("SELECT gate FROM contentq.workers").fetchall() == [("p",)])
    database.execute("SELECT contentq.close_gate('p', 'infinity')")
    wait_for_claims_under_way(database)
    before = len(claims)
    id_ = insert()
    eventually(lambda: len(claims) > before)
    assert row(id_).status == "pending"


def test_refusal_that_is_reported_late_closes_the_gate_for_what_is_left_of_its_time(
    start_worker: StartWorker, insert: Insert, row: Row, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = threading.Event()

    async def refusing(*arguments: Any, **named: Any) -> Any:
        if away.is_set():
            raise psycopg.OperationalError("the database is away")
        return await connect_async(*arguments, **named)

    monkeypatch.setattr(databases, "connect_async", refusing)
    go = threading.Event()

    async def handler(task: Task, _context: Context) -> None:
        await asyncio.to_thread(go.wait, 30)
        if task.attempt == 1:
            raise RateLimited("slow down", retry_after=2, nothing_left=True)

    start_worker(handler, gate="p")
    id_ = insert()
    eventually(lambda: row(id_).status == "processing")
    away.set()
    database.execute(TERMINATE, ["contentq %"])
    go.set()
    database.execute("SELECT pg_sleep(2.5)")  # the outage outlasts the refusal
    away.clear()

    # Not pending, which it is only briefly: nothing delays its next attempt.
    eventually(lambda: row(id_).status == "completed")

    assert row(id_).attempt == 2
    late = "SELECT kind, until <= at FROM contentq.gate_events"
    assert database.execute(late).fetchall() == [("exhausted", True)]


def test_closed_gate_costs_few_statements_however_much_is_inserted(
    start_worker: StartWorker, insert: Insert, database: Database, claims: list[int]
) -> None:
    database.execute("SELECT contentq.close_gate('p', 'infinity')")
    start_worker(Provider(), gate="p")
    registered(database)
    began, before = time.monotonic(), len(claims)

    while time.monotonic() < began + 2:
        insert()

    assert len(claims) - before <= 2 * 10 + 2


@pytest.mark.parametrize("closed", [False, True], ids=["idle", "closed"])
def test_worker_with_nothing_to_do_takes_next_to_no_time(
    start_worker: StartWorker, insert: Insert, database: Database, claims: list[int], closed: bool
) -> None:
    if closed:
        database.execute("SELECT contentq.close_gate('p', 'infinity', 'outage', true)")
        insert()
    running = start_worker(Provider(), gate="p", poll=0.5)
    registered(database)
    eventually(lambda: len(claims) >= 2)
    thread = running._thread.native_id
    before, asked = cpu_of(thread), len(claims)

    database.execute("SELECT pg_sleep(3)")

    assert cpu_of(thread) - before < 0.3
    assert len(claims) - asked <= 10


def cpu_of(thread: int | None) -> float:
    """Processor seconds of a thread of this process."""
    stat = Path(f"/proc/self/task/{thread}/stat")
    if not stat.exists():
        pytest.skip("there is no /proc")
    fields = stat.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
