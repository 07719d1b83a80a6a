"""A link is a connection that is expected to break.

It is cut when it hangs, reopened, listens, and is reset between calls.
"""

from __future__ import annotations

import asyncio
import logging
import select
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import psycopg
import pytest
from contentq.database import database as databases
from contentq.engine.outage_log import OutageLog
from contentq.engine.reconnecting import ReconnectingConnection
from contentq.engine.timings import Timings

from tests.engine.conftest import Database
from tests.support.cluster import Cluster
from tests.support.pooler import Pooler
from tests.support.programs import installed
from tests.support.waiting import eventually

LINK = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'contentq test'"
BUSY = f"{LINK} AND state = 'active' AND query LIKE '%%pg_sleep%%' AND pid <> pg_backend_pid()"

Link = ReconnectingConnection
OpenLink = Callable[..., Link]
Run = Callable[[Callable[[OpenLink], Awaitable[None]]], None]


@pytest.fixture
def run(dsn: str) -> Run:
    """Runs a scene on an event loop; closes the links that it opened."""

    def run_scene(scene: Callable[[OpenLink], Awaitable[None]]) -> None:
        links: list[Link] = []

        def open_link(*, dsn: str = dsn, timings: Timings | None = None, **options: Any) -> Link:
            timings = timings or Timings()
            links.append(Link(databases.Database(dsn), "test", timings, OutageLog(timings), **options))
            return links[-1]

        async def play() -> None:
            try:
                async with asyncio.timeout(30):
                    await scene(open_link)
            finally:
                for link in links:
                    await link.close()

        asyncio.run(play())

    return run_scene


async def pid_of(link: Link) -> int:
    """The session of each call."""
    async with link.calling() as connection:
        return connection.info.backend_pid


async def call(link: Link, *statements: str) -> None:
    """A call with these statements."""
    async with link.calling() as connection:
        for statement in statements:
            await connection.execute(statement.encode())


async def hang(link: Link) -> None:
    """A call without an answer."""
    await call(link, "SELECT pg_sleep(60)")


async def until_busy(database: Database, *, is_busy: bool = True) -> None:
    """Waits until a link starts such a call, or has ended it."""
    await asyncio.to_thread(eventually, lambda: (database.execute(BUSY).fetchone() is not None) is is_busy)


# Messages from the database between calls


def test_notification_that_came_together_with_the_end_of_an_answer_is_heard(run: Run, database: Database) -> None:
    async def scene(open_link: OpenLink) -> None:
        heard: list[None] = []
        link = open_link(heard=lambda: heard.append(None))
        await call(link, "SELECT")
        heard.clear()
        async with link.calling() as connection:
            database.execute("NOTIFY contentq_ready")
            assert select.select([connection.fileno()], [], [], 10)[0]
            connection.pgconn.consume_input()  # as the driver waits for an answer; nothing is left to read
        assert len(heard) == 1

    run(scene)


def test_notification_is_heard_between_calls_however_many_there_were(run: Run, database: Database) -> None:
    async def scene(open_link: OpenLink) -> None:
        heard = asyncio.Event()
        link = open_link(heard=heard.set)
        for _ in range(3):
            await call(link, "SELECT")
            heard.clear()
            database.execute("NOTIFY contentq_ready")
            await heard.wait()

    run(scene)


@pytest.mark.slow
def test_flood_of_notifications_ends_the_connection_and_the_next_one_does_not_listen_for_a_while(
    run: Run, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene(open_link: OpenLink) -> None:
        heard = asyncio.Event()
        link = open_link(heard=heard.set, timings=Timings(flood_rest=2))
        pid = await pid_of(link)
        heard.clear()
        database.execute("SELECT pg_notify('contentq_ready', n::text) FROM generate_series(1, 5000) AS n")
        while await pid_of(link) == pid:
            await heard.wait()
            heard.clear()
        listening = "SELECT * FROM pg_listening_channels()"
        async with link.calling() as connection:
            assert await (await connection.execute(listening)).fetchall() == []
        while True:
            async with link.calling() as connection:
                if await (await connection.execute(listening)).fetchall() == [("contentq_ready",)]:
                    break

    run(scene)
    assert caplog.text.count("flood of notifications") == 1


def test_call_under_way_does_not_wait_for_the_end_of_a_flood(run: Run, database: Database) -> None:
    async def scene(open_link: OpenLink) -> None:
        link = open_link(heard=lambda: None)
        await call(link, "SELECT")
        hanging = asyncio.ensure_future(call(link, "SELECT pg_sleep(0.2)", "SELECT pg_sleep(60)"))
        await until_busy(database)
        database.execute("SELECT pg_notify('contentq_ready', n::text) FROM generate_series(1, 5000) AS n")
        with pytest.raises(psycopg.OperationalError, match="flooded"):
            await hanging

    run(scene)


def test_connection_that_is_closed_is_not_watched_any_more(run: Run) -> None:
    """Its file descriptor is reused by another connection."""

    async def scene(open_link: OpenLink) -> None:
        link = open_link(heard=lambda: None)
        async with link.calling() as connection:
            descriptor = connection.fileno()
        await link.close()
        assert not asyncio.get_running_loop().remove_reader(descriptor)
        assert connection.closed

    run(scene)


def test_end_of_an_idle_connection_is_told_at_once(run: Run, database: Database) -> None:
    async def scene(open_link: OpenLink) -> None:
        told = asyncio.Event()
        link = open_link(heard=told.set)
        pid = await pid_of(link)
        told.clear()
        database.execute("SELECT pg_terminate_backend(%s)", [pid])
        await told.wait()
        assert not link.is_open
        assert await pid_of(link)

    run(scene)


def test_one_who_waits_on_an_idle_connection_is_told_of_its_end(run: Run, database: Database) -> None:
    async def scene(open_link: OpenLink) -> None:
        link = open_link()
        pid = await pid_of(link)
        await link.idle(0)
        waiting = asyncio.ensure_future(link.idle(60))
        await asyncio.sleep(0)
        database.execute("SELECT pg_terminate_backend(%s)", [pid])
        with pytest.raises(psycopg.OperationalError, match="the connection is closed"):
            await waiting

    run(scene)


def test_warnings_of_the_database_are_logged_and_its_notices_are_not(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene(open_link: OpenLink) -> None:
        async with open_link().calling() as connection:
            await connection.execute("DO $$ BEGIN RAISE NOTICE 'by the way'; RAISE WARNING 'look here'; END $$")

    run(scene)
    assert [record.getMessage() for record in caplog.records if record.name == "contentq.worker"] == [
        "database warning: look here"
    ]


def test_many_different_warnings_do_not_hold_up_the_worker(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    """As when thousands of workers of another login die: the cost of each does not grow with their number."""
    caplog.set_level(logging.ERROR)

    async def scene(open_link: OpenLink) -> None:
        async with open_link().calling() as connection:
            began = time.process_time()
            await connection.execute(
                "DO $$ BEGIN FOR i IN 1..20000 LOOP RAISE WARNING 'worker % died', i; END LOOP; END $$"
            )
            assert time.process_time() - began < 4

    run(scene)


# New connections


@pytest.mark.parametrize(
    "options", [{}, {"prepare": True}, {"heard": lambda: None}], ids=["plain", "prepares", "listens"]
)
def test_server_that_ends_idle_sessions_leaves_those_of_a_worker_alone(
    run: Run, database: Database, options: dict[str, Any]
) -> None:
    database.execute(f"ALTER DATABASE {database.info.dbname} SET idle_session_timeout = '1min'".encode())

    async def scene(open_link: OpenLink) -> None:
        async with open_link(**options).calling() as connection:
            row = await (await connection.execute("SHOW idle_session_timeout")).fetchone()
            assert row == ("0",)

    run(scene)


@pytest.mark.slow
def test_behind_a_pooler_nothing_is_prepared_and_it_is_said_once_that_nothing_is_heard(
    run: Run, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene(open_link: OpenLink) -> None:
        link = open_link(dsn=url, prepare=True, heard=lambda: None)
        for _ in range(2):
            async with link.calling() as connection:
                assert connection.prepare_threshold is None
                row = await (await connection.execute("SHOW idle_session_timeout")).fetchone()
                assert row == ("1min",)
            await link.close()

    with Cluster(next(iter(installed().values())).folder, tcp=True) as cluster:
        with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
            connection.execute("ALTER DATABASE postgres SET idle_session_timeout = '1min'")
        url = Pooler(cluster.dsn(host="127.0.0.1"), request).url
        run(scene)
    said = [record.message for record in caplog.records if record.name == "contentq.worker"]
    assert [message.partition(":")[0] for message in said] == ["a pooler prevents LISTEN"]


def test_statement_that_was_prepared_elsewhere_is_prepared_no_more(run: Run) -> None:
    async def scene(open_link: OpenLink) -> None:
        link = open_link(prepare=True)
        async with link.calling() as connection:
            assert connection.prepare_threshold is not None
            await connection.execute("SELECT 7", prepare=True)
            await connection.execute("DO $$ BEGIN EXECUTE 'DEALLOCATE ALL'; END $$")
        with pytest.raises(psycopg.errors.InvalidSqlStatementName):
            async with link.calling() as connection:
                await connection.execute("SELECT 7", prepare=True)
        assert connection.closed
        async with link.calling() as connection:
            assert connection.prepare_threshold is None

    run(scene)


# Calls that fail


def test_statement_that_is_refused_does_not_cost_the_connection(run: Run) -> None:
    async def scene(open_link: OpenLink) -> None:
        link = open_link()
        pid = await pid_of(link)
        with pytest.raises(psycopg.errors.DivisionByZero):
            await call(link, "SELECT 1 / 0")
        assert await pid_of(link) == pid

    run(scene)


def test_transaction_that_was_left_open_does_not_reach_the_next_call(run: Run) -> None:
    async def scene(open_link: OpenLink) -> None:
        link = open_link()
        with pytest.raises(psycopg.errors.DivisionByZero):
            await call(link, "BEGIN", "SELECT 1 / 0")
        assert not link.is_open
        async with link.calling() as connection:
            assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE

    run(scene)


def test_call_without_an_answer_is_given_up_and_the_next_has_a_new_connection(run: Run) -> None:
    async def scene(open_link: OpenLink) -> None:
        link = open_link(timings=Timings(call=0.3))
        pid = await pid_of(link)
        with pytest.raises(psycopg.OperationalError):
            await hang(link)
        assert link.timed_out
        assert await pid_of(link) != pid
        assert not link.timed_out

    run(scene)


@pytest.mark.slow
def test_call_that_has_ended_is_not_given_up_later(run: Run) -> None:
    async def scene(open_link: OpenLink) -> None:
        link = open_link(timings=Timings(call=0.2, call_check=0.05))
        pid = await pid_of(link)
        # Longer than a call may take.
        await link.idle(0.5)
        assert await pid_of(link) == pid
        async with link.calling(10) as connection:
            await connection.execute("SELECT pg_sleep(0.5)")
        assert await pid_of(link) == pid

    run(scene)


def test_call_under_way_gets_little_time_once_another_connection_got_no_answer(
    run: Run, database: Database
) -> None:
    async def scene(open_link: OpenLink) -> None:
        link = open_link(timings=Timings(call=3600, suspect_call=0.1, call_check=0.1))
        calling = asyncio.ensure_future(hang(link))
        await until_busy(database)
        link.suspect()
        with pytest.raises(psycopg.OperationalError):
            await calling
        assert link.timed_out

    run(scene)


def test_idle_connection_is_replaced_once_when_another_got_no_answer(run: Run) -> None:
    async def scene(open_link: OpenLink) -> None:
        link = open_link()
        before = await pid_of(link)
        link.suspect()
        after = await pid_of(link)
        assert after != before
        assert await pid_of(link) == after

    run(scene)


def test_call_that_got_its_answer_shows_that_the_connection_is_fine(run: Run) -> None:
    async def scene(open_link: OpenLink) -> None:
        link = open_link()
        async with link.calling() as connection:
            link.suspect()
            await connection.execute("SELECT")
        assert await pid_of(link) == connection.info.backend_pid

    run(scene)


def test_call_whose_connection_a_handler_closes_ends_with_an_error(run: Run) -> None:
    async def scene(open_link: OpenLink) -> None:
        link = open_link(timings=Timings(call_check=0.05))

        async def call_closed() -> None:
            async with link.calling() as connection:
                connection.pgconn.finish()
                await asyncio.Event().wait()

        with pytest.raises(psycopg.OperationalError, match="closed during a call"):
            await call_closed()
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        assert await pid_of(link)

    run(scene)


def test_call_that_is_cancelled_ends_cancelled_and_leaves_nothing_behind(run: Run, database: Database) -> None:
    async def scene(open_link: OpenLink) -> None:
        link = open_link(timings=Timings(call_check=0.05))
        calling = asyncio.ensure_future(hang(link))
        await until_busy(database)
        calling.cancel()
        with suppress(asyncio.CancelledError):
            await calling
        assert calling.cancelled()
        assert await pid_of(link)
        await until_busy(database, is_busy=False)

    run(scene)


def test_call_that_is_cancelled_as_its_connection_is_closed_ends_cancelled(run: Run) -> None:
    async def scene(open_link: OpenLink) -> None:
        link = open_link(timings=Timings(call_check=0.05))

        async def call_closed() -> None:
            async with link.calling() as connection:
                connection.pgconn.finish()
                link._watch()
                calling.cancel()
                await asyncio.Event().wait()

        calling = asyncio.ensure_future(call_closed())
        with suppress(asyncio.CancelledError):
            await calling
        assert calling.cancelled()

    run(scene)


# Retries


@pytest.fixture
def rests(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Delays before each retry; nothing actually waits."""
    rests: list[float] = []

    async def note(seconds: float) -> None:
        rests.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", note)
    return rests


LOST = psycopg.OperationalError("no answer")


def test_attempts_come_less_and_less_often_until_one_succeeds(run: Run, rests: list[float]) -> None:
    async def scene(open_link: OpenLink) -> None:
        link = open_link(timings=Timings(first_backoff=1, longest_backoff=6))
        for _ in range(2):
            rests.clear()
            for _ in range(5):
                await link.back_off(LOST)
            for rest, most in zip(rests, [1, 2, 4, 6, 6], strict=True):
                assert most / 2 <= rest <= most
            await pid_of(link)

    run(scene)


def test_outage_of_hours_is_waited_out(run: Run, rests: list[float]) -> None:
    async def scene(open_link: OpenLink) -> None:
        link = open_link()
        for _ in range(5000):
            await link.back_off(LOST)
        assert max(rests) <= Timings().longest_backoff
        assert len(set(rests)) > 4900

    run(scene)


def test_each_error_is_said_once_and_its_end_too(
    run: Run, rests: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    async def scene(open_link: OpenLink) -> None:
        link = open_link()
        for _ in range(2):
            for error in (LOST, LOST, psycopg.errors.DivisionByZero("zero"), LOST):
                await link.back_off(error)
            await pid_of(link)
            await pid_of(link)

    run(scene)
    said = [
        record.message.partition(" after=")[0] for record in caplog.records if record.name == "contentq.worker"
    ]
    lost = "database connection lost, reconnecting connection=test error=OperationalError: no answer"
    failed = "database call failed, retrying connection=test error=DivisionByZero: zero"
    assert said == [lost, failed, "database reachable again", "database reachable again connection=test"] * 2


@pytest.mark.parametrize(("news_after", "said"), [(0, ["no answer", "wrong password"]), (60, ["no answer"])])
def test_reason_that_is_found_later_in_an_outage_is_said_once(
    run: Run, rests: list[float], caplog: pytest.LogCaptureFixture, news_after: float, said: list[str]
) -> None:
    async def scene(open_link: OpenLink) -> None:
        link = open_link(timings=Timings(outage_news=news_after))
        refused = psycopg.OperationalError("wrong password")
        for error in (LOST, refused, LOST, refused):
            await link.back_off(error)

    run(scene)
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [record.message.rpartition(": ")[2] for record in warnings] == said


def test_connection_to_a_standby_is_not_used_again(run: Run, rests: list[float]) -> None:
    async def scene(open_link: OpenLink) -> None:
        link = open_link()
        pid = await pid_of(link)
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction) as refused:
            await call(
                link, "SET default_transaction_read_only = on", "INSERT INTO public.accounts (name) VALUES ('Ada')"
            )
        await link.back_off(refused.value)
        assert await pid_of(link) != pid

    run(scene)
