"""Workers of the handler openai-batch are killed at the worst moments: nothing is lost, sent or stored twice."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from contentq.handlers.openai_batch import tending

from tests.handlers.batches import StartBatches, add, are_sent, full_at, provider, queue, start, statuses
from tests.support.forked import CONTENTQ
from tests.support.provider_batches import BatchProvider, Refused
from tests.support.queue import Queue
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow

__all__ = ["provider", "queue", "start"]

StartProgram = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def program(dsn: str, provider: BatchProvider, tmp_path: Path) -> Iterator[StartProgram]:
    """Starts workers as separate programs."""
    del provider  # the environment leads to it
    started: list[subprocess.Popen[bytes]] = []
    file = tmp_path / "openai.toml"

    def begin(settings: str, *options: str) -> subprocess.Popen[bytes]:
        if not file.exists():  # a worker that starts meanwhile would read half of the file
            file.write_text(settings)
        with (tmp_path / f"log-{len(started)}").open("wb") as log:
            process = CONTENTQ.start(
                *("--dsn", dsn, "worker", "--handler", "openai-batch", "--settings", str(file), *options),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.wait()


def bury(queue: Queue) -> None:
    """Makes the database consider the killed worker dead now instead of after 10 seconds."""
    queue.run("UPDATE contentq.workers SET heartbeat_at = clock_timestamp() - interval '1 minute'")
    queue.run("SELECT contentq.rescue_dead_workers()")


def check_all_is_done_once(queue: Queue, provider: BatchProvider, ids: list[int]) -> None:
    assert statuses(queue) == {"completed": len(ids)}
    assert set(provider.sent.values()) == set(provider.done.values()) == {1}
    assert len(provider.done) == len(ids)
    stored = queue.values("SELECT content_id FROM content_generation_tasks")
    assert len(set(stored)) == len(ids) == queue.value("SELECT count(*) FROM contents")
    titles = queue.values("SELECT title FROM contents")
    assert sorted(titles) == sorted(f"On topic-{n}" for n in range(len(ids)))


MOMENTS = {
    "before the upload": ("before", "upload"),
    "after the upload": ("after", "upload"),
    "before the batch is made": ("before", "create"),
    "once it is made": ("after", "create"),
    "as it is looked at": ("before", "retrieve"),
    "before it is collected": ("before", "content"),
}


@pytest.mark.parametrize(
    ("when", "call"),
    [pytest.param(*moment, id=name) for name, moment in MOMENTS.items()],
)
def test_worker_that_is_killed_leaves_its_batch_to_another(
    provider: BatchProvider, queue: Queue, program: StartProgram, when: str, call: str
) -> None:
    ids = add(queue, 12)
    hooks = provider.before if when == "before" else provider.after
    killed = threading.Event()

    def kill() -> None:
        hooks.pop(call)
        first.kill()
        first.wait()
        killed.set()
        raise Refused(0, "")

    hooks[call] = kill
    provider.at_once = True
    first = program(full_at(12))
    assert killed.wait(20)
    bury(queue)

    program(full_at(12))

    eventually(lambda: statuses(queue) == {"completed": 12}, within=30)
    check_all_is_done_once(queue, provider, ids)
    if call != "content":  # no task was running
        assert set(queue.values("SELECT retry_count FROM content_generation_tasks")) == {0}


def test_worker_that_is_killed_while_it_collects_leaves_the_other_answers_to_another(
    provider: BatchProvider, queue: Queue, program: StartProgram, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tending, "ANSWERS", 2)  # also in the program, which starts as a fork
    ids = add(queue, 12)
    killed = threading.Event()

    def kill() -> None:
        provider.half_way = None
        eventually(
            lambda: queue.value("SELECT count(*) FROM contentq.batch_requests WHERE answered_at > '-infinity'")
        )
        first.kill()
        first.wait()
        killed.set()

    provider.half_way = kill
    provider.at_once = True
    first = program(full_at(12))
    assert killed.wait(20)
    assert 2 <= queue.value("SELECT count(answered_at) FROM contentq.batch_requests") < 12
    bury(queue)

    program(full_at(12))

    eventually(lambda: statuses(queue) == {"completed": 12}, within=30)
    check_all_is_done_once(queue, provider, ids)
    assert len(provider.batches) == 1


def test_worker_that_wakes_up_after_another_has_taken_its_batch_over_sends_nothing(
    provider: BatchProvider, queue: Queue, start: StartBatches
) -> None:
    ids = add(queue, 5)
    asleep, wake_up = threading.Event(), threading.Event()

    def sleep() -> None:
        provider.before.pop("create")
        asleep.set()
        assert wake_up.wait(30)

    provider.before["create"] = sleep
    start(full_at(5))
    assert asleep.wait(10)
    queue.run("UPDATE contentq.provider_batches SET tended_until = now() - interval '1 second'")
    start(full_at(5))
    eventually(lambda: are_sent(queue))

    wake_up.set()

    eventually(lambda: provider.calls["create"] == 2)
    provider.complete()
    eventually(lambda: statuses(queue) == {"completed": 5})
    check_all_is_done_once(queue, provider, ids)
    assert provider.calls["delete"] == 1


def test_two_workers_send_and_collect_everything_once(
    provider: BatchProvider, queue: Queue, start: StartBatches
) -> None:
    provider.at_once = True
    settings = full_at(7, 0.2)
    start(settings)
    start(settings)

    ids = add(queue, 60)

    eventually(lambda: statuses(queue) == {"completed": 60}, within=30)
    check_all_is_done_once(queue, provider, ids)
