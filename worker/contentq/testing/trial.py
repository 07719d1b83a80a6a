"""Makes one attempt at a task without a queue, with the outcome that a worker would report."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass
from typing import Any

from contentq.engine import forks
from contentq.engine.results import failure_of, judge, judge_checks
from contentq.engine.threads import HandlerThreads
from contentq.engine.timings import Timings
from contentq.errors import CheckFailed, NoDatabase
from contentq.handlers.loading import Handler
from contentq.queue.outcomes import Held, Outcome, Overdue
from contentq.testing.fakes import FakeContext, FakeThreadContext

PATIENCE = 2.0
"""Seconds that a handler gets to end after its deadline; a worker would wait until it ends."""


@dataclass(frozen=True)
class Trial:
    """The result of an attempt."""

    outcome: Outcome
    """The outcome that a worker would report."""

    error: BaseException | None
    """The exception that the handler raised before its deadline."""

    seconds: float

    goes_on: bool = False
    """Whether the handler still runs after its deadline."""


async def run_trial(handler: Handler, context: FakeContext | FakeThreadContext) -> Trial:
    """Runs a handler on the task of a context, until its deadline.

    handler and context must both be for coroutines, or both for threads. Raises NoDatabase if the handler requests
    a connection that the context does not have.
    """
    task = context.task
    held = Held(0, task.id, task.attempt, task.task_id)
    began = time.monotonic()
    attempt = _attempt(handler, context)
    attempt.add_done_callback(_retrieve)
    left = None if task.seconds_left is None else task.seconds_left + Timings().deadline_margin
    await asyncio.wait({attempt}, timeout=left)
    is_overdue = (context.seconds_left() or 0) < 0
    if not attempt.done():
        context.stop()
        if handler.is_async:
            attempt.cancel()
        await asyncio.wait({attempt}, timeout=PATIENCE)
    seconds = time.monotonic() - began
    if not attempt.done():
        return Trial(Overdue(held), None, seconds, goes_on=True)
    value, error = attempt.result()
    if isinstance(error, NoDatabase):
        raise error
    if is_overdue:
        return Trial(Overdue(held), None, seconds)
    if error is None:
        return Trial(await judge(held, value), None, seconds)
    outcome = await judge_checks(held, error) if isinstance(error, CheckFailed) else failure_of(held, error)
    return Trial(outcome, error, seconds)


_Ended = tuple[Any, BaseException | None]


def _attempt(handler: Handler, context: FakeContext | FakeThreadContext) -> asyncio.Future[_Ended]:
    if handler.is_async:
        return asyncio.create_task(_on_the_loop(handler, context))
    threads = HandlerThreads(1)
    attempt = threads.run(lambda: _in_a_thread(handler, context))
    threads.close()
    return attempt


async def _on_the_loop(handler: Handler, context: FakeContext | FakeThreadContext) -> _Ended:
    pid = os.getpid()
    try:
        return await handler.call(context.task, context), None
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return None, _without_our_frame(error)
    finally:
        forks.end_if_forked(pid)


def _in_a_thread(handler: Handler, context: FakeContext | FakeThreadContext) -> _Ended:
    pid = os.getpid()
    try:
        return handler.call(context.task, context), None
    except BaseException as error:
        return None, _without_our_frame(error)
    finally:
        forks.end_if_forked(pid)


def _retrieve(attempt: asyncio.Future[_Ended]) -> None:
    """Suppresses asyncio's warning about an exception that was never retrieved, after Ctrl-C."""
    if not attempt.cancelled():
        attempt.exception()


def _without_our_frame(error: BaseException) -> BaseException:
    """The error with a traceback that begins in the handler, if the handler was reached."""
    trace = error.__traceback__
    return error.with_traceback(trace.tb_next) if trace is not None and trace.tb_next is not None else error
