"""Progress that handlers report, and the resulting row."""

from __future__ import annotations

import asyncio
import threading
import time
from itertools import pairwise
from typing import Any

import pytest
from contentq import Context, Task, ThreadContext
from contentq.engine.progress import NOTE_LENGTH, ProgressNotes
from contentq.engine.timings import Timings
from contentq.queue import contract
from contentq.queue.outcomes import Held

from tests.engine.conftest import Database, Insert, Row, StartWorker
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow


class Written:
    """Counts the statements that write progress, with the time and the number of attempts of each."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.at: list[float] = []
        self.sizes: list[int] = []
        report = contract.report_progress

        async def counted(connection: Any, worker_id: int, notes: Any) -> None:
            self.at.append(time.monotonic())
            self.sizes.append(len(notes))
            await report(connection, worker_id, notes)

        monkeypatch.setattr(contract, "report_progress", counted)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Written:
    return Written(monkeypatch)


class Talker:
    """A handler that reports progress and ends as the test commands."""

    def __init__(self) -> None:
        self.said: asyncio.Queue[tuple[Any, Any] | None] = asyncio.Queue()

    async def __call__(self, _task: Task, context: Context) -> None:
        while (each := await self.said.get()) is not None:
            context.progress(*each)


def tell(worker: Any, talker: Talker, *said: tuple[Any, Any] | None) -> None:
    for each in said:
        worker._loop.call_soon_threadsafe(talker.said.put_nowait, each)


def test_last_value_wins_and_it_is_written_once_a_second(
    start_worker: StartWorker, insert: Insert, row: Row, written: Written
) -> None:
    ended_at = 0.0

    async def handler(_task: Task, context: Context) -> None:
        nonlocal ended_at
        until = time.monotonic() + 3.3
        while (left := until - time.monotonic()) > 0:
            context.progress(1 - left / 3.3, f"{left} left")
            await asyncio.sleep(0.001)
        context.progress(0.5, "nearly")
        await asyncio.sleep(1.5)
        ended_at = time.monotonic()

    start_worker(handler)
    id_ = insert()

    eventually(lambda: row(id_).progress_note == "nearly", within=15)
    assert row(id_).progress == 0.5
    eventually(lambda: row(id_).status == "completed")
    assert 3 <= len(written.at) <= 5
    apart = [later - earlier for earlier, later in pairwise(written.at)]
    assert min(apart) >= Timings().progress * 0.7  # one write may be late and the next one on time


def test_progress_of_a_plain_function_is_written_too(start_worker: StartWorker, insert: Insert, row: Row) -> None:
    go = threading.Event()

    def handler(_task: Task, context: ThreadContext) -> None:
        context.progress(0.25, "reading")
        threads = [threading.Thread(target=context.progress, args=[0.5, "writing"]) for _ in range(3)]
        for thread in threads:
            thread.start()
        assert go.wait(30)

    start_worker(handler)
    id_ = insert()

    eventually(lambda: (row(id_).progress, row(id_).progress_note) == (0.5, "writing"))
    go.set()
    eventually(lambda: row(id_).status == "completed")
    assert (row(id_).progress, row(id_).progress_note) == (0.5, "writing")


def test_what_is_left_out_stays_as_it_was(start_worker: StartWorker, insert: Insert, row: Row) -> None:
    talker = Talker()
    worker = start_worker(talker)
    id_ = insert()

    tell(worker, talker, (0.25, None), (None, "outline"))
    eventually(lambda: (row(id_).progress, row(id_).progress_note) == (0.25, "outline"))
    tell(worker, talker, (0.5, None))
    eventually(lambda: (row(id_).progress, row(id_).progress_note) == (0.5, "outline"))
    tell(worker, talker, (None, "draft"))
    eventually(lambda: (row(id_).progress, row(id_).progress_note) == (0.5, "draft"))
    tell(worker, talker, None)


class Unspeakable:
    def __str__(self) -> str:
        raise RuntimeError("no words")

    def __float__(self) -> float:
        raise RuntimeError("no number")


GARBAGE: Any = [float("nan"), "much", b"x", [], {}, 1j, object(), Unspeakable()]


@pytest.mark.parametrize(
    ("fraction", "kept"),
    [(-3, 0.0), (7, 1.0), (float("inf"), 1.0), (True, 1.0), ("0.75", 0.75), *((each, None) for each in GARBAGE)],
)
def test_fraction_is_brought_between_0_and_1_and_garbage_is_left_out(fraction: Any, kept: float | None) -> None:
    async def main() -> None:
        notes = ProgressNotes(lambda: None, 1.0)
        notes.note(Held(1, 1, 1, "t"), fraction, None)
        assert [note.fraction for note in notes.take()] == [kept]

    asyncio.run(main())


def test_huge_number_is_left_out(start_worker: StartWorker, insert: Insert, row: Row) -> None:
    talker = Talker()
    worker = start_worker(talker)
    id_ = insert()
    tell(worker, talker, (0.25, "first"))
    eventually(lambda: row(id_).progress == 0.25)

    tell(worker, talker, (10**400, "a\x00b \ud800 中文 " + "x" * 1000))

    eventually(lambda: (row(id_).progress_note or "").startswith(r"a\x00b \ud800 中文 xxx"))
    assert row(id_).progress == 0.25
    assert len(row(id_).progress_note) == NOTE_LENGTH
    tell(worker, talker, None, None)
    eventually(lambda: row(id_).status == "completed")


def test_notes_of_any_kind_can_be_stored() -> None:
    async def main() -> None:
        notes = ProgressNotes(lambda: None, 1.0)
        said: list[Any] = [3, b"bytes", Unspeakable(), ["a"], ""]
        for number, each in enumerate(said):
            notes.note(Held(1, number, 1, "t"), None, each)
        kept = {note.held.id: note.note for note in notes.take()}
        assert (kept[0], kept[1], kept[3], kept[4]) == ("3", "b'bytes'", "['a']", "")
        assert "RuntimeError" in (kept[2] or "")

    asyncio.run(main())


def test_after_the_end_nothing_is_written(
    start_worker: StartWorker, insert: Insert, row: Row, written: Written
) -> None:
    kept: list[Context] = []

    async def handler(_task: Task, context: Context) -> None:
        kept.append(context)
        context.progress(0.5, "too late")

    worker = start_worker(handler)
    id_ = insert()
    eventually(lambda: row(id_).status == "completed")

    worker._loop.call_soon_threadsafe(kept[0].progress, 0.75, "even later")

    eventually(lambda: len(written.at) == 1)
    worker.stop()
    worker.ending()
    assert (row(id_).progress, row(id_).progress_note) == (None, None)
    kept[0].progress(0.9, "the worker has ended")


def test_progress_of_an_attempt_is_not_taken_for_that_of_the_next(
    start_worker: StartWorker, insert: Insert, row: Row, database: Database, written: Written
) -> None:
    contexts: list[ThreadContext] = []
    go = threading.Event()

    def handler(_task: Task, context: ThreadContext) -> None:
        contexts.append(context)
        go.wait(30)

    worker = start_worker(handler)
    id_ = insert()
    eventually(lambda: len(contexts) == 1)
    # An operator's update of a task that seems lost.
    database.execute("SELECT contentq.release(worker_id, ARRAY[id], ARRAY[attempt]) FROM content_generation_tasks")
    eventually(lambda: len(contexts) == 2)

    contexts[0].progress(0.1, "the first")

    eventually(lambda: len(written.at) == 1)
    worker._loop.call_soon_threadsafe(contexts[1].progress, 0.2)
    eventually(lambda: row(id_).progress == pytest.approx(0.2))
    assert row(id_).progress_note is None
    go.set()


def test_progress_of_a_thread_that_was_left_behind_does_not_fail() -> None:
    async def make() -> ProgressNotes:
        return ProgressNotes(lambda: None, 1.0)

    notes = asyncio.run(make())

    notes.note(Held(1, 1, 1, "t"), 0.5, "the loop is closed")


def test_row_that_someone_has_locked_holds_up_nothing(
    start_worker: StartWorker, insert: Insert, row: Row, connect: Any
) -> None:
    talker = Talker()
    worker = start_worker(talker)
    id_ = insert()
    eventually(lambda: row(id_).status == "processing")
    other = connect()
    with other.transaction():
        other.execute("SELECT FROM content_generation_tasks WHERE id = %s FOR UPDATE", [id_])
        tell(worker, talker, (0.25, "lost"))
        eventually(lambda: not worker.worker._reporter.notes._is_scheduled)
    tell(worker, talker, (0.5, None))
    eventually(lambda: row(id_).progress == 0.5)
    tell(worker, talker, None)


def test_thousand_handlers_that_never_stop_talking_cost_a_statement_a_second(
    start_worker: StartWorker, database: Database, account: int, written: Written
) -> None:
    handlers, calls = 1000, 200
    spent = 0.0

    async def handler(_task: Task, context: Context) -> None:
        nonlocal spent
        for part in range(10):
            began = time.thread_time()
            for call in range(calls // 10):
                context.progress((part * 10 + call) / calls, "writing, and saying so again and again")
            spent += time.thread_time() - began
            await asyncio.sleep(0.2)

    database.execute(
        "INSERT INTO content_generation_tasks (account_id, topic) SELECT %s, 't' FROM generate_series(1, %s)",
        [account, handlers],
    )
    began = time.monotonic()
    start_worker(handler, concurrency=handlers)
    done = "SELECT count(*) FROM content_generation_tasks WHERE status = 'completed'"
    eventually(lambda: database.execute(done).fetchone() == (handlers,), within=60)

    took = time.monotonic() - began
    assert len(written.at) <= took + 1
    assert max(written.sizes) > 500  # everything that had changed, in one write
    assert spent / (handlers * calls) < 20e-6
