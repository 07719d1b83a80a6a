"""The `openai` handler: an article from any model behind an OpenAI-compatible API, streamed.

Its settings, its errors and its prompt are described in docs/providers.md. It needs the package `openai`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path
from typing import Any

from contentq.content import GeneratedContent
from contentq.handlers.openai.calling import LARGE, Answer
from contentq.handlers.openai.choosing import Models
from contentq.handlers.openai.client import check_environment
from contentq.handlers.openai.prompt import Prompt
from contentq.handlers.openai.settings import read as read_settings
from contentq.task import Task
from contentq.titles import title_of

log = logging.getLogger("contentq.handlers.openai")


class OpenAIHandler:
    """Asks a model for an article. Raises HandlerUnusable when its settings or a proxy are at fault."""

    def __init__(self, templates: Path | None = None, settings: Path | None = None) -> None:
        self._models = Models(read_settings(settings))
        check_environment()
        self._prompt = Prompt(templates)

    @property
    def gate(self) -> str | None:
        """The gate that it shares with all who call the same provider; None when there are several models."""
        return None if self.gates else self._models.gates[0]

    @property
    def gates(self) -> tuple[str, ...]:
        """The gates of which each task enters one, where there are several models; empty for one."""
        gates = self._models.gates
        return gates if len(gates) > 1 or self._models.has_choice else ()

    def introduce(self) -> None:
        """Logs where it calls, which models, and which of them have no price."""
        self._models.introduce()

    async def __call__(self, task: Task, context: Any) -> GeneratedContent:
        """Asks, and returns what a model has written. Raises as Models.ask() does."""
        messages = await self._prompt.messages(task, context)
        began = time.monotonic()
        written = await self._models.ask(messages, task, context)
        seconds = round(time.monotonic() - began, 3)
        return await self._content(written.answer, task, {**written.result, "seconds": seconds})

    async def _content(self, answer: Answer, task: Task, more: dict[str, Any]) -> GeneratedContent:
        """The content that an answer is; more: further members of the result."""
        if len(answer.body) > LARGE:
            title = await asyncio.to_thread(title_of, answer.body, task.topic)
        else:
            title = title_of(answer.body, task.topic)
        result = {**answer.usage, "finish_reason": answer.finish_reason, **more}
        if answer.reasoning:
            result["reasoning"] = answer.reasoning
        return GeneratedContent(title=title, body=answer.body, result=result)

    async def close(self) -> None:
        """Closes the connections that wait for another call."""
        await self._models.close()
