"""report_progress() is cheap and fenced, and blocks nobody."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.queue import Held, Queue


def noted(queue: Queue, task: Held) -> tuple[float | None, str | None]:
    row = queue.row(task.id)
    return row["progress"], row["progress_note"]


def test_progress_is_noted_and_shown_beside_the_running_task(queue: Queue) -> None:
    task = queue.running()
    before = queue.row(task.id)

    queue.progress(task.worker, [task], [0.375], ["120 words"])

    after = queue.row(task.id)
    volatile = {name: after[name] for name in ("xmin", "ctid", "updated_at")}
    assert after == {**before, **volatile, "progress": 0.375, "progress_note": "120 words"}
    (shown,) = queue.rows("SELECT percent, note FROM contentq.running_tasks")
    assert (int(shown["percent"]), shown["note"]) == (38, "120 words")


@pytest.mark.parametrize(
    ("fraction", "kept"),
    [
        (0, 0),
        (1, 1),
        (-0.5, 0),
        (1.5, 1),
        (float("inf"), 1),
        (float("-inf"), 0),
        (None, 0.25),
        (float("nan"), 0.25),
    ],
)
def test_fraction_is_kept_within_0_and_1_and_what_is_none_changes_nothing(
    queue: Queue, fraction: float | None, kept: float
) -> None:
    task = queue.running()
    queue.progress(task.worker, [task], [0.25], ["Outline"])

    queue.progress(task.worker, [task], [fraction], [None])

    assert noted(queue, task) == (kept, "Outline")


def test_long_note_is_cut(queue: Queue) -> None:
    task = queue.running()

    queue.progress(task.worker, [task], [None], ["x" * 600])

    assert noted(queue, task) == (None, "x" * 500 + " ... (truncated from 600 characters)")


def test_notes_may_be_left_out(queue: Queue) -> None:
    task = queue.running()

    queue.run(
        "SELECT contentq.report_progress(%s, %s, %s, ARRAY[0.5]::real[])",
        *[task.worker, [task.id], [task.attempt]],
    )

    assert noted(queue, task) == (0.5, None)


@pytest.mark.parametrize("why", ["stale", "another's", "ended", "back"])
def test_progress_of_an_attempt_that_no_longer_holds_is_left_out(queue: Queue, why: str) -> None:
    task = queue.running()
    reporter = task.worker
    if why == "stale":
        queue.release(task.worker, [task])
        queue.claim(task.worker)
    elif why == "another's":
        reporter = queue.register()
    elif why == "ended":
        queue.complete(task.worker, [task])
    else:
        queue.release(task.worker, [task])
    before = queue.row(task.id)

    queue.progress(reporter, [task], [0.5], ["Late"])

    assert queue.row(task.id) == before


def test_row_that_another_holds_is_skipped_and_the_others_are_noted(
    queue: Queue, worker: int, connect_queue: Callable[[], Queue]
) -> None:
    for _ in range(2):
        queue.add()
    locked, free = [Held(worker, row["id"], row["attempt"]) for row in queue.claim(worker, 2)]
    other = connect_queue()
    with other.connection.transaction():
        other.run("SELECT FROM content_generation_tasks WHERE id = %s FOR UPDATE", locked.id)
        queue.run("SET lock_timeout = '1s'")

        queue.progress(worker, [locked, free], [0.5, 0.5], ["Half", "Half"])

    assert [noted(queue, task) for task in (locked, free)] == [(None, None), (0.5, "Half")]


def test_next_attempt_begins_anew(queue: Queue) -> None:
    task = queue.running()
    queue.progress(task.worker, [task], [0.5], ["Half"])
    queue.release(task.worker, [task])
    assert noted(queue, task) == (0.5, "Half")

    queue.claim(task.worker)

    assert noted(queue, task) == (None, None)


def test_progress_touches_no_index(queue: Queue) -> None:
    """The update stays on its page (HOT) if there is room, so vacuum has no work in the indexes."""
    task = queue.running()
    query = "SELECT pg_stat_get_xact_tuples_hot_updated('content_generation_tasks'::regclass)"
    with queue.connection.transaction():
        before = queue.value(query)
        for number in range(1, 11):
            queue.progress(task.worker, [task], [number / 10], [f"{number} of 10"])
        hot = queue.value(query) - before

    assert hot == 10
