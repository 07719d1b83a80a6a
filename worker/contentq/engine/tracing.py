"""One span for each attempt, in the trace of the submission, active while the handler runs.

The names of attributes are those of https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from contentq.queue.outcomes import Failed, Held, Outcome, Overdue, Released, Revised, Snoozed
from contentq.task import Task
from contentq.tracing import opentelemetry_trace
from contentq.version import __version__

if TYPE_CHECKING:
    from opentelemetry.context import Context as OtelContext
    from opentelemetry.trace import Span

log = logging.getLogger("contentq.worker")

DESTINATION = "content_generation_tasks"

MESSAGE_LENGTH = 300
"""Maximum length of an error in a span, in characters; the row has all of it."""

_NAMES: dict[type, str] = {
    Failed: "failed",
    Revised: "revised",
    Snoozed: "snoozed",
    Overdue: "timeout",
    Released: "released",
}
"""Names of outcomes; the first match counts. Any other outcome is a completion."""

Ended = Callable[[Outcome | None], None]
"""Receives the outcome of an attempt; None if the worker lost the task."""


@contextmanager
def attempt_span(held: Held, task: Task) -> Iterator[Ended]:
    """Runs the handler in a span if this process uses OpenTelemetry."""
    span = _begin(held, task)
    if span is None:
        yield _ignore
        return
    from opentelemetry import trace

    with trace.use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
        yield lambda outcome: _end(span, outcome)


def record_exception(error: BaseException) -> None:
    """Adds an unexpected error of the handler, with its traceback, to the span of its attempt."""
    trace = opentelemetry_trace()
    if trace is not None:
        with suppress(Exception):  # the text of an error may raise
            trace.get_current_span().record_exception(error)


def _begin(held: Held, task: Task) -> Span | None:
    trace = opentelemetry_trace()
    if trace is None:
        return None
    try:
        if not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
            return _start(held, task)
        # No SDK: only the context is passed on.
        return trace.get_current_span(_context(task)) if task.traceparent else None
    except Exception:
        log.exception("no span created for the attempt task=%s attempt=%d", task.task_id, task.attempt)
        return None


def _start(held: Held, task: Task) -> Span:
    from opentelemetry import trace

    attributes: dict[str, Any] = {
        "messaging.system": "contentq",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": DESTINATION,
        "messaging.message.id": task.task_id,
        "contentq.attempt": task.attempt,
        "contentq.account_id": task.account_id,
        "contentq.priority": task.priority,
        "contentq.worker_id": held.worker_id,
    }
    if task.category is not None:
        attributes["contentq.category"] = task.category
    return trace.get_tracer("contentq", __version__).start_span(
        f"process {DESTINATION}",
        context=_context(task),
        kind=trace.SpanKind.CONSUMER,
        attributes=attributes,
    )


def _context(task: Task) -> OtelContext:
    """The context of the submission. An empty one still replaces the active context."""
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract({"traceparent": task.traceparent or ""})


def _end(span: Span, outcome: Outcome | None) -> None:
    from opentelemetry.trace import Status, StatusCode

    span.set_attribute("contentq.outcome", _name(outcome))
    if isinstance(outcome, Failed):
        span.set_attribute("error.type", outcome.error_class)
        span.set_status(Status(StatusCode.ERROR, outcome.message[:MESSAGE_LENGTH]))
    elif isinstance(outcome, Overdue):
        span.set_status(Status(StatusCode.ERROR, "past its deadline"))


def _name(outcome: Outcome | None) -> str:
    if outcome is None:
        return "lost"
    return next((name for kind, name in _NAMES.items() if isinstance(outcome, kind)), "completed")


def _ignore(_outcome: Outcome | None) -> None:
    """Does nothing."""
