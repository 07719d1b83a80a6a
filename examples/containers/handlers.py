"""The handlers of this image: replace them with yours."""

from contentq import Context, GeneratedContent, Task


async def write(task: Task, context: Context) -> GeneratedContent:
    """Writes a draft of three words."""
    return GeneratedContent(title=task.topic or task.task_id, body="A short draft.")
