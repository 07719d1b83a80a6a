"""Trace context (W3C, https://www.w3.org/TR/trace-context/): which span is active where this is asked.

opentelemetry-api is not imported for it: where nobody has, no span is active.
"""

from __future__ import annotations

import sys
from types import ModuleType


def opentelemetry_trace() -> ModuleType | None:
    """The module opentelemetry.trace, when this process uses it; None otherwise."""
    return sys.modules.get("opentelemetry.trace")


def current_traceparent() -> str | None:
    """The traceparent of the active span; None when there is none."""
    trace = opentelemetry_trace()
    if trace is None:
        return None
    span = trace.get_current_span().get_span_context()
    if not span.is_valid:
        return None
    return f"00-{trace.format_trace_id(span.trace_id)}-{trace.format_span_id(span.span_id)}-{span.trace_flags:02x}"
