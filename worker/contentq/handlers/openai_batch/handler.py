"""The `openai-batch` handler: tasks of low priority go to the provider as batches, at half the price.

An attempt asks, and snoozes its task; what tends the batches runs beside the tasks (tending.py); when an answer
has come, the next attempt makes content of it. Described in docs/batches.md. It needs the package `openai`.
"""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import Any

from contentq.content import GeneratedContent
from contentq.engine.handler_calls import HandlerCalls
from contentq.errors import HandlerError, Snooze
from contentq.handlers.openai.handler import OpenAIHandler
from contentq.handlers.openai.settings import OpenAISettings
from contentq.handlers.openai_batch.caller import BatchCaller, at_batch_price
from contentq.handlers.openai_batch.tending import Tending
from contentq.queue import batches
from contentq.queue.batches import Asked
from contentq.task import Task

log = logging.getLogger("contentq.handlers.openai")

ASKED = "asked_by_attempt"
"""The member of context.state that names the attempt which has asked; contentq.ask_batch() puts it there."""

DAY = 24 * 3600.0

LOOK_AGAIN = 3600.0
"""Seconds that a task is put off beyond the time in which its answer must have come, and wakes it."""


class OpenAIBatchHandler(OpenAIHandler):
    """Asks a model for articles, in batches. Raises HandlerUnusable as the handler `openai` does."""

    def __init__(self, templates: Path | None = None, settings: Path | None = None) -> None:
        super().__init__(templates, settings)
        self._settings = self._models.settings
        self._batch = self._settings.batch
        self._at = self._models.first.at
        self._batches = BatchCaller(self._at, self._models.first.settings)
        self._calls: HandlerCalls | None = None
        self._tending: Tending | None = None

    def introduce(self) -> None:
        """Logs what the handler `openai` logs, and which tasks go with batches."""
        super().introduce()
        log.info(
            "batches of up to %d tasks of priority %d and below, gathered for %gs; price_factor=%g",
            self._batch.max_tasks,
            self._batch.max_priority,
            self._batch.gather_seconds,
            self._batch.price_factor,
        )

    async def work_beside(self, calls: HandlerCalls) -> None:
        """Tends batches, also those of workers that have died, for as long as the worker runs."""
        self._calls = calls
        self._tending = Tending(calls, self._batches, self._settings)
        try:
            await self._tending.run()
        finally:
            await self.close()

    async def __call__(self, task: Task, context: Any) -> GeneratedContent:
        """Asks, or makes content of the answer to what was asked. Without a worker, asks directly.

        Raises Snooze while there is no answer, and what the handler `openai` raises.
        """
        if self._calls is None:
            return await super().__call__(task, context)
        if ASKED in context.state:
            asked = await self._calls(batches.answer, task.id, task.attempt)
            if asked is not None:
                return await self._take(asked, task, context)
        settings = self._settings_of(task)
        if settings is None or task.priority > self._batch.max_priority or not self._has_time(context):
            return await super().__call__(task, context)
        await self._ask(self._calls, task, settings, context)
        raise Snooze(delay=self._longest())

    async def close(self) -> None:
        """Closes the connections that wait for another call."""
        await self._batches.close()
        await super().close()

    def _settings_of(self, task: Task) -> OpenAISettings | None:
        """Those of the first of the task's models that the provider of the batches has; None without one."""
        return next((model.settings for model in self._models.of(task) if model.at == self._at), None)

    async def _ask(self, calls: HandlerCalls, task: Task, settings: OpenAISettings, context: Any) -> None:
        messages = await self._prompt.messages(task, context)
        body = self._batches.request(messages, settings)
        await calls(batches.ask, task.id, task.attempt, self._batches.base_url, settings.model, body)
        if self._tending is not None:
            self._tending.add_asked()

    async def _take(self, asked: Asked, task: Task, context: Any) -> GeneratedContent:
        """The content of an answer. What is wrong with it has the next attempt ask again."""
        if asked.status_code is None or asked.answer is None:
            raise Snooze(delay=self._longest())
        settings = at_batch_price(self._settings_of(task) or self._models.first.settings)
        settings = settings.model_copy(update={"model": asked.model})
        try:
            messages, reply = json.loads(asked.body)["messages"], json.loads(asked.answer)
            answer = self._batches.judge(asked.status_code, reply, messages, settings, context)
            return await self._content(answer, task, batch=context.state.get("batch"))
        except HandlerError as error:
            error.state = {}
            raise

    def _has_time(self, context: Any) -> bool:
        left = context.seconds_left()
        return left is None or left >= self._batch.min_time_left

    def _longest(self) -> float:
        """Seconds in which an answer must have come, and with it the end of the snooze."""
        return self._batch.gather_seconds + _seconds_of(self._batch.completion_window) + LOOK_AGAIN


def _seconds_of(window: str) -> float:
    """What a provider calls 24h; what cannot be read, as a day."""
    found = re.fullmatch(r"(\d{1,6})([smhd])", window)
    return int(found[1]) * {"s": 1, "m": 60, "h": 3600, "d": DAY}[found[2]] if found else DAY
