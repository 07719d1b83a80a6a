"""Ends a worker that cannot stop because a handler blocks the event loop.

A thread waits until the worker should have ended. Then it releases the worker's tasks over its own connection and
ends the process, so that no task waits for a rescue. Threads that handlers leave behind, for instance with
asyncio.to_thread(), do not keep the process of an ended worker either.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable

from contentq.database.database import Database
from contentq.engine.database_errors import one_line
from contentq.engine.timings import Timings
from contentq.errors import EXIT_RELEASED
from contentq.queue.contract import DEREGISTER

log = logging.getLogger("contentq.worker")


class Watchdog:
    """The watchdog. Call arm() when the worker starts to stop, and leave() when it has stopped."""

    def __init__(self, database: Database, worker_id: Callable[[], int | None], timings: Timings) -> None:
        self._database = database
        self._worker_id = worker_id
        self._timings = timings
        self._timer: threading.Timer | None = None
        self._lock = threading.RLock()
        self._exit_code: int | None = None

    def arm(self, seconds: float) -> None:
        """Sets the seconds until the worker should have ended. Another call replaces the time."""
        timer = threading.Timer(seconds, self._end_the_process)
        timer.daemon = True
        with self._lock:
            before, self._timer = self._timer, timer
        if before is not None:
            before.cancel()
        timer.start()

    def leave(self, exit_code: int) -> None:
        """The worker has ended. The process follows soon, even if handlers left threads behind."""
        self._exit_code = exit_code
        self.arm(self._timings.left_behind)

    def _end_the_process(self) -> None:
        if self._exit_code is not None:
            sys.stderr.flush()
            os._exit(self._exit_code)
        worker_id = self._worker_id()
        log.error("worker=%s cannot stop because a handler blocks it; releasing its tasks", worker_id)
        if worker_id is not None:
            releasing = threading.Thread(target=self._release, args=[worker_id], daemon=True)
            releasing.start()
            releasing.join(self._timings.watchdog_release)
        sys.stderr.flush()
        os._exit(EXIT_RELEASED)

    def _release(self, worker_id: int) -> None:
        try:
            with self._database.connect("contentq farewell") as connection:
                connection.execute(DEREGISTER, [worker_id])
        except Exception as error:
            log.error("tasks could not be released and will be rescued error=%s", one_line(error))
