"""contentq wait, contentq submit --wait, contentq batches, contentq stats --since."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.cli.terminal import on_terminal
from tests.support.queue import Queue
from tests.support.waiting import eventually


@pytest.fixture
def beside() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


def add_ended(queue: Queue, *statuses: str, batch: str = "spring") -> list[str]:
    """Tasks that have ended this way; the task_ids."""
    ids = [
        queue.add(batch=batch, status=status, started_at="2026-01-01", completed_at="2026-01-01")
        for status in statuses
    ]
    return [str(queue.row(id_)["task_id"]) for id_ in ids]


def test_exit_code_says_how_tasks_ended(contentq: Run, queue: Queue) -> None:
    done, failed, late = add_ended(queue, "completed", "failed", "timeout")

    outcome = contentq("wait", done)
    assert (outcome.code, outcome.out, outcome.err) == (0, "1 task: 1 completed\n", "")
    outcome = contentq("wait", done, failed, late)
    assert (outcome.code, outcome.out, outcome.err) == (1, "3 tasks: 1 completed, 1 failed, 1 timeout\n", "")
    outcome = contentq("wait", "--batch", "spring", "--json")
    assert (outcome.code, outcome.err) == (1, "")
    assert json.loads(outcome.out) == {"completed": 1, "failed": 1, "timeout": 1}


def test_exit_code_says_that_the_time_was_up(contentq: Run, queue: Queue) -> None:
    add_ended(queue, "completed")
    queue.add(batch="spring")

    outcome = contentq("wait", "--batch", "spring", "--timeout", "0.1")

    assert (outcome.code, outcome.error) == (8, "batch spring: 1 of 2 have not ended in time")


@pytest.mark.parametrize("arguments", [[], ["one", "--batch", "spring"]])
def test_tasks_or_a_batch_must_be_named(contentq: Run, arguments: list[str]) -> None:
    outcome = contentq("wait", *arguments)

    assert outcome.code == 2
    assert "give either task ids or --batch NAME" in outcome.err


@pytest.mark.usefixtures("queue")
@pytest.mark.parametrize(("arguments", "what"), [(["one"], "task one"), (["--batch", "spring"], "batch spring")])
def test_what_does_not_exist_is_said(contentq: Run, arguments: list[str], what: str) -> None:
    outcome = contentq("wait", *arguments)

    assert (outcome.code, outcome.error) == (1, f"there is no {what}")


def test_program_waits_until_they_end(program: Run, queue: Queue, beside: ThreadPoolExecutor) -> None:
    task = queue.running(batch="spring")
    waiting = beside.submit(program, "wait", "--batch", "spring")
    eventually(lambda: queue.value("SELECT count(*) FROM contentq.awaited") == 1, within=30)

    queue.complete(task.worker, [task])

    outcome = waiting.result(20)
    assert (outcome.code, outcome.out, outcome.err) == (0, "1 task: 1 completed\n", "")


@pytest.mark.parametrize("several", [False, True])
def test_submit_waits_for_what_it_has_submitted(
    contentq: Run, queue: Queue, beside: ThreadPoolExecutor, tmp_path: Path, several: bool
) -> None:
    account = str(queue.account)
    tasks = tmp_path / "tasks.csv"
    tasks.write_text("topic\nA\nB\n")
    arguments = [str(tasks), "--batch", "spring"] if several else ["--topic", "A", "--task-id", "post-1"]
    submitting = beside.submit(contentq, "submit", "--account", account, *arguments, "--wait")
    eventually(lambda: queue.value("SELECT count(*) FROM contentq.awaited") == 1, within=30)
    assert not submitting.done()

    queue.run("UPDATE content_generation_tasks SET status = 'failed'")

    outcome = submitting.result(20)
    assert (outcome.code, outcome.err) == (1, "")
    assert outcome.out == (
        "2 tasks submitted, batch spring\n2 tasks: 2 failed\n" if several else "post-1\n1 task: 1 failed\n"
    )


def test_batches_are_shown_latest_first(contentq: Run, queue: Queue) -> None:
    add_ended(queue, "completed", "completed", "failed", batch="spring")
    queue.run(
        "UPDATE content_generation_tasks SET submitted_at = '2026-01-01', result = '{\"cost\": 0.25}' "
        "WHERE status = 'completed'"
    )
    queue.add(batch="spring", submitted_at="2026-01-01")
    add_ended(queue, "completed", batch="summer")
    queue.add()

    head, first, second = [line.split() for line in contentq("batches").out.splitlines()]

    assert head == ["batch", "tasks", "done", "left", "failed", "cost", "expected", "end"]
    assert first == ["summer", "1", "100", "%", "0", "0", "-", "-"]
    assert second[:7] == ["spring", "4", "75", "%", "1", "1", "0.500000"]
    assert [row["batch"] for row in contentq("batches", "--limit", "1", "--json").json] == ["summer"]
    assert [row["tasks"] for row in contentq("batches", "spring", "--json").json] == [4]
    assert (
        contentq("batches", "spring", "winter").error
        == "no such batch: winter; list batches with: contentq batches"
    )


@pytest.mark.usefixtures("queue")
def test_no_batches(contentq: Run) -> None:
    assert contentq("batches").out == "no batches\n"
    assert contentq("batches", "--json").json == []


def test_stats_since_are_percentiles_of_waiting_and_running(contentq: Run, queue: Queue) -> None:
    queue.run(
        "INSERT INTO content_generation_tasks "
        "(account_id, category, status, submitted_at, started_at, completed_at) "
        "SELECT %s, 'category ' || n, 'completed', now() - interval '1 hour', now() - interval '40 seconds', "
        "now() - interval '10 seconds' FROM generate_series(1, 25) AS n",
        queue.account,
    )

    outcome = contentq("stats", "--since", "1h")

    blocks = [block.splitlines() for block in outcome.out.split("\n\n")]
    assert [block[0] for block in blocks] == ["all", "account", "category", "priority"]
    waits = ["3560.000"] * 3
    assert blocks[0][2].split() == ["-", "25", *waits, *["30.000"] * 3]
    assert blocks[1][2].split() == [str(queue.account), "25", *waits, *["30.000"] * 3]
    assert len(blocks[2]) == 2 + 20
    assert outcome.err == "and 5 more\n"
    found = contentq("stats", "--since", "1h", "--json").json
    assert {kind: len(rows) for kind, rows in found.items()} == {
        "all": 1,
        "account": 1,
        "category": 25,
        "priority": 1,
    }


@pytest.mark.usefixtures("queue")
def test_stats_since_of_nothing(contentq: Run) -> None:
    assert (
        contentq("stats", "--since", "5m").out
        == "all: none\n\naccount: none\n\ncategory: none\n\npriority: none\n"
    )


@pytest.mark.slow
def test_tables_fit_the_terminal(queue: Queue, dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", dsn)
    queue.run(
        "INSERT INTO content_generation_tasks "
        "(account_id, category, batch, status, submitted_at, started_at, completed_at, result) "
        "SELECT %s, repeat('c', 100), repeat('b', 100), 'completed', now() - interval '11 hours', "
        "now() - interval '5 minutes', now(), '{\"cost\": 1}' FROM generate_series(1, 12000)",
        queue.account,
    )
    queue.add(batch="b" * 100)

    for command in (["batches"], ["stats", "--since", "1h"]):
        _, shown = on_terminal(*command, columns=80)
        assert max(map(len, shown.splitlines())) <= 80, shown
