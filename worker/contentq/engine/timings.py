"""All intervals and time limits of a worker, in seconds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Timings:
    """The intervals and time limits of one worker; every field is in seconds."""

    # Claims

    poll: float = 5.0
    """Interval between claims of an idle worker that nothing has woken."""

    first_pause: float = 0.005
    """First pause after a claim that was in vain, when there may be more at once; each further one doubles it."""

    longest_pause: float = 0.32
    """Longest of these pauses."""

    deaf_rest: float = 0.1
    """Shortest rest of a worker that its gate keeps from claiming more, however often it is notified."""

    quick_handler: float = 0.01
    """Duration below which handlers are quick: then tasks are claimed ahead."""

    ahead_patience: float = 0.25
    """Longest wait of a task that was claimed ahead for a slot; after it, the task is given back."""

    ahead_pause: float = 10.0
    """Time without claiming ahead after a task on its last attempt would have had to wait."""

    flood_rest: float = 60.0
    """Time without listening after a flood of notifications; meanwhile new tasks are found by polling."""

    # Handlers

    grace: float = 30.0
    """Time that running tasks get to end after the first signal to stop."""

    deadline_margin: float = 0.02
    """Time past its deadline at which a handler is stopped, so that the database agrees that it has passed."""

    connection_warning: float = 5.0
    """Wait of a handler for a connection after which a warning is logged."""

    commit: float = 60.0
    """Time limit of the completion and commit of a handler's own transaction."""

    progress: float = 1.0
    """Shortest interval between two reports of progress."""

    # Connections

    call: float = 15.0
    """Time limit of one call; a call that takes longer has most likely lost its peer."""

    suspect_call: float = 4.0
    """Time limit of one call while another connection to the same database is known to have lost its peer."""

    call_check: float = 1.0
    """Interval between checks of the connection of a call under way."""

    listening_check: float = 0.02
    """The same on a connection that listens: its notifications are dropped then, which may be many."""

    first_backoff: float = 0.1
    """Backoff after the first failure of a connection; it doubles with each further failure."""

    longest_backoff: float = 1.0
    """Longest backoff between attempts to connect: a database that is back should be used at once."""

    outage_news: float = 10.0
    """Time into an outage after which further reasons for it are logged, each once."""

    set_aside: float = 5.0
    """Time after which a report is repeated that would have held up others; it doubles with each repetition."""

    longest_set_aside: float = 60.0
    """Longest time until such a report is repeated."""

    # Heartbeat

    heartbeat: float = 2.0
    """Interval between heartbeats; after 10 seconds of silence the worker's tasks are rescued."""

    heartbeat_timeout: float = 4.0
    """Time limit of a heartbeat; after it, the connection is given up."""

    maintenance_retry: float = 4.0
    """Time after which maintenance is tried again when it failed."""

    maintenance_margin: float = 0.25
    """Time past a task's deadline at which maintenance ends it; async handlers are stopped before."""

    longest_idle: float = 0.5
    """Longest wait of the heartbeat's thread between checks of what is due."""

    blocked_warning: float = 1.0
    """Silence of the event loop after which the task that blocks it is logged."""

    life_sign: float = 0.25
    """Interval between the event loop's signs of life to the heartbeat."""

    log: float = 10.0
    """Shortest interval between two lines of the log that count what was done."""

    # The end

    release: float = 2.0
    """Time that cancelled handlers get to end."""

    farewell: float = 5.0
    """Time limit of each of the last calls of a stopping worker: its last reports, deregistering."""

    heartbeat_stop: float = 5.0
    """Time that the heartbeat's thread gets to end."""

    watchdog_release: float = 10.0
    """Time limit of the watchdog's release of tasks; the process ends with or without it."""

    left_behind: float = 5.0
    """Time that threads and tasks of handlers get to end after the worker itself has ended."""

    @property
    def wind_up(self) -> float:
        """Time, beside the grace, in which a worker that was told to stop has ended, if its event loop runs."""
        return self.release + 4 * self.farewell + 1.0
