"""One database, workers on it, and everything needed to judge them."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg

from tests.faults.auditor import FINAL, RECORD, Audit, read_journal
from tests.faults.fleet import WorkerProcess
from tests.support.queue import Queue
from tests.support.waiting import eventually

FULL = 0.8
"""Share of the rate before the fault that counts as recovered, on a noisy machine."""

WINDOW = 1.0
"""Seconds over which a rate is measured."""


class Scene:
    """Inserts tasks, starts workers, waits, and runs the auditor.

    dsn: leads directly to the database, even if a proxy stands between it and the workers.
    """

    def __init__(self, dsn: str, folder: Path, workers: list[WorkerProcess]) -> None:
        self.dsn = dsn
        self.folder = folder
        self.workers = workers
        self.suspects: set[int] = set()
        self.inserted: set[int] = set()
        self._queue: Queue | None = None
        self.queue.connection.execute(RECORD)
        self.queue.run("UPDATE contentq.settings SET backoff_base = '100 milliseconds'")
        self.account = self.queue.account

    @property
    def queue(self) -> Queue:
        """The queue, on a connection that is opened again after the server closed it."""
        if self._queue is not None:
            try:
                self._queue.connection.execute("SELECT")
            except psycopg.OperationalError:
                self._queue.connection.close()
                self._queue = None
        if self._queue is None:
            self._queue = Queue(psycopg.connect(self.dsn, autocommit=True))
        return self._queue

    def close(self) -> None:
        """Closes its own connection."""
        if self._queue is not None:
            self._queue.connection.close()

    def start(self, *options: str, dsn: str | None = None, **more: Any) -> WorkerProcess:
        """Starts a worker and returns when it is registered."""
        worker = WorkerProcess(dsn or self.dsn, self.folder, *options, **more)
        self.workers.append(worker)
        return worker.wait_until_registered()

    def insert(self, count: int = 1, plan: dict[str, Any] | None = None, **columns: Any) -> list[int]:
        """Inserts tasks whose handler follows this plan, and returns their ids."""
        columns = {"account_id": self.account, "requirements": json.dumps(plan or {}), **columns}
        names, places = ", ".join(columns), ", ".join(["%s"] * len(columns))
        insert = f"INSERT INTO content_generation_tasks ({names}) SELECT {places}"
        ids = self.queue.values(f"{insert} FROM generate_series(1, %s) RETURNING id", *columns.values(), count)
        self.inserted.update(ids)
        return ids

    def count(self, condition: str, *values: Any) -> int:
        """Number of tasks that fulfil an SQL condition."""
        return int(self.queue.value(f"SELECT count(*) FROM content_generation_tasks WHERE {condition}", *values))

    def now(self) -> datetime:
        """The database's clock."""
        moment = self.queue.value("SELECT clock_timestamp()")
        assert isinstance(moment, datetime)
        return moment

    def wait_until_all_have_ended(self, within: float = 30) -> None:
        """Waits until every task has a final status."""
        finals = ", ".join(f"'{status}'" for status in FINAL)
        eventually(lambda: self.count(f"status NOT IN ({finals})") == 0, within=within)

    def cancel_what_waits(self) -> None:
        """Cancels all pending tasks to shorten the run."""
        self.queue.run("SELECT contentq.cancel(task_id) FROM content_generation_tasks WHERE status = 'pending'")

    def events(self, kind: str) -> list[dict[str, Any]]:
        """Events of this kind in the handlers' journal."""
        return [event for event in read_journal(self.folder / "journal") if event["event"] == kind]

    def audit(self) -> list[str]:
        """Everything that contradicts a guarantee."""
        return Audit(self.dsn, self.folder / "journal", self.inserted, self.suspects).violations()

    def rate(self) -> float:
        """Completions per second, over the last two seconds."""
        return self.count("completed_at > clock_timestamp() - interval '2 seconds'") / 2

    def seconds_to_full_rate(self, since: datetime, rate: float, within: float) -> float:
        """Seconds from a moment until the rate of completions has recovered."""
        return eventually(lambda: self._full_rate_after(since, rate), within=within)

    def _full_rate_after(self, since: datetime, rate: float) -> float | None:
        """None until then."""
        query = (
            "SELECT extract(epoch FROM completed_at - %s)::float8 FROM content_generation_tasks "
            "WHERE completed_at >= %s ORDER BY completed_at"
        )
        with closing(psycopg.connect(self.dsn, autocommit=True)) as connection:
            ended = [row[0] for row in connection.execute(query, [since, since]).fetchall()]
        needed = max(1, round(FULL * rate * WINDOW))
        for first, last in zip(ended, ended[needed - 1 :], strict=False):
            if last - first <= WINDOW:
                return max(float(first), 0.001)
        return None


Break = Callable[[], None]
"""Breaks something and returns when the database is reachable again."""
