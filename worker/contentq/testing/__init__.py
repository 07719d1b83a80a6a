"""Tests your own handlers.

Without a database, call the handler with a fake task and a fake context:

    from contentq.testing import make_context, make_task

    task = make_task(topic="Tea")
    content = asyncio.run(write(task, make_context(task)))

With your own migrated database, through the real queue:

    from contentq.testing import run_task, run_until_empty

    ran = run_task(dsn, write, task_id)
    assert (ran.status, ran.content.title) == ("completed", "Tea")

In coroutines, use run_task_async and run_until_empty_async.
"""

from contentq.engine.tally import Counts
from contentq.testing.fakes import (
    FakeContext,
    FakeThreadContext,
    make_context,
    make_task,
    make_thread_context,
    previous_content_of,
)
from contentq.testing.in_process import (
    RanTask,
    run_task,
    run_task_async,
    run_until_empty,
    run_until_empty_async,
)

__all__ = [
    "Counts",
    "FakeContext",
    "FakeThreadContext",
    "RanTask",
    "make_context",
    "make_task",
    "make_thread_context",
    "previous_content_of",
    "run_task",
    "run_task_async",
    "run_until_empty",
    "run_until_empty_async",
]
