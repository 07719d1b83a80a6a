"""contentq submit FILE: many tasks from CSV or JSON lines, all or none."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path

import pytest

from tests.cli.conftest import Outcome, Run
from tests.cli.terminal import on_terminal
from tests.support.queue import Queue

Written = Callable[..., str]

BATCH = 5_000
"""Rows per INSERT."""

TOPICS = Path(__file__).parents[2] / "docs" / "example" / "topics.csv"


def _topics(queue: Queue) -> list[str | None]:
    return queue.values("SELECT topic FROM content_generation_tasks ORDER BY id")


def unnamed(output: str) -> str:
    """The output, without the generated batch name."""
    return re.sub(r", batch batch-[0-9a-f]{8}$", "", output, flags=re.MULTILINE)


def _assert_refused(outcome: Outcome, message: str, queue: Queue) -> None:
    assert outcome.code == 5, outcome
    assert outcome.error.startswith("nothing was inserted: ")
    assert message in outcome.error
    assert queue.value("SELECT count(*) FROM content_generation_tasks") == 0


def test_csv_and_json_lines_say_the_same(contentq: Run, queue: Queue, account: str, written: Written) -> None:
    table = written("tasks.csv", f"account_id,topic,priority,auto_approve\n{account},A,9,no\n{account},B,,\n")
    lines = written(
        "tasks.jsonl",
        f'{{"account_id": {account}, "topic": "A", "priority": 9, "auto_approve": false}}\n\n'
        f'{{"topic": "B", "account_id": "{account}", "priority": null}}\n',
    )

    for file in (table, lines):
        outcome = contentq("submit", file)

        assert (outcome.code, unnamed(outcome.out), outcome.err) == (0, "2 tasks submitted\n", "")
        found = queue.rows("SELECT topic, priority, auto_approve FROM content_generation_tasks ORDER BY id")
        assert [list(row.values()) for row in found] == [["A", 9, False], ["B", 5, True]]
        queue.run("DELETE FROM content_generation_tasks")


@pytest.mark.usefixtures("queue")
@pytest.mark.parametrize("name", ["tasks.csv", "TASKS.CSV", "tasks.jsonl", "tasks.ndjson"])
def test_ending_tells_the_format(contentq: Run, account: str, written: Written, name: str) -> None:
    content = "topic\nA\n" if name.lower().endswith("csv") else '{"topic": "A"}\n'

    assert unnamed(contentq("submit", written(name, content), "--account", account).out) == "1 task submitted\n"


def test_format_can_be_said_and_must_be_where_the_ending_tells_nothing(
    contentq: Run, queue: Queue, account: str, written: Written
) -> None:
    file = written("tasks.txt", '{"topic": "A"}\n')

    assert contentq("submit", file, "--account", account).code == 2
    assert contentq("submit", file, "--account", account, "--format", "jsonl").code == 0
    assert contentq("submit", written("lines.csv", "{}\n"), "--account", account, "--format", "jsonl").code == 0
    assert _topics(queue) == ["A", None]


def test_standard_input_is_read(program: Run, queue: Queue, account: str) -> None:
    outcome = program("submit", "-", "--format", "csv", "--account", account, stdin="topic\nA\nB\n")

    assert (outcome.code, unnamed(outcome.out), outcome.err) == (0, "2 tasks submitted\n", "")
    assert _topics(queue) == ["A", "B"]


def test_options_fill_in_what_a_row_leaves_out(
    contentq: Run, queue: Queue, account: str, written: Written
) -> None:
    file = written("tasks.csv", "topic,priority,tone,timeout_at\nA,9,dry,2130-01-01T00:00:00Z\nB,,,\n")
    options = ["--priority", "2", "--tone", "warm", "--category", "blog", "--timeout", "1h", "--no-auto-approve"]

    assert contentq("submit", file, "--account", account, *options).code == 0

    query = """
        SELECT topic, priority, tone, category, timeout_at < clock_timestamp() + interval '2 hours', auto_approve
        FROM content_generation_tasks ORDER BY id"""
    assert [list(row.values()) for row in queue.rows(query)] == [
        ["A", 9, "dry", "blog", False, False],
        ["B", 2, "warm", "blog", True, False],
    ]


@pytest.mark.parametrize("value", ["x", ""])
@pytest.mark.parametrize("option", ["--topic", "--task-id"])
def test_option_about_one_task_does_not_go_with_a_file(
    contentq: Run, written: Written, option: str, value: str
) -> None:
    assert contentq("submit", written("tasks.csv", "topic\nA\n"), "--account", "1", option, value).code == 2


def test_any_text_arrives_as_it_was_written(contentq: Run, queue: Queue, account: str, written: Written) -> None:
    topics = ["怎样读懂一份体检报告", 'two\nlines, a comma and "quotes"', "\\N", "\\.", "\\t\t|{}", "🫖 é"]
    table = io.StringIO()
    csv.writer(table).writerows([["topic"], *([topic] for topic in topics)])
    lines = "".join(json.dumps({"topic": topic}) + "\n" for topic in topics)

    for file in (written("tasks.csv", table.getvalue()), written("tasks.jsonl", lines)):
        assert contentq("submit", file, "--account", account).code == 0
        assert _topics(queue) == topics
        queue.run("DELETE FROM content_generation_tasks")


def test_empty_field_is_left_out(contentq: Run, queue: Queue, account: str, written: Written) -> None:
    file = written("tasks.csv", 'topic,requirements,priority,task_id\n,"",,\n\n')

    assert unnamed(contentq("submit", file, "--account", account).out) == "1 task submitted\n"

    row = queue.rows("SELECT * FROM content_generation_tasks")[0]
    assert (row["topic"], row["requirements"], row["priority"]) == (None, None, 5)
    assert row["task_id"].startswith("task-")


def test_files_of_spreadsheets_are_read(contentq: Run, queue: Queue, account: str, written: Written) -> None:
    file = written("tasks.csv", b"\xef\xbb\xbf topic , priority\r\nA,9\r\nB,8")

    assert contentq("submit", file, "--account", account).code == 0
    assert _topics(queue) == ["A", "B"]


def test_times_are_read_as_postgresql_reads_them(
    contentq: Run, queue: Queue, account: str, written: Written
) -> None:
    times = [
        "2130-01-31",
        " 2130-01-31 00:00",
        "2130-01-31T00:00:00Z",
        "2130-01-31 02:00 +02:00",
        "21300131T000000",
    ]
    file = written("tasks.csv", "\n".join(["timeout_at", *times]))

    assert contentq("submit", file, "--account", account).code == 0
    assert queue.values("SELECT DISTINCT timeout_at = '2130-01-31Z' FROM content_generation_tasks") == [True]


def test_list_of_keywords_and_numbers_are_taken_as_text(
    contentq: Run, queue: Queue, account: str, written: Written
) -> None:
    file = written("tasks.jsonl", '{"topic": 1.50, "keywords": ["a", "b c"], "tone": true}\n')

    assert contentq("submit", file, "--account", account).code == 0

    row = queue.rows("SELECT topic, keywords, tone FROM content_generation_tasks")[0]
    assert list(row.values()) == ["1.50", "a,b c", "true"]


def test_task_ids_that_exist_are_left_out_and_told(
    contentq: Run, queue: Queue, account: str, written: Written
) -> None:
    queue.add(task_id="old", topic="as it was")
    file = written("tasks.csv", 'topic,task_id\n"A\n",new\nB,old\nC,\nD,new\n')

    outcome = contentq("submit", file, "--account", account)

    assert (outcome.code, unnamed(outcome.out)) == (0, "2 tasks submitted\n")
    assert outcome.err == "2 skipped, because their task_id already exists:\n  line 4: old\n  line 6: new\n"
    assert _topics(queue) == ["as it was", "A\n", "C"]


@pytest.mark.usefixtures("queue")
def test_duplicates_in_another_batch_are_found_and_not_all_are_told(
    contentq: Run, account: str, written: Written
) -> None:
    ids = [f"post-{number}" for number in (*range(BATCH), *range(12))]
    file = written("tasks.csv", "\n".join(["task_id", *ids]))

    outcome = contentq("submit", file, "--account", account)

    assert unnamed(outcome.out) == "5000 tasks submitted\n"
    first, *told, last = outcome.err.splitlines()
    assert first == "12 skipped, because their task_id already exists:"
    assert told == [f"  line {BATCH + 2 + number}: post-{number}" for number in range(10)]
    assert last == "  and 2 more"


def test_json_has_the_duplicates_and_their_lines(contentq: Run, account: str, written: Written) -> None:
    file = written("tasks.jsonl", '{"task_id": "a"}\n{"task_id": "b"}\n{"task_id": "a"}\n')

    assert contentq("submit", file, "--account", account, "--batch", "spring", "--json").json == {
        "batches": ["spring"],
        "inserted": 2,
        "duplicates": 1,
        "first_duplicates": [{"line": 3, "task_id": "a"}],
    }


def test_tasks_of_a_file_are_a_batch_with_a_name(
    contentq: Run, queue: Queue, account: str, written: Written
) -> None:
    file = written("tasks.csv", "topic\nA\nB\n")

    made = contentq("submit", file, "--account", account)
    named = contentq("submit", file, "--account", account, "--batch", "spring")

    name = re.fullmatch(r"2 tasks submitted, batch (batch-[0-9a-f]{8})\n", made.out)
    assert name
    assert named.out == "2 tasks submitted, batch spring\n"
    assert queue.values("SELECT batch FROM content_generation_tasks ORDER BY id") == [name[1]] * 2 + ["spring"] * 2


def test_column_of_the_file_may_name_the_batches(
    contentq: Run, queue: Queue, account: str, written: Written
) -> None:
    file = written("tasks.csv", "topic,batch\nA,spring\nB,\nC,spring\n")
    lines = written("tasks.jsonl", '{"topic": "A", "batch": "spring"}\n{"topic": "B"}\n')

    assert (
        contentq("submit", file, "--account", account, "--batch", "summer").out == "3 tasks submitted, 2 batches\n"
    )
    found = contentq("submit", lines, "--account", account, "--batch", "summer", "--json").json
    assert found["batches"] == ["spring", "summer"]
    names = queue.values("SELECT batch FROM content_generation_tasks ORDER BY id")
    assert names == ["spring", "summer", "spring", "spring", "summer"]


BROKEN_CSV = [
    (
        "topic,tone\nA,dry\nB,dry,7\n",
        "line 3 has 3 fields, but the header has 2; enclose fields that contain commas in",
    ),
    ('topic,tone\n"A\nA",dry\nB\n', "line 4 has 1 field, but the header has 2"),
    ('topic\nA\n"B\n', "line 3 is not CSV"),
    ('topic\nA\n"B"x\n', "line 3 is not CSV"),
    (b"topic\nA\nB\xe4\n", "line 3 is not UTF-8 (byte 2 of the line); save the file as UTF-8"),
    ("topic\nA\nB\n".encode("utf-16"), "line 1 is not UTF-8"),
    ("topic\nA\nB\0\n", "line 3 contains a NUL character"),
    ("topic\n" + "文" * 3_333_334, "line 2 is longer than 10,000,000 bytes"),
    ("priority\n1\n11\n", "line 3: priority is 11; it must be a whole number from 1 to 10"),
    ("priority\n1\nhigh\n", "line 3: priority is 'high'; it must be a whole number from 1 to 10"),
    ("max_retries\n1\n-1\n", "line 3: max_retries is -1; it must be a whole number of 0 or more"),
    ("topic\nA\n" + "x" * 501, "line 3: topic has 501 characters; at most 500 fit"),
    ("auto_approve\nyes\nmaybe\n", "line 3: auto_approve is 'maybe'; it must be true or false"),
    ("account_id\n\n999\n", "line 3: there is no account 999; add one with: INSERT INTO accounts"),
    ("account_id\n1\n99999999999\n", "line 3: there is no account 99999999999"),
    (
        "timeout_at\n2130-01-01\n2020-01-01T00:00:00Z\n",
        "line 3: timeout_at is 2020-01-01 00:00:00+00, which is",
    ),
    ("timeout_at\n2130-01-01\nsoon\n", "line 3: timeout_at is 'soon'; it must be a time such as"),
    ("priority\n5\n٥\n", 'line 3: invalid input syntax for type integer: "٥"'),
    ("scheduled_at\n2130-01-01\ninfinity\n", "line 3: scheduled_at is 'infinity'; it must be a time such as"),
    ("submitted_at\n2130-01-01\n-infinity\n", "line 3: submitted_at is '-infinity'; it must be a time such as"),
    *(
        (f"timeout_at\n2130-01-01\n{time}\n", f"line 3: timeout_at is '{time}'; it must be a time such as")
        for time in ("now", "today", "tomorrow", " Yesterday", "epoch", "23:59 tomorrow", "10:00")
    ),
    ("scheduled_at,timeout_at\n2130-01-02,2130-01-01\n", "line 2: it is scheduled for 2130-01-02 00:00:00+00"),
    ("topics\nA\n", "line 1: unknown column 'topics'; did you mean topic?"),
    ("status\npending\n", "line 1: unknown column 'status' (columns: task_id, account_id,"),
    ("topic;tone\nA;dry\n", "line 1 is separated by semicolons; separate the columns by commas"),
    ("topic,tone,topic\nA,dry,B\n", "line 1 names the column topic twice"),
    ('"topic\n', "line 1: the header is not CSV"),
    ("\ntopic\nA\n", "line 1 is empty; line 1 must name the columns, for example: account_id,topic,priority"),
    ("", "the file is empty; line 1 must name the columns, for example: account_id,topic,priority"),
    ("topic\n", "the input contains no task"),
]


@pytest.mark.parametrize(("content", "message"), BROKEN_CSV, ids=[message[:30] for _, message in BROKEN_CSV])
def test_broken_csv_is_refused_with_its_line(
    contentq: Run, queue: Queue, account: str, written: Written, content: str | bytes, message: str
) -> None:
    _assert_refused(contentq("submit", written("tasks.csv", content), "--account", account), message, queue)


BROKEN_JSON = [
    ('{"topic": "A"', "line 2 is not JSON: Expecting ',' delimiter at character"),
    ("topic", "line 2 is not JSON: Expecting value at character 1"),
    ('["A"]', "line 2 is not a JSON object; write for example"),
    ('{"topic": {"en": "A"}}', "line 2: topic is an object; it must be a string or a number"),
    ('{"topic": ["A"]}', "line 2: topic is a list; it must be a string or a number"),
    ('{"keywords": ["a", {}]}', "line 2: keywords is a list"),
    ('{"topic": ' + "[" * 100_000, "line 2 is not JSON"),
    ('{"topic": "\\ud800"}', "line 2: topic contains half of a surrogate pair"),
    ('{"topic": "\\u0000"}', "line 2: topic contains a NUL character"),
    ('{"priority": NaN}', "line 2 is not JSON: NaN is not a number in JSON"),
    ('{"priority": 11}', "line 2: priority is 11; it must be a whole number from 1 to 10"),
    ('{"priority": 1e400}', "line 2: priority is '1e400'"),
    ('{"timeout_at": "infinity"}', "line 2: timeout_at is 'infinity'; it must be a time such as"),
    ('{"scheduled_at": "tomorrow"}', "line 2: scheduled_at is 'tomorrow'; it must be a time such as"),
    ('{"account_id": 999}', "line 2: there is no account 999"),
    ('{"topics": "A"}', "line 2: unknown column 'topics'; did you mean topic?"),
]


@pytest.mark.parametrize(("line", "message"), BROKEN_JSON, ids=[message[:40] for _, message in BROKEN_JSON])
def test_broken_json_is_refused_with_its_line(
    contentq: Run, queue: Queue, account: str, written: Written, line: str, message: str
) -> None:
    file = written("tasks.jsonl", f'{{"topic": "good"}}\n{line}\n')

    _assert_refused(contentq("submit", file, "--account", account), message, queue)


def test_rows_without_an_account_are_refused(contentq: Run, queue: Queue, written: Written) -> None:
    table = written("tasks.csv", "topic\nA\n")
    lines = written("tasks.jsonl", '{"topic": "A"}\n')

    for_all, for_one = "no account given: add a column account_id", "line 1: account_id is empty; fill it in"
    _assert_refused(contentq("submit", table), f"{for_all}, or use --account", queue)
    _assert_refused(contentq("submit", lines), f"{for_one}, or use --account", queue)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("A,11", "line 5003: priority is 11"),
        ("A,high", "line 5003: priority is 'high'"),
        ("A", "line 5003 has 1 field, but the header has 2"),
    ],
)
def test_broken_line_in_a_later_batch_undoes_the_earlier_ones(
    contentq: Run, queue: Queue, account: str, written: Written, line: str, message: str
) -> None:
    file = written("tasks.csv", "topic,priority\n" + "good,5\n" * (BATCH + 1) + f"{line}\n")

    _assert_refused(contentq("submit", file, "--account", account), message, queue)


def test_the_first_ten_problems_are_told_at_once(
    contentq: Run, queue: Queue, account: str, written: Written
) -> None:
    file = written("tasks.csv", "priority\n" + "5\n11\n" * 12)

    outcome = contentq("submit", file, "--account", account)

    _assert_refused(outcome, "nothing was inserted: the first problems are\n", queue)
    lines = [line.strip().partition(":")[0] for line in outcome.error.splitlines()[1:]]
    assert lines == [f"line {number}" for number in range(3, 23, 2)]


def test_file_that_is_not_there_is_wrong_usage(contentq: Run, tmp_path: Path) -> None:
    for path in (tmp_path / "nothing.csv", tmp_path):
        outcome = contentq("submit", str(path))

        assert outcome.code == 2
        assert str(path) in outcome.err


def test_five_thousand_real_topics_arrive_as_they_were_written(
    contentq: Run, queue: Queue, account: str, written: Written
) -> None:
    with TOPICS.open(encoding="utf-8", newline="") as file:
        examples = list(csv.DictReader(file))
    columns = ["topic", "keywords", "category", "requirements", "tone", "priority"]
    rows = [[example[name] for name in columns] for example in islice(cycle(examples), 5_000)]
    table = io.StringIO()
    csv.writer(table).writerows([columns, *rows])

    outcome = contentq("submit", written("topics.csv", table.getvalue()), "--account", account)

    assert unnamed(outcome.out) == "5000 tasks submitted\n"
    found = queue.rows(
        "SELECT topic, keywords, category, requirements, tone, priority::text FROM content_generation_tasks "
        "ORDER BY id"
    )
    assert [[text or "" for text in row.values()] for row in found] == rows


@pytest.mark.slow
def test_twenty_thousand_rows_go_in_by_one_transaction_in_the_order_of_the_lines(
    contentq: Run, queue: Queue, account: str, written: Written
) -> None:
    topics = [str(number) for number in range(20_000)]
    file = written("tasks.csv", "\n".join(["topic", *topics]))

    assert unnamed(contentq("submit", file, "--account", account).out) == "20000 tasks submitted\n"

    assert _topics(queue) == topics
    assert queue.value("SELECT count(DISTINCT xmin::text) FROM content_generation_tasks") == 1


@pytest.mark.slow
@pytest.mark.usefixtures("queue")
def test_progress_is_shown_on_a_terminal(dsn: str, account: str, written: Written) -> None:
    file = written("tasks.csv", "topic\n" + "A\n" * 2 * BATCH)

    code, shown = on_terminal("submit", file, "--account", account, DATABASE_URL=dsn)

    assert code == 0, shown
    assert "submitting ━" in shown
    assert "10,000 tasks" in shown
    assert unnamed(shown).endswith("10000 tasks submitted\n")


def test_task_id_does_not_steer_the_terminal(dsn: str, queue: Queue, account: str, written: Written) -> None:
    queue.add(task_id="a\x1b[31mb")
    file = written("tasks.csv", "task_id\na\x1b[31mb\n")

    _, shown = on_terminal("submit", file, "--account", account, DATABASE_URL=dsn)

    assert "line 2: a\\x1b[31mb\n" in shown
