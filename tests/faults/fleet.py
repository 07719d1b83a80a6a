"""Worker processes that the suite starts, kills, freezes and stops by process id."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

from tests.support.waiting import eventually


class WorkerProcess:
    """One `contentq worker` that logs to a file."""

    def __init__(
        self,
        dsn: str,
        folder: Path,
        *options: str,
        handler: str = "tests.faults.handlers:act",
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.log_file = folder / f"worker-{len(list(folder.glob('worker-*')))}.log"
        environment = {
            **os.environ,
            **environment,
            "PYTHONPATH": os.pathsep.join(filter(None, (os.getcwd(), os.environ.get("PYTHONPATH")))),
            "FAULTS_JOURNAL": str(folder / "journal"),
            "PYTHONFAULTHANDLER": "1",
        }
        with self.log_file.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "contentq", "--dsn", dsn, "worker", "--handler", handler, *options],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    def log(self) -> str:
        """Its log so far."""
        return self.log_file.read_text(errors="replace")

    def wait_until_registered(self) -> WorkerProcess:
        """Waits until its log reports its registration."""
        eventually(lambda: "registered worker=" in self.log(), within=30)
        return self

    def send(self, number: signal.Signals) -> None:
        """Sends it a signal."""
        self.process.send_signal(number)

    def thaw(self) -> None:
        """Continues it after SIGSTOP, if it still exists."""
        if self.alive:
            self.send(signal.SIGCONT)

    def kill(self) -> None:
        """Kills it, as the kernel does when memory runs out."""
        self.process.kill()
        self.process.wait(10)

    def end(self, within: float = 30) -> int:
        """Waits until it ends, and returns its exit code."""
        return self.process.wait(within)

    @property
    def alive(self) -> bool:
        return self.process.poll() is None


@contextmanager
def fleet() -> Iterator[list[WorkerProcess]]:
    """A list for the workers of a test; those still running at the end are killed."""
    workers: list[WorkerProcess] = []
    try:
        yield workers
    finally:
        for worker in workers:
            if worker.alive:
                worker.send(signal.SIGCONT)
                worker.kill()
