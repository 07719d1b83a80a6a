"""The settings of a worker process."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass, field


@dataclass(frozen=True)
class WorkerOptions:
    """What can be set about a worker; the defaults are the fast ones."""

    concurrency: int = 100
    """Slots: tasks that run at once."""

    categories: tuple[str, ...] | None = None
    """Claim only tasks of these categories; None for all."""

    gate: str | None = None
    """Key of the gate of the provider that the handler calls; None for none."""

    closes_gates: bool = True
    """Whether a handler's RateLimited(gate=…) closes that gate; without it, only its own task is put off."""

    until_empty: bool = False
    """Stop when nothing waits any more and all that was claimed has ended."""

    grace: float = 30.0
    """Seconds that running tasks get to end after the first signal to stop."""

    poll: float = 5.0
    """Seconds between claims of an idle worker that nothing has woken."""

    listen_dsn: str | None = None
    """DSN for the connection that listens and beats the heart, when the main one leads through a pooler."""

    listen: bool = True
    """Whether to LISTEN; without it, only polling finds new tasks."""

    handler_connections: int = 1
    """Most connections that handlers may hold at once through their context."""

    @property
    def is_direct(self) -> bool:
        """Whether the DSN leads to the server itself: through a pooler no worker could listen on it."""
        return self.listen and self.listen_dsn is None

    hostname: str = field(default_factory=socket.gethostname)
    pid: int = field(default_factory=os.getpid)
