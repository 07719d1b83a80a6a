"""Reports outcomes in groups: each report has all outcomes that arrived during the previous one.

Groups grow under load, and reports are immediate when the worker is idle. There is nothing to tune.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any, NamedTuple

import psycopg

from contentq.database.database import Database
from contentq.engine.database_errors import is_out_of_reach, is_outage, is_refusal, is_unknown, one_line
from contentq.engine.options import WorkerOptions
from contentq.engine.outage_log import OutageLog
from contentq.engine.progress import ProgressNotes
from contentq.engine.reconnecting import ReconnectingConnection
from contentq.engine.results import refusal, refusal_by_database
from contentq.engine.timings import Timings
from contentq.queue import contract
from contentq.queue.outcomes import Completed, Failed, Held, Outcome, Released, Revised, Snoozed, Stored

log = logging.getLogger("contentq.worker")

GROUP = 1000
"""Maximum number of outcomes in one report."""

GROUP_BYTES = 16_000_000
"""Approximate limit of a report in bytes, unless a single result is larger."""

BYTES_PER_SECOND = 1_000_000
"""The slowest transfer of large results that a report waits for, in bytes per second."""

SPLIT_AFTER = 4
"""Failed attempts after which a group is halved, because one of its outcomes may break the connection."""

UNSTORABLE = "its error message cannot be stored"
"""Replaces an error message that PostgreSQL refuses."""


class Reporter:
    """Keeps every outcome until the database has answered it.

    notes: the progress to write. answered: called with each outcome and the task's new status (None if the outcome
    did not count), also by the runner when a handler's own transaction completed the task.
    """

    def __init__(
        self,
        database: Database,
        options: WorkerOptions,
        answered: Callable[[Outcome, str | None], None],
        timings: Timings,
        outages: OutageLog,
    ) -> None:
        self._link = ReconnectingConnection(database, "report", timings, outages, prepare=True)
        self._options = options
        self.answered = answered
        self._timings = timings
        self.notes = ProgressNotes(self._request_progress, timings.progress)
        self._is_progress_due = False
        self._is_aparts_turn = False
        self._waiting: list[Outcome] = []
        self._under_way: list[Outcome] = []
        self._apart: deque[list[Outcome]] = deque()
        self._aside: list[Outcome] = []
        self._held_up: dict[Held, _HeldUp] = {}
        self._arrived = asyncio.Event()
        self._became_fewer = asyncio.Event()

    def __len__(self) -> int:
        apart = sum(map(len, self._apart))
        return len(self._waiting) + len(self._under_way) + len(self._aside) + apart

    def add_ended(self, outcome: Outcome, entered: str | None = None) -> None:
        """Adds the outcome of an attempt. entered: the gate that it was behind, if the worker has several."""
        if isinstance(outcome, Snoozed) and outcome.is_refusal:
            gate = (outcome.refused_by or entered or self._options.gate) if self._options.tells_gates else None
            outcome = replace(outcome, refused_by=gate)
        self._waiting.append(outcome)
        self._arrived.set()

    def suspect(self) -> None:
        """Another connection got no answer, so this one may be dead too."""
        self._link.suspect()

    async def wait_until_at_most(self, number: int) -> None:
        """Waits until at most this number of outcomes is unreported."""
        while len(self) > number:
            self._became_fewer.clear()
            await self._became_fewer.wait()

    async def run(self) -> None:
        """Reports until cancelled."""
        try:
            while True:
                await self._arrived.wait()
                self._under_way = self._next_group()
                if not (self._waiting or self._apart):
                    self._arrived.clear()
                await self._report(self._under_way)
                self._under_way = []
                await self._report_progress()
                self._became_fewer.set()
        finally:
            await self._link.close()

    def _next_group(self) -> list[Outcome]:
        """All new outcomes or, every other time, those that must be reported alone."""
        self._is_aparts_turn = not self._is_aparts_turn
        if self._apart and (self._is_aparts_turn or not self._waiting):
            return self._apart.popleft()
        size = number = 0
        for outcome in self._waiting[:GROUP]:
            size += _size([outcome])
            if number and size > GROUP_BYTES:
                break
            number += 1
        group, self._waiting = self._waiting[:number], self._waiting[number:]
        return group

    async def _report(self, outcomes: Sequence[Outcome]) -> None:
        for _, group in groupby(sorted(outcomes, key=_kind), key=_kind):
            await self._report_group(list(group))

    async def _report_group(self, group: list[Outcome]) -> None:
        """Reports outcomes of one kind and one worker id, and repeats the call until it is answered."""
        failures = 0
        if group[0].held in self._held_up:
            group = await self._without_locked(group)  # without waiting for a lock that another session still has
        while group:
            try:
                async with self._link.calling(self._timings.call + _size(group) / BYTES_PER_SECOND) as connection:
                    counted = await _call(connection, group)
                break
            except Exception as error:
                failures += 1
                if isinstance(error, psycopg.errors.LockNotAvailable):
                    reportable = await self._without_locked(group)
                    if len(reportable) < len(group):
                        group = reportable
                        continue
                if await self._is_dealt_with(group, error, failures):
                    return
                await self._link.back_off(error)
        for outcome in group:
            self._held_up.pop(outcome.held, None)
            self.answered(outcome, counted.get(outcome.held.id))

    async def _is_dealt_with(self, group: list[Outcome], error: Exception, failures: int) -> bool:
        """Handles a failed report: splits the group or drops an outcome. Returns whether the report is settled."""
        if isinstance(error, psycopg.errors.LockNotAvailable):
            place = (error.diag.context or "").partition("\n")[0][:100]
            self._narrow_down(group, f"another session holds a lock that it needs ({place})")
            return True
        if len(group) > 1 and (failures >= SPLIT_AFTER or is_refusal(error)):
            middle = len(group) // 2
            await self._report_group(group[:middle])
            await self._report_group(group[middle:])
            return True
        if is_refusal(error) or (failures >= SPLIT_AFTER and is_unknown(error)):
            await self._report_refused(group[0], error)
            return True
        if failures >= SPLIT_AFTER and not is_out_of_reach(error):
            self._set_aside(group, one_line(error))
            return True
        return False

    def _narrow_down(self, group: list[Outcome], why: str) -> None:
        """Handles a lock that is not on these rows: reports them one by one to find the blocked one."""
        if len(group) == 1:
            self._set_aside(group, why)
            return
        self._under_way = _without(self._under_way, group)
        middle = len(group) // 2
        self._apart += (group[:middle], group[middle:])
        self._arrived.set()

    async def _without_locked(self, group: list[Outcome]) -> list[Outcome]:
        """Sets aside the outcomes whose rows other sessions have locked; returns the others."""
        try:
            async with self._link.calling() as connection:
                worker_id, ids = group[0].held.worker_id, [outcome.held.id for outcome in group]
                locked = await contract.locked_tasks(connection, worker_id, ids)
        except Exception as error:
            await self._link.back_off(error)
            return group
        for outcome in group:
            if outcome.held.id in locked:
                self._set_aside([outcome], locked[outcome.held.id])
        return [each for each in group if each.held.id not in locked]

    def _set_aside(self, outcomes: list[Outcome], why: str) -> None:
        """Sets outcomes aside so that they do not delay others: each is retried alone, with backoff."""
        now = time.monotonic()
        for outcome in outcomes:
            before = self._held_up.get(outcome.held)
            held_up = _HeldUp(
                before.since if before else now,
                min(2 * before.pause, self._timings.longest_set_aside) if before else self._timings.set_aside,
            )
            self._held_up[outcome.held] = held_up
            log.warning(
                "report delayed task=%s attempt=%d for=%.0fs next_in=%.0fs: %s",
                outcome.held.task_id,
                outcome.held.attempt,
                now - held_up.since,
                held_up.pause,
                why,
            )
            asyncio.get_running_loop().call_later(held_up.pause, self._repeat, outcome)
        self._under_way = _without(self._under_way, outcomes)
        self._aside += outcomes

    def _repeat(self, outcome: Outcome) -> None:
        """Reports the outcomes again that were set aside."""
        self._aside = _without(self._aside, [outcome])
        self._apart.append([outcome])
        self._arrived.set()

    async def _report_refused(self, outcome: Outcome, error: Exception) -> None:
        """Handles an outcome that PostgreSQL refuses for its data: reports a failure instead, if possible."""
        held, text = outcome.held, one_line(error)
        log.error("report refused task=%s attempt=%d error=%s", held.task_id, held.attempt, text)
        if isinstance(outcome, Failed | Snoozed) and outcome.usage is not None:
            await self._report_group([replace(outcome, usage=None)])
        elif isinstance(outcome, Completed | Stored | Revised):
            await self._report_group([refusal_by_database(outcome, text)])
        elif isinstance(outcome, Snoozed):
            await self._report_group([Failed(held, f"the task could not be snoozed: {text}", "ReportRefused")])
        elif isinstance(outcome, Failed) and outcome.message != UNSTORABLE:
            await self._report_group([refusal(held, UNSTORABLE)])
        else:
            # The worker no longer holds it: the next heartbeat releases it.
            self._held_up.pop(held, None)
            self.answered(outcome, None)

    def _request_progress(self) -> None:
        self._is_progress_due = True
        self._arrived.set()

    async def _report_progress(self) -> None:
        """Writes the progress of attempts when due. Progress that cannot be written is dropped."""
        if not self._is_progress_due:
            return
        self._is_progress_due = False
        notes = sorted(self.notes.take(), key=lambda note: note.held)
        for worker_id, group in groupby(notes, key=lambda note: note.held.worker_id):
            try:
                async with self._link.calling() as connection:
                    await contract.report_progress(connection, worker_id, list(group))
            except Exception as error:
                if is_outage(error):
                    return  # the next report logs it
                log.error("progress not stored error=%s", one_line(error))


class _HeldUp(NamedTuple):
    """The time (time.monotonic()) of the first delay of an outcome, and the seconds until the next attempt."""

    since: float
    pause: float


async def _call(connection: contract.Connection, group: Sequence[Any]) -> dict[int, str]:
    """Makes the one call that reports a group; returns the new status of each task whose report counted."""
    first, worker_id = group[0], group[0].held.worker_id
    if isinstance(first, Failed):
        return await contract.fail(connection, worker_id, group)
    if isinstance(first, Revised):
        return await contract.revise(connection, worker_id, group)
    if isinstance(first, Snoozed):
        return await contract.snooze(connection, worker_id, group)
    if isinstance(first, Released):
        return dict.fromkeys(await contract.release(connection, worker_id, group), "pending")
    call: Any = contract.store if isinstance(first, Stored) else contract.complete
    return dict.fromkeys(await call(connection, worker_id, group), "completed")


def _kind(outcome: Outcome) -> tuple[str, int]:
    """The properties that all outcomes of one report share."""
    return type(outcome).__name__, outcome.held.worker_id


def _without(outcomes: list[Outcome], others: list[Outcome]) -> list[Outcome]:
    names = {outcome.held for outcome in others}
    return [outcome for outcome in outcomes if outcome.held not in names]


def _size(group: Sequence[Outcome]) -> int:
    """Approximate size of the report of a group, in bytes."""
    drafts = (o.draft if isinstance(o, Revised) else o for o in group)
    return sum(
        len(o.result) if isinstance(o, Completed) else len(o.body) if isinstance(o, Stored) else 0 for o in drafts
    )
