"""contentq list and contentq show."""

from __future__ import annotations

import json
import re
import time
from datetime import timedelta

import pytest

from tests.cli.conftest import Run
from tests.cli.terminal import on_terminal
from tests.support.queue import Queue

STEERING = "\x1b[31m\x07\x9b2J\rred"
"""Sequences that would colour, ring, clear the screen and overwrite the line."""


def _listed(contentq: Run, *arguments: str) -> list[str]:
    return [task["task_id"] for task in contentq("list", "--json", *arguments).json]


@pytest.fixture
def drafted(queue: Queue) -> str:
    """A completed task with content, after an attempt that failed; its task_id."""
    held = queue.running(task_id="post-7", topic="A\nB", tone="dry")
    queue.fail(held, "the provider answered 503\nlater", error_class="TemporaryError")
    queue.set(held.id, scheduled_at=None)
    worker = queue.register()
    again = queue.claim(worker)[0]
    content = queue.value(
        "INSERT INTO contents (account_id, title, body, word_count, review_status) "
        "VALUES (%s, 'The title', E'One\\ntwo', 2, 'approved') RETURNING id",
        queue.account,
    )
    queue.set(
        again["id"],
        status="completed",
        completed_at=again["started_at"],
        content_id=content,
        result='{"cost":  1.10, "cost": 12345678901234567890.5}',
    )
    return "post-7"


def test_tasks_are_listed_newest_first(contentq: Run, queue: Queue) -> None:
    for number in range(1, 4):
        queue.add(task_id=f"post-{number}", topic=f"Topic {number}", priority=number)

    outcome = contentq("list")

    assert (outcome.code, outcome.err) == (0, "")
    heading, *lines = outcome.out.splitlines()
    assert heading.split() == ["id", "task_id", "status", "prio", "age", "topic"]
    assert [line.split()[1:4] for line in lines] == [[f"post-{n}", "pending", f"{n}"] for n in (3, 2, 1)]
    assert lines[0].endswith("  Topic 3")


def test_list_can_be_narrowed_to_a_status_and_an_account(contentq: Run, queue: Queue) -> None:
    other = queue.value("INSERT INTO accounts (name) VALUES ('Grace') RETURNING id")
    queue.add(task_id="done", status="completed", completed_at="now")
    queue.add(task_id="waits")
    queue.add(task_id="other", account_id=other)

    assert _listed(contentq) == ["other", "waits", "done"]
    assert _listed(contentq, "--status", "completed") == ["done"]
    assert _listed(contentq, "--account", str(queue.account)) == ["waits", "done"]
    assert _listed(contentq, "--account", str(queue.account), "--status", "pending") == ["waits"]
    assert contentq("list", "--account", "999").out == "no tasks\n"
    assert _listed(contentq, "--account", "999") == []


def test_list_goes_on_where_it_has_ended(contentq: Run, queue: Queue) -> None:
    ids = [queue.add(task_id=f"post-{number}") for number in range(5)]

    first = contentq("list", "--limit", "2")
    second = contentq("list", "--limit", "3", "--before", str(ids[3]))

    assert [line.split()[:2] for line in first.out.splitlines()[1:]] == [
        [str(ids[4]), "post-4"],
        [str(ids[3]), "post-3"],
    ]
    assert first.err == f"for older tasks, add: --before {ids[3]}\n"
    assert [line.split()[1] for line in second.out.splitlines()[1:]] == ["post-2", "post-1", "post-0"]
    assert _listed(contentq, "--before", str(ids[0])) == []


def test_list_in_json_has_every_column_but_what_is_large_or_machinery(
    contentq: Run, queue: Queue, drafted: str
) -> None:
    (task,) = contentq("list", "--json").json

    columns = queue.values(
        "SELECT column_name::text FROM information_schema.columns WHERE table_name = 'content_generation_tasks'"
    )
    left_out = {
        *("result", "attempt_errors", "created_at", "updated_at", "ready_at"),
        *("gate_entered_at", "handler_state", "traceparent"),
    }
    assert {*columns} - {*task} == left_out
    assert (task["task_id"], task["topic"], task["priority"], task["timeout_at"]) == (drafted, "A\nB", 5, None)
    assert queue.value("SELECT submitted_at = %s FROM content_generation_tasks", task["submitted_at"])


def test_narrow_terminal_cuts_nothing_but_the_topic(dsn: str, queue: Queue) -> None:
    queue.run("ALTER TABLE content_generation_tasks ALTER COLUMN id RESTART 9000000")
    queue.add(
        topic="一二三四五六七八九十", submitted_at="2001-01-01", status="processing", started_at="2001-01-01"
    )
    task_id = queue.value("SELECT task_id FROM content_generation_tasks")

    code, shown = on_terminal("list", columns=80, DATABASE_URL=dsn)

    assert code == 0, shown
    line = shown.splitlines()[1]
    assert re.match(f"9000000  {task_id}  processing     5  [0-9]+d  ", line)
    assert line.rstrip().endswith("  一二三…")


def test_what_is_too_wide_for_the_terminal_is_not_lost(dsn: str, queue: Queue) -> None:
    queue.add(task_id="x" * 100, topic="A long topic")

    _, shown = on_terminal("list", columns=80, DATABASE_URL=dsn)

    assert re.search(f"{'x' * 100}  pending +5  [^ ]+ +A l…", shown)


def test_list_tells_how_long_ago_a_task_was_submitted(contentq: Run, queue: Queue) -> None:
    now = queue.value("SELECT clock_timestamp()")
    for ago in (
        timedelta(days=400),
        timedelta(hours=30),
        timedelta(hours=2),
        timedelta(seconds=90),
        -timedelta(hours=1),
    ):
        queue.add(submitted_at=now - ago)

    assert [line.split()[4] for line in contentq("list").out.splitlines()[1:]] == ["0s", "1m", "2h", "1d", "400d"]


def test_list_into_a_pipe_cuts_nothing(contentq: Run, queue: Queue) -> None:
    queue.add(topic="word " * 100)

    assert contentq("list").out.rstrip().endswith(("word " * 100).rstrip())


def test_show_has_every_column(contentq: Run, queue: Queue, drafted: str) -> None:
    outcome = contentq("show", drafted)

    columns = queue.values(
        "SELECT column_name::text FROM information_schema.columns WHERE table_name = 'content_generation_tasks' "
        "AND column_name <> 'attempt_errors'"
    )
    assert (outcome.code, outcome.err) == (0, "")
    fields = {line[:19].strip(): line[21:] for line in outcome.out.splitlines()}
    assert {*columns} <= {*fields}
    assert (fields["status"], fields["tone"], fields["keywords"]) == ("completed", "dry", "-")
    assert (fields["auto_approve"], fields["retry_count"], fields["attempt"]) == ("yes", "1", "2")
    assert "topic                A\n                     B\n" in outcome.out


def test_show_tells_the_errors_of_earlier_attempts(contentq: Run, drafted: str) -> None:
    last = contentq("show", drafted).out.splitlines()[-2:]

    assert last[0].startswith("attempt 1 at 20")
    assert last[0].endswith(": TemporaryError: the provider answered 503")
    assert last[1] == "  later"


def test_error_without_a_class_is_shown_without_one(contentq: Run, queue: Queue) -> None:
    held = queue.running(task_id="post-7")
    queue.fail(held, "It broke")

    line = contentq("show", "post-7").out.splitlines()[-1]

    assert re.fullmatch(r"attempt 1 at [^ ]+: It broke", line)


def test_class_of_an_error_is_shown_once(contentq: Run, queue: Queue) -> None:
    held = queue.running(task_id="post-7")
    queue.fail(held, "KeyError: 'choices'", error_class="KeyError")

    assert contentq("show", "post-7").out.splitlines()[-1].endswith("+00:00: KeyError: 'choices'")


def test_show_prints_times_with_their_offset(contentq: Run, queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    queue.add(task_id="post-7", timeout_at="2130-01-31T12:00:00Z")
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    try:
        shown = contentq("show", "post-7").out
    finally:
        monkeypatch.undo()
        time.tzset()

    assert "\ntimeout_at           2130-01-31 17:30:00+05:30\n" in shown


@pytest.mark.parametrize("options", [[], ["--json"], ["--json", "--content"]])
def test_result_is_shown_as_it_was_stored(contentq: Run, drafted: str, options: list[str]) -> None:
    assert '{"cost":  1.10, "cost": 12345678901234567890.5}' in contentq("show", drafted, *options).out


def test_content_is_shown_on_request(contentq: Run, queue: Queue, drafted: str) -> None:
    content = queue.value("SELECT id FROM contents")

    assert "The title" not in contentq("show", drafted).out
    shown = contentq("show", drafted, "--content").out
    assert shown.endswith(f"\ncontent {content}, 2 words, approved\n\nThe title\n\nOne\ntwo\n")


def test_title_that_the_body_begins_with_is_not_shown_twice(contentq: Run, queue: Queue, drafted: str) -> None:
    queue.run("UPDATE contents SET body = %s", "# The title\n\nOne")

    assert contentq("show", drafted, "--content").out.endswith(" words, approved\n\n# The title\n\nOne\n")


def test_task_without_content_says_so(contentq: Run, queue: Queue) -> None:
    queue.add(task_id="post-7")

    assert contentq("show", "post-7", "--content").out.endswith("\nthe task has no content\n")
    assert contentq("show", "post-7", "--content", "--json").json["content"] is None


def test_json_has_the_task_and_its_content(contentq: Run, queue: Queue, drafted: str) -> None:
    task = contentq("show", drafted, "--json").json
    content = contentq("show", drafted, "--json", "--content").json["content"]

    assert {*task} == {*queue.row(task["id"])} - {"xmin", "ctid"}
    assert (task["topic"], task["attempt_errors"][0]["error_class"]) == ("A\nB", "TemporaryError")
    assert (content["title"], content["body"], content["word_count"]) == ("The title", "One\ntwo", 2)


@pytest.mark.parametrize("options", [[], ["--json"], ["--content"]])
def test_unknown_task_ends_with_1(contentq: Run, options: list[str]) -> None:
    outcome = contentq("show", "post-8", *options)

    assert outcome.code == 1
    assert outcome.error == "there is no task post-8; find it with: contentq list"


def test_time_that_python_cannot_hold_is_shown(contentq: Run, queue: Queue) -> None:
    queue.add(task_id="post-7", submitted_at="15000-01-01T00:00:00Z", timeout_at="20000-01-01T00:00:00Z")

    assert "15000-01-01" in contentq("list").out
    assert contentq("list", "--json").json[0]["timeout_at"].startswith("20000-01-01")
    assert "timeout_at           20000-01-01" in contentq("show", "post-7").out


@pytest.mark.usefixtures("drafted")
@pytest.mark.parametrize("command", [["list"], ["show", "post-7"], ["show", "post-7", "--content"]])
def test_text_of_a_task_does_not_steer_the_terminal(dsn: str, queue: Queue, command: list[str]) -> None:
    queue.run("UPDATE contents SET title = %s, body = %s", STEERING, STEERING)
    queue.run(
        "UPDATE content_generation_tasks SET topic = %s, error_message = %s, "
        "attempt_errors = jsonb_set(attempt_errors, '{0,message}', to_jsonb(%s::text))",
        *[STEERING] * 3,
    )

    code, shown = on_terminal(*command, columns=120, DATABASE_URL=dsn)

    assert code == 0, shown
    assert not {"\x07", "\x9b", "\r", "\x1b"} & {*shown}
    assert r"\x1b[31m\x07\x9b2J" in shown


@pytest.mark.parametrize("command", [["list", "--json"], ["show", "post-7", "--json"]])
def test_json_does_not_steer_the_terminal_either(dsn: str, queue: Queue, command: list[str]) -> None:
    queue.add(task_id="post-7", topic=STEERING)

    code, shown = on_terminal(*command, DATABASE_URL=dsn)

    assert code == 0, shown
    task = json.loads(shown)
    assert (task[0] if isinstance(task, list) else task)["topic"] == STEERING
    assert not {"\x07", "\x9b", "\r", "\x1b"} & {*shown}


def test_show_into_a_pipe_is_escaped_unless_raw_is_asked_for(contentq: Run, queue: Queue) -> None:
    queue.add(task_id="post-7", topic=STEERING)

    assert "topic                \\x1b[31m\\x07\\x9b2J\\rred\n" in contentq("show", "post-7").out
    assert f"topic                {STEERING}\n" in contentq("--raw", "show", "post-7").out


@pytest.mark.parametrize(
    ("result", "usage"),
    [
        (
            '{"model": "small", "prompt_tokens": 1200, "completion_tokens": 350, "cost": 0.0125}',
            "small, 1,200 tokens in, 350 tokens out, cost 0.0125",
        ),
        ('{"cost": 0.00000012345678901234567890}', "cost 0.00000012345678901234567890"),
        ('{"model": "small", "completion_tokens": 0}', "small, 0 tokens out"),
        ('{"model": 5, "cost": 2}', "cost 2"),
        ('{"prompt_tokens": 7.9, "completion_tokens": -1, "cost": 1e13}', "7 tokens in"),
    ],
)
def test_tokens_and_cost_are_shown_in_words(contentq: Run, queue: Queue, result: str, usage: str) -> None:
    queue.add(task_id="post-7", result=result)

    assert f"\nusage                {usage}\n" in contentq("show", "post-7").out


@pytest.mark.parametrize(
    "result",
    ['{"model": "small"}', '{"cost": "2"}', '{"prompt_tokens": true}', '{"cost": 1e300}', "[5]", "null", None],
)
def test_result_without_tokens_and_cost_has_no_usage(contentq: Run, queue: Queue, result: str | None) -> None:
    queue.add(task_id="post-7", result=result)

    outcome = contentq("show", "post-7")

    assert outcome.code == 0
    assert "\nusage " not in outcome.out


def test_progress_of_a_running_task_is_shown(contentq: Run, queue: Queue) -> None:
    task = queue.running(task_id="post-7")
    queue.progress(task.worker, [task], [0.375], ["writing"])

    shown = contentq("show", "post-7").out

    assert "\nprogress             38 %\nprogress_note        writing\n" in shown
    assert contentq("show", "post-7", "--json").json["progress"] == 0.375


def test_values_that_no_worker_writes_are_shown_all_the_same(contentq: Run, queue: Queue) -> None:
    """Any role with UPDATE can set any value, until a constraint forbids it."""
    for constraint in queue.values(
        "SELECT conname FROM pg_constraint WHERE contype = 'c' "
        "AND conrelid = 'public.content_generation_tasks'::regclass"
    ):
        queue.run(f"ALTER TABLE content_generation_tasks DROP CONSTRAINT {constraint}")
    queue.add(task_id="", progress="NaN", attempt_errors='[1, "x", null, {}, {"message": 7}]')
    queue.add(task_id="odd", progress="Infinity", result='{"cost": 1e-100000, "prompt_tokens": 3}')

    shown = contentq("show", "")

    assert shown.code == 0
    assert shown.out.splitlines()[-5:-2] == ["attempt ?: 1", 'attempt ?: "x"', "attempt ?: null"]
    assert [row["progress"] for row in contentq("list", "--json").json] == [None, None]
    assert contentq("list").code == 0
    assert "3 tokens in, cost 0" in contentq("show", "odd").out
    assert contentq("explain", "").code == 0
    assert contentq("cancel", "").code == 0
