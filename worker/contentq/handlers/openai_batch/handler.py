"""The `openai-batch` handler: sends tasks of low priority to the provider in batches, at half the price.

An attempt stores its request and snoozes its task. The worker sends and collects the batches in the background
(tending.py). Once the answer has arrived, the next attempt turns it into content. See
docs/how-to/use-provider-batches.md. It needs the package `openai`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from contentq.content import GeneratedContent
from contentq.engine.database_errors import is_outage, one_line
from contentq.engine.handler_calls import HandlerCalls, run_beside
from contentq.errors import HandlerError, Snooze
from contentq.handlers.openai.calling import Answer
from contentq.handlers.openai.choosing import Model
from contentq.handlers.openai.client import Endpoint
from contentq.handlers.openai.handler import OpenAIHandler
from contentq.handlers.openai.prompt import Message
from contentq.handlers.openai.settings import OpenAISettings
from contentq.handlers.openai_batch.caller import BatchCaller, at_batch_price, parsed
from contentq.handlers.openai_batch.tending import Tending
from contentq.queue import batches
from contentq.queue.batches import Asked
from contentq.task import Task

log = logging.getLogger("contentq.handlers.openai")

ASKED = "asked_by_attempt"
"""The member of context.state that names the attempt that made the request; contentq.ask_batch() sets it."""

DAY = 24 * 3600.0

LOOK_AGAIN = 3600.0
"""Seconds added to a snooze, beyond the latest time at which the answer must arrive and wake the task."""


class OpenAIBatchHandler(OpenAIHandler):
    """Requests articles from models, in batches. Raises HandlerUnusable as the handler `openai` does."""

    def __init__(self, templates: Path | None = None, settings: Path | None = None) -> None:
        super().__init__(templates, settings)
        self._batch = self._models.settings.batch
        self._callers: dict[Endpoint, BatchCaller] = {}
        for model in self._models.first:
            self._callers.setdefault(model.at, BatchCaller(model.at, model.settings))
        self._calls: HandlerCalls | None = None
        self._tending: dict[Endpoint, Tending] = {}

    @property
    def gates(self) -> tuple[str, ...]:
        """The gates that direct calls enter; batch requests enter none."""
        return self._models.gates

    def introduce(self) -> None:
        """Logs the same as the handler `openai`, and which tasks use batches."""
        super().introduce()
        log.info(
            "batches of up to %d tasks of priority %d and below, gathered for %gs; price_factor=%g",
            self._batch.max_tasks,
            self._batch.max_priority,
            self._batch.gather_seconds,
            self._batch.price_factor,
        )

    async def work_beside(self, calls: HandlerCalls) -> None:
        """Tends batches while the worker runs, including those of dead workers.

        Errors of one provider do not affect the batches of others.
        """
        self._calls = calls
        self._tending = {at: Tending(calls, caller, self._prices(at)) for at, caller in self._callers.items()}
        work = [asyncio.ensure_future(run_beside(tending.run, calls)) for tending in self._tending.values()]
        try:
            await asyncio.gather(*work)
        except asyncio.CancelledError:
            await self.close()  # the worker has ended
            raise
        finally:
            for each in work:
                each.cancel()
            await asyncio.gather(*work, return_exceptions=True)

    async def __call__(self, task: Task, context: Any) -> GeneratedContent:
        """Stores a request, or returns the content of its answer. Without a worker, calls the model directly.

        Raises Snooze until the answer arrives, and the errors of the handler `openai`.
        """
        if self._calls is None:
            return await super().__call__(task, context)
        if ASKED in context.state:
            with _outage_as_snooze():
                asked = await self._calls(batches.answer, task.id, task.attempt)
            if asked is not None:
                return await self._take(asked, task, context)
        if task.priority > self._batch.max_priority or not self._has_time(context):
            return await super().__call__(task, context)
        await self._ask(self._calls, task, context)
        raise Snooze(delay=self._longest())

    async def close(self) -> None:
        """Closes idle connections."""
        for caller in self._callers.values():
            await caller.close()
        await super().close()

    async def _ask(self, calls: HandlerCalls, task: Task, context: Any) -> None:
        model, caller = self._first(task)
        body = caller.request(await self._prompt.messages(task, context), model.settings)
        with _outage_as_snooze():
            await calls(batches.ask, task.id, task.attempt, caller.base_url, model.settings.model, body)
        if model.at in self._tending:
            self._tending[model.at].add_asked()

    async def _take(self, asked: Asked, task: Task, context: Any) -> GeneratedContent:
        """The content of an answer. If the answer is unusable, the next attempt makes a new request."""
        if asked.status_code is None or asked.answer is None:
            raise Snooze(delay=self._longest())
        model, caller = self._first(task)
        more = {"batch": context.state.get("batch")}
        if model.chosen.deployment is not None:
            more["deployment"] = model.chosen.deployment
        settings = at_batch_price(model.settings, asked.model)
        try:
            size = len(asked.body) + len(asked.answer)
            messages, answer = await parsed(size, lambda: _judged(caller, asked, settings, context))
            return await self._content(answer, messages, context, more)
        except HandlerError as error:
            error.state = {}
            raise

    def _first(self, task: Task) -> tuple[Model, BatchCaller]:
        """The model for a task's batch: the first of its models; the others are for direct calls."""
        model = self._models.of(task)[0]
        return model, self._callers[model.at]

    def _prices(self, at: Endpoint) -> OpenAISettings:
        """The settings, with the prices of all models that are called there."""
        prices = dict(self._models.settings.prices)
        for model in self._models.first:
            if model.at == at:
                prices.update(model.settings.prices)
        return self._models.settings.model_copy(update={"prices": prices})

    def _has_time(self, context: Any) -> bool:
        left = context.seconds_left()
        return left is None or left >= self._batch.min_time_left

    def _longest(self) -> float:
        """Seconds until the snooze ends; the answer must have arrived by then."""
        return self._batch.gather_seconds + _seconds_of(self._batch.completion_window) + LOOK_AGAIN


@contextmanager
def _outage_as_snooze() -> Iterator[None]:
    """Snoozes a task if the database does not answer a call, or a lock is not available; no retry is charged.

    If the call took effect nevertheless, the next attempt finds the request; an answer stays stored.
    """
    try:
        yield
    except Exception as error:
        if is_outage(error):
            raise Snooze(f"no answer of the database: {one_line(error)}", delay=0) from None
        raise


def _judged(
    caller: BatchCaller, asked: Asked, settings: OpenAISettings, context: Any
) -> tuple[list[Message], Answer]:
    """The messages of a request, and the model's answer to it. Raises as BatchCaller.judge()."""
    assert asked.status_code is not None
    assert asked.answer is not None
    messages: list[Message] = json.loads(asked.body)["messages"]
    return messages, caller.judge(asked.status_code, json.loads(asked.answer), messages, settings, context)


def _seconds_of(window: str) -> float:
    """A provider's time window such as 24h, as a timedelta; one day if unreadable."""
    found = re.fullmatch(r"(\d{1,6})([smhd])", window)
    return int(found[1]) * {"s": 1, "m": 60, "h": 3600, "d": DAY}[found[2]] if found else DAY
