"""Trace context (W3C, https://www.w3.org/TR/trace-context/) of the active span.

Does not import opentelemetry-api: if nothing else has imported it, no span is active.
"""

from __future__ import annotations

import sys
from types import ModuleType


def opentelemetry_trace() -> ModuleType | None:
    """Returns the module opentelemetry.trace if this process uses it; otherwise None."""
    return sys.modules.get("opentelemetry.trace")


def current_traceparent() -> str | None:
    """Returns the traceparent of the active span; None if there is none."""
    trace = opentelemetry_trace()
    if trace is None:
        return None
    span = trace.get_current_span().get_span_context()
    if not span.is_valid:
        return None
    return f"00-{trace.format_trace_id(span.trace_id)}-{trace.format_span_id(span.span_id)}-{span.trace_flags:02x}"
