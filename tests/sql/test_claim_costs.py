"""The reads of a claim depend on the number of tasks it claims, not on blocked or later tasks.

Each backlog precedes 300 tasks that may start, if tasks can precede others. It has 5,000 tasks, then 50,000; fewer
without --all, but far more than a claim may read. Reads are counted with every plan that a session can have:
cached since the table was empty, made without statistics, and made with good ones; each generic ("generic") or for
the values of one call ("custom").
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import pytest

from tests.support.plans import Scans, scans
from tests.support.queue import Queue

pytestmark = [pytest.mark.newest, pytest.mark.slow]

SMALL = 5_000
LARGE = 50_000

FREE = 300
"""Tasks that may start."""

CLAIM = 100

OLD = "clock_timestamp() - interval '2 days' + n * interval '1 millisecond'"
YOUNGER = "clock_timestamp() - interval '1 day' + n * interval '1 millisecond'"


class Backlog:
    """Blocked or scheduled tasks; the tasks that may start are inserted after them."""

    def __init__(
        self,
        queue: Queue,
        columns: dict[str, str] | None = None,
        accounts: dict[str, str] | None = None,
        number: int = 0,
        free: dict[str, str] | None = None,
    ) -> None:
        """columns, free: expressions on n.

        accounts: number of accounts that share the tasks in turn, instead of the usual one.
        """
        self._queue = queue
        self._columns = columns or {}
        self._free = free or {}
        self._account = str(queue.account)
        self._size = 0
        if accounts is not None:
            names, values = ", ".join(["name", *accounts]), ", ".join(["'Grace'", *accounts.values()])
            first = queue.value("SELECT max(id) + 1 FROM accounts")
            queue.run(f"INSERT INTO accounts ({names}) SELECT {values} FROM generate_series(1, {number})")
            self._account = f"{first} + mod(n, {number})"

    def grow(self, to: int) -> None:
        """Adds tasks up to this number."""
        self._insert(self._account, self._columns, self._size + 1, to)
        self._size = to

    def put_free(self) -> None:
        """Adds the tasks that may start."""
        self._insert(str(self._queue.account), {"submitted_at": YOUNGER, **self._free}, 1, FREE)

    def put_urgent(self, number: int) -> None:
        """Adds this many tasks that may start before all others."""
        self._insert(str(self._queue.account), {"priority": "10"}, 1, number)

    def _insert(self, account: str, columns: dict[str, str], first: int, last: int) -> None:
        columns = {"account_id": account, "submitted_at": OLD, **columns}
        self._queue.run(
            f"INSERT INTO content_generation_tasks ({', '.join(columns)}) "
            f"SELECT {', '.join(columns.values())} FROM generate_series({first}, {last}) AS n"
        )


def spend(queue: Queue) -> None:
    """Uses up all budgets."""
    queue.run(
        "INSERT INTO contentq.usage (account_id, day, model, attempts, prompt_tokens, completion_tokens, cost) "
        "SELECT id, clock_timestamp() AT TIME ZONE 'UTC', 'm', 1, 1, 1, monthly_budget FROM accounts "
        "WHERE monthly_budget IS NOT NULL"
    )


def paused(queue: Queue) -> Backlog:
    return Backlog(queue, accounts={"paused_until": "'infinity'"}, number=1)


def paused_of_all_priorities(queue: Queue) -> Backlog:
    return Backlog(queue, {"priority": "1 + mod(n, 10)"}, accounts={"paused_until": "'infinity'"}, number=1)


def many_paused(queue: Queue) -> Backlog:
    return Backlog(queue, accounts={"paused_until": "'infinity'"}, number=1_000)


def at_cap(queue: Queue) -> Backlog:
    backlog = Backlog(queue, accounts={"max_running": "2"}, number=1)
    queue.run(
        "INSERT INTO content_generation_tasks (account_id, status, started_at, attempt, worker_id) "
        "SELECT id, 'processing', now(), 1, 4711 FROM accounts, generate_series(1, 2) WHERE max_running = 2"
    )
    return backlog


def below_cap(queue: Queue) -> Backlog:
    """Two of the tasks may start."""
    return Backlog(queue, accounts={"max_running": "2"}, number=1)


def over_budget(queue: Queue) -> Backlog:
    backlog = Backlog(queue, accounts={"monthly_budget": "1"}, number=1)
    spend(queue)
    return backlog


def many_over_budget(queue: Queue) -> Backlog:
    backlog = Backlog(queue, accounts={"monthly_budget": "1"}, number=1_000)
    spend(queue)
    return backlog


def many_within_budget(queue: Queue) -> Backlog:
    return Backlog(queue, accounts={"monthly_budget": "1"}, number=1_000)


def over_budget_of_a_category(queue: Queue) -> Backlog:
    queue.run("SELECT contentq.set_budget(0, NULL, 'blog', 'day')")
    return Backlog(queue, {"category": "'blog'"}, free={"category": "nullif('rare', 'rare')"})


def over_budget_of_many_categories(queue: Queue) -> Backlog:
    queue.run("SELECT contentq.set_budget(0, NULL, 'c' || n, 'day') FROM generate_series(0, 19) AS n")
    return Backlog(queue, {"category": "'c' || mod(n, 20)"}, free={"category": "'rare'"})


def other_category(queue: Queue) -> Backlog:
    return Backlog(queue, {"category": "'blog'"}, free={"category": "'rare'"})


def other_categories(queue: Queue) -> Backlog:
    """And of none."""
    return Backlog(queue, {"category": "nullif('c' || mod(n, 100), 'c0')"}, free={"category": "'rare'"})


def scheduled(queue: Queue) -> Backlog:
    return Backlog(queue, {"priority": "10", "scheduled_at": "clock_timestamp() + n * interval '1 hour'"})


def finished(queue: Queue) -> Backlog:
    return Backlog(queue, {"priority": "10", "status": "'completed'", "completed_at": "clock_timestamp()"})


def behind(queue: Queue) -> Backlog:
    return Backlog(queue, {"priority": "1"})


def fair(queue: Queue) -> Backlog:
    queue.run("UPDATE contentq.settings SET claim_order = 'fair'")
    return Backlog(queue, accounts={}, number=1_000)


def fair_after_more_urgent_ones(queue: Queue) -> Backlog:
    """Half of the claim has a separate priority."""
    backlog = fair(queue)
    backlog.put_urgent(CLAIM // 2)
    return backlog


def fair_with_a_crowd(queue: Queue) -> Backlog:
    """The whole backlog has one account."""
    queue.run("UPDATE contentq.settings SET claim_order = 'fair'")
    return Backlog(queue, accounts={}, number=1)


def fair_with_paused(queue: Queue) -> Backlog:
    queue.run("UPDATE contentq.settings SET claim_order = 'fair'")
    return Backlog(queue, accounts={"paused_until": "'infinity'"}, number=1_000)


def later_deadlines(queue: Queue) -> Backlog:
    queue.run("UPDATE contentq.settings SET deadlines = true")
    return Backlog(
        queue,
        {"timeout_at": "clock_timestamp() + n * interval '1 minute'"},
        free={"timeout_at": "clock_timestamp() + interval '50 seconds'"},
    )


def aged(queue: Queue) -> Backlog:
    queue.run("UPDATE contentq.settings SET aging = '1 hour'")
    return Backlog(queue, {"priority": "1"})


BACKLOGS: dict[Callable[[Queue], Backlog], int] = {
    paused: 900,
    paused_of_all_priorities: 2_200,
    many_paused: 6_000,
    at_cap: 1_100,
    below_cap: 1_500,
    over_budget: 3_000,
    many_over_budget: 25_000,
    many_within_budget: 900,
    over_budget_of_a_category: 1_000,
    over_budget_of_many_categories: 1_000,
    other_category: 800,
    other_categories: 800,
    scheduled: 600,
    finished: 600,
    behind: 600,
    fair: 900,
    fair_after_more_urgent_ones: 1_100,
    fair_with_a_crowd: 900,
    fair_with_paused: 8_000,
    later_deadlines: 1_000,
    aged: 2_600,
}
"""Maximum rows of a claim of 100, and maximum index entries: it finds, locks and changes them."""

UNDONE = 2_000
"""Additional index entries, from claims that were rolled back before."""


def read_by_claims(queue: Queue, worker: int, *kinds: Literal["custom", "generic"]) -> list[Scans]:
    """Reads of claims: two for each kind of plan, because the first may have to learn. All are rolled back."""
    read = []
    for kind in kinds:
        queue.run(f"SET plan_cache_mode = force_{kind}_plan")
        with queue.connection.transaction(force_rollback=True):
            read += [scans(queue, f"SELECT contentq.claim({worker}, {CLAIM})") for _ in range(2)]
    return read


@pytest.mark.parametrize("arrange", BACKLOGS, ids=lambda arrange: arrange.__name__)
def test_claim_reads_the_same_beside_a_small_backlog_and_a_large_one(
    queue: Queue, arrange: Callable[[Queue], Backlog]
) -> None:
    most = BACKLOGS[arrange]
    # Automatic statistics would invalidate cached plans.
    queue.run("ALTER TABLE content_generation_tasks SET (autovacuum_enabled = off)")
    backlog = arrange(queue)
    worker = queue.register(categories=["rare", "news"] if arrange in (other_category, other_categories) else None)
    read_by_claims(queue, worker, "generic")

    backlog.grow(SMALL)
    backlog.put_free()
    small = read_by_claims(queue, worker, "generic")
    backlog.grow(LARGE)
    large = read_by_claims(queue, worker, "generic")
    queue.run("DISCARD PLANS")
    large += read_by_claims(queue, worker, "generic", "custom")
    queue.run("ANALYZE content_generation_tasks, accounts")
    large += read_by_claims(queue, worker, "generic", "custom")

    assert [read.changed for read in small + large] == [CLAIM] * len(small + large)
    wrong = [
        read
        for read in small + large
        if read.sequential or read.rows > most or sum(read.entries.values()) > most + UNDONE
    ]
    assert not wrong, "\n".join(map(str, small + large))
