"""Guards against forks in handlers.

The child is a copy of the whole worker, with the same connections and the same id. If it returns from the handler,
it must not continue as a second worker. Children that do not return, such as those of subprocess and
multiprocessing, are not touched, but the signals that stop the worker must stop them too.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Collection
from weakref import WeakSet

log = logging.getLogger("contentq.worker")

EXIT_FORKED = 70
"""Exit code of a child that returned from its handler (EX_SOFTWARE of sysexits.h)."""

_loops: WeakSet[asyncio.AbstractEventLoop] = WeakSet()
_signals: set[signal.Signals] = set()
_mask = threading.local()


def handle_only_here(signals: Collection[signal.Signals]) -> None:
    """Makes forked children use the default handlers of these signals."""
    _signals.clear()
    _signals.update(signals)


def end_children_of(loop: asyncio.AbstractEventLoop) -> None:
    """Makes a forked child end as soon as it continues this event loop."""
    _loops.add(loop)


def end_if_forked(pid: int) -> None:
    """Ends this process at once, without any clean-up, unless it is the one with this id."""
    if os.getpid() != pid:
        log.error(
            "handler forked and its child process returned: ending the child pid=%d parent=%d", os.getpid(), pid
        )
        os._exit(EXIT_FORKED)


def _before_fork() -> None:
    # A signal that comes before the child handles it by default would be lost.
    _mask.before = signal.pthread_sigmask(signal.SIG_BLOCK, _signals)


def _after_fork_in_parent() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _mask.before)


def _after_fork_in_child() -> None:
    if _signals:
        signal.set_wakeup_fd(-1)
    for number in _signals:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, _mask.before)
    for loop in _loops:
        if not loop.is_closed():
            loop.call_soon(end_if_forked, os.getppid())


os.register_at_fork(
    before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child
)
