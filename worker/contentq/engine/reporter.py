"""Reports outcomes in groups: all that came in while the previous report was under way go in the next one.

Load makes the groups large and idleness makes them quick; there is nothing to tune.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

import psycopg

from contentq.engine.progress import ProgressNotes
from contentq.engine.reconnecting import CALL_TIMEOUT, ReconnectingConnection, is_outage, one_line
from contentq.engine.results import refused, refused_by_database
from contentq.queue import contract
from contentq.queue.outcomes import (
    Closing,
    Completed,
    Failed,
    Outcome,
    Overdue,
    Released,
    Returned,
    Snoozed,
    Stored,
)

log = logging.getLogger("contentq.worker")

GROUP = 1000
"""Most outcomes in one report."""

GROUP_BYTES = 16_000_000
"""About how many bytes of results go into one report, unless a single one is larger."""

BYTES_PER_SECOND = 1_000_000
"""The slowest transfer of large results that a report still waits for."""

SPLIT_AFTER = 4
"""Vain attempts after which a group is halved: one of it may be what breaks the connection."""

UNSTORABLE = "its error message cannot be stored"
"""What becomes of an error message that PostgreSQL refuses."""

ASIDE = 5.0
"""Seconds until outcomes are reported again that would have held up others."""


class Reporter:
    """Holds every outcome until the database has given a definite answer to it.

    reported: told each, and the task's new status (None when it did not count). closed: told each gate that was
    closed.
    """

    def __init__(
        self,
        dsn: str,
        reported: Callable[[Outcome, str | None], None],
        closed: Callable[[Closing], None],
        *,
        prepare: bool = False,
    ) -> None:
        self._link = ReconnectingConnection(dsn, "report", prepare=prepare)
        self.notes = ProgressNotes(self._progress_is_due)
        self._progress_due = False
        self._reported = reported
        self._closed = closed
        self._waiting: list[Outcome] = []
        self._under_way: list[Outcome] = []
        self._aside: list[Outcome] = []
        self._arrived = asyncio.Event()
        self._all_done = asyncio.Event()
        self._all_done.set()

    def add(self, outcome: Outcome) -> None:
        """Takes an outcome to report."""
        self._waiting.append(outcome)
        self._arrived.set()
        self._all_done.clear()

    def suspect(self) -> None:
        """The connection may be dead: another one got no answer."""
        self._link.suspect()

    def __len__(self) -> int:
        return len(self._waiting) + len(self._under_way) + len(self._aside)

    def held(self) -> Iterable[tuple[int, int]]:
        """(id, attempt) of the tasks whose outcomes are not reported yet."""
        return (
            (outcome.held.id, outcome.held.attempt)
            for outcomes in (self._under_way, self._waiting, self._aside)
            for outcome in outcomes
        )

    async def all_done(self) -> None:
        """Waits until everything is reported."""
        await self._all_done.wait()

    async def run(self) -> None:
        """Reports until cancelled."""
        try:
            while True:
                await self._arrived.wait()
                self._under_way = self._next_group()
                if not self._waiting:
                    self._arrived.clear()
                await self._report(self._under_way)
                self._under_way = []
                await self._report_progress()
                if not len(self):
                    self._all_done.set()
        finally:
            await self._link.close()

    def _progress_is_due(self) -> None:
        self._progress_due = True
        self._arrived.set()

    async def _report_progress(self) -> None:
        """Writes what handlers have said of their progress, if it is time. What cannot be written is forgotten."""
        if not self._progress_due:
            return
        self._progress_due = False
        notes = sorted(self.notes.take(), key=lambda note: note.held)
        for worker_id, group in groupby(notes, key=lambda note: note.held.worker_id):
            try:
                async with self._link.calling() as connection:
                    await contract.report_progress(connection, worker_id, list(group))
            except Exception as error:
                if is_outage(error):
                    return  # the next report says so
                log.error("progress not written error=%s", one_line(error))

    async def _close_gates(self, connection: contract.Connection, group: list[Outcome]) -> list[Outcome]:
        """Closes the gates that outcomes want closed, each once and for the longest time of all.

        Returns the outcomes without these wishes: a report that is made again is not to close them again.
        """
        closings: dict[str, Closing] = {}
        for outcome in group:
            closing = outcome.closing if isinstance(outcome, Failed | Snoozed) else None
            if closing is not None and (
                closing.key not in closings or closings[closing.key].until < closing.until
            ):
                closings[closing.key] = closing
        if not closings:
            return group
        for closing in closings.values():
            try:
                await contract.close_gate(connection, closing)
                self._closed(closing)
            except (psycopg.Error, UnicodeError) as error:
                if is_outage(error) or not self._link.is_open:
                    raise
                log.error("gate not closed key=%r error=%s", closing.key, one_line(error))
        return [replace(each, closing=None) if isinstance(each, Failed | Snoozed) else each for each in group]

    def _next_group(self) -> list[Outcome]:
        size = number = 0
        for outcome in self._waiting[:GROUP]:
            size += _size([outcome])
            if number and size > GROUP_BYTES:
                break
            number += 1
        group, self._waiting = self._waiting[:number], self._waiting[number:]
        return group

    async def _report(self, outcomes: Sequence[Outcome]) -> None:
        def kind(outcome: Outcome) -> tuple[str, int]:
            return type(outcome).__name__, outcome.held.worker_id

        for _, group in groupby(sorted(outcomes, key=kind), key=kind):
            await self._report_group(list(group))

    async def _report_group(self, group: list[Outcome]) -> None:
        """Reports outcomes of one kind and one worker id, again and again until there is an answer."""
        attempts = 0
        while group:
            try:
                async with self._link.calling(CALL_TIMEOUT + _size(group) / BYTES_PER_SECOND) as connection:
                    group = await self._close_gates(connection, group)
                    counted = await _call(connection, group)
                break
            except Exception as error:
                attempts += 1
                if isinstance(error, psycopg.errors.LockNotAvailable):
                    group = await self._without_locked(group)
                    continue
                if len(group) > 1 and (attempts >= SPLIT_AFTER or _is_refusal(error)):
                    middle = len(group) // 2
                    await self._report_group(group[:middle])
                    await self._report_group(group[middle:])
                    return
                if _is_refusal(error) or (attempts >= SPLIT_AFTER and _is_unknown(error)):
                    await self._report_refused(group[0], error)
                    return
                if attempts >= SPLIT_AFTER and _is_answer(error):
                    self._set_aside(group, one_line(error))
                    return
                await self._link.back_off(error)
        for outcome in group:
            self._reported(outcome, counted.get(outcome.held.id))

    async def _without_locked(self, group: list[Outcome]) -> list[Outcome]:
        """Sets aside the outcomes whose tasks' rows other sessions have locked; returns the others."""
        try:
            async with self._link.calling() as connection:
                free = await contract.unlocked(connection, [outcome.held.id for outcome in group])
        except Exception as error:
            await self._link.back_off(error)
            return group
        self._set_aside([each for each in group if each.held.id not in free], "another session has locked its row")
        return [each for each in group if each.held.id in free]

    def _set_aside(self, outcomes: list[Outcome], why: str) -> None:
        """These must not hold up the others: they are reported again after a while."""
        if not outcomes:
            return
        log.warning("reports held up tasks=%d first=%s: %s", len(outcomes), outcomes[0].held.task_id, why)
        named = {outcome.held for outcome in outcomes}
        self._under_way = [outcome for outcome in self._under_way if outcome.held not in named]
        self._aside += outcomes

        def again() -> None:
            self._aside = [outcome for outcome in self._aside if outcome.held not in named]
            for outcome in outcomes:
                self.add(outcome)

        asyncio.get_running_loop().call_later(ASIDE, again)

    async def _report_refused(self, outcome: Outcome, error: Exception) -> None:
        """PostgreSQL refuses this outcome, and would refuse it again: reports that, if there is a way to."""
        held, said = outcome.held, one_line(error)
        log.error("report refused task=%s attempt=%d error=%s", held.task_id, held.attempt, said)
        if isinstance(outcome, Failed | Snoozed) and outcome.usage is not None:
            await self._report_group([replace(outcome, usage=None)])
        elif isinstance(outcome, Completed | Stored):
            await self._report_group([refused_by_database(outcome, said)])
        elif isinstance(outcome, Snoozed):
            await self._report_group([Failed(held, f"it could not be snoozed: {said}", "ReportRefused")])
        elif isinstance(outcome, Failed) and outcome.message != UNSTORABLE:
            await self._report_group([refused(held, UNSTORABLE)])
        else:
            # Nobody holds it any more: it is released when the worker reconciles, or leaves.
            self._reported(outcome, None)


async def _call(connection: contract.Connection, group: Sequence[Any]) -> dict[int, str]:
    """Makes the one call that reports a group; returns the new status of each task whose report counted."""
    first, worker_id = group[0], group[0].held.worker_id
    calls: dict[type, tuple[Callable[..., Awaitable[list[int]]], str]] = {
        Completed: (contract.complete, "completed"),
        Stored: (contract.store, "completed"),
        Released: (contract.release, "pending"),
        Returned: (contract.release, "pending"),
        Overdue: (contract.release, "pending"),
    }
    if isinstance(first, Failed):
        return await contract.fail(connection, worker_id, group)
    if isinstance(first, Snoozed):
        return await contract.snooze(connection, worker_id, group)
    call, status = calls[type(first)]
    return dict.fromkeys(await call(connection, worker_id, group), status)


def _is_refusal(error: Exception) -> bool:
    """Whether the error is about the data that was sent; sent again, it would be refused again.

    It is not when the database is out of reach or out of order, nor when its schema or its rights are not what
    they should be (classes 26, 28, 3D, 3F and 42): then it can be sent again once that is mended.
    """
    if isinstance(error, UnicodeError):
        return True
    if not isinstance(error, psycopg.Error) or is_outage(error):
        return False
    return (error.sqlstate or "")[:2] not in ("26", "28", "3D", "3F", "42")


def _is_answer(error: Exception) -> bool:
    """Whether the error is an answer of a database that is there, and not one that is going or coming."""
    state = error.sqlstate if isinstance(error, psycopg.Error) else None
    return state is not None and state[:2] != "08" and state not in ("25006", "57P01", "57P02", "57P03", "53300")


def _is_unknown(error: Exception) -> bool:
    """Whether the error comes neither from the database nor from the way to it."""
    return not isinstance(error, psycopg.Error) and not is_outage(error)


def _size(group: Sequence[Outcome]) -> int:
    """About how many bytes the report of a group is."""
    return sum(
        len(o.result) if isinstance(o, Completed) else len(o.body) if isinstance(o, Stored) else 0 for o in group
    )
