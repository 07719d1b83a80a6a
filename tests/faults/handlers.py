"""The handler of the fault suite: it follows a plan in a task's requirements and records everything it does.

The journal, FAULTS_JOURNAL, is append-only with one line per write, so that it survives a kill of the process.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from typing import Any

from contentq import CheckFailed, Context, GeneratedContent, PermanentError, RateLimited, Task, TemporaryError


def write(event: str, task: Task) -> None:
    """Appends to the journal; the kernel writes lines this short atomically."""
    line = json.dumps(
        {"event": event, "id": task.id, "attempt": task.attempt, "pid": os.getpid(), "at": time.time()}
    )
    descriptor = os.open(os.environ["FAULTS_JOURNAL"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, line.encode() + b"\n")
    finally:
        os.close(descriptor)


async def act(task: Task, context: Context) -> Any:
    """Follows the plan in the task's requirements (JSON): sleep, then an outcome."""
    plan = json.loads(task.requirements or "{}")
    write("start", task)
    if plan.get("kill"):
        os.kill(os.getpid(), 9)
    if plan.get("connection"):
        await (await context.connection()).execute("SELECT")
    await asyncio.sleep(plan.get("sleep", 0))
    if task.attempt <= plan.get("fail", 0):
        write("fail", task)
        raise TemporaryError("as planned", retry_after=0.05)
    if task.attempt <= plan.get("snooze", 0):
        write("snooze", task)
        raise RateLimited("as planned", retry_after=0.05)
    if plan.get("permanent"):
        write("permanent", task)
        raise PermanentError("as planned")
    result = {"attempt": task.attempt, "pid": os.getpid()}
    if task.revision_count < plan.get("check", 0):
        write("check", task)
        draft = GeneratedContent(f"Task {task.id}", f"Draft {task.attempt}", result=result)
        raise CheckFailed("as planned", draft=draft, keep_for_review=plan.get("content", False))
    write("end", task)
    if plan.get("content"):
        return GeneratedContent(f"Task {task.id}", f"Attempt {task.attempt}", result=result)
    return result
