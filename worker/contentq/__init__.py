"""contentq: a PostgreSQL queue for content-generation tasks.

A handler is a function of (task, context):

    from contentq import Context, GeneratedContent, Task

    async def write(task: Task, context: Context) -> GeneratedContent:
        return GeneratedContent(title=task.topic or "Untitled", body="…")

Producers and operators call submit, submit_many, cancel, requeue, approve, reject or explain on their own
connection or session, and wait on a connection. contentq.aio has the same functions for asyncio. The SQLAlchemy
models are in contentq.models.
"""

import importlib
from typing import TYPE_CHECKING, Any

from contentq.content import GeneratedContent, PreviousContent, count_words
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

if TYPE_CHECKING:
    from contentq import aio
    from contentq.api import approve, cancel, explain, migrate, reject, requeue, submit, submit_many, wait
    from contentq.autogenerate import alembic_filter
    from contentq.engine.context import Context, ThreadContext

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

_LATER = {
    "aio": "contentq.aio",
    "alembic_filter": "contentq.autogenerate",
    "Context": "contentq.engine.context",
    "ThreadContext": "contentq.engine.context",
    **dict.fromkeys(
        ("approve", "cancel", "explain", "migrate", "reject", "requeue", "submit", "submit_many", "wait"),
        "contentq.api",
    ),
}
"""The modules of names that are imported on first use. They need psycopg, whose import takes longer than all else
that completing a command does.
"""

if not TYPE_CHECKING:  # Type checkers would accept any name.

    def __getattr__(name: str) -> Any:
        if name not in _LATER:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module = importlib.import_module(_LATER[name])
        value = module if module.__name__ == f"{__name__}.{name}" else getattr(module, name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
