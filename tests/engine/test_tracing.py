"""Trace context from the producer of a task, through its row, to a span for each attempt."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import contentq
import contentq.tracing
import pytest
from contentq import CheckFailed, Context, GeneratedContent, PermanentError, Snooze, Task, ThreadContext
from contentq.handlers.commands.handler import CommandHandler
from contentq.testing import make_context, make_task
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from tests.engine.conftest import Database, Insert, Row

WorkOff = Callable[..., Any]

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """Enables tracing in this process for one test; a provider can be set only once."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    yield exporter
    provider.shutdown()


def only(spans: InMemorySpanExporter) -> ReadableSpan:
    [span] = spans.get_finished_spans()
    return span


def seen_by(found: list[str | None]) -> Any:
    """A handler that records the active span."""

    async def handler(_task: Task, _context: Context) -> None:
        found.append(contentq.tracing.current_traceparent())

    return handler


def test_attempt_is_a_span_of_the_trace_that_the_row_names(
    work_off: WorkOff, insert: Insert, row: Row, spans: InMemorySpanExporter
) -> None:
    id_ = insert(traceparent=TRACEPARENT, category="blog", priority=7)
    active: list[str | None] = []

    work_off(seen_by(active))

    span = only(spans)
    assert (span.name, span.kind) == ("process content_generation_tasks", SpanKind.CONSUMER)
    assert span.context is not None
    assert span.parent is not None
    assert f"{span.context.trace_id:032x}" == "0af7651916cd43dd8448eb211c80319c"
    assert f"{span.parent.span_id:016x}" == "b7ad6b7169203331"
    assert active == [f"00-0af7651916cd43dd8448eb211c80319c-{span.context.span_id:016x}-01"]
    attributes = dict(span.attributes or {})
    assert attributes["messaging.message.id"] == row(id_).task_id
    assert {name: attributes[name] for name in ("contentq.attempt", "contentq.priority", "contentq.category")} == {
        "contentq.attempt": 1,
        "contentq.priority": 7,
        "contentq.category": "blog",
    }
    assert attributes["contentq.outcome"] == "completed"
    assert span.status.status_code is StatusCode.UNSET


def test_plain_function_finds_the_span_in_its_thread(
    work_off: WorkOff, insert: Insert, spans: InMemorySpanExporter
) -> None:
    insert(traceparent=TRACEPARENT)
    active: list[str | None] = []

    def handler(_task: Task, _context: ThreadContext) -> None:
        active.append(contentq.tracing.current_traceparent())

    work_off(handler)

    span = only(spans)
    assert span.context is not None
    assert active == [f"00-0af7651916cd43dd8448eb211c80319c-{span.context.span_id:016x}-01"]


@pytest.mark.parametrize("traceparent", [None, "what is this", "00-" + "0" * 32 + "-" + "0" * 16 + "-01"])
def test_attempt_without_a_trace_context_is_a_trace_of_its_own(
    work_off: WorkOff, insert: Insert, spans: InMemorySpanExporter, traceparent: str | None
) -> None:
    insert(traceparent=traceparent)

    work_off(seen_by([]))

    assert only(spans).parent is None


def test_each_attempt_has_a_span_and_says_how_it_ended(
    work_off: WorkOff, insert: Insert, database: Database, spans: InMemorySpanExporter
) -> None:
    database.execute("UPDATE contentq.settings SET backoff_base = '1 millisecond', backoff_max = '1 millisecond'")
    insert(traceparent=TRACEPARENT)

    async def handler(task: Task, _context: Context) -> None:
        if task.attempt == 1:
            raise ValueError("it broke")
        if task.attempt == 2:
            raise Snooze("later", delay=0.001)
        if task.attempt == 3:
            raise CheckFailed("too short", draft=GeneratedContent("T", "B"))
        raise PermanentError("no use")

    work_off(handler)

    found = spans.get_finished_spans()
    assert [dict(span.attributes or {})["contentq.outcome"] for span in found] == [
        "failed",
        "snoozed",
        "revised",
        "failed",
    ]
    assert {span.parent.span_id for span in found if span.parent} == {0xB7AD6B7169203331}
    first, *_, last = found
    assert dict(first.attributes or {})["error.type"] == "ValueError"
    assert [event.name for event in first.events] == ["exception"]
    assert (last.status.status_code, last.status.description) == (StatusCode.ERROR, "no use")
    assert found[1].status.status_code is StatusCode.UNSET


def test_task_submitted_within_a_span_belongs_to_its_trace(
    database: Database, account: int, spans: InMemorySpanExporter
) -> None:
    with trace.get_tracer("test").start_as_current_span("request") as span:
        contentq.submit(database, account_id=account, topic="Tea")
        contentq.submit(database, account_id=account, topic="Other", traceparent=TRACEPARENT)
    contentq.submit(database, account_id=account, topic="Neither")

    context = span.get_span_context()
    assert database.execute("SELECT traceparent FROM content_generation_tasks ORDER BY id").fetchall() == [
        (f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}",),
        (TRACEPARENT,),
        (None,),
    ]


def test_span_that_cannot_be_had_keeps_no_task_from_its_handler(
    work_off: WorkOff, insert: Insert, row: Row, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def broken(*_values: Any) -> Iterator[None]:
        raise RuntimeError("no provider today")

    monkeypatch.setattr(trace, "_TRACER_PROVIDER", broken)
    id_ = insert(traceparent=TRACEPARENT)

    work_off(seen_by([]))

    assert row(id_).status == "completed"


def test_context_is_passed_on_where_nothing_is_traced(work_off: WorkOff, insert: Insert) -> None:
    insert(traceparent=TRACEPARENT)
    active: list[str | None] = []

    work_off(seen_by(active))

    assert active == [TRACEPARENT]


@pytest.mark.parametrize(
    ("traceparent", "found"), [(TRACEPARENT, TRACEPARENT), (None, "none"), ("LD_PRELOAD=x", "none")]
)
def test_program_has_the_context_in_its_environment(tmp_path: Path, traceparent: str | None, found: str) -> None:
    script = tmp_path / "write.sh"
    script.write_text('#!/bin/sh\necho "# Title\n\n${TRACEPARENT-none}"\n')
    script.chmod(0o755)
    task = make_task("Tea", traceparent=traceparent)

    answer: Any = asyncio.run(CommandHandler([str(script)])(task, make_context(task)))

    assert answer.body.endswith(f"{found}\n")


@pytest.mark.slow
def test_opentelemetry_is_not_imported_by_contentq_itself() -> None:
    script = (
        "import sys, contentq, contentq.cli.worker_command, contentq.engine.worker\n"
        "assert contentq.tracing.current_traceparent() is None\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
