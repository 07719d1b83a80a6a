"""Keeping the worker's own environment and memory from the programs that it runs, which have the same user."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress

_PR_SET_DUMPABLE = 4
"""prctl(2)."""


def hide_process() -> None:
    """On Linux, makes /proc/PID/environ and the memory of this process unreadable for other processes of its user.

    Root can read them all the same. It also turns off core dumps, and debuggers that are not root's; programs that
    are started are not affected.
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
