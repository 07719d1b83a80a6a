"""contentq: a PostgreSQL queue for content-generation tasks.

A handler is a function of (task, context):

    from contentq import Context, GeneratedContent, Task

    async def write(task: Task, context: Context) -> GeneratedContent:
        return GeneratedContent(title=task.topic or "Untitled", body="…")

Producers and operators call submit, submit_many, cancel, requeue, approve, reject or explain on their own
connection or session, and wait on a connection. contentq.aio has the same functions for asyncio. The SQLAlchemy
models are in contentq.models.
"""

from contentq import aio
from contentq.api import approve, cancel, explain, migrate, reject, requeue, submit, submit_many, wait
from contentq.autogenerate import alembic_filter
from contentq.content import GeneratedContent, PreviousContent, count_words
from contentq.engine.context import Context, ThreadContext
from contentq.errors import (
    CheckFailed,
    ContentQueueError,
    HandlerError,
    InputRefused,
    NoGateHasRoom,
    PermanentError,
    ProviderUnavailable,
    RateLimited,
    ReviewRefused,
    SchemaMismatch,
    Snooze,
    TemporaryError,
    WaitTimedOut,
)
from contentq.task import NewTask, ReviewStatus, Status, Task
from contentq.version import __version__

__all__ = [
    "CheckFailed",
    "ContentQueueError",
    "Context",
    "GeneratedContent",
    "HandlerError",
    "InputRefused",
    "NewTask",
    "NoGateHasRoom",
    "PermanentError",
    "PreviousContent",
    "ProviderUnavailable",
    "RateLimited",
    "ReviewRefused",
    "ReviewStatus",
    "SchemaMismatch",
    "Snooze",
    "Status",
    "Task",
    "TemporaryError",
    "ThreadContext",
    "WaitTimedOut",
    "__version__",
    "aio",
    "alembic_filter",
    "approve",
    "cancel",
    "count_words",
    "explain",
    "migrate",
    "reject",
    "requeue",
    "submit",
    "submit_many",
    "wait",
]
