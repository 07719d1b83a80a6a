"""The `openai-batch` handler: tasks of low priority go to the provider as batches, at half the price.

An attempt asks, and snoozes its task; what tends the batches runs beside the tasks (tending.py); when an answer
has come, the next attempt makes content of it. See docs/how-to/use-provider-batches.md. It needs the package
`openai`.
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
from contentq.handlers.openai.choosing import Model
from contentq.handlers.openai.client import Endpoint
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
    """Asks models for articles, in batches. Raises HandlerUnusable as the handler `openai` does."""

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
        """The gates that direct calls enter; what goes with a batch passes none."""
        return self._models.gates

    def introduce(self) -> None:
        """Logs what the handler `openai` logs, and which tasks use batches."""
        super().introduce()
        log.info(
            "batches of up to %d tasks of priority %d and below, gathered for %gs; price_factor=%g",
            self._batch.max_tasks,
            self._batch.max_priority,
            self._batch.gather_seconds,
            self._batch.price_factor,
        )

    async def work_beside(self, calls: HandlerCalls) -> None:
        """Tends batches, also those of workers that have died, for as long as the worker runs.

        What goes wrong with those of one provider does not keep it from those of others.
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
        """Asks, or makes content of the answer to what was asked. Without a worker, asks directly.

        Raises Snooze while there is no answer, and what the handler `openai` raises.
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
        """The content of an answer. What is wrong with it has the next attempt ask again."""
        if asked.status_code is None or asked.answer is None:
            raise Snooze(delay=self._longest())
        model, caller = self._first(task)
        more = {"batch": context.state.get("batch")}
        if model.chosen.deployment is not None:
            more["deployment"] = model.chosen.deployment
        settings = at_batch_price(model.settings, asked.model)
        try:
            messages, reply = json.loads(asked.body)["messages"], json.loads(asked.answer)
            answer = caller.judge(asked.status_code, reply, messages, settings, context)
            return await self._content(answer, messages, context, more)
        except HandlerError as error:
            error.state = {}
            raise

    def _first(self, task: Task) -> tuple[Model, BatchCaller]:
        """The model that a task's batch asks: the first of its models; the others are for direct calls."""
        model = self._models.of(task)[0]
        return model, self._callers[model.at]

    def _prices(self, at: Endpoint) -> OpenAISettings:
        """The settings, with the prices of all models that are asked there."""
        prices = dict(self._models.settings.prices)
        for model in self._models.first:
            if model.at == at:
                prices.update(model.settings.prices)
        return self._models.settings.model_copy(update={"prices": prices})

    def _has_time(self, context: Any) -> bool:
        left = context.seconds_left()
        return left is None or left >= self._batch.min_time_left

    def _longest(self) -> float:
        """Seconds in which an answer must have come, and with it the end of the snooze."""
        return self._batch.gather_seconds + _seconds_of(self._batch.completion_window) + LOOK_AGAIN


@contextmanager
def _outage_as_snooze() -> Iterator[None]:
    """Puts a task off whose call the database did not answer, or could not get a lock for: no retry is charged.

    A call that took effect all the same is found by the next attempt, or is of an answer that stays.
    """
    try:
        yield
    except Exception as error:
        if is_outage(error):
            raise Snooze(f"no answer of the database: {one_line(error)}", delay=0) from None
        raise


def _seconds_of(window: str) -> float:
    """A provider's time window such as 24h, as a timedelta; one day if unreadable."""
    found = re.fullmatch(r"(\d{1,6})([smhd])", window)
    return int(found[1]) * {"s": 1, "m": 60, "h": 3600, "d": DAY}[found[2]] if found else DAY
