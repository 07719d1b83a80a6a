"""The SQL contract against a model of it in Python: random sequences of calls, on a real server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.support.databases import Connection

pytestmark = pytest.mark.slow

HELD_BY_NOBODY = None

WHICH = st.integers(0, 11)

RARELY = st.sampled_from([False, False, False, True])


@dataclass
class Modelled:
    """A row according to the contract."""

    priority: int
    max_retries: int
    status: str = "pending"
    attempt: int = 0
    retries: int = 0
    revisions: int = 0
    drafts: int = 0
    is_rejected: bool = False
    worker: int | None = HELD_BY_NOBODY
    cancelled: bool = False
    overdue: bool = False
    later: bool = False
    unheard: bool = False

    @property
    def ready(self) -> bool:
        return self.status == "pending" and not self.later and not self.overdue

    def held_by(self, worker: int, attempt: int) -> bool:
        return self.status == "processing" and self.worker == worker and self.attempt == attempt

    def leave(self, status: str) -> None:
        self.status, self.worker = status, HELD_BY_NOBODY

    def overtaken(self) -> bool:
        """Ends if it was cancelled or passed its deadline; reports about it are not accepted."""
        if self.cancelled:
            self.leave("failed")
        elif self.overdue:
            self.leave("timeout")
        return self.cancelled or self.overdue

    def not_heard(self) -> None:
        """Its worker does not know about it. The first time charges no retry."""
        if self.unheard:
            self.fail(permanent=False, later=True)
        else:
            self.unheard = True
            self.leave("pending")

    def fail(self, permanent: bool, later: bool) -> str:
        if not permanent and self.retries < self.max_retries:
            self.retries += 1
            self.later = later
            self.leave("pending")
        else:
            self.leave("failed")
        return self.status

    def revise(self, most: int, for_review: bool) -> str:
        self.drafts += 1
        if self.revisions < most:
            self.revisions += 1
            self.later = False
            self.leave("pending")
        else:
            self.leave("completed" if for_review else "failed")
        self.is_rejected = self.status != "completed"
        return self.status


class Contract(RuleBasedStateMachine):
    """Calls the functions and the model in parallel, and compares every row after every step."""

    database: Connection

    @initialize()
    def empty(self) -> None:
        self.database.execute("TRUNCATE content_generation_tasks, contents, accounts, contentq.workers CASCADE")
        self.database.execute("INSERT INTO accounts (id, name) VALUES (1, 'model')")
        # So long that no retry becomes due during a run.
        self.database.execute("UPDATE contentq.settings SET backoff_base = '100 days', backoff_max = '100 days'")
        self.model: dict[int, Modelled] = {}
        self.alive: list[int] = []
        self.attempts: list[tuple[int, int, int]] = []
        for _ in range(2):
            self.register()
        for n in range(3):
            self.insert(n + 1, 3, later=False)

    def value(self, query: str, *values: Any) -> Any:
        row = self.database.execute(query, values).fetchone()
        return None if row is None else row[0]

    def ids(self, query: str, *values: Any) -> set[int]:
        return {row[0] for row in self.database.execute(query, values).fetchall()}

    # Few of each, so that one worker often holds what another lost.
    @precondition(lambda self: len(self.alive) < 2)
    @rule()
    def register(self) -> None:
        self.alive.append(int(self.value("SELECT contentq.register_worker('h', 1, 10, 'model')")))

    @precondition(lambda self: len(self.model) < 5)
    @rule(priority=st.integers(1, 10), max_retries=st.integers(0, 3), later=RARELY)
    def insert(self, priority: int, max_retries: int, later: bool) -> None:
        id_ = int(
            self.value(
                "INSERT INTO content_generation_tasks "
                "(account_id, priority, max_retries, scheduled_at, timeout_at) "
                "VALUES (1, %s, %s, CASE WHEN %s THEN now() + interval '1 day' END, now() + interval '1 day') "
                "RETURNING id",
                priority,
                max_retries,
                later,
            )
        )
        self.model[id_] = Modelled(priority, max_retries, later=later)

    def task(self, which: int) -> int:
        """The id of a task."""
        return sorted(self.model)[which % len(self.model)]

    def worker(self, which: int) -> int:
        return self.alive[which % len(self.alive)]

    def attempt(self, which: int) -> tuple[int, int, int]:
        """A claimed attempt, preferably a recent one: (worker, id, attempt)."""
        return self.attempts[-1 - which % len(self.attempts)]

    @precondition(lambda self: self.alive and any(task.ready for task in self.model.values()))
    @rule(which=WHICH, most=st.integers(0, 4))
    def claim(self, which: int, most: int) -> None:
        worker = self.worker(which)
        query = "SELECT id, attempt FROM contentq.claim(%s, %s)"
        rows = self.database.execute(query, [worker, most]).fetchall()
        ready = sorted((id_ for id_, task in self.model.items() if task.ready), key=self._order)
        assert [row[0] for row in rows] == ready[:most]
        for id_, attempt in rows:
            task = self.model[id_]
            task.status, task.worker, task.cancelled = "processing", worker, False
            task.attempt += 1
            assert attempt == task.attempt
            self.attempts.append((worker, id_, attempt))

    def _order(self, id_: int) -> tuple[int, int]:
        return -self.model[id_].priority, id_  # ids grow with submitted_at

    @precondition(lambda self: self.attempts)
    @rule(which=st.lists(WHICH, min_size=1, max_size=4), with_content=st.booleans())
    def complete(self, which: list[int], with_content: bool) -> None:
        of = [self.attempt(n) for n in which]
        for worker in {worker for worker, _, _ in of}:
            named = [(id_, attempt) for by, id_, attempt in of if by == worker]
            ids, numbers = [id_ for id_, _ in named], [attempt for _, attempt in named]
            if with_content:
                texts, words = ["t"] * len(ids), [1] * len(ids)
                query = "SELECT contentq.store(%s, %s, %s, %s, %s, %s)"
                counted = self.ids(query, worker, ids, numbers, texts, texts, words)
            else:
                counted = self.ids("SELECT contentq.complete(%s, %s, %s)", worker, ids, numbers)
            expected = set()
            for id_, attempt in set(named):
                task = self.model[id_]
                if task.held_by(worker, attempt) and not task.overtaken():
                    task.leave("completed")
                    task.is_rejected = task.is_rejected and not with_content
                    expected.add(id_)
            assert counted == expected

    @precondition(lambda self: self.attempts)
    @rule(which=WHICH, permanent=RARELY, later=RARELY)
    def fail(self, which: int, permanent: bool, later: bool) -> None:
        worker, id_, attempt = self.attempt(which)
        status = self.value(
            "SELECT contentq.fail(%s, %s, %s, 'broken', %s, make_interval(days => %s))",
            worker,
            id_,
            attempt,
            permanent,
            int(later),
        )
        task = self.model[id_]
        if not task.held_by(worker, attempt):
            assert status is None
        elif task.overtaken():
            assert status == task.status
        else:
            assert status == task.fail(permanent, later)

    @precondition(lambda self: self.attempts)
    @rule(which=WHICH, most=st.integers(0, 2), for_review=st.booleans())
    def revise(self, which: int, most: int, for_review: bool) -> None:
        worker, id_, attempt = self.attempt(which)
        query = "SELECT contentq.revise(%s, %s, %s, 'too short', 't', 't', 1, NULL, %s, %s)"
        status = self.value(query, worker, id_, attempt, most, for_review)
        task = self.model[id_]
        if not task.held_by(worker, attempt):
            assert status is None
        elif task.overtaken():
            assert status == task.status
        else:
            assert status == task.revise(most, for_review)

    @precondition(lambda self: self.attempts)
    @rule(which=WHICH, later=RARELY)
    def snooze(self, which: int, later: bool) -> None:
        worker, id_, attempt = self.attempt(which)
        query = "SELECT contentq.snooze(%s, %s, %s, now() + make_interval(days => %s))"
        counted = self.value(query, worker, id_, attempt, int(later))
        task = self.model[id_]
        expected = task.held_by(worker, attempt) and not task.overtaken()
        if expected:
            task.leave("pending")
            task.later = later
        assert counted is expected

    @precondition(lambda self: self.attempts)
    @rule(which=WHICH)
    def release(self, which: int) -> None:
        worker, id_, attempt = self.attempt(which)
        counted = self.ids("SELECT contentq.release(%s, ARRAY[%s], ARRAY[%s])", worker, id_, attempt)
        task = self.model[id_]
        expected = task.held_by(worker, attempt) and not task.overtaken()
        if expected:
            task.leave("pending")
        assert counted == ({id_} if expected else set())

    @rule(
        what=st.sampled_from(
            ["cancel", "deadline", "death", "due", "processing", "completed", "failed", "pending"]
        ),
        which=WHICH,
    )
    def interfere(self, what: str, which: int) -> None:
        """Actions of others on a task or a worker. One rule, so that most steps are those of workers."""
        if what == "cancel":
            self.cancel(which)
        elif what == "deadline":
            self.deadline_passes(which)
        elif what == "death":
            self.die(which)
        elif what == "due":
            self.becomes_due(which)
        else:
            self.change_by_hand(which, what)

    def cancel(self, which: int) -> None:
        id_ = self.task(which)
        status = self.value("SELECT contentq.cancel(task_id) FROM content_generation_tasks WHERE id = %s", id_)
        task = self.model[id_]
        if task.status in ("pending", "processing"):
            if task.status == "pending" or task.worker is None:
                task.status = "failed"
            task.cancelled, task.later = True, False
            assert status == task.status
        else:
            assert status is None

    @precondition(lambda self: any(task.status in ("failed", "timeout") for task in self.model.values()))
    @rule(which=WHICH)
    def requeue(self, which: int) -> None:
        id_ = self.task(which)
        status = self.value("SELECT contentq.requeue(task_id) FROM content_generation_tasks WHERE id = %s", id_)
        task = self.model[id_]
        if task.status in ("failed", "timeout") or (task.status == "completed" and task.is_rejected):
            task.status, task.retries, task.revisions = "pending", 0, 0
            task.cancelled = task.later = task.overdue = False
            assert status == "pending"
        else:
            assert status is None

    def die(self, which: int) -> None:
        """A worker becomes silent, and its tasks are rescued."""
        if not self.alive:
            return
        worker = self.worker(which)
        self.database.execute(
            "UPDATE contentq.workers SET heartbeat_at = now() - interval '1 hour' WHERE id = %s", [worker]
        )
        rescued = self.value("SELECT contentq.rescue_dead_workers()")
        expected = 0
        for task in self.model.values():
            if task.worker == worker and task.status == "processing":
                expected += 1
                if task.cancelled:
                    task.leave("failed")
                else:
                    task.fail(permanent=False, later=False)
            elif task.worker == worker:
                task.worker = None
        self.alive.remove(worker)
        assert rescued == expected

    @precondition(lambda self: self.alive)
    @rule(which=WHICH)
    def heartbeat(self, which: int) -> None:
        worker = self.worker(which)
        told = self.ids("SELECT id FROM contentq.heartbeat(%s, 1)", worker)
        expected = set()
        for id_, task in self.model.items():
            if task.worker == worker and task.status != "processing":
                expected.add(id_)
                task.worker = None
            elif task.worker == worker and task.cancelled:
                expected.add(id_)
        assert told == expected

    @precondition(lambda self: self.alive)
    @rule(which=WHICH, knowing=st.lists(WHICH, max_size=3), late=RARELY)
    def heartbeat_with_a_list(self, which: int, knowing: list[int], late: bool) -> None:
        worker, ids = self.worker(which), {self.task(n) for n in knowing}
        listed = {id_: self.model[id_].attempt - late for id_ in ids}
        query = "SELECT id FROM contentq.heartbeat(%s, 1, %s::bigint[], %s::integer[], clock_timestamp())"
        told = self.ids(query, worker, list(listed), list(listed.values()))
        expected = set()
        for id_, task in self.model.items():
            if task.worker == worker and task.status != "processing":
                expected.add(id_)
                task.worker = None
            elif task.worker == worker and task.attempt != listed.get(id_):
                if task.cancelled:
                    expected.add(id_)
                if not task.overtaken():
                    task.not_heard()
            elif task.worker == worker and task.cancelled:
                expected.add(id_)
        for id_, attempt in listed.items():
            task = self.model[id_]
            may_go_on = task.status in ("pending", "processing") or task.attempt != attempt
            if may_go_on and not task.held_by(worker, attempt):
                expected.add(id_)
        assert told == expected

    def deadline_passes(self, which: int) -> None:
        id_ = self.task(which)
        self.database.execute(
            "UPDATE content_generation_tasks SET timeout_at = now() - interval '1 second' WHERE id = %s", [id_]
        )
        self.model[id_].overdue = True

    @precondition(lambda self: any(task.overdue for task in self.model.values()))
    @rule()
    def sweep(self) -> None:
        swept = self.value("SELECT contentq.sweep_timeouts()")
        expected = 0
        for task in self.model.values():
            if task.overdue and task.status in ("pending", "processing"):
                task.status, task.later = "failed" if task.cancelled else "timeout", False
                expected += 1
        assert swept == expected

    def becomes_due(self, which: int) -> None:
        id_ = self.task(which)
        self.database.execute(
            "UPDATE content_generation_tasks SET scheduled_at = now() - interval '1 second' "
            "WHERE id = %s AND scheduled_at IS NOT NULL",
            [id_],
        )
        self.model[id_].later = False

    def change_by_hand(self, which: int, status: str) -> None:
        """The plain updates of the specification.

        A completed task stays as it is, because its content is its own.
        """
        id_ = self.task(which)
        if self.model[id_].status == "completed":
            return
        self.database.execute(
            "UPDATE content_generation_tasks SET status = %s, started_at = coalesce(started_at, now()), "
            "completed_at = coalesce(completed_at, now()) WHERE id = %s",
            [status, id_],
        )
        if status == "processing" and self.model[id_].status != status:
            self.model[id_].worker = None
        self.model[id_].status = status

    @precondition(lambda self: bool(getattr(self, "model", None)))
    @invariant()
    def rows_are_as_the_model_says(self) -> None:
        rows = self.database.execute(
            "SELECT id, status, attempt, retry_count, revision_count, worker_id "
            "FROM content_generation_tasks ORDER BY id"
        ).fetchall()
        assert rows == [
            (id_, task.status, task.attempt, task.retries, task.revisions, task.worker)
            for id_, task in sorted(self.model.items())
        ]

    @invariant()
    def content_belongs_to_completed_tasks(self) -> None:
        """Or it is a rejected draft, one per revision."""
        orphans = self.value(
            "SELECT count(*) FROM contents AS c WHERE review_status <> 'rejected' AND NOT EXISTS "
            "(SELECT FROM content_generation_tasks AS t WHERE t.content_id = c.id)"
        )
        assert orphans == 0
        drafts = self.value("SELECT count(*) FROM contents WHERE review_status <> 'approved'")
        assert drafts == sum(task.drafts for task in getattr(self, "model", {}).values())


def test_contract_does_what_its_model_does(database: Connection) -> None:
    class OnThisServer(Contract):
        """With the database of this test."""

    OnThisServer.database = database
    run_state_machine_as_test(
        OnThisServer,
        settings=settings(
            max_examples=60,
            stateful_step_count=50,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )
