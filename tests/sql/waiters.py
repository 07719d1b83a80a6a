"""Sessions that wait for tasks and batches in a test, and the tasks."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tests.support.queue import Held, Queue
from tests.support.waiting import eventually

HOLD = "SET CONSTRAINTS ALL IMMEDIATE"
"""Makes a transaction run now what it would run right before its commit, and leaves it open."""


END = "end of the test"


Connect = Callable[[], Queue]


class Waiter:
    """A session that waits for tasks or batches, as a client in any language does."""

    def __init__(self, session: Queue) -> None:
        self.session = session

    def ask(self, task: str | None = None, batch: str | None = None) -> str:
        """Calls wait_channel(); returns the channel."""
        return str(self.session.value("SELECT contentq.wait_channel(%s, %s)", task, batch))

    def wait(self, task: str | None = None, batch: str | None = None) -> str:
        """Starts to wait: calls, listens, calls again; returns the channel."""
        channel = self.ask(task, batch)
        self.session.run(f"LISTEN {channel}")
        assert self.ask(task, batch) == channel
        return channel

    def heard(self) -> list[str]:
        """The channels notified before this call, each once."""
        self.session.run("LISTEN until_here")
        self.session.run("SELECT pg_notify('until_here', '')")
        channels: list[str] = []
        for notification in self.session.connection.notifies(timeout=10):
            if notification.channel == "until_here":
                return sorted(set(channels))
            assert notification.payload == ""
            channels.append(notification.channel)
        raise AssertionError("the last notification did not come")


def end(queue: Queue, *tasks: Held) -> None:
    """Completes tasks."""
    assert len(queue.complete(tasks[0].worker, tasks)) == len(tasks)


def running_batch(queue: Queue, size: int, name: str = "spring", **columns: object) -> list[Held]:
    """Tasks of a batch, all held by one worker."""
    worker = queue.register(slots=size)
    ids = [queue.add(batch=name, **columns) for _ in range(size)]
    rows = queue.claim(worker, size)
    assert [row["id"] for row in rows] == ids
    return [Held(worker, row["id"], row["attempt"]) for row in rows]


def name_of(queue: Queue, task: int) -> str:
    return str(queue.row(task)["task_id"])


def asks_while(asking: Waiter, other: Queue, batch: str, what: Callable[[], None]) -> None:
    """Does something while a call of wait_channel() waits for it."""
    with ThreadPoolExecutor() as pool:
        call = pool.submit(asking.ask, batch=batch)
        pid = asking.session.connection.info.backend_pid
        eventually(
            lambda: other.value("SELECT wait_event FROM pg_stat_activity WHERE pid = %s", pid) == "PgSleep",
        )
        what()
        call.result(10)
