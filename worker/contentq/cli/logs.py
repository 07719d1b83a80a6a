"""Where commands that run handlers send what is logged."""

from __future__ import annotations

import logging
import sys

LOG_LEVELS = ("debug", "info", "warning", "error")


def log_to_stderr(level: str) -> None:
    """Logs to standard error, one line an event, from this level on."""
    logging.basicConfig(
        stream=sys.stderr,
        level=level.upper(),
        format="%(asctime)s level=%(levelname)s logger=%(name)s %(message)s",
    )
    # They tell at length what they do; handlers, and the libraries that they call, log as they like.
    logging.getLogger("asyncio").setLevel(max(logging.WARNING, logging.getLogger().level))
    logging.getLogger("psycopg").setLevel(logging.ERROR)  # that a call was cut short, the worker says itself
