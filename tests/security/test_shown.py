"""External text is shown so that it controls no terminal, hides nothing and forges no line."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from contentq import escaping
from contentq.cli.main import COMMANDS, execute

from tests.cli.conftest import Outcome, plain_environment
from tests.cli.terminal import on_terminal
from tests.support.databases import Connection
from tests.support.forked import CONTENTQ
from tests.support.programs import client
from tests.support.queue import Queue

NASTY = "\x1b]0;pwn\x07\x1b[31m\x9b2J\r\x7f\u202e\u2066\u200e\u061c\u200b\u2060\ufeff\U000e0041\u2028\x85"
"""Text that a stranger may supply: it sets the title of a terminal, colours, reorders, hides and breaks lines."""

FORGED = "\n2026-01-01 level=INFO done task=forged"

ID = f"post-7{NASTY}"

ESCAPED = r"\x1b]0;pwn\x07\x1b[31m\x9b2J\r\x7f\u202e\u2066\u200e\u061c\u200b\u2060\ufeff\U000e0041\u2028\x85"

PERSIAN = "می\u200cخواهم 👩\u200d💻 ❤\ufe0f"
"""Text that is misspelled without its joiners."""

SEEN = {*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD, *range(0x13430, 0x13440)}
"""Format characters that are visible: signs over numbers, and joiners of hieroglyphs."""

HANDLER = f"""
import logging
from contentq import GeneratedContent, PermanentError

def handler(task, context):
    context.progress(0.5, {NASTY!r})
    logging.getLogger("mine" + {NASTY!r}).warning("says %s", {NASTY + FORGED!r})
    if task.topic == "bug":
        raise ValueError({NASTY + FORGED!r})
    if task.topic == "refused":
        raise PermanentError({NASTY + FORGED!r})
    if task.topic == "result":
        return {{"text": {NASTY!r}}}
    return GeneratedContent({"title" + NASTY!r}, {"body" + NASTY!r}, result={{"model": {NASTY!r}, "cost": 1}})
"""

SHOWING: list[list[str]] = [
    ["list"],
    ["list", "--account", f"nobody{NASTY}"],
    ["list", "--status", NASTY],
    ["list", f"--{NASTY}"],
    ["show", ID],
    ["show", ID, "--content"],
    ["show", ID, "--follow"],
    ["show", f"unknown{NASTY}"],
    ["explain", ID],
    ["explain", f"unknown{NASTY}"],
    ["stats"],
    ["doctor"],
    ["doctor", "--patience", NASTY],
    ["doctor", "--settings", f"missing{NASTY}.toml"],
    ["errors"],
    ["list", "--error", NASTY, "--batch", NASTY],
    ["list", "--since", NASTY],
    ["requeue", "--all", "--dry-run"],
    ["stats", "--since", "1h"],
    ["batches"],
    ["batches", f"unknown{NASTY}"],
    ["wait", ID, "--timeout", "0"],
    ["wait", f"unknown{NASTY}"],
    ["wait", "--batch", f"batch{NASTY}", "--timeout", "0"],
    ["wait", "--batch", f"unknown{NASTY}"],
    ["top", "--once"],
    ["completion", NASTY],
    ["requeue", ID, f"unknown{NASTY}"],
    ["cancel", ID, "waits", f"unknown{NASTY}"],
    ["cancel", "--category", NASTY],
    ["delete", f"unknown{NASTY}", f"gone{NASTY}"],
    ["delete", "--account", f"nobody{NASTY}"],
    ["review", "list"],
    ["review", "show", "2"],
    ["review", "show", "2", "--diff"],
    ["review", "approve", "1"],
    ["review", "approve", "--category", NASTY + FORGED, "--dry-run"],
    ["review", "reject", "2", "--as", NASTY, "--note", NASTY],
    ["review", "reject", NASTY],
    ["pause", "--gate", f"other{NASTY}", "--reason", NASTY],
    ["pause", "--account", f"Ada{NASTY}"],
    ["resume", "--gate", f"gate{NASTY}"],
    ["resume", "--all"],
    ["gates", "set", f"gate{NASTY}", "--max-running", "2"],
    ["gates", "set", "gate", "--max-running", NASTY],
    ["gates", "list"],
    ["gates", "unset", f"gate{NASTY}"],
    ["accounts", "list"],
    ["accounts", "list", "--search", NASTY],
    ["accounts", "set", f"Ada{NASTY}", "--share", "2"],
    ["accounts", "set", f"nobody{NASTY}"],
    ["accounts", "set", "1", "--max-running", NASTY],
    ["budgets", "set", "5", "--account", f"Ada{NASTY}"],
    ["budgets", "set", "5", "--category", f"blog{NASTY}"],
    ["budgets", "set", NASTY, "--all"],
    ["budgets", "list"],
    ["budgets", "unset", "--category", f"blog{NASTY}"],
    ["prices", "--provider", NASTY],
    ["prices", "--models", NASTY],
    ["submit", "--account", "1", "--topic", NASTY, "--task-id", ID],
    ["submit", "--account", "1", "--topic", NASTY, "--task-id", f"new{NASTY}"],
    ["submit", "--account", "1", "--topic", "Tea", "--timeout-at", NASTY],
    ["submit", "duplicates.jsonl"],
    ["submit", "broken.jsonl"],
    ["submit", "columns.jsonl"],
    ["submit", f"missing{NASTY}.csv"],
    ["try", "--handler", "nasty:handler"],
    ["try", "--handler", "nasty:handler", "--topic", "bug"],
    ["try", "--handler", "nasty:handler", "--topic", "refused"],
    ["try", "--handler", "nasty:handler", "--topic", "result"],
    ["try", "--handler", f"nasty{NASTY}:handler"],
    ["worker", "--until-empty", "--handler", "nasty:handler"],
    ["worker", "--until-empty", "--handler", "nasty:handler", "--gate", NASTY, "--category", NASTY],
    ["metrics", "--once", "--by-account"],
    ["metrics", "--host", NASTY],
    ["migrate"],
    ["migrate", "--to", NASTY],
    ["web", "--host", NASTY],
    ["maintain"],
    ["cleanup"],
    ["cleanup", "--older-than", NASTY],
    ["bench", "--tasks", "10", "--samples", "1"],
    ["roles", NASTY],
    ["db", "status"],
    ["--dsn", f"host=127.0.0.1 port=1 dbname='db{NASTY}' application_name='{NASTY}'", "list"],
]
"""The arguments of every command that shows external text."""

ON_TERMINAL = [
    ["list"],
    ["show", ID, "--content"],
    ["show", ID, "--follow"],
    ["stats"],
    ["stats", "--since", "1h"],
    ["batches"],
    ["explain", ID],
    ["cancel", f"unknown{NASTY}"],
    ["review", "list"],
    ["review", "show", "2", "--diff"],
    ["review", "approve", "1"],
    ["pause", "--gate", f"other{NASTY}", "--reason", NASTY],
    ["try", "--handler", "nasty:handler", "--topic", "bug"],
    ["worker", "--until-empty", "--handler", "nasty:handler"],
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder of the commands, with a handler and task files, all of them nasty."""
    (tmp_path / "nasty.py").write_text(HANDLER, encoding="utf-8")
    tasks = {
        "duplicates": {"account_id": 1, "task_id": ID},
        "broken": {"account_id": 1, "priority": NASTY},
        "columns": {"account_id": 1, f"column{NASTY}": NASTY},
    }
    for name, task in tasks.items():
        (tmp_path / f"{name}.jsonl").write_text(json.dumps(task), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONTENTQ_HOME", str(tmp_path / f"home{NASTY}"))
    return tmp_path


@pytest.fixture
def queue(database: Connection, dsn: str, monkeypatch: pytest.MonkeyPatch) -> Queue:
    """A queue in which every text is nasty."""
    monkeypatch.setenv("DATABASE_URL", dsn)
    queue = Queue(database)
    queue.run("INSERT INTO accounts (name, paused_until) VALUES (%s, 'infinity')", f"Ada{NASTY}")
    texts = dict.fromkeys(("topic", "keywords", "category", "requirements"), NASTY + FORGED)
    content = queue.value(
        "INSERT INTO contents (account_id, title, body, word_count, review_status) "
        "VALUES (1, %s, %s, 2, 'approved') RETURNING id",
        f"title{NASTY}",
        f"body{NASTY}\nsecond",
    )
    queue.add(
        task_id=ID,
        account_id=1,
        **texts,
        tone=NASTY,
        status="failed",
        content_id=content,
        attempt=1,
        error_message=NASTY + FORGED,
        progress=0.5,
        progress_note=NASTY + FORGED,
        gate=NASTY + FORGED,
        completed_at="2026-01-01",
        batch=f"batch{NASTY}",
    )
    queue.run(
        "INSERT INTO content_generation_tasks (account_id, category, status, started_at, completed_at) "
        "VALUES (1, %s, 'completed', now(), now())",
        NASTY,
    )
    queue.run(
        "UPDATE content_generation_tasks SET attempt_errors = jsonb_build_array(jsonb_build_object("
        "'attempt', 1, 'at', %s::text, 'error_class', %s::text, 'message', %s::text))",
        NASTY,
        NASTY,
        NASTY + FORGED,
    )
    # The second version of a content, which awaits review, and the first one.
    queue.run(
        "UPDATE contents SET generation_task_id = t.id, reviewed_by = %s, reviewed_at = clock_timestamp(), "
        "review_note = %s FROM content_generation_tasks AS t WHERE t.content_id = contents.id",
        NASTY,
        NASTY + FORGED,
    )
    queue.run(
        "INSERT INTO contents (account_id, title, body, generation_task_id) "
        "SELECT account_id, title, body || %s, generation_task_id FROM contents",
        f"\nthird{NASTY}",
    )
    queue.run("INSERT INTO accounts (name) VALUES ('Grace')")
    queue.add(task_id="waits", account_id=2, topic="Tea")
    queue.close_gate(f"gate{NASTY}", "1 hour", NASTY)
    queue.value("SELECT contentq.register_worker(%s, 1, 1, %s, version => '1')", f"host{NASTY}", f"handler{NASTY}")
    queue.run("UPDATE contentq.workers SET gate = %s", f"gate{NASTY}")
    return queue


Run = Callable[..., Outcome]


@pytest.fixture
def run(folder: Path, dsn: str) -> Run:
    """Runs the program with pipes."""

    def run(*arguments: str) -> Outcome:
        done = CONTENTQ.run(
            *arguments,
            env={
                **plain_environment(),
                "DATABASE_URL": dsn,
                "CONTENTQ_HOME": str(folder / f"home{NASTY}"),
            },
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    return run


def unseen(text: str, kept: str = "\n\t") -> list[str]:
    """Characters that are invisible or control the terminal."""
    kinds = {"Cc", "Cf", "Zl", "Zp", "Cs"}
    return [each for each in text if each not in kept and unicodedata.category(each) in kinds]


def names(arguments: list[str]) -> str:
    return " ".join(arguments).replace(NASTY, "…")


@pytest.mark.slow
def test_what_cannot_be_seen_is_escaped() -> None:
    every = (chr(code) for code in range(sys.maxunicode + 1) if code not in SEEN)
    hidden = [each for each in every if unseen(each, "")]

    assert len(hidden) > 2200
    assert unseen(escaping.escape("".join(hidden)), "") == []
    assert unseen(escaping.escape("".join(hidden), escaping.LINES)) == []
    assert escaping.escape(NASTY) == ESCAPED


@pytest.mark.parametrize("text", ["Tea & 茶 — naïve, ½ Ω שלום مرحبا 🫖", r"C:\new \x1b \u202e", "a  b"])
def test_what_can_be_seen_stays(text: str) -> None:
    assert escaping.escape(text) == text


def test_lines_of_another_system_are_lines() -> None:
    assert escaping.escape("a\r\nb\rc\td", escaping.LINES) == "a\nb\\rc\td"
    assert escaping.escape("a\r\nb") == r"a\r\nb"


def test_article_keeps_the_joiners_that_its_language_needs() -> None:
    assert escaping.escape(PERSIAN, escaping.PROSE) == PERSIAN
    assert escaping.escape(PERSIAN) == r"می\u200cخواهم 👩\u200d💻 ❤\ufe0f"
    assert escaping.escape("a\u202eb", escaping.PROSE) == r"a\u202eb"


@pytest.mark.parametrize("text", [NASTY, "\ud800", "\U000e0041\U0001f600", "\n\t\\", PERSIAN])
def test_json_with_escapes_says_the_same(text: str) -> None:
    written = escaping.escape_json(json.dumps({"text": text}, ensure_ascii=False, indent=2))

    assert json.loads(written) == {"text": text}
    assert unseen(written) == []


def test_every_command_is_tried() -> None:
    assert {arguments[0] for arguments in SHOWING} >= {*COMMANDS}


@pytest.mark.parametrize("arguments", SHOWING, ids=names)
def test_no_command_shows_what_steers_a_terminal(
    folder: Path,
    queue: Queue,
    capfd: pytest.CaptureFixture[str],
    run: Run,
    arguments: list[str],
) -> None:
    if arguments[0] in ("try", "worker"):
        outcome = run(*arguments)
    else:
        capfd.readouterr()
        outcome = Outcome(execute(arguments), *capfd.readouterr())

    assert outcome.code != 3 or arguments[0] == "--dsn", outcome
    assert "Traceback" not in outcome.err or arguments[0] in ("try", "worker")
    assert unseen(outcome.out + outcome.err) == []
    # `contentq try` shows the traceback of the handler's author on the author's own terminal.
    forged = [line for line in (outcome.out + outcome.err).splitlines() if line.startswith("2026-01-01 level")]
    assert forged == [] or arguments[0] == "try"


@pytest.mark.parametrize("arguments", ON_TERMINAL, ids=names)
def test_a_terminal_is_not_steered(folder: Path, queue: Queue, arguments: list[str]) -> None:
    _, shown = on_terminal(*arguments, columns=200)

    assert unseen(shown, "\n\t\r") == []  # rich moves the cursor for its progress bars
    assert r"\x1b]0;pwn\x07" in shown


@pytest.mark.parametrize("arguments", [["list"], ["show", ID, "--content"], ["explain", ID], ["stats"]], ids=names)
def test_raw_shows_texts_as_they_are(
    folder: Path, queue: Queue, capfd: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    capfd.readouterr()
    assert execute(["--raw", *arguments]) == 0
    assert NASTY in capfd.readouterr().out

    assert execute(arguments) == 0
    assert ESCAPED in capfd.readouterr().out.replace(r"\n", "")


@pytest.mark.parametrize("arguments", [["list"], ["show", ID, "--content"], ["stats"], ["explain", ID]], ids=names)
def test_json_is_valid_and_exact(
    folder: Path, queue: Queue, capfd: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    for options in ([], ["--raw"]):
        capfd.readouterr()
        assert execute([*options, *arguments, "--json"]) == 0
        printed = capfd.readouterr().out

        assert unseen(printed) == []
        assert any(NASTY in text for text in _texts(json.loads(printed)))


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)


def test_article_is_shown_with_its_joiners_and_a_name_without(
    folder: Path, queue: Queue, capfd: pytest.CaptureFixture[str]
) -> None:
    queue.run("UPDATE contents SET body = %s", f"# Tea\n\n\t{PERSIAN}")
    queue.run("UPDATE content_generation_tasks SET topic = %s", PERSIAN)
    capfd.readouterr()

    assert execute(["show", ID, "--content"]) == 0
    assert capfd.readouterr().out.endswith(f"\n# Tea\n\n\t{PERSIAN}\n")
    assert execute(["list"]) == 0
    assert r"می\u200cخواهم" in capfd.readouterr().out


def test_two_ids_never_look_the_same(folder: Path, queue: Queue, capfd: pytest.CaptureFixture[str]) -> None:
    for end in ("", " ", "\n", "\u200b", "\ufe0f", "\U000e0041"):
        queue.add(task_id=f"twin{end}x", account_id=2, topic="Tea")
    capfd.readouterr()

    assert execute(["list"]) == 0
    shown = re.findall(r"twin.*?x(?= )", capfd.readouterr().out)
    assert len({*shown}) == len(shown) == 6


def test_log_has_one_line_an_event(folder: Path, queue: Queue, run: Run) -> None:
    queue.run("UPDATE accounts SET paused_until = NULL")
    queue.run("DELETE FROM content_generation_tasks")
    for topic in ("bug", "refused", "result", "Tea"):
        queue.add(task_id=f"{topic}{NASTY}{FORGED}", account_id=2, topic=topic, category=NASTY, max_retries=0)

    gate, level = ("--gate", f"g{NASTY}{FORGED}"), ("--log-level", "debug")
    outcome = run("worker", "--until-empty", "--handler", "nasty:handler", *gate, *level)

    *lines, summary = outcome.err.splitlines()
    assert summary.startswith("2 completed, 2 failed in ")
    begin = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} level=[A-Z]+ logger=\S+ ")
    assert [line for line in lines if not begin.match(line)] == []
    assert [line for line in lines if line.startswith("2026-01-01 level")] == []
    assert unseen(outcome.err) == []
    said = [begin.sub("", line) for line in lines]
    assert any(line.startswith(f'handler raised task="bug{ESCAPED}\\n2026') for line in said)
    bars = [line for line in said if line.startswith("| ")]
    assert bars[0] == "| Traceback (most recent call last):"
    assert f"| ValueError: {ESCAPED}" in bars
    assert all(line.startswith(("| ", "done task=forged")) is line.startswith("| ") for line in said)


def test_text_in_the_log_cannot_pass_for_further_fields(folder: Path, queue: Queue, run: Run) -> None:
    shown = {"plain": "plain", "a attempt=9": '"a attempt=9"', 'b status="x"': r'"b status=\"x\""', "c=": '"c="'}
    queue.run("DELETE FROM content_generation_tasks")
    for id_ in shown:
        queue.add(task_id=id_, account_id=2, topic="refused")

    outcome = run("worker", "--until-empty", "--handler", "nasty:handler")

    for text in shown.values():
        assert f" attempt failed task={text} attempt=1 status=failed error=" in outcome.err


def test_log_with_raw_has_texts_as_they_are(folder: Path, queue: Queue, run: Run) -> None:
    queue.run("UPDATE content_generation_tasks SET task_id = %s WHERE task_id = 'waits'", f"waits{NASTY}")

    outcome = run("--raw", "worker", "--until-empty", "--handler", "nasty:handler", "--log-level", "debug")

    assert NASTY in outcome.err


def test_bug_of_the_program_does_not_steer_the_terminal_either() -> None:
    script = f"import contentq.cli.main as m\ndef bug(_): raise ValueError({NASTY!r})\nm.execute = bug\nm.run()"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert done.stderr.startswith("Traceback (most recent call last):\n")
    assert done.stderr.endswith(f"ValueError: {ESCAPED}\n")


@pytest.mark.parametrize("encoding", ["C", "POSIX"])
def test_locale_without_utf8_does_not_lead_past_the_escapes(
    folder: Path, queue: Queue, dsn: str, encoding: str
) -> None:
    plain = {"LC_ALL": encoding, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "DATABASE_URL": dsn}
    done = subprocess.run(
        [sys.executable, "-m", "contentq", "list"], env={**plain_environment(), **plain}, capture_output=True
    )

    assert unseen((done.stdout + done.stderr).decode()) == []
    assert done.returncode == 0


def test_columns_in_a_pipe_are_aligned_for_wide_characters(
    folder: Path, queue: Queue, capfd: pytest.CaptureFixture[str]
) -> None:
    queue.run("UPDATE accounts SET name = '青禾文化', paused_until = NULL WHERE id = 1")
    for account in (1, 2):
        queue.add(account_id=account, topic="Tea")
    capfd.readouterr()

    assert execute(["stats"]) == 0
    heading, *rows = capfd.readouterr().out.partition("backlog by account\n")[2].splitlines()[:3]
    for row in rows:
        length = next(number for number in range(len(row)) if _cells(row[:number]) >= heading.index("pending"))
        assert _cells(row[:length]) == heading.index("pending")
        assert re.match(r"\d", row[length:])
        assert row[:length].endswith("  ")


def _cells(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def test_psql_shows_control_characters_as_escapes_but_not_bidi_marks_or_unaligned_output(dsn: str) -> None:
    def psql(*options: str) -> str:
        query = "SELECT U&'\\001B\\009B2J\\202E\\200B' AS text"
        command = [str(client("psql")), "-X", *options, "-c", query, dsn]
        environment = {**plain_environment(), "PGCLIENTENCODING": "UTF8"}
        return subprocess.run(command, env=environment, capture_output=True, check=True).stdout.decode()

    assert "\\x1B\\u009B2J\u202e\u200b" in psql()
    assert "\x1b\x9b2J\u202e\u200b" in psql("-A")
