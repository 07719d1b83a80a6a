"""The `openai` handler: streams an article from any model behind an OpenAI-compatible API.

docs/how-to/call-a-model.md describes its settings, errors and prompt. It needs the package `openai`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path
from typing import Any

from contentq.content import GeneratedContent
from contentq.handlers.openai.calling import LARGE, Answer
from contentq.handlers.openai.checks import DraftChecks
from contentq.handlers.openai.choosing import Models
from contentq.handlers.openai.client import check_environment
from contentq.handlers.openai.prompt import Message, Prompt
from contentq.handlers.openai.settings_file import read as read_settings
from contentq.task import Task
from contentq.titles import title_of

log = logging.getLogger("contentq.handlers.openai")


class OpenAIHandler:
    """Requests an article from a model. Raises HandlerUnusable for wrong settings or an unusable proxy."""

    def __init__(self, templates: Path | None = None, settings: Path | None = None) -> None:
        self._models = Models(read_settings(settings))
        check_environment()
        self._prompt = Prompt(templates)
        of_all = self._models.settings
        own = {category: own.checks for category, own in of_all.categories.items()}
        self._checks = DraftChecks(of_all.checks, own, settings)

    @property
    def gate(self) -> str | None:
        """The gate shared by all calls to the same provider; None if there are several models."""
        return None if self.gates else self._models.gates[0]

    @property
    def gates(self) -> tuple[str, ...]:
        """If there are several models, the gates of which each task enters one; otherwise empty."""
        gates = self._models.gates
        return gates if len(gates) > 1 or self._models.has_choice else ()

    @property
    def extensions(self) -> tuple[str, ...]:
        """The extensions of PostgreSQL that the database must have."""
        return self._checks.extensions

    def introduce(self) -> None:
        """Logs addresses, models, models without a price, and checks."""
        self._models.introduce()
        if names := self._checks.names():
            log.info("checks=%s max_revisions=%d", ",".join(names), self._models.settings.max_revisions)

    async def __call__(self, task: Task, context: Any) -> GeneratedContent:
        """Requests and returns an article. Raises as Models.ask() does, and CheckFailed."""
        messages = await self._prompt.messages(task, context)
        began = time.monotonic()
        written = await self._models.ask(messages, task, context)
        more = {**written.result, "seconds": round(time.monotonic() - began, 3)}
        return await self._content(written.answer, messages, context, more)

    async def _content(
        self, answer: Answer, messages: list[Message], context: Any, more: dict[str, Any]
    ) -> GeneratedContent:
        """Returns the content of an answer. more: further members of the result. Raises CheckFailed."""
        task: Task = context.task
        settings = self._models.settings.of_category(task.category)
        body = self._checks.body_of(answer.body, task.category)
        if len(body) > LARGE:
            title = await asyncio.to_thread(title_of, body, task.topic)
        else:
            title = title_of(body, task.topic)
        result = {**answer.usage, "finish_reason": answer.finish_reason, **more}
        if answer.reasoning:
            result["reasoning"] = answer.reasoning
        draft = GeneratedContent(title=title, body=body, result=result)
        prompt = "\n".join(message["content"] for message in messages)
        return await self._checks.check(draft, context, prompt, settings.max_revisions, settings.on_failed_checks)

    async def close(self) -> None:
        """Closes idle connections."""
        await self._models.close()
