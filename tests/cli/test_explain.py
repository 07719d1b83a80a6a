"""contentq explain."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Run
from tests.cli.terminal import on_terminal
from tests.cli.test_tasks import STEERING
from tests.support.queue import Queue


def test_each_reason_is_a_line(contentq: Run, queue: Queue) -> None:
    queue.add(task_id="post-7")
    queue.close_gate("*", "infinity", "Maintenance")

    outcome = contentq("explain", "post-7")

    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.splitlines() == [
        "there is no live worker: start one with contentq worker",
        "every worker waits: gate *: closed, until someone opens it: SELECT contentq.open_gate('*'); "
        "reason: Maintenance",
    ]


def test_json_has_status_and_reasons(contentq: Run, queue: Queue) -> None:
    queue.add(task_id="post-7")

    assert contentq("explain", "post-7", "--json").json == {
        "task_id": "post-7",
        "status": "pending",
        "reasons": ["there is no live worker: start one with contentq worker"],
    }


def test_unknown_task_ends_with_1(contentq: Run) -> None:
    outcome = contentq("explain", "post-8")

    assert outcome.code == 1
    assert outcome.error == "there is no task post-8; find it with: contentq list"


@pytest.mark.parametrize("command", [["explain"], ["show"], ["show", "--json"], ["show", "--follow"]])
def test_id_in_place_of_a_task_id_is_recognised(contentq: Run, queue: Queue, command: list[str]) -> None:
    id_ = queue.add(task_id="post-7")

    outcome = contentq(*command, str(id_))
    assert (outcome.code, outcome.error) == (
        1,
        f"there is no task {id_}, but {id_} is an id; its task_id is post-7",
    )
    for unknown in ("4711", "9" * 18, "9" * 19, "9" * 5000, "-7", "7.0"):
        assert (
            contentq(*command, "--", unknown).error == f"there is no task {unknown}; find it with: contentq list"
        )


def test_task_whose_task_id_is_a_number_is_found_by_it(contentq: Run, queue: Queue) -> None:
    id_ = queue.add(task_id="post-7")
    queue.add(task_id=str(id_))

    assert contentq("explain", str(id_), "--json").json["task_id"] == str(id_)


def test_error_of_a_task_does_not_steer_the_terminal(dsn: str, queue: Queue) -> None:
    queue.add(task_id="post-7", status="failed", error_message=STEERING)

    code, shown = on_terminal("explain", "post-7", DATABASE_URL=dsn)

    assert code == 0, shown
    assert not {"\x07", "\x9b", "\r", "\x1b"} & {*shown}
    assert r"reason: \x1b[31m\x07\x9b2J" in shown
