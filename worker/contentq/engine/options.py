"""The settings of a worker process."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass, field


@dataclass(frozen=True)
class WorkerOptions:
    """Options of a worker. The defaults are the fastest."""

    concurrency: int = 100
    """Slots: tasks that run at once."""

    categories: tuple[str, ...] | None = None
    """Categories to claim; None for all."""

    gate: str | None = None
    """Key of the gate of the provider that the handler calls, or None."""

    gates: tuple[str, ...] | None = None
    """Instead of gate: keys of several gates, of which each task enters one; None otherwise."""

    tells_gates: bool = True
    """Whether refusals are reported to gates. Otherwise each refusal only delays its own task."""

    until_empty: bool = False
    """Stop when no task waits and every claimed task has ended."""

    handler_connections: int = 1
    """Maximum number of connections that handlers may hold at once through their context."""

    hostname: str = field(default_factory=socket.gethostname)
    pid: int = field(default_factory=os.getpid)
