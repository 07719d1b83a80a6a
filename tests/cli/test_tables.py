"""Tables fit the terminal, whatever they contain, and use its full width."""

from __future__ import annotations

import unicodedata

import pytest

from tests.cli.terminal import on_terminal
from tests.support.queue import Queue

CHINESE = "怎样在一个星期之内读懂一份很长很长的体检报告"

TABLES = [["list"], ["accounts", "list"], ["stats"], ["gates", "list"], ["budgets", "list"], ["top", "--once"]]


@pytest.fixture
def wide(queue: Queue) -> Queue:
    """Names and numbers of realistic maximum width."""
    account = queue.add_account(CHINESE * 8, monthly_budget=999999)
    queue.run("ALTER TABLE content_generation_tasks ALTER COLUMN id RESTART 900000000")
    queue.running(account_id=account, topic="t" * 500, progress=0.5, progress_note=CHINESE)
    queue.add(account_id=account, topic=CHINESE * 9, task_id="task-" + "f" * 32)
    gate = "https://" + "g" * 80
    queue.register(slots=2000, gate=gate)
    queue.set_gate(gate, requests_per_minute=90000, tokens_per_minute=10_000_000, max_running=100_000)
    queue.close_gate(gate, "infinity", "429 " * 50)
    queue.run(
        "INSERT INTO contentq.budgets (account_id, category, period, amount) "
        "VALUES (%s, repeat('c', 100), 'day', 9e6)",
        account,
    )
    queue.run("UPDATE accounts SET paused_until = 'infinity'")
    return queue


def width(line: str) -> int:
    """Number of terminal columns: two for a Chinese character."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in line)


@pytest.mark.usefixtures("wide")
@pytest.mark.parametrize("columns", [80, 120, 200])
@pytest.mark.parametrize("command", TABLES, ids=" ".join)
def test_table_fits(dsn: str, command: list[str], columns: int) -> None:
    code, shown = on_terminal(*command, columns=columns, DATABASE_URL=dsn)

    assert code == 0, shown
    assert max(map(width, shown.splitlines())) <= columns


def test_columns_of_less_use_are_omitted_before_names_cannot_be_read(dsn: str, queue: Queue) -> None:
    queue.set_gate("openrouter.example/anthropic/sonnet", requests_per_minute=90000, tokens_per_minute=10_000_000)
    queue.close_gate("openrouter.example/anthropic/sonnet", "infinity", "the provider is down until tomorrow")

    code, shown = on_terminal("gates", "list", columns=80, DATABASE_URL=dsn)

    assert code == 0, shown
    heading, row, omitted = shown.splitlines()
    assert "opens_at" not in heading
    assert "openrouter.e" in row
    assert "the provider" in row
    assert omitted.startswith("8 columns omitted")


def test_column_that_is_cut_may_be_omitted_too(dsn: str, queue: Queue) -> None:
    queue.add_account(CHINESE * 2, external_id="x" * 90)

    code, shown = on_terminal("accounts", "list", columns=40, DATABASE_URL=dsn)

    assert code == 0, shown
    assert "external_id" not in shown


def test_top_fits_when_no_gate_has_a_reason_and_a_name_is_long(dsn: str, queue: Queue) -> None:
    queue.register(gate="g" * 100)

    code, shown = on_terminal("top", "--once", columns=80, DATABASE_URL=dsn)

    assert code == 0, shown
    assert max(map(width, shown.splitlines())) <= 80
