"""Chooses one of several models, and falls back to the next when a call fails."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from contentq.errors import HandlerError, NoGateHasRoom, PermanentError, ProviderUnavailable, RateLimited
from contentq.handlers.openai.calling import Answer, Caller
from contentq.handlers.openai.client import Endpoint, endpoint
from contentq.handlers.openai.errors import about
from contentq.handlers.openai.prompt import Message
from contentq.handlers.openai.settings import Chosen, OpenAISettings
from contentq.task import Task

log = logging.getLogger("contentq.handlers.openai")

WHY_LENGTH = 500
"""Maximum length, in characters, of the reason why a model was skipped."""


@dataclass(frozen=True)
class Model:
    """A model that may be called, and its address."""

    chosen: Chosen
    at: Endpoint
    caller: Caller

    @property
    def gate(self) -> str:
        """The gate shared by all calls to the same provider; by default, its host."""
        return self.chosen.gate or self.at.host

    @property
    def settings(self) -> OpenAISettings:
        """The settings of its calls."""
        return self.chosen.settings


@dataclass(frozen=True)
class Written:
    """An answer and the model that wrote it. passed_over: the models before it, and why each was skipped."""

    answer: Answer
    model: Model
    passed_over: list[dict[str, str]]

    @property
    def result(self) -> dict[str, Any]:
        """The members that it adds to the result of the task, in addition to the usage."""
        said: dict[str, Any] = {}
        if self.model.chosen.deployment is not None:
            said["deployment"] = self.model.chosen.deployment
        if self.passed_over:
            said["models_passed_over"] = self.passed_over
        return said


class Models:
    """All models of the settings. Raises HandlerUnusable if an address or a key cannot be used."""

    def __init__(self, settings: OpenAISettings) -> None:
        self.settings = settings
        self._callers: dict[tuple[Endpoint, float, int], Caller] = {}
        self._ends: dict[tuple[str | None, str], Endpoint] = {}
        self._lists = [self._made(chosen) for chosen in settings.all_lists()]

    @property
    def gates(self) -> tuple[str, ...]:
        """The gates of all models, in the order of the settings."""
        return tuple(dict.fromkeys(model.gate for model in self._all()))

    @property
    def first(self) -> list[Model]:
        """The first model of each possible list of models."""
        return [models[0] for models in self._lists]

    @property
    def has_choice(self) -> bool:
        """Whether any task has more than one model."""
        return any(len(models) > 1 for models in self._lists)

    def of(self, task: Task) -> list[Model]:
        """The models for a task, in order of preference."""
        return self._made(self.settings.chosen(task.category, task.account_id))

    def introduce(self) -> None:
        """Logs the address of each model, and the models without a price."""
        settings = self.settings
        for name, model in {model.chosen.deployment: model for model in self._all()}.items():
            if name is not None:
                asked, address = model.settings.model, model.at.base_url
                log.info("deployment=%s model=%s address=%s gate=%s", name, asked, address, model.gate)
        own = ",".join(f"{name}:{shown}" for name, shown in settings.shown_categories())
        accounts = ",".join(f"{name}:{shown}" for name, shown in settings.shown_accounts())
        address = next((model.at.base_url for model in self._all() if model.chosen.deployment is None), "")
        log.info(
            "model=%s%s%s%s",
            "+".join(settings.models) or settings.model,
            f" categories={own}" if own else "",
            f" accounts={accounts}" if accounts else "",
            f" address={address}" if address else "",
        )
        unpriced = settings.unpriced()
        if unpriced and not any(model.settings.prices for model in self._all()):
            log.warning(
                "no model has a price in the settings: their cost is not counted and does not reduce any budget"
            )
        else:
            for name in unpriced:
                log.warning(
                    "model %s has no price in the settings: its cost is not counted and does not reduce any "
                    "budget",
                    name,
                )

    async def ask(self, messages: list[Message], task: Task, context: Any) -> Written:
        """Calls the first model whose gate has room; if that call fails, the next.

        Raises as Caller.ask() does. If all called models fail, raises the first error that a retry may fix,
        otherwise the first error. Raises NoGateHasRoom if no model can be called now.
        """
        left: Sequence[Model] = self.of(task)
        passed: list[dict[str, str]] = []
        failed: list[tuple[Model, HandlerError]] = []
        while True:
            try:
                gate = await context.enter_gate(list(dict.fromkeys(model.gate for model in left)))
            except NoGateHasRoom:
                if all(isinstance(error, PermanentError) for _, error in failed):
                    raise  # one of the remaining models may accept it
                raise _what_to_raise(failed) from None
            place = next(place for place, model in enumerate(left) if model.gate == gate)
            passed += [_passed(each, context.passed_over.get(each.gate, "")) for each in left[:place]]
            model, left = left[place], left[place + 1 :]
            try:
                answer = await model.caller.ask(messages, model.settings, task, context)
            except (RateLimited, ProviderUnavailable, PermanentError) as error:
                failed.append((model, error))
                left = self._after(model, left, error, context)
                if len(failed) == 1 and not left:
                    raise
                await context.leave_gate(error)
                if not left:
                    raise _what_to_raise(failed) from None
                passed.append(_passed(model, str(error)))
            else:
                return Written(answer, model, passed)

    async def close(self) -> None:
        """Closes idle connections."""
        for caller in self._callers.values():
            await caller.close()

    def _after(self, failed: Model, left: Iterable[Model], error: HandlerError, context: Any) -> list[Model]:
        """The remaining models that may be called after this error."""
        if isinstance(error, PermanentError):
            return list(left) if about(error) in self.settings.fall_through else []
        # The error concerns the provider: models behind the same gate would fail in the same way.
        return [] if context.has_one_gate else [each for each in left if each.gate != failed.gate]

    def _all(self) -> Iterator[Model]:
        for models in self._lists:
            yield from models

    def _made(self, chosen: Sequence[Chosen]) -> list[Model]:
        return [self._model(each) for each in chosen]

    def _model(self, chosen: Chosen) -> Model:
        settings = chosen.settings
        of_file = (settings.base_url, settings.key_variable)
        if of_file not in self._ends:
            self._ends[of_file] = endpoint(settings)
        at = self._ends[of_file]
        # A client has one silence timeout and one size limit for all of its calls.
        key = (at, settings.chunk_timeout, settings.max_characters)
        if key not in self._callers:
            self._callers[key] = Caller(at, settings)
        return Model(chosen, at, self._callers[key])


def _passed(model: Model, why: str) -> dict[str, str]:
    return {"model": model.chosen.deployment or model.settings.model, "why": why[:WHY_LENGTH]}


def _what_to_raise(failed: Sequence[tuple[Model, HandlerError]]) -> HandlerError:
    """The error of an attempt in which several models failed, with the errors of the others.

    The gates were already informed. The task becomes ready as soon as one of the models allows it.
    """
    _model, error = next((each for each in failed if not isinstance(each[1], PermanentError)), failed[0])
    others = "; ".join(f"{other.chosen.settings.model}: {said}" for other, said in failed if said is not error)
    if others:
        error.args = (f"{error}; {others}",)
    if isinstance(error, RateLimited | ProviderUnavailable):
        waits = [said.retry_after for _, said in failed if isinstance(said, RateLimited | ProviderUnavailable)]
        error.retry_after = min((wait for wait in waits if wait is not None), default=None) if all(waits) else None
    return error
