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
from contentq.handlers.openai.calling import LARGE, Caller
from contentq.handlers.openai.checks import DraftChecks
from contentq.handlers.openai.client import check_environment, endpoint
from contentq.handlers.openai.prompt import Prompt
from contentq.handlers.openai.settings import read as read_settings
from contentq.task import Task
from contentq.titles import title_of

log = logging.getLogger("contentq.handlers.openai")


class OpenAIHandler:
    """Asks a model for an article. Raises HandlerUnusable when its settings or a proxy are at fault."""

    def __init__(self, templates: Path | None = None, settings: Path | None = None) -> None:
        self._settings = read_settings(settings)
        at = endpoint(self._settings)
        check_environment()
        self._prompt = Prompt(templates)
        self._caller = Caller(at, self._settings)
        own = {category: own.checks for category, own in self._settings.categories.items()}
        self._checks = DraftChecks(self._settings.checks, own, settings)

    @property
    def gate(self) -> str:
        """The gate that it shares with all who call the same provider: the host of the base URL."""
        return self._caller.host

    @property
    def extensions(self) -> tuple[str, ...]:
        """The extensions of PostgreSQL that the database must have."""
        return self._checks.extensions

    def introduce(self) -> None:
        """Logs where it calls, which models, and which of them have no price."""
        own = ",".join(f"{name}:{own.model}" for name, own in self._settings.categories.items() if own.model)
        categories = f" categories={own}" if own else ""
        log.info("model=%s%s address=%s", self._settings.model, categories, self._caller.base_url)
        if names := self._checks.names():
            log.info("checks=%s max_revisions=%d", ",".join(names), self._settings.max_revisions)
        unpriced = self._settings.unpriced()
        if unpriced and not self._settings.prices:
            log.warning("no model has a price in the settings: cost is not counted, and no budget sees it")
        else:
            for model in unpriced:
                log.warning(
                    "model %s has no price in the settings: its cost is not counted, and no budget sees it", model
                )

    async def __call__(self, task: Task, context: Any) -> GeneratedContent:
        """Asks, and returns what the model has written. Raises as Caller.ask() does, and CheckFailed."""
        settings = self._settings.of_category(task.category)
        messages = await self._prompt.messages(task, context)
        began = time.monotonic()
        answer = await self._caller.ask(messages, settings, task, context)
        body = self._checks.body_of(answer.body, task.category)
        if len(body) > LARGE:
            title = await asyncio.to_thread(title_of, body, task.topic)
        else:
            title = title_of(body, task.topic)
        result = {
            **answer.usage,
            "finish_reason": answer.finish_reason,
            "seconds": round(time.monotonic() - began, 3),
        }
        if answer.reasoning:
            result["reasoning"] = answer.reasoning
        draft = GeneratedContent(title=title, body=body, result=result)
        prompt = "\n".join(message["content"] for message in messages)
        return await self._checks.check(draft, context, prompt, settings.max_revisions, settings.on_failed_checks)

    async def close(self) -> None:
        """Closes the connections that wait for another call."""
        await self._caller.close()
