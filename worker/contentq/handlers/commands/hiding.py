"""Hides the worker's environment and memory from the programs that it runs as the same user."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress

_PR_SET_DUMPABLE = 4
"""prctl(2)."""


def hide_process() -> None:
    """On Linux, makes /proc/PID/environ and the memory of this process unreadable for other processes of its user.

    Root can still read them. This also disables core dumps, and debuggers of users other than root. Started
    programs are not affected.
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
