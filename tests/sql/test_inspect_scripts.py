"""The scripts of sql/inspect show what they promise in psql, on a terminal and in a pipe."""

from __future__ import annotations

import os
import re
import subprocess
import unicodedata
from collections.abc import Callable
from datetime import timedelta

import pytest
from contentq.database.locations import SQL

from tests.cli.terminal import program_on_terminal
from tests.support.programs import client
from tests.support.queue import Queue

SCRIPTS = sorted(file.name for file in (SQL / "inspect").glob("*.sql"))
TASK = "it's task-7"
"""The task that why.sql explains."""
LONG = "Provider error: the model is overloaded at the moment, please try again after a little while. " * 20
CHINESE = "怎样在一个星期之内读懂一份很长很长的体检报告，以及读懂之后应当做些什么和不做什么？"

Show = Callable[[str], str]


@pytest.fixture
def show(dsn: str) -> Show:
    """Runs one of the scripts as its comment describes; returns its output."""

    def run(script: str) -> str:
        done = subprocess.run(
            [
                *[str(client("psql")), "-X", "-v", "ON_ERROR_STOP=1", "-v", f"task={TASK}", dsn],
                *["-f", str(SQL / "inspect" / script)],
            ],
            env={**os.environ, "PGCLIENTENCODING": "UTF8", "LC_ALL": "C"},
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    return run


@pytest.fixture
def full(queue: Queue) -> Queue:
    """A queue with rows of every status, with texts and numbers of realistic maximum width."""
    queue.run("ALTER TABLE accounts ALTER COLUMN id RESTART 99990")
    queue.run("ALTER TABLE content_generation_tasks ALTER COLUMN id RESTART 9000000")
    queue.run("ALTER TABLE contentq.workers ALTER COLUMN id SET DEFAULT 1000000000000 + (random() * 1e9)::bigint")
    queue.run("INSERT INTO accounts (name) VALUES (%s), (%s)", CHINESE * 2, LONG[:200])
    worker = queue.value(
        "SELECT contentq.register_worker(%s, 4194304, 1000, %s, version => '1.0')", "host.example." * 9, LONG
    )
    queue.run("UPDATE contentq.workers SET started_at = '2001-01-01' WHERE id = %s", worker)
    now = queue.value("SELECT clock_timestamp()")
    long_ago, soon = now - timedelta(hours=30), now + timedelta(minutes=50)
    for account in queue.values("SELECT id FROM accounts"):
        for topic in (LONG[:500], CHINESE * 10, "Two\nlines\tand\x01", None):
            task = {"account_id": account, "topic": topic, "submitted_at": long_ago}
            queue.add(**task, priority=10)
            queue.add(**task, scheduled_at="2999-01-01", retry_count=3)
            queue.add(
                **task, status="processing", started_at=long_ago, worker_id=worker, attempt=999, timeout_at=soon
            )
            queue.add(**task, status="completed", started_at=long_ago, completed_at=now)
            for status, error in (("failed", LONG), ("timeout", CHINESE * 10), ("failed", "Two\nlines of it")):
                queue.add(**task, status=status, completed_at=now, error_message=error, attempt=999)
    queue.add(task_id=TASK, account_id=99990, priority=1, submitted_at=now)
    queue.run("UPDATE contentq.workers SET gate = %s", LONG[:60])
    for key, reason in ((LONG[:60], LONG), ("模型", CHINESE), ("*", None)):
        queue.close_gate(key, "infinity", reason)
    queue.close_gate("open")
    queue.open_gate("open")
    queue.run("UPDATE accounts SET monthly_budget = 0.5, paused_until = 'infinity' WHERE id = 99990")
    usage = '{"model": "%s", "prompt_tokens": 99999999999, "completion_tokens": 9999999999, "cost": 99999}'
    for model in (LONG[:90], CHINESE):
        queue.charge({9000000: usage % model, 9000030: '{"cost": 0.00004, "model": "small"}'})
    return queue


def cut(text: str, length: int) -> str:
    """A longer text as views show it, with a marked end."""
    return f"{text[: length - 3]}..."


def width(line: str) -> int:
    """Number of terminal columns: two for a Chinese character."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in line)


def tables(printed: str) -> list[list[list[str]]]:
    """The rows of each table as cells; the first row is the heading."""
    found: list[list[list[str]]] = [[]]
    for line in printed.splitlines():
        if line.startswith("("):
            found.append([])
        elif " | " in line:
            found[-1].append([cell.strip() for cell in line.split(" | ")])
    return found[:-1]


@pytest.mark.parametrize("script", SCRIPTS)
def test_script_of_an_empty_queue_runs(queue: Queue, show: Show, script: str) -> None:
    assert "(0 rows)" in show(script)


@pytest.mark.parametrize("script", [script for script in SCRIPTS if script != "why.sql"])
def test_each_row_takes_one_line_in_a_pipe(full: Queue, show: Show, script: str) -> None:
    printed = show(script)

    counted = [int(count) for count in re.findall(r"^\((\d+) rows?\)$", printed, re.MULTILINE)]
    assert [len(table) - 1 for table in tables(printed)] == counted


@pytest.mark.parametrize("columns", [80, 150])
@pytest.mark.parametrize("script", SCRIPTS)
def test_what_is_wider_than_the_terminal_is_wrapped(full: Queue, dsn: str, script: str, columns: int) -> None:
    full.run("UPDATE content_generation_tasks SET id = id + 2000000000, started_at = '2001-01-01'")
    full.run("UPDATE content_generation_tasks SET task_id = repeat('x', 90) || id, submitted_at = '2001-01-01'")
    full.run("UPDATE contentq.workers SET slots = 2000000000")
    command = [str(client("psql")), "-X", "-P", "pager=off", "-v", f"task={TASK}", dsn]

    code, shown = program_on_terminal(
        [*command, "-f", str(SQL / "inspect" / script)], columns, PGCLIENTENCODING="UTF8"
    )

    widths = [width(line) for line in shown.splitlines()]
    assert code == 0
    assert max(widths) <= columns
    assert columns == 80 or script in ("throughput.sql", "why.sql") or max(widths) > 80


def test_backlog_shows_each_status_each_account_and_what_is_claimed_next(full: Queue, show: Show) -> None:
    by_status, by_account, next_ = tables(show("backlog.sql"))

    assert [row[:4] for row in by_status] == [
        ["status", "tasks", "scheduled", "retried"],
        ["pending", "17", "8", "8"],
        ["processing", "8", "0", "0"],
        ["completed", "8", "0", "0"],
        ["failed", "16", "0", "0"],
        ["timeout", "8", "0", "0"],
    ]
    assert [row[1:5] for row in by_account] == [
        ["name", "pending", "scheduled", "processing"],
        [cut(CHINESE * 2, 30), "9", "4", "4"],
        [cut(LONG, 30), "8", "4", "4"],
    ]
    assert all(row[5].startswith("1 day 06:00:") for row in by_account[1:])
    ready = full.values(
        "SELECT id::text FROM content_generation_tasks WHERE priority = 10 AND account_id = 99991 ORDER BY id"
    )
    assert [row[0] for row in next_] == ["id", *ready]
    assert [row[4] for row in next_[:5]] == [
        "topic",
        cut(LONG, 40),
        cut(CHINESE * 10, 40),
        "Two lines and\\x01",
        "",
    ]


def test_failures_show_the_same_errors_together_and_the_latest_first(full: Queue, show: Show) -> None:
    latest = full.add(status="failed", error_message="The very latest", attempt=1)

    by_error, tasks = tables(show("failures.sql"))

    assert sorted([row[0], row[1], row[3]] for row in by_error[1:4]) == [
        ["failed", "8", cut(LONG, 60)],
        ["failed", "8", "Two lines of it"],
        ["timeout", "8", cut(CHINESE * 10, 60)],
    ]
    assert [[row[0], row[1], row[3]] for row in by_error[4:]] == [["failed", "1", "The very latest"]]
    assert tasks[1] == [full.row(latest)["task_id"], "1", "The very latest"]
    assert [row[2] for row in tasks[2:5]] == ["Two lines of it", cut(CHINESE * 10, 60), cut(LONG, 60)]
    assert len(tasks) == 21
    assert full.value("SELECT contentq.requeue(%s)", tasks[20][0]) == "pending"


def test_running_tasks_are_shown_longest_first(full: Queue, show: Show) -> None:
    by_hand = full.add(status="processing", started_at="2001-01-01", topic="By hand")

    ((heading, first, second, *others),) = tables(show("running.sql"))

    assert heading == ["id", "att", "running", "time_left", "worker", "topic"]
    assert [first[0], first[1], *first[3:]] == [str(by_hand), "0", "", "", "By hand"]
    assert [second[1], second[4]] == ["999", str(full.value("SELECT id FROM contentq.workers"))]
    assert second[2].startswith("1 day 06:00:")
    assert second[3].startswith("00:49:")
    assert [row[5] for row in [second, *others]] == [
        cut(LONG, 40),
        cut(CHINESE * 10, 40),
        "Two lines and\\x01",
        "",
    ] * 2


def test_throughput_is_shown_by_minute_latest_first(queue: Queue, show: Show) -> None:
    minute = queue.value("SELECT date_trunc('minute', clock_timestamp()) - interval '2 minutes'")
    for completed_at in (minute, minute - timedelta(minutes=10), minute):
        started_at = completed_at - timedelta(seconds=5)
        submitted_at = started_at - timedelta(seconds=40)
        queue.add(status="completed", submitted_at=submitted_at, started_at=started_at, completed_at=completed_at)

    ((heading, *rows),) = tables(show("throughput.sql"))

    assert heading == ["minute", "completed", "per_second", "wait_s", "run_s"]
    assert [row[1:] for row in rows] == [["2", "0.0", "40.00", "5.00"], ["1", "0.0", "40.00", "5.00"]]
    assert rows[0][0] == queue.value("SELECT to_char(%s::timestamptz, 'HH24:MI')", minute)


def test_workers_are_shown_with_state_and_slots_in_use(full: Queue, show: Show) -> None:
    busy = full.value("SELECT id FROM contentq.workers")
    idle = full.register(10)
    full.silence(idle)

    (heading, *rows), (_, *waiting) = tables(show("workers.sql"))

    assert heading == ["id", "hostname", "pid", "state", "slots", "heard", "handler"]
    assert rows[0][:5] == [str(busy), "host.example." * 9, "4194304", "waits", "8/1000"]
    assert rows[1][:5] == [str(idle), "host", "4711", "silent", "0/10"]
    assert float(rows[1][5]) >= 60
    assert [row[6] for row in rows] == [cut(LONG, 30), "template"]
    assert [row[0] for row in waiting] == [str(busy)]
    assert waiting[0][1].startswith("gate *: closed, until someone opens it")


def test_gates_and_accounts_that_are_paused_are_shown(full: Queue, show: Show) -> None:
    full.set_gate("set", requests_per_minute=90, max_running=4)

    gates, limits, accounts = tables(show("gates.sql"))

    assert gates == [
        ["gate", "closed_until", "workers", "reason"],
        ["*", "infinity", "1", ""],
        [LONG[:60].strip(), "infinity", "1", cut(LONG, 60)],
        ["模型", "infinity", "0", CHINESE],
    ]
    assert limits == [
        ["gate", "state", "pace", "tokens_a_minute", "running", "refused", "unanswered"],
        ["set", "open", "1.50 set", "", "0/4 set", "0", "0"],
    ]
    assert accounts == [
        ["id", "name", "why", "until", "pending"],
        ["99990", cut(CHINESE * 2, 30), "paused, budget", "infinity", "9"],
    ]


def test_usage_is_shown_by_account_model_and_day(full: Queue, show: Show) -> None:
    by_account, by_model, by_day = tables(show("usage.sql"))

    assert by_account[1:] == [
        ["99990", cut(CHINESE * 2, 30), "2", "219999999996", "199998.0000", "0.5", "used up"],
        ["99991", cut(LONG, 30), "2", "0", "0.0001", "", ""],
    ]
    assert [row[0] for row in by_model[1:]] == [LONG[:90].strip(), CHINESE, "small"]
    assert [row[1:] for row in by_day[1:]] == [["4", "199999999998", "19999999998", "199998.0001", "2"]]


def test_reasons_of_a_task_are_shown_before_the_task(full: Queue, show: Show) -> None:
    printed = show("why.sql")

    reasons, _, task = printed.partition(" rows)\n")
    words = " ".join(reasons.replace(".\n", "").split())
    assert "account 99990 is paused until someone resumes it" in words
    assert "waits: gate *: closed, until someone opens it" in words
    assert [[cell.strip() for cell in row[1:4]] for row in tables(task)[-1]] == [
        ["status", "prio", "att"],
        ["pending", "1", "0"],
    ]


def test_why_without_a_task_says_how_it_is_named(dsn: str) -> None:
    script = str(SQL / "inspect" / "why.sql")
    command = [str(client("psql")), "-X", "-v", "ON_ERROR_STOP=1", dsn, "-f", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert (done.stdout, done.stderr) == (
        'No task given. Run: psql "$DATABASE_URL" -v task=task-... -f sql/inspect/why.sql\n',
        "",
    )


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_find_the_tables_whatever_the_search_path(dsn: str, show: Show, script: str, queue: Queue) -> None:
    queue.run(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %%I SET search_path = pg_catalog', current_database()); END $$"
    )

    show(script)


def test_task_that_there_is_not_has_a_reason_too(queue: Queue, show: Show) -> None:
    assert f"there is no task {TASK}" in show("why.sql")
