"""Two workers that share sessions, as with PgBouncer in transaction mode, do not affect each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from datetime import timedelta
from pathlib import Path

import pytest
from contentq.database.connect import connect as open_connection

from tests.support.cluster import Cluster
from tests.support.databases import Databases
from tests.support.pooler import Pooler
from tests.support.programs import installed
from tests.support.queue import Held, Queue

GATE = "api.example"
LOOK_AGAIN = timedelta(milliseconds=5)


@pytest.fixture(scope="module")
def databases() -> Iterator[Databases]:
    """Databases of a server that a pooler can reach."""
    with (
        Cluster(next(iter(installed().values())).folder, tcp=True) as cluster,
        closing(Databases(cluster.dsn(host="127.0.0.1"))) as made,
    ):
        yield made


@pytest.fixture
def pooled_dsn(databases: Databases) -> Iterator[str]:
    """A migrated database for one test."""
    with databases.migrated() as dsn:
        yield dsn


@pytest.fixture
def queue(pooled_dsn: str) -> Iterator[Queue]:
    """The queue on a separate connection."""
    with closing(open_connection(pooled_dsn, "contentq test", plain=True)) as connection:
        yield Queue(connection)


@pytest.fixture(params=[0, 1, 2], ids=["direct", "one session", "two sessions"])
def both(request: pytest.FixtureRequest, pooled_dsn: str) -> Iterator[tuple[Queue, Queue]]:
    """The connections of the two workers: direct, or through a pooler with this many sessions for both."""
    url = Pooler(pooled_dsn, request, pool_size=request.param).url if request.param else pooled_dsn
    with ExitStack() as stack:
        first, second = (
            Queue(stack.enter_context(closing(open_connection(url, "contentq test", plain=True))))
            for _ in range(2)
        )
        if request.param == 1:
            assert first.value("SELECT pg_backend_pid()") == second.value("SELECT pg_backend_pid()")
        yield first, second


def test_nothing_is_kept_in_a_session() -> None:
    functions = Path(__file__, "../../../sql/functions").resolve().glob("*.sql")
    calls = [line for function in functions for line in function.read_text().splitlines() if "set_config(" in line]

    assert calls
    assert [line for line in calls if not line.rstrip().endswith(", true);")] == []


@pytest.mark.slow
def test_each_claims_its_own_categories(queue: Queue, both: tuple[Queue, Queue]) -> None:
    tasks = {category: [queue.add(category=category) for _ in range(4)] for category in ("blog", "news")}
    workers = [own.register(categories=[category]) for own, category in zip(both, tasks, strict=True)]

    for n in range(4):
        for own, worker, category in zip(both, workers, tasks, strict=True):
            assert [row["id"] for row in own.claim(worker)] == [tasks[category][n]]
    for own, worker in zip(both, workers, strict=True):
        assert own.claim(worker) == []


def test_gate_of_one_does_not_stop_the_other(queue: Queue, both: tuple[Queue, Queue]) -> None:
    queue.set_gate(GATE, requests_per_minute=60)
    (first, second), gated, free = both, both[0].register(gate=GATE), both[1].register()
    for _ in range(6):
        queue.add()

    assert len(first.claim(gated, 3)) == 1
    assert len(second.claim(free, 2)) == 2
    claimed, wait = first.claim_and_wait(gated, 3)
    assert claimed == []
    assert wait is not None
    assert LOOK_AGAIN < wait <= timedelta(seconds=1)
    assert first.waits_for(gated) == second.waits_for(gated) == f"gate {GATE}: limited to 1.00 tasks a second"
    assert second.waits_for(free) is None
    queue.close_gate(GATE)
    assert len(second.claim(free, 10)) == 3
    assert (first.waits_for(gated) or "").startswith(f"gate {GATE}: closed until")
    assert second.waits_for(free) is None


def test_place_of_one_hides_nothing_from_the_other(queue: Queue, both: tuple[Queue, Queue]) -> None:
    (first, second), here, there = both, both[0].register(), both[1].register()
    behind = queue.add(submitted_at="2001-01-01")
    queue.run(
        "UPDATE contentq.claimers SET memory = jsonb_build_object('places', jsonb_build_object("
        "'until', clock_timestamp() + interval '0.9 seconds', "
        "'heads', '{\"5\": [\"2002-01-01T00:00:00Z\", 0]}'::jsonb)) WHERE worker_id = %s",
        here,
    )

    assert first.claim(here) == []
    assert [row["id"] for row in second.claim(there)] == [behind]


def test_turns_of_one_are_not_those_of_the_other(queue: Queue, both: tuple[Queue, Queue]) -> None:
    queue.run("UPDATE contentq.settings SET claim_order = 'fair'")
    accounts = [queue.add_account(f"account {n}", share=share) for n, share in enumerate((3, 1))]
    for account in accounts:
        for _ in range(40):
            queue.add(account_id=account)
    workers = [own.register() for own in both]
    turns = "SELECT memory->'turns'->'5'->>0 FROM contentq.claimers WHERE worker_id = %s"

    started = Counter[int]()
    for _ in range(10):
        for own, worker in zip(both, workers, strict=True):
            (row,) = own.claim(worker)
            started[row["account_id"]] += 1
            assert queue.value(turns, worker) == str(row["account_id"])
    assert started == {accounts[0]: 15, accounts[1]: 5}


def test_only_the_one_that_should_look_again_is_told(queue: Queue, both: tuple[Queue, Queue]) -> None:
    (first, second), here, there = both, both[0].register(categories=["blog"]), both[1].register()
    capped = queue.add_account("capped", max_running=1)
    queue.add(account_id=capped, category="blog")
    with queue.connection.transaction():
        queue.run("SELECT FROM contentq.cap_locks WHERE place = %s FOR UPDATE", capped % 64)
        assert first.claim_and_wait(here) == ([], LOOK_AGAIN)
    queue.run("UPDATE accounts SET paused_until = 'infinity'")
    for _ in range(2):
        claimed, wait = second.claim_and_wait(there)
        assert claimed == []
        assert wait is not None
        assert wait > LOOK_AGAIN
        assert first.value("SELECT coalesce(current_setting('contentq.look_again', true), '')") == ""


def test_cap_holds_for_both_together(queue: Queue, both: tuple[Queue, Queue]) -> None:
    capped = queue.add_account("capped", max_running=3)
    for _ in range(10):
        queue.add(account_id=capped)
    (first, second), here, there = both, both[0].register(), both[1].register()

    assert len(first.claim(here, 2)) == 2
    (row,) = second.claim(there, 10)
    assert first.claim(here, 10) == second.claim(there, 10) == []
    second.complete(there, [Held(there, row["id"], 1)])
    assert len(first.claim(here, 10)) == 1
