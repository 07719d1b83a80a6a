"""accounts.max_running: never exceeded by concurrent claims, and no slot stays unused."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from tests.support.queue import Held, Queue
from tests.support.waiting import eventually

CAP = 2
CLAIMERS = 8


@pytest.fixture(params=["strict", "fair"])
def claim_order(request: pytest.FixtureRequest, queue: Queue) -> str:
    queue.run("UPDATE contentq.settings SET claim_order = %s", request.param)
    return str(request.param)


def _submit(queue: Queue, account: int, number: int) -> None:
    queue.run(
        "INSERT INTO content_generation_tasks (account_id) SELECT %s FROM generate_series(1, %s)", account, number
    )


def _running(queue: Queue, account: int) -> int:
    query = "SELECT count(*) FROM content_generation_tasks WHERE status = 'processing' AND account_id = %s"
    return int(queue.value(query, account))


@pytest.mark.usefixtures("claim_order")
class TestOneClaimer:
    def test_claim_takes_no_more_than_the_cap_and_fills_up_with_others(self, queue: Queue, worker: int) -> None:
        capped, free = queue.add_account("capped", max_running=CAP), queue.add_account("free")
        _submit(queue, capped, 20)
        _submit(queue, free, 20)
        claimed = Counter(row["account_id"] for row in queue.claim(worker, 15))
        assert claimed == {capped: CAP, free: 13}

    def test_place_is_taken_again_when_a_task_ends(self, queue: Queue, worker: int) -> None:
        capped = queue.add_account("capped", max_running=CAP)
        _submit(queue, capped, 20)
        first, second = queue.claim(worker, 10)
        assert queue.claim(worker, 10) == []
        queue.complete(worker, [Held(worker, first["id"], 1)])
        assert len(queue.claim(worker, 10)) == 1
        queue.fail(Held(worker, second["id"], 1), permanent=True)
        assert len(queue.claim(worker, 10)) == 1

    def test_cap_of_none_lets_nothing_start_until_it_is_raised(self, queue: Queue, worker: int) -> None:
        capped = queue.add_account("capped", max_running=0)
        _submit(queue, capped, 5)
        assert queue.claim(worker, 10) == []
        queue.run("UPDATE accounts SET max_running = 3 WHERE id = %s", capped)
        assert len(queue.claim(worker, 10)) == 3
        queue.run("UPDATE accounts SET max_running = NULL WHERE id = %s", capped)
        assert len(queue.claim(worker, 10)) == 2

    def test_cap_below_what_runs_stops_nothing_that_runs(self, queue: Queue, worker: int) -> None:
        account = queue.account
        _submit(queue, account, 10)
        assert len(queue.claim(worker, 4)) == 4
        queue.run("UPDATE accounts SET max_running = 1")
        assert queue.claim(worker, 4) == []
        assert _running(queue, account) == 4

    def test_cap_counts_over_priorities_and_categories(self, queue: Queue, worker: int) -> None:
        capped = queue.add_account("capped", max_running=CAP)
        for priority in (9, 5, 1):
            for category in ("blog", "news"):
                queue.add(account_id=capped, priority=priority, category=category)
        assert [row["priority"] for row in queue.claim(worker, 10)] == [9, 9]
        assert queue.claim(worker, 10, ["blog"]) == []

    @pytest.mark.slow
    def test_accounts_that_share_a_place_of_the_lock_have_their_own_cap(self, queue: Queue, worker: int) -> None:
        accounts = [queue.add_account(f"account {n}", max_running=CAP) for n in range(130)]
        for account in accounts:
            _submit(queue, account, 3)
        claimed = Counter(row["account_id"] for row in queue.claim(worker, 1_000))
        assert claimed == dict.fromkeys(accounts, CAP)

    def test_account_with_a_budget_and_no_cap_is_not_capped(self, queue: Queue, worker: int) -> None:
        account = queue.add_account("Grace", monthly_budget=1)
        queue.run(
            "INSERT INTO contentq.usage (account_id, day, model, attempts, prompt_tokens, completion_tokens, "
            "cost) VALUES (%s, clock_timestamp() AT TIME ZONE 'UTC', 'm', 100, 1, 1, 0.1)",
            account,
        )
        _submit(queue, account, 5)
        assert len(queue.claim(worker, 10)) == 5

    def test_task_inserted_earlier_and_committed_later_is_found(
        self, queue: Queue, worker: int, connect_queue: Callable[[], Queue]
    ) -> None:
        capped = queue.add_account("capped", max_running=1)
        other = connect_queue()
        with other.connection.transaction():
            early = other.add(account_id=capped)
            late = queue.add(account_id=capped)
            assert [row["id"] for row in queue.claim(worker, 10)] == [late]
        assert queue.claim(worker, 10) == []
        queue.complete(worker, [Held(worker, late, 1)])
        assert [row["id"] for row in queue.claim(worker, 10)] == [early]


@pytest.mark.usefixtures("claim_order")
def test_claim_that_is_not_committed_counts(queue: Queue, connect_queue: Callable[[], Queue]) -> None:
    capped, free = queue.add_account("capped", max_running=CAP), queue.add_account("free")
    _submit(queue, capped, 10)
    _submit(queue, free, 1)
    other = connect_queue()
    with other.connection.transaction():
        assert len(other.claim(other.register(), 1)) == 1
        worker = queue.register()
        # It does not wait for the other claim. It leaves what it cannot count, and is due again at once.
        with queue.connection.cursor() as cursor:
            cursor.execute(
                "SELECT array_agg(c.account_id), (SELECT contentq.next_claim_in(%s)) "
                "FROM contentq.claim(%s, 10) AS c",
                [worker, worker],
            )
            row = cursor.fetchone()
        assert row is not None
        assert row[0] == [free]
        assert row[1].total_seconds() == 0.005
    assert len(queue.claim(worker, 10)) == 1


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
@pytest.mark.usefixtures("claim_order")
def test_claim_on_an_older_snapshot_is_exact_or_refused(
    queue: Queue, connect_queue: Callable[[], Queue], level: str
) -> None:
    capped = queue.add_account("capped", max_running=CAP)
    _submit(queue, capped, 10)
    worker, others = queue.register(), connect_queue()
    other = others.register()

    def claim_after_the_other(by_other: int) -> int:
        with others.connection.transaction():
            others.run(f"SET TRANSACTION ISOLATION LEVEL {level}")
            others.value("SELECT count(*) FROM content_generation_tasks")
            assert len(queue.claim(worker, by_other)) == by_other
            return len(others.claim(other, 10))

    with pytest.raises(psycopg.errors.SerializationFailure):
        claim_after_the_other(1)
    assert _running(queue, capped) == 1
    # Without another claim since its snapshot it is exact.
    with others.connection.transaction():
        others.run(f"SET TRANSACTION ISOLATION LEVEL {level}")
        assert len(others.claim(other, 10)) == CAP - 1
    assert _running(queue, capped) == CAP


RECORD = """
    CREATE TABLE started (account_id integer, running integer);
    CREATE FUNCTION record_start() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM FROM public.accounts
        WHERE id IN (SELECT account_id FROM new_rows WHERE status = 'processing')
        ORDER BY id
        FOR NO KEY UPDATE;
        INSERT INTO public.started
        SELECT n.account_id, (SELECT count(*) FROM public.content_generation_tasks AS t
                              WHERE t.account_id = n.account_id AND t.status = 'processing')
        FROM (SELECT DISTINCT account_id FROM new_rows WHERE status = 'processing') AS n;
        RETURN NULL;
    END;
    $$;
    CREATE TRIGGER zz_record AFTER UPDATE ON content_generation_tasks
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION record_start()"""
"""Counts the running tasks of each claim once its choice is final: under a lock of the account, so that every
other claim of it is either counted or counts this one.
"""


def _audit(queue: Queue, done: threading.Event) -> Counter[int]:
    """Samples running tasks until all are done; returns the maximum per account."""
    most: Counter[int] = Counter()
    while not done.is_set():
        with queue.connection.transaction():
            queue.run("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            running = Counter(
                queue.values("SELECT account_id FROM content_generation_tasks WHERE status = 'processing'")
            )
        most |= running
    return most


def _work(queue: Queue, seed: random.Random) -> None:
    """Claims and ends tasks in every possible way until none is left."""
    worker, held = queue.register(), list[Held]()
    while queue.value("SELECT count(*) FROM content_generation_tasks WHERE status <> 'completed'"):
        held += [Held(worker, row["id"], row["attempt"]) for row in queue.claim(worker, 3)]
        seed.shuffle(held)
        fate = seed.random()
        if fate < 0.1:
            # Its worker is gone while its tasks run; they are rescued, and it starts again.
            queue.silence(worker, "1 hour")
            queue.rescue("30 minutes")
            worker, held = queue.register(), []
        elif held and fate < 0.2:
            queue.fail(held.pop(), retry_after="0")
        elif held and fate < 0.3:
            queue.release(worker, [held.pop()])
        else:
            queue.complete(worker, held[:2])
            held = held[2:]


@pytest.mark.slow
@pytest.mark.in_public
@pytest.mark.usefixtures("claim_order")
def test_eight_claimers_with_kills_and_rescues_never_exceed_a_cap(
    queue: Queue, connect_queue: Callable[[], Queue]
) -> None:
    accounts = [queue.add_account(f"capped {n}", max_running=CAP) for n in range(3)]
    free = queue.add_account("free")
    for account in (*accounts, free):
        _submit(queue, account, 50)
    queue.run("UPDATE content_generation_tasks SET max_retries = 1000")
    queue.run(RECORD)
    sessions = [connect_queue() for _ in range(CLAIMERS + 1)]
    done = threading.Event()
    with ThreadPoolExecutor(CLAIMERS + 1) as pool:
        auditor = pool.submit(_audit, sessions[-1], done)
        working = [pool.submit(_work, own, random.Random(n)) for n, own in enumerate(sessions[:-1])]
        try:
            for each in working:
                each.result(timeout=120)
        finally:
            done.set()
        seen = auditor.result()

    counted = queue.rows("SELECT account_id, max(running) AS most FROM started GROUP BY 1")
    exact = {row["account_id"]: row["most"] for row in counted}
    # The cap was reached, so the count is meaningful, and never exceeded.
    assert {account: exact[account] for account in accounts} == dict.fromkeys(accounts, CAP)
    assert {account: seen[account] for account in accounts} == dict.fromkeys(accounts, CAP)
    assert exact[free] > CAP


@pytest.mark.slow
@pytest.mark.usefixtures("claim_order")
def test_freed_place_is_taken_by_whichever_claimer_looks_next(
    queue: Queue, connect_queue: Callable[[], Queue]
) -> None:
    """Eight concurrent claimers: at least one uses the free slot."""
    capped = queue.add_account("capped", max_running=CAP)
    _submit(queue, capped, 40)
    first = queue.register()
    held = [Held(first, row["id"], row["attempt"]) for row in queue.claim(first, 10)]
    sessions = [connect_queue() for _ in range(CLAIMERS)]
    workers = [own.register() for own in sessions]
    with ThreadPoolExecutor(CLAIMERS) as pool:
        for _ in range(10):
            queue.complete(held[0].worker, held[:1])
            held = held[1:]
            start = threading.Barrier(CLAIMERS)

            def claim(own: Queue, worker: int, start: threading.Barrier = start) -> list[Held]:
                start.wait(timeout=30)
                return [Held(worker, row["id"], row["attempt"]) for row in own.claim(worker, 5)]

            claimed = [task for tasks in pool.map(claim, sessions, workers) for task in tasks]
            # The claimer with the lock may not have used the slot; the others are due again at once.
            claimed = claimed or eventually(lambda: claim(queue, first, threading.Barrier(1)), within=1)
            assert len(claimed) == 1
            held += claimed
            assert _running(queue, capped) == CAP
