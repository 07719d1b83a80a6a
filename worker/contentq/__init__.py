"""contentq: a PostgreSQL queue for content-generation tasks.

A handler is a function of (task, context):

    from contentq import Context, GeneratedContent, Task

    async def write(task: Task, context: Context) -> GeneratedContent:
        return GeneratedContent(title=task.topic or "Untitled", body="…")
"""

from contentq.content import GeneratedContent, PreviousContent, count_words
from contentq.engine.context import Context, ThreadContext
from contentq.errors import (
    ContentQueueError,
    HandlerError,
    PermanentError,
    ProviderUnavailable,
    RateLimited,
    TemporaryError,
)
from contentq.queue.task import Task
from contentq.version import __version__

__all__ = [
    "ContentQueueError",
    "Context",
    "GeneratedContent",
    "HandlerError",
    "PermanentError",
    "PreviousContent",
    "ProviderUnavailable",
    "RateLimited",
    "Task",
    "TemporaryError",
    "ThreadContext",
    "__version__",
    "count_words",
]
