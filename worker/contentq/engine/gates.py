"""The gates that tasks enter while they run, where a worker has several (docs/explanation/decisions/0026)."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import psycopg

from contentq.database.database import Database
from contentq.engine.database_errors import is_outage, one_line
from contentq.engine.options import WorkerOptions
from contentq.engine.outage_log import OutageLog
from contentq.engine.reconnecting import ReconnectingConnection
from contentq.engine.results import error_text, left_gate_of
from contentq.engine.timings import Timings
from contentq.engine.usage import usage_of
from contentq.errors import HandlerError, NoGateHasRoom
from contentq.queue import contract
from contentq.queue.outcomes import Held, LeftGate
from contentq.queue.several_gates import Entered, enter_gate, leave_gate

GROUP = 20
"""Maximum number of tasks that enter in one statement, which locks a gate's row until its end."""

LOCKED_PAUSE = 2.0
"""Seconds until the retry of a report whose task row another session had locked."""

SHORT_WAIT = 0.25
"""Seconds to wait in the slot for a gate to have room; beyond that, the task returns to pending."""

PATIENCE = 2.0
"""Seconds in total that one task waits in its slot."""

LONGEST_PUT_OFF = 60.0
"""Maximum delay in seconds of a task without room, unless its gates give a time."""

SPREAD = 0.2
"""Maximum jitter, as a fraction of the delay."""


@dataclass
class _Request:
    """One request. keys: the gates of which to enter one; None to report `left`."""

    held: Held
    keys: Sequence[str] | None
    left: LeftGate | None
    answer: asyncio.Future[Any]


class GateKeeper:
    """Enters gates for all tasks of a worker. Requests that arrive during a statement share the next one."""

    def __init__(self, database: Database, options: WorkerOptions, timings: Timings, outages: OutageLog) -> None:
        self._link = ReconnectingConnection(database, "gates", timings, outages, prepare=True)
        self.loop = asyncio.get_running_loop()
        self.has_several = options.gates is not None
        """Whether tasks enter gates themselves; with one gate or none, the claim decides."""
        self.has_one = options.gate is not None
        self._waiting: list[_Request] = []
        self._arrived = asyncio.Event()

    async def enter(self, held: Held, keys: Sequence[str]) -> Entered:
        """Enters, for an attempt, the first of these gates that has room now."""
        entered = await self._ask(_Request(held, keys, None, asyncio.get_running_loop().create_future()))
        assert isinstance(entered, Entered)
        return entered

    async def leave(self, held: Held, left: LeftGate) -> None:
        """Reports the result of a call, while the attempt continues."""
        await self._ask(_Request(held, None, left, asyncio.get_running_loop().create_future()))

    def suspect(self) -> None:
        """Another connection got no answer, so this one may be dead too."""
        self._link.suspect()

    async def run(self) -> None:
        """Serves requests until cancelled."""
        try:
            while True:
                await self._arrived.wait()
                self._arrived.clear()
                while self._waiting:
                    group, self._waiting = self._waiting[:GROUP], self._waiting[GROUP:]
                    await self._deal_with([each for each in group if each.keys is None])
                    await self._deal_with([each for each in group if each.keys is not None])
        finally:
            await self._link.close()

    async def _ask(self, request: _Request) -> Any:
        self._ask_again(request)
        return await request.answer

    async def _deal_with(self, group: list[_Request]) -> None:
        """Makes one call for all of them, and repeats it until it is answered."""
        while group := [each for each in group if not each.answer.done()]:
            try:
                async with self._link.calling() as connection:
                    answers = await _call(connection, group)
            except Exception as error:
                is_locked = isinstance(error, psycopg.errors.LockNotAvailable)
                if len(group) > 1 and (is_locked or not is_outage(error)):
                    for each in group:
                        await self._deal_with([each])
                elif is_locked and group[0].keys is not None:
                    _settle(group[0], Entered(None, 1.0, ["another session has locked the task's row"]))
                elif is_locked:
                    self.loop.call_later(LOCKED_PAUSE, self._ask_again, group[0])
                    return
                elif is_outage(error):
                    await self._link.back_off(error)
                else:
                    _settle(group[0], error)
            else:
                for each, answer in zip(group, answers, strict=True):
                    _settle(each, answer)

    def _ask_again(self, request: _Request) -> None:
        self._waiting.append(request)
        self._arrived.set()


class AttemptGates:
    """The gates of one attempt. entered: the gate that it is behind now."""

    def __init__(self, keeper: GateKeeper, held: Held, times_put_off: int) -> None:
        self._keeper = keeper
        self._held = held
        self._times_put_off = times_put_off
        self.entered: str | None = None

    @property
    def has_one(self) -> bool:
        """Whether the worker has one gate, which the claim has passed."""
        return self._keeper.has_one

    async def enter(self, keys: Sequence[str]) -> tuple[str, dict[str, str]]:
        """Enters the first of these gates that has room now or in a moment.

        Returns its key, and the reasons why the gates before it had no room. Raises NoGateHasRoom.
        """
        if not self._keeper.has_several:
            return keys[0], {}
        loop = asyncio.get_running_loop()
        patient_until = loop.time() + PATIENCE
        while True:
            found = await self._keeper.enter(self._held, keys)
            why = dict(zip(keys, found.why, strict=False))
            if found.gate is not None:
                self.entered = found.gate
                return found.gate, why
            wait = found.next_in
            if wait is None or wait > SHORT_WAIT or loop.time() + wait > patient_until:
                raise _no_room(found, why, self._times_put_off)
            await asyncio.sleep(wait)

    async def leave(self, error: BaseException | None) -> None:
        """Leaves the gate after a call that ended with this error, if any; the attempt continues."""
        usage = None
        if isinstance(error, HandlerError) and error.usage is not None:
            usage, error.usage = usage_of(self._held, error.usage), None
        gate, self.entered = self.entered, None
        if gate is not None or usage is not None:
            await self._keeper.leave(self._held, left_gate_of(gate, error, usage))

    def enter_in_thread(self, keys: Sequence[str]) -> tuple[str, dict[str, str]]:
        """The same for a handler that runs in a thread."""
        return asyncio.run_coroutine_threadsafe(self.enter(keys), self._keeper.loop).result()

    def leave_in_thread(self, error: BaseException | None) -> None:
        """The same for a handler that runs in a thread."""
        asyncio.run_coroutine_threadsafe(self.leave(error), self._keeper.loop).result()


def _no_room(entered: Entered, why: dict[str, str], times_put_off: int) -> NoGateHasRoom:
    """The error that returns the task to pending until a gate may have room; its delay grows with repetitions."""
    seconds = min(2.0 ** min(times_put_off, 10), LONGEST_PUT_OFF)
    seconds = LONGEST_PUT_OFF if entered.next_in is None else max(entered.next_in, seconds)
    delay = timedelta(seconds=seconds * random.uniform(1.0, 1.0 + SPREAD))
    return NoGateHasRoom(f"no gate has room: {'; '.join(entered.why)}", delay=delay, why=why)


async def _call(connection: contract.Connection, group: list[_Request]) -> list[Any]:
    worker_ids = {each.held.worker_id for each in group}
    if group[0].keys is None:
        for each in group:
            assert each.left is not None
            if each.left.gate is None:
                await contract.record_usage(connection, each.held, each.left.usage)
            else:
                await leave_gate(connection, each.held, each.left)
            _settle(each, None)  # its outcome is valid, even if the others fail
        return [None] * len(group)
    found: dict[Held, Entered] = {}
    for worker_id in worker_ids:
        own = [(each.held, each.keys or ()) for each in group if each.held.worker_id == worker_id]
        found.update(await enter_gate(connection, worker_id, own))
    return [found[each.held] for each in group]


def _settle(request: _Request, answer: Any) -> None:
    if request.answer.done():
        return  # its task was stopped in the meantime
    if isinstance(answer, psycopg.Error):
        request.answer.set_exception(HandlerError(f"the database refused it: {one_line(answer)}"))
    elif isinstance(answer, BaseException):
        request.answer.set_exception(HandlerError(error_text(answer)))
    else:
        request.answer.set_result(answer)
