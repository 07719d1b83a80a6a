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

    gates: tuple[str, ...] | None = None
    """In place of gate: keys of the gates of which each task enters one; None when there are not several."""

    tells_gates: bool = True
    """Whether gates hear of refusals; without it, each puts off its own task, and nothing else."""

    until_empty: bool = False
    """Stop when nothing waits any more and all that was claimed has ended."""

    handler_connections: int = 1
    """Most connections that handlers may hold at once through their context."""

    hostname: str = field(default_factory=socket.gethostname)
    pid: int = field(default_factory=os.getpid)
