"""The error of an attempt, by the program's exit code and output."""

from __future__ import annotations

import math
import os
import signal
from typing import Any

from contentq.errors import (
    MAX_REVISIONS,
    CheckFailed,
    HandlerError,
    PermanentError,
    RateLimited,
    Snooze,
    TemporaryError,
)
from contentq.handlers.commands.answers import draft_of, object_or_nothing, usage_of

TEMPORARY = os.EX_TEMPFAIL
"""Exit code of an attempt that may succeed later: 75, EX_TEMPFAIL of sysexits.h."""


_OF_CHECKS = ("failed_checks", "max_revisions", "keep_for_review")


def error_of(program: str, code: int, stdout: bytes, stderr: str) -> HandlerError:
    """The error for a program that failed.

    code: not 0; negative for the signal that killed it. stderr: the end of its standard error. With exit code 75,
    standard output may be a JSON object with these members: retry_after (seconds); rate_limited (true: no retry is
    charged), with gate and nothing_left as in RateLimited; failed_checks (a text or a list) with a draft, as in
    CheckFailed; snooze (seconds), with state as in Snooze. With any code, it may have the usage of the attempt.
    """
    said = object_or_nothing(stdout)
    usage = usage_of(said)
    message = f"{program} {_ending(code)}" + (f": {stderr}" if stderr else "")
    if code == TEMPORARY:
        if failed := _failed_checks(said.get("failed_checks")):
            return _checks_failed(failed, said)
        retry_after = _seconds(said.get("retry_after"))
        if said.get("rate_limited") is True:
            gate = said.get("gate")
            return RateLimited(
                message,
                retry_after=retry_after,
                gate=gate if isinstance(gate, str) and gate else None,
                nothing_left=said.get("nothing_left") is True,
                usage=usage,
            )
        if (delay := _seconds(said.get("snooze"))) is not None:
            state = said.get("state")
            return Snooze(stderr, delay=delay, state=state if isinstance(state, dict) else None, usage=usage)
        return TemporaryError(message, retry_after=retry_after, usage=usage)
    if code < 0:
        return TemporaryError(message, usage=usage)
    return PermanentError(message, usage=usage)


def _failed_checks(value: Any) -> str:
    """The failed checks, one per line; empty if there are none."""
    return "\n".join(text for text in (value if isinstance(value, list) else [value]) if isinstance(text, str))


def _checks_failed(message: str, said: dict[str, Any]) -> HandlerError:
    most = said.get("max_revisions")
    try:
        draft = draft_of({name: value for name, value in said.items() if name not in _OF_CHECKS})
    except PermanentError as error:
        return error
    return CheckFailed(
        message,
        draft=draft,
        max_revisions=most if type(most) is int and most >= 0 else MAX_REVISIONS,
        keep_for_review=said.get("keep_for_review") is True,
        usage=usage_of(said),
    )


def _ending(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"was killed by {name}" + (" (out of memory?)" if -code == signal.SIGKILL else "")


def _seconds(value: Any) -> float | None:
    """A number of seconds, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        seconds = float(value)
    except OverflowError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None
