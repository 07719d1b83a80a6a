"""contentq top."""

from __future__ import annotations

import re
import signal
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import suppress

import psycopg
import pytest
from contentq.cli.top_screen import progress_bar, share_out, sparkline
from contentq.database.migrations import migrate
from contentq.queue import live

from tests.cli.conftest import Run
from tests.cli.terminal import Display, on_terminal
from tests.support.cluster import Cluster
from tests.support.plans import scans
from tests.support.programs import installed
from tests.support.queue import Queue
from tests.support.waiting import eventually

CHINESE = "怎样在一个星期之内读懂一份很长很长的体检报告"

Show = Callable[..., Display]


@pytest.fixture
def show() -> Iterator[Show]:
    """Starts contentq top on a terminal of this size."""
    started: list[Display] = []

    def start(dsn: str, *arguments: str, columns: int = 80, lines: int = 24) -> Display:
        started.append(
            Display("top", "--interval", "0.2", *arguments, columns=columns, lines=lines, DATABASE_URL=dsn)
        )
        return started[-1]

    yield start
    for display in started:
        display.close()


@pytest.fixture
def busy(queue: Queue) -> Queue:
    """Rows of every kind with maximum widths, and more of them than a screen holds."""
    queue.run("INSERT INTO accounts (name) SELECT repeat(%s, 5) FROM generate_series(1, 30)", CHINESE)
    worker = queue.value(
        "SELECT contentq.register_worker(repeat('h', 64), 4711, 2000, repeat('m', 90), version => '1.0')"
    )
    for _ in range(10):
        queue.register(gate="g" * 80)
    queue.close_gate("g" * 80, "infinity", "429 " * 50)
    for number in range(12):
        queue.set_gate(f"模型{number}", requests_per_minute=90000, max_running=100000)
    queue.run(
        "INSERT INTO content_generation_tasks (account_id, topic, status, worker_id, attempt, started_at, "
        "timeout_at, progress, progress_note) SELECT id, repeat(%s, 9), 'processing', %s, 1, "
        "now() - interval '30 hours', now() + interval '50 hours', 0.35, '210 words' FROM accounts",
        CHINESE,
        worker,
    )
    queue.run(
        "INSERT INTO content_generation_tasks (account_id, submitted_at) "
        "SELECT id, now() - interval '40 days' FROM accounts"
    )
    queue.run(
        "INSERT INTO content_generation_tasks (account_id, status, submitted_at, started_at, completed_at) "
        "SELECT min(id), 'completed', now() - interval '13 seconds', now() - interval '3 seconds', "
        "now() - interval '2 seconds' FROM accounts, generate_series(1, 600)"
    )
    return queue


def says(display: Display, pattern: str) -> bool:
    """Whether the screen shows this now."""
    return re.search(pattern, "\n".join(display.picture())) is not None


def width(line: str) -> int:
    """Number of terminal columns: two for a Chinese character."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in line)


def headings(lines: list[str]) -> list[str]:
    """The names of the displayed tables."""
    found = [re.match(r" *(account|running|worker|gate)\b", line) for line in lines]
    return [match[1] for match in found if match]


def test_empty_queue_says_that_no_worker_is_there(contentq: Run) -> None:
    outcome = contentq("top", "--once")

    assert (outcome.code, outcome.err) == (0, "")
    lines = [line.split() for line in outcome.out.splitlines()]
    assert lines[0][:2] == ["contentq", "top"]
    assert [line[:2] for line in lines[1:]] == [
        ["submitted", "0.0/s"],
        ["completed", "0.0/s"],
        ["pending", "0"],
        ["processing", "0"],
    ]
    assert "no live worker" in outcome.out


def test_rates_times_and_counts_are_of_the_last_minute(contentq: Run, queue: Queue) -> None:
    queue.run(
        "INSERT INTO content_generation_tasks (account_id, status, submitted_at, ready_at, started_at, "
        "completed_at) SELECT %s, 'completed', now() - interval '1 hour', now() - interval '7 seconds', "
        "now() - interval '5 seconds', now() - interval '2 seconds' FROM generate_series(1, 600)",
        queue.account,
    )
    queue.run(
        "INSERT INTO content_generation_tasks (account_id, status, started_at, completed_at, submitted_at) "
        "SELECT %s, 'completed', now() - interval '1 hour', now() - interval '2 minutes', "
        "now() - interval '2 hours' FROM generate_series(1, 500)",
        queue.account,
    )
    for number in range(3):
        queue.add(submitted_at="2020-01-01", priority=number + 1)
    queue.add(scheduled_at="2130-01-01", submitted_at="2019-01-01")
    queue.add(status="failed", error_message="x", submitted_at="2020-01-01")
    queue.register(slots=7)

    said = contentq("top", "--once").out

    assert re.search(r"submitted +0\.0/s", said)
    assert re.search(r"completed +10\.0/s .*█", said)
    assert re.search(r"waited p50 +2\.00s p95 +2\.00s", said)
    assert re.search(r"ran +p50 +3\.00s p95 +3\.00s", said)
    assert re.search(r"pending +4 +1 scheduled; oldest ready for \d{4}d", said)
    assert re.search(r"processing +0 +of 7 slots, 1 worker; failed 1, timeout 0", said)


def test_running_tasks_are_shown_with_their_progress(contentq: Run, queue: Queue) -> None:
    held = queue.running(task_id="a", topic="Tea")
    queue.set(held.id, progress=0.5, progress_note="300 words")

    _, _, running = contentq("top", "--once").out.partition("running  ")

    heading, row = running.splitlines()[:2]
    assert heading.split() == ["for", "progress", "worker", "topic"]
    assert row.split() == ["a", "00:00", "████░░░░", "50", "%", str(held.worker), "300", "words", "Tea"]


def test_closed_gate_and_waiting_worker_come_first(contentq: Run, queue: Queue) -> None:
    queue.set_gate("a", max_running=3)
    queue.register(gate="other")
    waits = queue.register(gate="closed")
    queue.close_gate("closed", "infinity", "quota used up")

    said = contentq("top", "--once").out

    workers, _, gates = said.partition("worker  ")[2].partition("gate    ")
    assert workers.splitlines()[1].split()[0] == str(waits)
    assert workers.splitlines()[1].split()[2] == "waits"
    assert re.search(r"^closed +closed +0 .*until infinity: quota…?", gates.splitlines()[1])


@pytest.mark.usefixtures("busy")
@pytest.mark.parametrize("columns", [80, 120, 200])
def test_picture_is_as_wide_as_the_terminal(dsn: str, columns: int) -> None:
    code, shown = on_terminal("top", "--once", columns=columns, DATABASE_URL=dsn)

    assert code == 0, shown
    assert headings(shown.splitlines()) == ["account", "running", "worker", "gate"]
    assert columns - 2 <= max(map(width, shown.splitlines())) <= columns
    assert ("█" * 8 in shown) is False
    assert "███░░░░░  35 %" in shown
    assert "account 20/30" in shown


@pytest.mark.usefixtures("busy")
def test_picture_in_a_pipe_is_aligned(contentq: Run) -> None:
    _, _, accounts = contentq("top", "--once").out.partition("account 20/30")
    heading, *rows = ("             " + accounts.splitlines()[0], *accounts.splitlines()[1:20])

    for row in rows:
        until = next(at for at in range(len(row)) if width(row[:at]) == heading.index("pending") + len("pending"))
        assert row[:until].endswith(" 1")
        assert row[until] == " "


@pytest.mark.usefixtures("busy")
def test_every_kind_gets_its_part_of_a_small_screen(dsn: str, show: Show) -> None:
    display = show(dsn)

    lines = eventually(display.picture)

    assert headings(lines) == ["account", "running", "worker", "gate"]
    assert [width(line) for line in lines] == [80] * 24
    for part in ("account 4/30", "running 4/30", "worker 4/11", "gate 3/13"):
        assert any(part in line for line in lines), lines
    display.press("q")
    assert display.end() == 0
    assert display.is_restored()


def test_display_follows_the_queue_and_the_size_of_the_terminal(dsn: str, queue: Queue, show: Show) -> None:
    display = show(dsn)
    eventually(lambda: says(display, r"pending +0 "))

    queue.add(topic="Tea")
    queue.add(status="failed", error_message="x")

    eventually(lambda: says(display, r"pending +1 "))
    eventually(lambda: says(display, r"failed 1 \(\+1\)"))
    display.resize(100, 10)
    eventually(lambda: [width(line) for line in display.picture()] == [100] * 10)
    display.process.send_signal(signal.SIGINT)
    assert display.end() == 0
    assert display.is_restored()


def test_sigterm_leaves_the_terminal_as_it_was(dsn: str, queue: Queue, show: Show) -> None:
    display = show(dsn)
    eventually(display.picture)

    display.process.send_signal(signal.SIGTERM)

    assert display.end() == 128 + signal.SIGTERM
    assert display.is_restored()


@pytest.mark.slow
def test_restart_of_the_database_is_said_and_outlived(show: Show) -> None:
    if not installed():
        pytest.skip("no PostgreSQL is installed here that could be restarted")
    with Cluster(next(iter(installed().values())).folder) as cluster:
        migrate(cluster.dsn())
        display = show(cluster.dsn())
        eventually(display.picture, within=30)

        cluster.stop()

        eventually(lambda: says(display, r"no figures for [1-9]\d* s, trying again: cannot connect"), within=30)
        cluster.start()
        with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
            Queue(connection).add(topic="Tea")
        eventually(lambda: says(display, r"pending +1 "), within=30)
        assert not says(display, "no figures")
        display.press("q")
        assert display.end() == 0


@pytest.mark.slow
def test_look_that_takes_too_long_is_said(
    dsn: str, queue: Queue, show: Show, connect: Callable[[], psycopg.Connection[tuple[object, ...]]]
) -> None:
    display = show(dsn)
    eventually(display.picture)
    with suppress(psycopg.Rollback), connect() as other, other.transaction():
        other.execute("LOCK TABLE content_generation_tasks")

        eventually(lambda: says(display, "another session has locked"))

    eventually(lambda: not says(display, "no figures"))


def test_json_has_the_figures_of_one_moment(contentq: Run, queue: Queue) -> None:
    queue.add(submitted_at=queue.value("SELECT now() - interval '5 seconds'"))

    found = contentq("top", "--json").json

    assert (found["pending"], sum(found["submitted"]), found["waited"]) == (1, 1, None)
    assert [(row["pending"], row["of_all"]) for row in found["accounts"]] == [(1, 1)]


def test_rates_and_times_read_no_more_than_the_last_minute(queue: Queue) -> None:
    queue.run(
        "INSERT INTO content_generation_tasks (account_id, status, submitted_at, started_at, completed_at) "
        "SELECT %s, 'completed', now() - n * interval '1 minute', now(), now() - n * interval '1 minute' "
        "FROM generate_series(2, 5000) AS n",
        queue.account,
    )
    queue.run("ANALYZE content_generation_tasks")
    for _ in range(3):
        queue.add()

    for statement in (live._FLOW, live._TIMES, live._STATE):
        read = scans(queue, statement)
        assert read.sequential == 0
        assert sum(read.entries.values()) <= 40


def test_without_a_terminal_it_names_the_way(contentq: Run) -> None:
    outcome = contentq("top")

    assert outcome.code == 2
    assert "--once" in outcome.err


def test_first_look_that_fails_is_an_error(contentq: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")

    outcome = contentq("top", "--once")

    assert outcome.code == 3
    assert "cannot connect" in outcome.error


@pytest.mark.parametrize(
    ("wanted", "lines", "shown"),
    [
        ([3, 5], 100, [3, 5]),
        ([3, 5], None, [3, 5]),
        ([30, 30, 2], 15, [5, 5, 2]),
        ([30, 1], 13, [10, 1]),
        ([4, 4], 2, [0, 0]),
        ([4, 4], 0, [0, 0]),
        ([], 9, []),
    ],
)
def test_lines_are_shared_out(wanted: list[int], lines: int | None, shown: list[int]) -> None:
    assert share_out(wanted, lines, len(wanted)) == shown


def test_sparkline_shows_what_is_not_nothing() -> None:
    assert sparkline([0, 0, 1, 0, 500, 500, 1000, 0], 4) == " ▁██"
    assert sparkline([0, 0, 1, 0, 500, 400, 1000, 0], 4, ascii_only=True) == " _##"
    assert sparkline([0] * 60, 30) == " " * 30


def test_progress_is_a_bar() -> None:
    assert [progress_bar(percent, False) for percent in (None, float("nan"), 0, 50, 100, 900)] == [
        None,
        None,
        "░░░░░░░░   0 %",
        "████░░░░  50 %",
        "████████ 100 %",
        "████████ 100 %",
    ]
