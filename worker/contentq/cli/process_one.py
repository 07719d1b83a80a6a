"""Runs contentq in a child when it is process 1 of a container, so that a parent can reap orphans.

Orphaned processes of handlers become children of process 1, which must reap them or they stay as zombies. A worker
cannot: it would take the exit statuses of the programs that its handlers wait for. The parent has the worker's
environment in its memory, and therefore hides itself from other processes of the user.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from types import FrameType

from contentq.handlers.commands.hiding import hide_process

FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


def leave_process_one() -> None:
    """As process 1, continues in a child; the parent forwards signals, reaps, and exits as the child does."""
    if os.getpid() != 1:
        return
    sys.stdout.flush()
    sys.stderr.flush()
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)  # so that Ctrl-C reaches it once, through its parent
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        return

    hide_process()

    def forward(number: int, _frame: FrameType | None) -> None:
        with suppress(ProcessLookupError):
            os.kill(child, number)

    for number in FORWARDED:
        signal.signal(number, forward)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    while True:
        ended, status = os.wait()
        if ended == child:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)
