"""For a worker that was told to stop and cannot, because a handler never gives the event loop back.

A thread waits until the worker should have ended. If it has not, the thread releases the worker's tasks over a
connection of its own and ends the process: no task has to wait for a rescue. Nor do threads that handlers have
left behind, for instance with asyncio.to_thread(), keep the process of a worker that has ended.
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
    """Arm it when the worker is told to stop; tell it when the worker has stopped."""

    def __init__(self, database: Database, worker_id: Callable[[], int | None], timings: Timings) -> None:
        self._database = database
        self._worker_id = worker_id
        self._timings = timings
        self._timer: threading.Timer | None = None
        self._lock = threading.RLock()
        self._exit_code: int | None = None

    def arm(self, seconds: float) -> None:
        """The worker should have ended in so many seconds; called again, the new time holds."""
        timer = threading.Timer(seconds, self._end_the_process)
        timer.daemon = True
        with self._lock:
            before, self._timer = self._timer, timer
        if before is not None:
            before.cancel()
        timer.start()

    def leave(self, exit_code: int) -> None:
        """The worker has ended by itself; what handlers have left behind does not keep the process for long."""
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
