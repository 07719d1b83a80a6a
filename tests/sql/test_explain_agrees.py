"""explain() and claim() agree: in random queues, both are checked for every pending task."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from tests.support.databases import Connection
from tests.support.queue import Queue

pytestmark = [pytest.mark.newest, pytest.mark.slow]

READY = re.compile(r"ready: worker (.+) will claim it next")
AHEAD = re.compile(r"(\d+) ready tasks? (?:is|are) ahead of it")
ORDER = [
    AHEAD,
    re.compile(r"account \d+ has \d+ running|it has waited longer|every other slot|\d+ tasks? (is|are) due and"),
]
"""Lines about tasks that come first. Every other line names what must change before the task may start."""

RARELY = st.sampled_from([False] * 11 + [True])


@dataclass
class Account:
    share: int = 1
    max_running: int | None = None
    paused: bool = False
    budget: int | None = None


@dataclass
class Worker:
    categories: list[str] | None = None
    gate: str | None = None
    slots: int = 100
    is_silent: bool = False
    is_draining: bool = False
    is_sick: bool = False


@dataclass
class Gate:
    key: str
    closed: str | None = None
    max_running: int | None = None
    level: int | None = None
    """The content of its bucket, which hardly refills; None without a limited rate."""
    half_open: bool = False
    is_used_up: bool = False
    """Whether a provider reported this since the last claim."""


@dataclass
class Task:
    account: int
    category: str | None
    priority: int
    age: int
    """Minutes since submission."""
    timeout: int | None
    """Minutes from now."""
    scheduled: int | str | None
    attempt: int = 0


@dataclass
class State:
    """A queue. References to accounts and workers are positions in their lists."""

    claim_order: str
    deadlines: bool
    aging: bool
    accounts: list[Account]
    workers: list[Worker]
    gates: list[Gate]
    running: list[tuple[int, int]]
    """Account and worker."""
    tasks: list[Task] = field(default_factory=list)
    earlier: list[int] = field(default_factory=list)
    """Workers that have each claimed one of these tasks, so that they remember whose turn it is."""


def mostly(usual: Any, *others: Any) -> st.SearchStrategy[Any]:
    """The usual value three times out of four: if everything were blocked, nothing would be next."""
    return st.sampled_from([usual] * 3 * len(others) + [*others])


CATEGORY = st.sampled_from([None, "a", "b"])

STATES = st.builds(
    State,
    claim_order=st.sampled_from(["strict", "fair"]),
    deadlines=st.booleans(),
    aging=st.booleans(),
    accounts=st.lists(
        st.builds(
            Account,
            share=st.sampled_from([1, 1, 2, 3]),
            max_running=st.sampled_from([None, None, 0, 1, 2, 3]),
            paused=RARELY,
            budget=mostly(None, 0, 15, 17),
        ),
        min_size=3,
        max_size=3,
    ),
    workers=st.lists(
        st.builds(
            Worker,
            categories=mostly(None, ["a"], ["b", "a", "a"]),
            gate=mostly(None, "g", "h"),
            slots=mostly(100, 1),
            is_silent=RARELY,
            is_draining=RARELY,
            is_sick=RARELY,
        ),
        min_size=1,
        max_size=3,
    ),
    gates=st.lists(
        st.builds(
            Gate,
            key=st.sampled_from(["g", "g", "h", "*"]),
            closed=mostly(None, "1 hour", "infinity"),
            max_running=mostly(None, 1, 2),
            level=mostly(None, 0, 1),
            half_open=RARELY,
            is_used_up=RARELY,
        ),
        max_size=2,
        unique_by=lambda gate: gate.key,
    ),
    running=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), max_size=4),
    tasks=st.lists(
        st.builds(
            Task,
            account=st.integers(0, 2),
            category=CATEGORY,
            priority=st.sampled_from([4, 5, 6]),
            age=st.sampled_from([0, 1, 2, 30, 90, 120]),
            timeout=mostly(None, -1, 5, 600, 900),
            scheduled=mostly(None, -1, 60, "infinity"),
            attempt=mostly(0, 0, 0, 2147483647),
        ),
        min_size=1,
        max_size=8,
    ),
    earlier=st.lists(st.integers(0, 2), max_size=2),
)
"""Tasks of category a take 10 minutes, so a deadline in 5 minutes cannot be met; aging is one hour."""


class Arranged:
    """A state in the database, until the transaction ends."""

    def __init__(self, queue: Queue, state: State, seeds: tuple[float, float]) -> None:
        self.queue = queue
        self.state = state
        self.seeds = seeds
        queue.run(
            "UPDATE contentq.settings SET claim_order = %s, deadlines = %s, aging = %s::interval",
            state.claim_order,
            state.deadlines,
            "1 hour" if state.aging else None,
        )
        queue.run("INSERT INTO contentq.durations (category, median) VALUES ('a', '10 minutes')")
        self.accounts = [
            queue.add_account(
                share=each.share,
                max_running=each.max_running,
                paused_until="infinity" if each.paused else None,
                monthly_budget=each.budget,
            )
            for each in state.accounts
        ]
        queue.run(
            "INSERT INTO contentq.usage (account_id, day, model, category, attempts, prompt_tokens, "
            "completion_tokens, cost, largest_cost) "
            "SELECT id, (clock_timestamp() AT TIME ZONE 'UTC')::date, 'm', category, 5, 1, 1, 5, 1 "
            "FROM unnest(%s::bigint[]) AS id, unnest('{a,b,\"\"}'::text[]) AS category",
            self.accounts,
        )
        self.workers = [self._register(each) for each in state.workers]
        for gate in state.gates:
            queue.run(
                "INSERT INTO contentq.gates (key, opens_at, half_open, closed_at, max_running, "
                "requests_per_minute, level, spent_at) "
                "VALUES (%s, %s, %s, clock_timestamp(), %s, %s, %s, clock_timestamp())",
                gate.key,
                "-infinity"
                if gate.closed is None
                else gate.closed
                if gate.closed == "infinity"
                else queue.value("SELECT clock_timestamp() + %s::interval", gate.closed),
                gate.half_open,
                gate.max_running,
                None if gate.level is None else 0.0001,
                gate.level or 0,
            )
            if gate.is_used_up:
                queue.run(
                    "INSERT INTO contentq.gate_events (key, at, began_at, kind, until, calls, answered) "
                    "VALUES (%s, clock_timestamp(), clock_timestamp(), 'exhausted', clock_timestamp() + "
                    "interval '1 hour', "
                    "1, 0)",
                    gate.key,
                )
        for account, worker in state.running:
            queue.add(
                account_id=self.accounts[account],
                status="processing",
                attempt=1,
                started_at=queue.now(),
                worker_id=self.workers[worker % len(self.workers)],
            )
        queue.run(
            """
            INSERT INTO content_generation_tasks
                (account_id, category, priority, attempt, submitted_at, timeout_at, scheduled_at)
            SELECT t.account_id, t.category, t.priority, t.attempt, now() - t.age * interval '1 minute',
                   now() + t.timeout * interval '1 minute',
                   CASE t.scheduled WHEN 'infinity' THEN 'infinity'
                                    ELSE now() + t.scheduled::integer * interval '1 minute' END
            FROM jsonb_to_recordset(%s) AS t (
                account_id integer, category text, priority integer, age integer, timeout integer, scheduled text,
                attempt integer)""",
            Jsonb([{**vars(each), "account_id": self.accounts[each.account]} for each in state.tasks]),
        )

        for worker in state.earlier:
            queue.claim(self.workers[worker % len(self.workers)])
        self.tasks = queue.values("SELECT id FROM content_generation_tasks WHERE status = 'pending' ORDER BY id")

    def _register(self, worker: Worker) -> int:
        id_ = int(
            self.queue.value(
                "SELECT contentq.register_worker('host', 1, %s, 'template', %s, categories => %s)",
                worker.slots,
                worker.gate,
                worker.categories,
            )
        )
        if worker.is_silent:
            self.queue.silence(id_)
        if worker.is_draining:
            self.queue.value("SELECT contentq.drain_worker(%s)", id_)
        if worker.is_sick:
            self.queue.run(
                "UPDATE contentq.claimers SET quick_failures = 7, failed_at = clock_timestamp() + "
                "interval '1 hour' "
                "WHERE worker_id = %s",
                id_,
            )
        return id_

    @contextmanager
    def undone(self) -> Iterator[None]:
        """Rolls back everything done in the block."""
        with self.queue.connection.transaction(force_rollback=True):
            yield

    def claim(self, worker: int, number: int, seed: float = 0) -> list[int]:
        """The result of a claim."""
        with self.undone():
            self.queue.value("SELECT setseed(%s)::text", seed)
            return [row["id"] for row in self.queue.claim(worker, number)]

    def next_of(self, worker: int) -> set[int]:
        """The possible results of a claim of one task, for each random choice."""
        seeds = self.seeds if self.state.aging else self.seeds[:1]
        return {id_ for seed in seeds for id_ in self.claim(worker, 1, seed)}

    def free(self) -> list[int]:
        """The workers that claim: they are alive and have free slots."""
        return self.queue.values(
            "SELECT id FROM contentq.worker_status WHERE state NOT IN ('silent', 'draining') AND busy < "
            "slots ORDER BY id"
        )

    def is_between_caps_and_aging(self, task: int) -> bool:
        """Whether older tasks of its account may take the room that limits leave; nothing counts them."""
        query = (
            "SELECT a.max_running IS NOT NULL OR a.monthly_budget IS NOT NULL FROM accounts AS a "
            "WHERE a.id = (SELECT account_id FROM content_generation_tasks WHERE id = %s)"
        )
        return self.state.aging and bool(self.queue.value(query, task))

    def lift_limits(self) -> None:
        """Lets open gates, and workers that may probe with one task, start any number."""
        self.queue.run(
            "UPDATE contentq.gates SET max_running = NULL, requests_per_minute = NULL, half_open = false "
            "WHERE opens_at <= clock_timestamp() AND NOT EXISTS (SELECT FROM contentq.gate_wait(key))"
        )
        self.queue.run("UPDATE contentq.claimers SET quick_failures = 0")

    def remedy(self, task: int, line: str) -> None:
        """Applies the remedy of a line."""
        change_task = "UPDATE content_generation_tasks SET {} WHERE id = %s"
        change_account = (
            "UPDATE accounts SET {} WHERE id = (SELECT account_id FROM content_generation_tasks WHERE id = %s)"
        )
        if "deadline" in line:
            self.queue.run(change_task.format("timeout_at = NULL"), task)
        elif "not due" in line:
            self.queue.run(change_task.format("scheduled_at = NULL"), task)
        elif "is paused" in line:
            self.queue.run(change_account.format("paused_until = NULL"), task)
        elif "max_running" in line:
            self.queue.run(change_account.format("max_running = NULL"), task)
        elif "budget" in line:
            self.queue.run(change_account.format("monthly_budget = NULL"), task)
        elif "worker" in line:
            self.queue.run("DELETE FROM contentq.gates WHERE key = '*'")
            self.queue.run("DELETE FROM contentq.gate_events WHERE key = '*'")
            self._register(Worker())
        else:
            raise AssertionError(line)


def seed_by_which(queue: Queue, compared: str) -> float:
    """A seed after which random() is below one half, or not: how a claim of one task decides about aging."""
    for seed in range(100):
        queue.value("SELECT setseed(%s)::text", seed / 100)
        if queue.value(f"SELECT random() {compared} 0.5"):
            return seed / 100
    raise AssertionError(compared)


def obstacles(lines: list[str]) -> list[str]:
    """The lines that name what must change before a task may start, however many others start."""
    return [line for line in lines if not READY.match(line) and not any(each.match(line) for each in ORDER)]


def check(here: Arranged) -> None:
    """Calls explain() for each pending task, and compares with the results of claims."""
    free = here.free()
    following = {worker: here.next_of(worker) for worker in free}
    taken = {worker: set(here.claim(worker, 1000)) for worker in free}
    with here.undone():
        able = [worker for worker in free if here.queue.value("SELECT contentq.waits_for(%s)", worker) is None]
        here.lift_limits()
        startable = {id_ for worker in able for id_ in here.claim(worker, 1000)}

    for task in here.tasks:
        lines = here.queue.explain(task)
        said = f"{lines}; free {free}, next {following}, taken {taken}, startable {startable}"
        assert lines, said
        in_way = obstacles(lines)
        ready = READY.fullmatch(lines[0])
        nexts = [worker for worker in free if following[worker] == {task}]
        if ready:
            assert len(lines) == 1, said
            named = [int(each) for each in ready[1].split(" or ")]
            assert set(named) == set(nexts), said
        elif not any("due and will be ready" in line for line in lines):
            assert nexts == [], said

        if in_way:
            assert all(task not in ids for ids in taken.values()), said
        elif not here.is_between_caps_and_aging(task):
            assert task in startable, said

        found = [match for line in lines if (match := AHEAD.match(line))]
        if found and not in_way and not here.state.aging and here.state.claim_order == "strict":
            number = int(found[0][1])
            before = {worker: here.claim(worker, number) for worker in able}
            after = {worker: here.claim(worker, number + 1) for worker in able}
            assert all(task not in ids for ids in before.values()), said
            assert any(
                len(after[worker]) <= number or set(after[worker]) == {*before[worker], task} for worker in able
            ), f"{said}, before {before}, after {after}"

    for task in here.tasks[:1]:
        check_remedies(here, task)


def check_remedies(here: Arranged, task: int) -> None:
    """Applies the remedies that explain() names for a task, until a claim takes it."""
    in_way = obstacles(here.queue.explain(task))
    if in_way and not any("highest possible number" in line for line in in_way):
        with here.undone():
            for _ in range(5):  # a reason that had no effect before may be named only now
                for line in in_way:
                    here.remedy(task, line)
                in_way = obstacles(here.queue.explain(task))
            assert in_way == []
            here.lift_limits()
            if not here.is_between_caps_and_aging(task):
                assert any(task in here.claim(worker, 1000) for worker in here.free()), here.queue.explain(task)


def test_explain_says_what_claims_do(database: Connection) -> None:
    """Ready exactly if the next claim takes it; otherwise the reason, or the number of tasks before it."""
    queue = Queue(database)
    seeds = (seed_by_which(queue, "<"), seed_by_which(queue, ">="))

    @settings(
        max_examples=100,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],  # shrinking a failing state takes minutes
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
    @given(state=STATES)
    def agree(state: State) -> None:
        with database.transaction(force_rollback=True):
            check(Arranged(queue, state, seeds))

    agree()
