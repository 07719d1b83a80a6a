"""Commands that read the queue work for every possible row."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cli.conftest import Run
from tests.support.queue import Queue

LAST = "294276-12-31 23:59:59.999999+00"
FIRST = "4713-11-24 00:00:00+00 BC"

ERRORS = """[
    {"attempt": null, "at": {}, "worker_id": [], "error_class": 1, "message": null},
    {"message": {"a": [1e400]}}
]"""


def strict(text: str) -> Any:
    """Reads JSON as other languages do: NaN and Infinity are invalid."""

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.fixture
def nasty(queue: Queue) -> list[str]:
    """Rows with the strangest accepted values; the task_ids."""
    account = queue.add_account("\x1b[2J\n", paused_until="infinity", monthly_budget="1e300")
    queue.add_account("rich", monthly_budget="Infinity", external_id="")
    queue.run("UPDATE accounts SET created_at = 'infinity'")
    content = queue.value(
        "INSERT INTO contents (account_id, title, body, word_count, created_at) "
        "VALUES (%s, '', '', 2147483647, '-infinity') RETURNING id",
        account,
    )
    queue.close_gate("g", "infinity", "")
    queue.run("INSERT INTO contentq.gates (key, opens_at, closed_at) VALUES ('far', %s, %s)", LAST, FIRST)
    worker = queue.register(slots=2_147_483_647, gate="g")
    queue.run("UPDATE contentq.workers SET started_at = %s, heartbeat_at = %s", FIRST, LAST)
    queue.run(
        "INSERT INTO contentq.usage (account_id, day, model, attempts, prompt_tokens, completion_tokens, cost) "
        "VALUES (%s, now(), '', 9223372036854775807, 9223372036854775807, 0, 1e400)",
        account,
    )
    for status in ("pending", "processing", "completed", "failed", "timeout"):
        for first, last in ((FIRST, LAST), (LAST, FIRST)):
            queue.add(
                account_id=account,
                content_id=content,
                status=status,
                submitted_at=first,
                started_at=last,
                completed_at=last,
                timeout_at="infinity",
                scheduled_at=last,
                created_at=first,
                updated_at=last,
                worker_id=worker,
                topic="",
                result='{"cost": 1e400, "prompt_tokens": "x", "model": {}}',
                attempt_errors=ERRORS,
                progress=1e-40,
                attempt=2_147_483_647,
                retry_count=2_147_483_647,
            )
    return queue.values("SELECT task_id FROM content_generation_tasks ORDER BY id")


def test_looking_at_the_whole_queue(contentq: Run, nasty: list[str]) -> None:
    assert nasty
    for command in (("stats",), ("list",)):
        shown = contentq(*command)
        assert (shown.code, shown.err) == (0, ""), (command, shown)
        strict(contentq(*command, "--json").out)
    shown = contentq("top", "--once")
    assert (shown.code, shown.err) == (0, ""), shown
    strict(contentq("top", "--json").out)


@pytest.mark.slow
def test_looking_at_each_task(contentq: Run, nasty: list[str]) -> None:
    for task_id in nasty:
        for command in (("show",), ("show", "--content"), ("explain",)):
            shown = contentq(*command, task_id)
            assert (shown.code, shown.err) == (0, ""), (command, shown)
        strict(contentq("show", "--json", "--content", task_id).out)
