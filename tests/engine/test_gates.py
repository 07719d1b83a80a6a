"""Gates: workers of one provider that stop together when one of them is refused, and go on together."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg
import pytest
from contentq import Context, HandlerError, PermanentError, ProviderUnavailable, RateLimited, Task, TemporaryError
from contentq.database import database as databases
from contentq.database.connect import connect_async
from contentq.engine.worker import Ending
from contentq.queue import contract
from contentq.queue.outcomes import Failed, Held

from tests.engine.conftest import Database, Insert, Row, RunningWorker, StartWorker
from tests.engine.test_outages import TERMINATE
from tests.support.waiting import eventually

CLOSE = "SELECT contentq.close_gate(%s, clock_timestamp() + %s * interval '1 second', 'because')"
OPEN = "SELECT contentq.open_gate(%s)"
CLOSED = "SELECT extract(epoch FROM opens_at - clock_timestamp())::float8 FROM contentq.gates WHERE key = %s"
USAGE = "SELECT attempts, prompt_tokens, cost::float8 FROM contentq.usage"


class Provider:
    """A handler whose provider can be told to refuse or not to answer."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.began: list[tuple[float, int]] = []

    async def __call__(self, task: Task, _context: Context) -> None:
        self.began.append((time.monotonic(), task.id))
        if self.error is not None:
            raise self.error


def closed_for(database: Database, key: str = "p") -> float:
    """Seconds for which a gate is closed; not positive when it is open."""
    found = database.execute(CLOSED, [key]).fetchone()
    return 0.0 if found is None else float(found[0])


@pytest.fixture
def claims(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How much each claim of any worker in this process has asked for, once it has ended."""
    asked: list[int] = []
    claim = contract.claim

    async def counted(connection: Any, worker_id: int, max_tasks: int, categories: Any) -> contract.Claimed:
        claimed = await claim(connection, worker_id, max_tasks, categories)
        asked.append(max_tasks)
        return claimed

    monkeypatch.setattr(contract, "claim", counted)
    return asked


def registered(database: Database, workers: int = 1) -> None:
    eventually(lambda: database.execute("SELECT count(*) FROM contentq.workers").fetchone() == (workers,))


def wait_for_claims_under_way(database: Database) -> None:
    """Returns when all claims that may have seen a gate open have ended."""
    claiming = """
        SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'contentq claim' AND state <> 'idle'"""
    eventually(lambda: database.execute(claiming).fetchone() == (0,))


def test_gate_is_registered(start_worker: StartWorker, database: Database) -> None:
    start_worker(Provider(), gate="api.example.com")
    start_worker(Provider())

    registered(database, 2)
    gates = "SELECT gate FROM contentq.workers ORDER BY gate"
    assert database.execute(gates).fetchall() == [("api.example.com",), (None,)]


def test_refusal_of_one_worker_stops_those_with_its_key_and_no_others(
    start_worker: StartWorker, insert: Insert, row: Row, database: Database
) -> None:
    refusing, same, other = Provider(), Provider(), Provider()
    refusing.error = RateLimited("slow down", retry_after=3)
    start_worker(refusing, gate="p", categories=("first",))
    start_worker(same, gate="p", categories=("blog",))
    start_worker(other, gate="q", categories=("faq",))
    registered(database, 3)
    refused = insert(category="first", max_retries=0)
    eventually(lambda: closed_for(database) > 0)

    waits, goes = insert(category="blog"), insert(category="faq")

    eventually(lambda: row(goes).status == "completed")
    assert row(refused).status == "pending"
    assert (row(refused).retry_count, row(refused).error_message) == (0, "slow down")
    assert row(refused).scheduled_at is not None
    while closed_for(database) > 0.1:
        assert not same.began
        time.sleep(0.05)
    refusing.error = None
    eventually(lambda: row(waits).status == row(refused).status == "completed")
    assert (row(refused).retry_count, row(waits).attempt) == (0, 1)


def test_gate_is_closed_for_the_longest_of_the_times_that_are_reported_together(
    start_worker: StartWorker, insert: Insert, database: Database
) -> None:
    both = asyncio.Event()
    running: list[str | None] = []

    async def handler(task: Task, _context: Context) -> None:
        running.append(task.topic)
        if len(running) == 3:
            both.set()
        await both.wait()
        raise RateLimited(retry_after=float(task.topic or 0))

    start_worker(handler, gate="p")
    for seconds in ("100", "500", "20"):
        insert(topic=seconds)

    eventually(lambda: closed_for(database) > 0)

    assert 100 < closed_for(database) <= 500


def test_what_runs_goes_on_while_the_gate_is_closed(
    start_worker: StartWorker, insert: Insert, row: Row, database: Database
) -> None:
    go = threading.Event()

    async def handler(task: Task, _context: Context) -> None:
        if task.topic == "refused":
            raise RateLimited(retry_after=30)
        await asyncio.to_thread(go.wait, 30)

    start_worker(handler, gate="p")
    long = insert()
    eventually(lambda: row(long).status == "processing")
    insert(topic="refused")
    eventually(lambda: closed_for(database) > 20)

    go.set()

    eventually(lambda: row(long).status == "completed")
    assert closed_for(database) > 15


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


def test_provider_that_does_not_answer_is_tried_with_one_task_and_then_work_comes_back(
    start_worker: StartWorker, insert: Insert, database: Database
) -> None:
    provider = Provider()
    provider.error = ProviderUnavailable("502", retry_after=0)
    start_worker(provider, gate="p", concurrency=3)
    database.execute("UPDATE contentq.settings SET backoff_base = '1 millisecond'")
    with database.transaction():
        for _ in range(60):
            insert(max_retries=10)
    eventually(lambda: closed_for(database) > 0)
    assert database.execute("SELECT half_open, reason FROM contentq.gates").fetchall() == [(True, "502")]
    at_first = len(provider.began)
    assert at_first <= 6  # three in a row, and those that were under way

    # One after each closing: five tries in the first five seconds are none too few.
    eventually(lambda: len(provider.began) >= at_first + 2)
    tries = provider.began[at_first:]
    assert all(later[0] - earlier[0] > 0.7 for earlier, later in pairwise(tries))
    assert len({id_ for _, id_ in provider.began}) >= at_first  # others each time

    provider.error = None
    waiting = "SELECT count(*) FROM content_generation_tasks WHERE status <> 'completed' AND scheduled_at IS NULL"
    eventually(lambda: database.execute(waiting).fetchone() == (0,), within=15)


def test_ramp_begins_as_soon_as_the_one_that_is_tried_has_succeeded(
    start_worker: StartWorker, insert: Insert, row: Row, database: Database
) -> None:
    database.execute("SELECT contentq.close_gate('p', clock_timestamp() + interval '1 second', 'outage', true)")
    provider = Provider()
    with database.transaction():
        tasks = [insert() for _ in range(4)]
    start_worker(provider, gate="p")

    eventually(lambda: all(row(id_).status == "completed" for id_ in tasks))

    assert provider.began[1][0] - provider.began[0][0] < 2  # not when the patience is over


def test_probe_waits_for_a_task_when_the_queue_is_empty(
    start_worker: StartWorker, insert: Insert, row: Row, database: Database
) -> None:
    database.execute("SELECT contentq.close_gate('p', clock_timestamp() + interval '0.5 seconds', 'outage', true)")
    go = threading.Event()
    began: list[int] = []

    async def handler(task: Task, _context: Context) -> None:
        began.append(task.id)
        await asyncio.to_thread(go.wait, 30)

    start_worker(handler, gate="p", poll=0.3)
    registered(database)
    eventually(lambda: closed_for(database) < -0.5)
    with database.transaction():
        tasks = [insert() for _ in range(3)]
    eventually(lambda: len(began) == 1)
    database.execute("SELECT pg_sleep(0.5)")
    assert len(began) == 1
    go.set()
    eventually(lambda: all(row(id_).status == "completed" for id_ in tasks))


def test_probe_that_is_cancelled_lets_another_be_tried(
    start_worker: StartWorker, insert: Insert, row: Row, database: Database
) -> None:
    database.execute("SELECT contentq.close_gate('p', clock_timestamp() + interval '0.5 seconds', 'outage', true)")
    began: list[float] = []

    async def handler(task: Task, _context: Context) -> None:
        began.append(time.monotonic())
        if task.topic == "hangs":
            await asyncio.Event().wait()

    hangs = insert(topic="hangs", priority=10)
    good = insert()
    start_worker(handler, gate="p")
    eventually(lambda: row(hangs).status == "processing")

    database.execute("SELECT contentq.cancel(task_id) FROM content_generation_tasks WHERE topic = 'hangs'")
    eventually(lambda: row(good).status == "completed")

    assert began[1] - began[0] < 4.5


def raising(error: Exception) -> Any:
    async def handler(_task: Task, _context: Context) -> None:
        raise error

    return handler


SPENT = {"model": "m", "prompt_tokens": 10, "completion_tokens": 1, "cost": 0.5}


class Bare(RateLimited):
    """What a handler's author may write."""

    def __init__(self) -> None:
        pass


class Unreadable(TemporaryError):
    @property
    def usage(self) -> Any:
        raise RuntimeError("no")

    @usage.setter
    def usage(self, value: Any) -> None:
        pass


@pytest.mark.parametrize(
    "error",
    [
        RateLimited("429", retry_after=3600, usage=SPENT),
        TemporaryError("cut off", retry_after=3600, usage=SPENT),
        PermanentError("filtered", usage=SPENT),
        HandlerError("bad", usage=SPENT),
        ProviderUnavailable("502", retry_after=3600, usage=SPENT),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_a_failed_attempt_has_cost_is_charged_once(
    start_worker: StartWorker, insert: Insert, row: Row, database: Database, error: Exception
) -> None:
    database.execute("UPDATE contentq.settings SET backoff_base = '1 hour', backoff_max = '1 hour'")
    start_worker(raising(error))
    id_ = insert()

    eventually(lambda: row(id_).error_message is not None)

    assert database.execute(USAGE).fetchall() == [(1, 10, 0.5)]


def test_several_that_fail_at_once_are_each_charged_once(
    start_worker: StartWorker, insert: Insert, row: Row, database: Database
) -> None:
    async def handler(task: Task, _context: Context) -> None:
        usage = {**SPENT, "prompt_tokens": task.id} if task.id % 2 else None
        raise PermanentError("no", usage=usage)

    with database.transaction():
        tasks = [insert() for _ in range(40)]
    start_worker(handler, concurrency=40)

    eventually(lambda: all(row(id_).status == "failed" for id_ in tasks))

    tokens = sum(id_ for id_ in tasks if id_ % 2)
    assert database.execute(USAGE).fetchall() == [(20, tokens, 10.0)]


@pytest.mark.parametrize("error", [RateLimited, TemporaryError])
def test_report_that_is_refused_charges_nothing(
    start_worker: StartWorker,
    insert: Insert,
    row: Row,
    database: Database,
    error: type[RateLimited | TemporaryError],
) -> None:
    go = threading.Event()

    async def handler(task: Task, _context: Context) -> None:
        if task.attempt == 1:
            await asyncio.to_thread(go.wait, 30)
            raise error("late", usage=SPENT)

    running = start_worker(handler, listen=False, poll=60)
    id_ = insert()
    eventually(lambda: row(id_).status == "processing")
    database.execute("UPDATE content_generation_tasks SET attempt = attempt + 1")
    go.set()

    eventually(lambda: running.worker.counts.refused == 1)

    assert row(id_).status == "processing"
    assert database.execute(USAGE).fetchall() == []


@pytest.mark.parametrize(
    "usage",
    [
        {"cost": float("nan")},
        {"cost": ...},
        {"cost": "5", "prompt_tokens": -3},
        {"prompt_tokens": 10**400},
        {"cost": True},
        {"cost": Decimal("sNaN")},
        {"input_tokens": 3},
        {"model": 7},
        5,
        "cheap",
        [1, 2],
    ],
    ids=repr,
)
def test_usage_that_makes_no_sense_is_not_counted_and_logged(
    start_worker: StartWorker,
    insert: Insert,
    row: Row,
    database: Database,
    caplog: pytest.LogCaptureFixture,
    usage: Any,
) -> None:
    error = PermanentError("no")
    error.usage = usage
    start_worker(raising(error))
    id_ = insert()

    eventually(lambda: row(id_).status == "failed")

    assert row(id_).error_message == "no"
    assert database.execute(USAGE).fetchall() == []
    assert f"usage not counted task={row(id_).task_id} attempt=1: " in caplog.text


def test_usage_that_postgresql_refuses_does_not_cost_the_report(
    start_worker: StartWorker, insert: Insert, row: Row, database: Database
) -> None:
    database.execute("ALTER TABLE contentq.usage ADD CHECK (cost < 100)")
    start_worker(raising(TemporaryError("busy", usage={"cost": 1000}, retry_after=3600)))
    id_ = insert()

    eventually(lambda: row(id_).status == "pending" and row(id_).error_message == "busy")

    assert row(id_).retry_count == 1
    assert database.execute(USAGE).fetchall() == []


@pytest.mark.parametrize("error", [Bare(), Unreadable("busy", retry_after=0.1)], ids=["bare", "unreadable"])
def test_error_classes_that_leave_things_out_count_as_what_they_are(
    start_worker: StartWorker, insert: Insert, row: Row, error: Exception
) -> None:
    start_worker(raising(error), gate="p")
    id_ = insert(max_retries=0) if isinstance(error, RateLimited) else insert(max_retries=5)

    eventually(lambda: row(id_).error_message is not None)

    assert row(id_).status == "pending"
    assert row(id_).error_message in ("Bare", "busy")


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


def test_worker_stops_at_once_while_it_waits_for_its_pace(
    start_worker: StartWorker, insert: Insert, row: Row
) -> None:
    provider = Provider()
    provider.error = RateLimited(retry_after=3600)
    running = start_worker(provider, gate="p")
    id_ = insert()
    eventually(lambda: row(id_).error_message is not None)

    running.stop()

    assert running.ending(3) is Ending.DONE


@pytest.fixture
def without_rights(database: Database, dsn: str) -> Iterator[str]:
    """The DSN of a role that may do all that a worker does, but may not close a gate."""
    if database.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone() != (True,):
        pytest.skip("the user of CONTENTQ_TEST_DSN may not make roles")
    name = f"test_no_gates_{database.info.backend_pid}"
    database.execute(f"CREATE ROLE {name} LOGIN")
    for schema in ("public", "contentq"):
        database.execute(f"GRANT USAGE ON SCHEMA {schema} TO {name}")
        database.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA {schema} TO {name}")
        database.execute(f"GRANT ALL ON ALL SEQUENCES IN SCHEMA {schema} TO {name}")
        database.execute(f"GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA {schema} TO {name}")
    database.execute(f"REVOKE EXECUTE ON FUNCTION contentq.close_gate FROM {name}")
    yield psycopg.conninfo.make_conninfo(dsn, options=f"-c role={name}")
    database.execute(f"DROP OWNED BY {name}")
    database.execute(f"DROP ROLE {name}")


def test_worker_that_may_not_close_the_gate_reports_and_keeps_to_it_itself(
    without_rights: str, insert: Insert, row: Row, database: Database
) -> None:
    provider = Provider()
    provider.error = RateLimited("slow down", retry_after=2)
    running = RunningWorker(without_rights, provider, gate="p")
    try:
        registered(database)
        id_ = insert()
        eventually(lambda: row(id_).error_message == "slow down")
        provider.error = None
        second = insert()
        eventually(lambda: row(second).status == "completed")
        assert provider.began[1][0] - provider.began[0][0] > 1.8
        assert closed_for(database) == 0
    finally:
        running.leave()


@pytest.mark.parametrize("key", ["\ud800", "a\x00b", "x" * 100_000], ids=["surrogate", "NUL", "long"])
def test_key_that_cannot_be_stored_costs_the_task_nothing(
    start_worker: StartWorker, insert: Insert, row: Row, key: str
) -> None:
    start_worker(raising(RateLimited("slow down", gate=key, retry_after=3600)))
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


def test_report_that_is_made_again_does_not_close_the_gate_again(
    start_worker: StartWorker,
    insert: Insert,
    row: Row,
    database: Database,
    connect: Callable[[], Database],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    closings: list[float] = []
    close_gate = contract.close_gate

    async def counted(connection: Any, closing: Any) -> None:
        closings.append(time.monotonic())
        await close_gate(connection, closing)

    monkeypatch.setattr(contract, "close_gate", counted)
    go = threading.Event()

    async def handler(_task: Task, _context: Context) -> None:
        await asyncio.to_thread(go.wait, 30)
        raise RateLimited("slow down", retry_after=2)

    start_worker(handler, gate="p")
    id_ = insert()
    eventually(lambda: row(id_).status == "processing")
    other = connect()
    with other.transaction():
        other.execute("SELECT FROM content_generation_tasks WHERE id = %s FOR UPDATE", [id_])
        go.set()
        eventually(lambda: closed_for(database) > 0)
        eventually(lambda: closed_for(database) < -2, within=15)
    eventually(lambda: row(id_).status == "pending", within=15)
    assert len(closings) == 1


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

    async def handler(_task: Task, _context: Context) -> None:
        await asyncio.to_thread(go.wait, 30)
        raise RateLimited("slow down", retry_after=2)

    start_worker(handler, gate="p")
    id_ = insert()
    eventually(lambda: row(id_).status == "processing")
    away.set()
    database.execute(TERMINATE, ["contentq %"])
    go.set()
    database.execute("SELECT pg_sleep(2.5)")  # the outage outlasts the refusal
    away.clear()

    eventually(lambda: row(id_).status == "pending")

    assert closed_for(database) <= 0


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
    """Seconds of the processor that a thread of this process has used."""
    stat = Path(f"/proc/self/task/{thread}/stat")
    if not stat.exists():
        pytest.skip("there is no /proc")
    fields = stat.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_pace_that_limits_does_not_cost_a_claim_for_each_look(
    start_worker: StartWorker, database: Database, account: int, claims: list[int]
) -> None:
    provider = Provider()
    database.execute(
        "INSERT INTO content_generation_tasks (account_id, topic) SELECT %s, 't' FROM generate_series(1, 60)",
        [account],
    )
    start_worker(provider, gate="p", concurrency=100)

    eventually(lambda: len(provider.began) == 60)

    assert len(claims) <= 60 + 10
    seconds = provider.began[-1][0] - provider.began[0][0]
    assert 1.5 < seconds < 10  # 10 a second at first, doubled each second


def test_pace_grows_also_when_there_is_but_one_slot(
    start_worker: StartWorker, database: Database, account: int
) -> None:
    provider = Provider()
    database.execute(
        "INSERT INTO content_generation_tasks (account_id, topic) SELECT %s, 't' FROM generate_series(1, 80)",
        [account],
    )
    start_worker(provider, gate="p", concurrency=1)

    eventually(lambda: len(provider.began) == 80, within=20)

    assert provider.began[-1][0] - provider.began[0][0] < 7.5  # at the first rate it would be 8


def test_stale_attempt_beside_the_valid_one_of_the_same_task_is_not_charged(
    insert: Insert, database: Database, dsn: str
) -> None:
    id_ = insert()
    held = "SELECT contentq.register_worker('here', 1, 1, 'h')"
    found = database.execute(held).fetchone()
    assert found is not None
    database.execute("SELECT contentq.claim(%s, 1)", found)
    stale, valid = (
        Failed(Held(found[0], id_, attempt, "t"), "busy", "E", usage=json.dumps(SPENT)) for attempt in (0, 1)
    )

    async def report() -> dict[int, str]:
        async with await connect_async(dsn, "contentq report") as connection:
            return await contract.fail(connection, found[0], [stale, valid])

    assert asyncio.run(report()) == {id_: "pending"}
    assert database.execute(USAGE).fetchall() == [(1, 10, 0.5)]


def test_results_keep_their_own_usage(
    start_worker: StartWorker, insert: Insert, row: Row, database: Database
) -> None:
    async def handler(_task: Task, _context: Context) -> dict[str, Any]:
        return {"text": "done", **SPENT}

    start_worker(handler, gate="p")
    id_ = insert()
    eventually(lambda: row(id_).status == "completed")

    assert row(id_).result == json.loads(json.dumps({"text": "done", **SPENT}))
    assert database.execute(USAGE).fetchall() == [(1, 10, 0.5)]
