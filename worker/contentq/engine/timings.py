"""All intervals and time limits of a worker, in seconds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Timings:
    """The intervals and time limits of one worker; every field is in seconds."""

    # Claims

    poll: float = 5.0
    """Interval between claims of an idle worker without a notification."""

    first_pause: float = 0.005
    """First pause after an empty claim when there may be more tasks at once. Each further one doubles it."""

    longest_pause: float = 0.32
    """Longest of these pauses."""

    deaf_rest: float = 0.1
    """Minimum pause of a worker limited by its gate, however often it is notified."""

    quick_handler: float = 0.01
    """Duration of handlers below which tasks are claimed ahead."""

    ahead_patience: float = 0.25
    """Longest wait for a slot of a task claimed ahead; then it is released."""

    ahead_pause: float = 10.0
    """Time without claiming ahead after a task on its last attempt had to wait."""

    flood_rest: float = 60.0
    """Time without LISTEN after a flood of notifications. Polling finds new tasks meanwhile."""

    # Handlers

    grace: float = 30.0
    """Time for running tasks to end after the first signal to stop."""

    deadline_margin: float = 0.02
    """Time after the deadline at which a handler is stopped, so that it has also passed in the database."""

    connection_warning: float = 5.0
    """Wait of a handler for a connection after which a warning is logged."""

    commit: float = 60.0
    """Time limit of the completion and commit of a handler's own transaction."""

    progress: float = 1.0
    """Shortest interval between two reports of progress."""

    # Connections

    call: float = 15.0
    """Time limit of one call. A longer call has probably lost its connection."""

    suspect_call: float = 4.0
    """Time limit of one call after another connection to the same database got no answer."""

    call_check: float = 1.0
    """Interval between checks of the connection during a call."""

    listening_check: float = 0.02
    """The same on a connection that listens. It also drops notifications, which may be many."""

    first_backoff: float = 0.1
    """Backoff after the first failure of a connection; it doubles with each further failure."""

    longest_backoff: float = 1.0
    """Longest backoff between attempts to connect. It is short, so that work continues soon after an outage."""

    outage_news: float = 10.0
    """Time into an outage after which further reasons for it are logged, each once."""

    set_aside: float = 5.0
    """First delay of a report that was set aside. It doubles with each repetition."""

    longest_set_aside: float = 60.0
    """Longest delay of such a report."""

    # Heartbeat

    heartbeat: float = 2.0
    """Interval between heartbeats. After 10 seconds without one, the worker's tasks are rescued."""

    heartbeat_timeout: float = 4.0
    """Time limit of a heartbeat; then the connection is closed."""

    maintenance_retry: float = 4.0
    """Delay of maintenance after a failure."""

    maintenance_margin: float = 0.25
    """Time after a deadline at which maintenance ends the task; async handlers are stopped before."""

    longest_idle: float = 0.5
    """Longest interval between checks in the heartbeat's thread."""

    blocked_warning: float = 1.0
    """Time without a sign of life of the event loop after which the blocking task is logged."""

    life_sign: float = 0.25
    """Interval between the event loop's signs of life."""

    log: float = 10.0
    """Shortest interval between two log lines with the worker's counts."""

    # The end

    release: float = 2.0
    """Time for cancelled handlers to end."""

    farewell: float = 5.0
    """Time limit of each of the last calls of a stopping worker: its last reports, its deregistration."""

    heartbeat_stop: float = 5.0
    """Time for the heartbeat's thread to end."""

    watchdog_release: float = 10.0
    """Time limit of the watchdog's release of tasks. The process ends even if it fails."""

    left_behind: float = 5.0
    """Time for threads and asyncio tasks of handlers to end after the worker."""

    @property
    def wind_up(self) -> float:
        """Time, in addition to the grace, in which a stopping worker ends if its event loop runs."""
        return self.release + 4 * self.farewell + 1.0
