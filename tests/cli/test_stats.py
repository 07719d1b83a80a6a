"""contentq stats."""

from __future__ import annotations

from typing import Any

import pytest
from contentq.queue.reading import read_rows

from tests.cli.conftest import Run
from tests.cli.terminal import on_terminal
from tests.support.queue import Queue

STATUSES = ["pending", "processing", "completed", "failed", "timeout"]


HEADINGS = {
    "gate_status": "closed gates",
    "paused_accounts": "accounts on hold",
    "usage_by_account": "this month by account",
    "usage_by_model": "this month by model",
}


@pytest.fixture
def filled(queue: Queue) -> Queue:
    """A queue with rows in every part, with names of maximum length."""
    account = queue.value("INSERT INTO accounts (name) VALUES (repeat('x', 200)) RETURNING id")
    queue.value(
        "SELECT contentq.register_worker(%s, 4000000, 100000, %s, version => '10.20.30')", "h" * 64, "m" * 90
    )
    queue.running()
    for number in range(3):
        queue.add(account_id=account, priority=number + 1, submitted_at="2020-01-01")
    queue.add(account_id=account, scheduled_at="2130-01-01")
    queue.run(
        "INSERT INTO content_generation_tasks (account_id, status, submitted_at, started_at, completed_at) "
        "SELECT %s, 'completed', now() - interval '3 seconds', now() - interval '2 seconds', now() "
        "FROM generate_series(1, 120)",
        account,
    )
    return queue


def test_empty_queue_says_that_nothing_is_there(contentq: Run) -> None:
    outcome = contentq("stats")

    assert (outcome.code, outcome.err) == (0, "")
    blocks = outcome.out.split("\n\n")
    assert blocks[0].splitlines()[0] == "tasks"
    assert [line.split()[:2] for line in blocks[0].splitlines()[2:]] == [[status, "0"] for status in STATUSES]
    assert blocks[1:] == ["backlog by account: none", "workers: none", "completed by minute: none\n"]


def test_json_of_an_empty_queue_has_every_part(contentq: Run) -> None:
    found = contentq("stats", "--json").json

    assert [row["status"] for row in found.pop("queue_overview")] == STATUSES
    assert {*found} == {"backlog_by_account", "worker_status", "throughput", *HEADINGS}
    assert not any(found.values())


@pytest.mark.usefixtures("filled")
def test_filled_queue_is_counted(contentq: Run) -> None:
    blocks = [block.splitlines() for block in contentq("stats").out.split("\n\n")]

    assert [block[0] for block in blocks] == ["tasks", "backlog by account", "workers", "completed by minute"]
    assert [line.split()[:3] for line in blocks[0][2:4]] == [["pending", "4", "1"], ["processing", "1", "0"]]
    assert blocks[1][2].split()[1:6] == ["x" * 27 + "...", "4", "1", "0", "5"]
    assert blocks[2][2].split()[1:4] == ["h" * 64, "4000000", "idle"]
    assert len(blocks[2]) == 4


def test_all_parts_are_of_one_moment(contentq: Run, queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = queue.register()
    queue.add()
    claimed: list[object] = []

    def read_and_let_a_worker_claim(*arguments: Any) -> Any:
        rows = read_rows(*arguments)
        claimed.extend(queue.claim(worker))
        return rows

    monkeypatch.setattr("contentq.queue.inspection.read_rows", read_and_let_a_worker_claim)

    found = contentq("stats", "--json").json

    assert len(claimed) == 1
    assert [row["tasks"] for row in found["queue_overview"]] == [1, 0, 0, 0, 0]
    assert [(row["pending"], row["processing"]) for row in found["backlog_by_account"]] == [(1, 0)]
    assert [(row["state"], row["busy"]) for row in found["worker_status"]] == [("idle", 0)]


@pytest.mark.usefixtures("filled")
def test_json_has_numbers_and_seconds(contentq: Run) -> None:
    found = contentq("stats", "--json").json

    pending = found["queue_overview"][0]
    assert (pending["tasks"], pending["scheduled"]) == (4, 1)
    assert pending["oldest_age"] > 365 * 24 * 3600
    assert {row["pending"] for row in found["backlog_by_account"]} == {0, 4}
    assert [row["slots"] for row in found["worker_status"]] == [100_000, 10]
    assert sum(row["completed"] for row in found["throughput"]) == 120
    assert [(row["per_second"], row["wait_s"], row["run_s"]) for row in found["throughput"]] == [(2.0, 1.0, 2.0)]


@pytest.mark.usefixtures("filled")
def test_eighty_columns_are_enough_for_what_matters(dsn: str) -> None:
    code, shown = on_terminal("stats", columns=80, DATABASE_URL=dsn)

    assert code == 0, shown
    assert max(map(len, shown.splitlines())) <= 80
    for number in ("pending", "100000", "4000000", "10.20.30", "2.00"):
        assert number in shown


@pytest.fixture
def spending(filled: Queue) -> Queue:
    """Also gates, pauses and usage, with texts of maximum length."""
    filled.register(gate="g" * 80)
    filled.close_gate("g" * 80, "infinity", "429 " * 100)
    filled.close_gate("open")
    filled.open_gate("open")
    filled.run("UPDATE accounts SET paused_until = 'infinity' WHERE name <> 'Ada'")
    task = filled.value("SELECT min(id) FROM content_generation_tasks")
    filled.register()
    filled.charge(
        {
            task: '{"model": "%s", "prompt_tokens": 123456789, "completion_tokens": 1234567, "cost": 1234.5}'
            % ("m" * 80)
        },
    )
    filled.run("UPDATE accounts SET monthly_budget = 1000 WHERE name = 'Ada'")
    return filled


@pytest.mark.usefixtures("spending")
def test_gates_pauses_and_usage_are_shown_when_there_are_any(contentq: Run) -> None:
    blocks = [block.splitlines() for block in contentq("stats").out.split("\n\n")]

    by_heading = {block[0]: [line.split() for line in block[1:]] for block in blocks}
    assert [*by_heading][1:3] == ["closed gates", "accounts on hold"]
    assert [*by_heading][-2:] == ["this month by account", "this month by model"]
    (gate,) = by_heading["closed gates"][1:]
    assert gate[:4] == ["g" * 80, "infinity", "1", "429"]
    assert [row[1:4] for row in by_heading["accounts on hold"][1:]] == [
        ["x" * 27 + "...", "paused", "infinity"],
        ["Ada", "budget", "used"],
    ]
    assert [row[1:] for row in by_heading["this month by account"][1:]] == [
        ["Ada", "1", "123456789", "1234567", "1234.500000", "1000", "123.5"]
    ]
    assert [row[1:] for row in by_heading["this month by model"][1:]] == [
        ["1", "123456789", "1234567", "1234.500000", "1234.500000"]
    ]


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("heading", HEADINGS.values())
def test_nothing_is_said_of_what_there_is_not(contentq: Run, heading: str) -> None:
    assert heading not in contentq("stats").out


def test_json_has_gates_pauses_and_usage_with_all_their_columns(contentq: Run, spending: Queue) -> None:
    found = contentq("stats", "--json").json

    for view in HEADINGS:
        columns = spending.values(
            "SELECT column_name::text FROM information_schema.columns WHERE table_name = %s", view
        )
        assert {*found[view][0]} == {*columns}
    assert [(row["key"][0], row["state"]) for row in found["gate_status"]] == [("g", "closed"), ("o", "open")]
    assert [row["used_up"] for row in found["usage_by_account"]] == [True]


@pytest.mark.usefixtures("spending")
def test_eighty_columns_are_enough_for_gates_and_usage_too(dsn: str) -> None:
    code, shown = on_terminal("stats", columns=80, DATABASE_URL=dsn)

    assert code == 0, shown
    assert max(map(len, shown.splitlines())) <= 80
    for number in ("infinity", "123456789", "1234567", "1234.50", "123.5"):
        assert number in shown
