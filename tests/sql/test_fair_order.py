"""claim() with settings.claim_order fair: running tasks are shared between accounts."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

import pytest

from tests.support.queue import Queue

BACKLOG = 20_000


@pytest.fixture(autouse=True)
def fair(queue: Queue) -> None:
    queue.run("UPDATE contentq.settings SET claim_order = 'fair'")


def _submit(queue: Queue, account: int, number: int, **columns: object) -> None:
    names = "".join(f", {name}" for name in columns)
    queue.run(
        f"INSERT INTO content_generation_tasks (account_id{names}) SELECT %s{', %s' * len(columns)} "
        "FROM generate_series(1, %s)",
        account,
        *columns.values(),
        number,
    )


class Slots:
    """Slots of one worker that claims as many tasks as are free; the test ends the tasks."""

    def __init__(self, queue: Queue, number: int) -> None:
        self.queue, self.number = queue, number
        self.worker = queue.register(slots=number)
        self.running: list[tuple[int, int]] = []
        """Account and id of each."""

    def fill(self) -> list[int]:
        """Claims for all free slots; returns the accounts of the tasks that start."""
        claimed = self.queue.claim(self.worker, self.number - len(self.running))
        self.running += [(row["account_id"], row["id"]) for row in claimed]
        return [row["account_id"] for row in claimed]

    def end(self, *tasks: tuple[int, int]) -> None:
        """Ends these running tasks."""
        self.queue.run(
            "UPDATE content_generation_tasks SET status = 'completed', completed_at = clock_timestamp() "
            "WHERE id = ANY (%s)",
            [id_ for _, id_ in tasks],
        )
        self.running = [task for task in self.running if task not in tasks]

    def end_some(self, number: int, seed: random.Random) -> list[int]:
        """Ends this many running tasks in any order; returns their accounts."""
        ended = seed.sample(self.running, number)
        self.end(*ended)
        return [account for account, _ in ended]

    def count(self) -> Counter[int]:
        """Number of running tasks of each account."""
        return Counter(account for account, _ in self.running)


@pytest.mark.slow
def test_account_that_submits_behind_a_long_backlog_starts_with_the_next_claim_and_gets_half(
    queue: Queue,
) -> None:
    long, short = queue.add_account("long"), queue.add_account("short")
    _submit(queue, long, BACKLOG)
    slots = Slots(queue, 8)
    slots.fill()
    assert slots.count() == {long: 8}

    _submit(queue, short, 10)
    slots.end(slots.running[0])
    assert slots.fill() == [short]

    done, rounds = 0, 0
    while done < 10:
        done += slots.count()[short]
        slots.end(*slots.running)
        assert len(slots.fill()) == 8
        rounds += 1
    assert rounds <= 1 + -(-9 // 4)


def test_lone_account_gets_all_slots(queue: Queue) -> None:
    _submit(queue, queue.account, 100)
    assert len(queue.claim(queue.register(), 60)) == 60


def test_what_an_account_does_not_use_goes_to_the_others(queue: Queue) -> None:
    long, short = queue.add_account("long"), queue.add_account("short")
    _submit(queue, long, 100)
    _submit(queue, short, 3)
    slots = Slots(queue, 40)
    slots.fill()
    assert slots.count() == {long: 37, short: 3}


def test_more_urgent_tasks_come_first_whosever_they_are(queue: Queue) -> None:
    one, other = queue.add_account("one"), queue.add_account("other")
    _submit(queue, one, 6, priority=9)
    _submit(queue, other, 6, priority=5)
    slots = Slots(queue, 8)
    slots.fill()
    assert slots.count() == {one: 6, other: 2}


def test_within_an_account_the_order_is_strict(queue: Queue) -> None:
    later = queue.add(submitted_at="2002-01-01")
    earlier = queue.add(submitted_at="2001-01-01")
    worker = queue.register()
    assert [queue.claim(worker, 1)[0]["id"] for _ in range(2)] == [earlier, later]


@pytest.mark.slow
@pytest.mark.parametrize("slots", [1, 6, 40])
def test_shares_hold_over_completions_of_much_the_same_length(queue: Queue, slots: int) -> None:
    large, small = queue.add_account("large", share=3), queue.add_account("small")
    _submit(queue, large, 1_000)
    _submit(queue, small, 1_000)
    running, seed = Slots(queue, slots), random.Random(1)
    ends: dict[int, float] = {}
    completed: Counter[int] = Counter()
    now = 0.0
    while completed.total() < 300:
        running.fill()
        assert len(running.running) == slots
        for _, id_ in running.running:
            ends.setdefault(id_, now + seed.uniform(0.9, 1.1))
        first = min(running.running, key=lambda task: ends[task[1]])
        now = ends[first[1]]
        running.end(first)
        completed[first[0]] += 1
    assert completed[large] / completed[small] == pytest.approx(3, rel=0.1)


@pytest.mark.slow
def test_shares_hold_over_ten_thousand_completions(queue: Queue) -> None:
    large, small = queue.add_account("large", share=3), queue.add_account("small")
    _submit(queue, large, 8_000)
    _submit(queue, small, 8_000)
    running, seed = Slots(queue, 50), random.Random(1)
    completed: Counter[int] = Counter()
    running.fill()
    while completed.total() < 10_000:
        completed.update(running.end_some(seed.randint(1, 50), seed))
        running.fill()
        assert len(running.running) == 50
    assert completed[large] / completed[small] == pytest.approx(3, rel=0.1)


@pytest.mark.slow
@pytest.mark.parametrize(("of_large", "of_small"), [(1, 10), (10, 1)])
def test_tasks_of_unequal_length_share_what_runs(queue: Queue, of_large: int, of_small: int) -> None:
    large, small = queue.add_account("large", share=3), queue.add_account("small")
    _submit(queue, large, 600)
    _submit(queue, small, 600)
    running, seed = Slots(queue, 40), random.Random(1)
    # A task that is ten times as long is a tenth as likely to end next.
    rate = {large: 1 / of_large, small: 1 / of_small}
    time = {large: 0.0, small: 0.0}
    running.fill()
    for _ in range(200):
        rates = [rate[account] for account, _ in running.running]
        for account, number in running.count().items():
            time[account] += number / sum(rates)
        running.end(*seed.choices(running.running, rates))
        assert len(running.fill()) == 1
    assert time[large] / time[small] == pytest.approx(3, rel=0.1)


@pytest.mark.slow
def test_with_more_accounts_than_slots_each_starts_as_many_as_its_share(queue: Queue) -> None:
    accounts = {queue.add_account(f"account {n}", share=3 if n % 2 else 1): 3 if n % 2 else 1 for n in range(30)}
    for account in accounts:
        _submit(queue, account, 100)
    running, seed = Slots(queue, 10), random.Random(1)
    started = Counter(running.fill())
    for _ in range(290):
        running.end_some(1, seed)
        started.update(running.fill())
    for account, share in accounts.items():
        assert started[account] == pytest.approx(5 * share, abs=share)


@pytest.mark.slow
def test_new_account_beside_as_many_backlogs_as_there_are_slots_waits_for_one_round_at_most(queue: Queue) -> None:
    for n in range(20):
        _submit(queue, queue.add_account(f"account {n}"), 100, submitted_at="2001-01-01")
    running, seed = Slots(queue, 20), random.Random(1)
    running.fill()
    new = queue.add_account("new")
    _submit(queue, new, 10)
    waited, longest, starts = 0, 0, 0
    while starts < 10:
        running.end_some(1, seed)
        if running.count()[new] == 0:
            waited += 1
            longest = max(longest, waited)
        if running.fill() == [new]:
            waited, starts = 0, starts + 1
    assert longest <= 21


@pytest.mark.slow
@pytest.mark.parametrize("slots", [1, 100])
def test_five_thousand_accounts_with_a_task_each_start_in_one_round(queue: Queue, slots: int) -> None:
    heavy = queue.add_account("heavy")
    _submit(queue, heavy, BACKLOG, submitted_at="2001-01-01")
    accounts = 5_000 if slots > 1 else 200
    queue.run(
        "WITH added AS (INSERT INTO accounts (name) SELECT n FROM generate_series(1, %s) AS n RETURNING id) "
        "INSERT INTO content_generation_tasks (account_id) SELECT id FROM added",
        accounts,
    )
    running = Slots(queue, slots)
    started: Counter[int] = Counter()
    # The heavy account also gets its turn.
    for _ in range((accounts + slots - 1) // slots + 1):
        claimed = running.fill()
        assert len(claimed) == slots
        started.update(claimed)
        running.end(*running.running)
    assert len(started) == 1 + accounts
    assert started[heavy] <= 1 + slots


def test_turns_of_one_priority_do_not_depend_on_what_starts_in_another(queue: Queue) -> None:
    accounts = [queue.add_account(f"account {n}") for n in range(6)]
    for account in accounts:
        _submit(queue, account, 50, priority=5)
    running = Slots(queue, 1)
    started: Counter[int] = Counter()
    for n in range(60):
        if n % 2:
            queue.add(account_id=accounts[2], priority=10)
        claimed = running.fill()
        if n % 2 == 0:
            started.update(claimed)
        running.end(*running.running)
    assert started == dict.fromkeys(accounts, 5)


@pytest.mark.slow
def test_two_claimers_at_once_do_not_leave_a_slot_idle(queue: Queue, connect_queue: Callable[[], Queue]) -> None:
    """Tasks that another claim is taking are skipped, however many accounts that affects."""
    queue.run(
        "WITH added AS (INSERT INTO accounts (name) SELECT n FROM generate_series(1, 3000) AS n RETURNING id) "
        "INSERT INTO content_generation_tasks (account_id) SELECT id FROM added"
    )
    other = connect_queue()
    with other.connection.transaction():
        first = other.claim(other.register(), 1_500)
        second = queue.claim(queue.register(), 1_500)
    assert len({row["id"] for row in first + second}) == 3_000


def test_what_another_claim_takes_of_an_account_does_not_go_to_the_heaviest(
    queue: Queue, connect_queue: Callable[[], Queue]
) -> None:
    heavy = queue.add_account("heavy")
    _submit(queue, heavy, 1_000)
    queue.run(
        "WITH added AS (INSERT INTO accounts (name) SELECT n FROM generate_series(1, 300) AS n RETURNING id) "
        "INSERT INTO content_generation_tasks (account_id) SELECT id FROM added"
    )
    other = connect_queue()
    with other.connection.transaction():
        other.claim(other.register(), 100)
        accounts = Counter(row["account_id"] for row in queue.claim(queue.register(), 100))
    assert accounts.total() == 100
    assert accounts[heavy] <= 10


def test_blocked_accounts_and_caps_are_left_out(queue: Queue) -> None:
    paused = queue.add_account("paused", paused_until="infinity")
    capped = queue.add_account("capped", max_running=2)
    free = queue.add_account("free")
    for account in (paused, capped, free):
        _submit(queue, account, 50)
    slots = Slots(queue, 20)
    slots.fill()
    assert slots.count() == {capped: 2, free: 18}
    slots.end(*[task for task in slots.running if task[0] == capped])
    assert slots.fill() == [capped, capped]


def test_categories_are_shared_out_as_well(queue: Queue) -> None:
    one, other = queue.add_account("one"), queue.add_account("other")
    _submit(queue, one, 500, category="blog")
    _submit(queue, other, 30, category="news")
    _submit(queue, other, 30, category="blog")
    claimed = queue.claim(queue.register(), 20, ["blog"])
    assert Counter((row["account_id"], row["category"]) for row in claimed) == {
        (one, "blog"): 10,
        (other, "blog"): 10,
    }


def test_shares_can_be_changed_while_tasks_run(queue: Queue) -> None:
    one, other = queue.add_account("one"), queue.add_account("other")
    _submit(queue, one, 100)
    _submit(queue, other, 100)
    slots = Slots(queue, 8)
    slots.fill()
    assert slots.count() == {one: 4, other: 4}
    queue.run("UPDATE accounts SET share = 3 WHERE id = %s", one)
    slots.end(*slots.running)
    slots.fill()
    assert slots.count() == {one: 6, other: 2}


def test_strict_order_lets_the_first_have_all(queue: Queue) -> None:
    queue.run("UPDATE contentq.settings SET claim_order = 'strict'")
    one, other = queue.add_account("one"), queue.add_account("other")
    _submit(queue, one, 100)
    _submit(queue, other, 100)
    assert {row["account_id"] for row in queue.claim(queue.register(), 50)} == {one}
