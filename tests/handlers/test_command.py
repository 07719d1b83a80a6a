"""The handler command with real programs: their input, their output, their failures."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from contentq.content import GeneratedContent, PreviousContent
from contentq.errors import (
    CheckFailed,
    HandlerError,
    HandlerUnusable,
    PermanentError,
    RateLimited,
    Snooze,
    TemporaryError,
)
from contentq.handlers.commands import handler as command
from contentq.handlers.commands.handler import CommandHandler
from contentq.handlers.loading import load

from tests.handlers.programs import Heard, Script, context, run
from tests.support.tasks import NOW, task

DOCS = Path(__file__).parents[2] / "docs"
EXAMPLES = DOCS / "example/handlers"
PAGE = (DOCS / "how-to/run-a-program.md").read_text(encoding="utf-8")


def error(script: str, kind: type[HandlerError]) -> Any:
    """The error of a program, which must be of exactly this class."""
    with pytest.raises(kind) as caught:
        run(CommandHandler([script]))
    assert type(caught.value) is kind
    return caught.value


def test_program_reads_the_task_as_one_object_on_one_line(script: Script) -> None:
    given = task(
        keywords="a, b",
        category="blog",
        requirements='Two\nlines and a "quote", 中文',
        tone="warm",
        retry_count=1,
        attempt=2,
        timeout_at=NOW + timedelta(hours=1),
        seconds_left=60.0,
        auto_approve=False,
        error_message="busy",
    )
    previous = PreviousContent(id=7, title="T", body="B\n", word_count=1, review_status="rejected")
    handler = CommandHandler([script('IFS= read -r line; if read -r more; then exit 1; fi; echo "$line"')])

    async def main() -> Any:
        return await handler(given, context(given, previous))

    result = asyncio.run(main())

    assert 50 < result.pop("seconds_left") <= 60
    assert result == {
        "id": 1,
        "task_id": "task-1",
        "attempt": 2,
        "account_id": 1,
        "topic": "Lentil soup",
        "keywords": "a, b",
        "keyword_list": ["a", "b"],
        "category": "blog",
        "requirements": 'Two\nlines and a "quote", 中文',
        "tone": "warm",
        "priority": 5,
        "retry_count": 1,
        "max_retries": 3,
        "revision_count": 0,
        "revision_note": None,
        "submitted_at": "2026-01-01T00:00:00+00:00",
        "timeout_at": "2026-01-01T01:00:00+00:00",
        "auto_approve": False,
        "previous_error": "busy",
        "state": {},
        "previous_content": {"id": 7, "title": "T", "body": "B\n", "word_count": 1, "review_status": "rejected"},
    }


def test_program_puts_its_task_off_and_finds_what_it_has_kept(script: Script) -> None:
    text = """printf '{"snooze": 7200, "state": {"job": "j1"}, "cost": 2}'; echo waiting >&2; exit 75"""

    snooze = error(script(text), Snooze)

    assert (str(snooze), snooze.delay, snooze.state) == ("waiting", timedelta(hours=2), {"job": "j1"})
    assert snooze.usage == {"cost": 2}
    assert run(CommandHandler([script("cat")]), task(handler_state='{"job": "j1"}'))["state"] == {"job": "j1"}


def test_what_is_not_known_is_null(script: Script) -> None:
    result = run(CommandHandler([script("cat")]), task(topic=None))

    assert [name for name, value in result.items() if value is None] == [
        *("topic", "keywords", "category", "requirements", "tone", "timeout_at", "revision_note", "seconds_left"),
        *("previous_error", "previous_content"),
    ]
    assert result["keyword_list"] == []


@pytest.mark.parametrize("way", ["cat", "cat /dev/stdin", "cat <&0 | cat"])
def test_task_larger_than_a_pipe_is_read_in_whatever_way(script: Script, way: str) -> None:
    assert (
        run(CommandHandler([script(way)]), task(requirements="x" * 1_000_000))["requirements"] == "x" * 1_000_000
    )


def test_program_may_leave_the_task_unread(script: Script) -> None:
    handler = CommandHandler([script("exec <&-; echo '# Unread'")])

    assert run(handler, task(requirements="x" * 1_000_000)).title == "Unread"


def test_markdown_becomes_content_and_no_output_a_success(script: Script) -> None:
    assert run(CommandHandler([script("echo; echo '# Soup'; echo; echo Text")])) == GeneratedContent(
        title="Soup", body="# Soup\n\nText\n"
    )
    assert run(CommandHandler([script("echo nothing to say >&2")])) is None


def test_arguments_arrive_as_they_are_and_no_shell_sees_them(script: Script) -> None:
    path = script("""printf '%s\\n' '{"a": ['"$(printf '"%s",' "$@")"'"end"]}'""")

    assert run(CommandHandler([path, "$HOME", "a b", "", "*;|"])) == {"a": ["$HOME", "a b", "", "*;|", "end"]}


def test_program_runs_in_the_folder_of_the_worker(
    script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script("pwd")
    monkeypatch.chdir(tmp_path)

    assert run(CommandHandler(["./write.sh"])).body == f"{tmp_path}\n"


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("exit 1", PermanentError, " ended with exit code 1"),
        ("echo No such model >&2; exit 64", PermanentError, " ended with exit code 64: No such model"),
        ("echo '# Half'; exit 75", TemporaryError, " ended with exit code 75"),
        ("echo busy >&2; exit 75", TemporaryError, " ended with exit code 75: busy"),
        ("kill -TERM $$", TemporaryError, " was killed by SIGTERM"),
        ("echo big >&2; kill -KILL $$", TemporaryError, " was killed by SIGKILL (out of memory?): big"),
        ("no-such-program", PermanentError, "exit code 127: {}: line 2: no-such-program: command not found"),
        ("printf '# Caf\\351'", PermanentError, "output is not UTF-8: byte 0xe9 at position 5"),
        ("echo '{'", PermanentError, "output begins with { but is not a JSON object"),
    ],
)
def test_exit_code_says_what_becomes_of_the_attempt(
    script: Script, text: str, kind: type[HandlerError], message: str
) -> None:
    path = script(text)

    said = str(error(path, kind))

    assert said.endswith(message.replace("{}:", f"{path}:")) or message in said


@pytest.mark.parametrize(
    ("members", "kind", "seconds", "gate", "nothing_left"),
    [
        ('{"rate_limited": true, "retry_after": 30, "gate": "acme"}', RateLimited, 30, "acme", False),
        ('{"rate_limited": true}', RateLimited, None, None, False),
        ('{"rate_limited": true, "nothing_left": true, "retry_after": 30}', RateLimited, 30, None, True),
        ('{"rate_limited": true, "nothing_left": "no"}', RateLimited, None, None, False),
        ('{"retry_after": 1.5}', TemporaryError, 1.5, None, None),
        ('{"rate_limited": false, "retry_after": 2, "gate": "acme"}', TemporaryError, 2, None, None),
        ('{"retry_after": "soon"}', TemporaryError, None, None, None),
        ('{"retry_after": NaN}', TemporaryError, None, None, None),
        ('{"retry_after": -1}', TemporaryError, None, None, None),
        ('{"rate_limited": true', TemporaryError, None, None, None),
        ("[1]", TemporaryError, None, None, None),
    ],
)
def test_temporary_failure_may_say_when_to_come_again(
    script: Script,
    members: str,
    kind: type[HandlerError],
    seconds: float | None,
    gate: str | None,
    nothing_left: bool | None,
) -> None:
    caught = error(script(f"echo '{members}'; exit 75"), kind)

    assert caught.retry_after == (None if seconds is None else timedelta(seconds=seconds))
    assert getattr(caught, "gate", None) == gate
    assert getattr(caught, "nothing_left", None) == nothing_left


@pytest.mark.parametrize(
    ("members", "message", "body", "most", "for_review"),
    [
        ('{"failed_checks": "too short", "title": "T", "body": "B"}', "too short", "B", 2, False),
        ('{"failed_checks": ["too short", "no source"]}', "too short\nno source", None, 2, False),
        (
            '{"failed_checks": ["x", 7], "title": "T", "body": "B", "max_revisions": 0, "keep_for_review": true}',
            "x",
            "B",
            0,
            True,
        ),
        ('{"failed_checks": "x", "max_revisions": -1, "keep_for_review": "yes"}', "x", None, 2, False),
    ],
)
def test_program_may_ask_for_a_revision_of_its_draft(
    script: Script, members: str, message: str, body: str | None, most: int, for_review: bool
) -> None:
    caught = error(script(f"echo '{members}'; exit 75"), CheckFailed)

    assert str(caught) == message
    assert (caught.draft and caught.draft.body) == body
    assert (caught.max_revisions, caught.keep_for_review) == (most, for_review)


def test_draft_of_a_program_has_its_result_and_its_cost(script: Script) -> None:
    members = '{"failed_checks": "x", "title": "T", "body": "B", "model": "m", "cost": 0.5, "retry_after": 3}'

    caught = error(script(f"echo '{members}'; exit 75"), CheckFailed)

    assert caught.draft == GeneratedContent("T", "B", result={"model": "m", "cost": 0.5, "retry_after": 3})
    assert caught.usage == {"model": "m", "cost": 0.5}


@pytest.mark.parametrize("members", ['{"failed_checks": []}', '{"failed_checks": [""]}', '{"failed_checks": {}}'])
def test_failure_without_failed_checks_is_temporary(script: Script, members: str) -> None:
    error(script(f"echo '{members}'; exit 75"), TemporaryError)


def test_draft_of_a_program_that_is_none_fails_its_task(script: Script) -> None:
    caught = error(script('echo \'{"failed_checks": "x", "title": "T", "body": 7}\'; exit 75'), PermanentError)

    assert "member body of the program's output is a number" in str(caught)


@pytest.mark.parametrize(("code", "kind"), [(75, TemporaryError), (1, PermanentError)])
def test_failure_may_say_what_it_has_cost(script: Script, code: int, kind: type[HandlerError]) -> None:
    members = '{"model": "m", "prompt_tokens": 3, "completion_tokens": 4, "cost": 0.5, "other": 1}'

    caught = error(script(f"echo '{members}'; exit {code}"), kind)

    assert caught.usage == {"model": "m", "prompt_tokens": 3, "completion_tokens": 4, "cost": 0.5}


def test_lines_of_stderr_are_logged_with_the_task(script: Script, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "contentq.handlers.command")
    long = "for i in {1..500}; do printf 0123456789 >&2; done; echo >&2;"

    run(CommandHandler([script(f"printf 'one\\n\\n\\033[1mtwo\\r' >&2; echo >&2; {long} printf last >&2")]))

    prefix = "task=task-1 attempt=1 "
    *first, cut, last = [record.getMessage().removeprefix(prefix) for record in caplog.records]
    assert first == ["one", " [1mtwo"]
    assert (len(cut), cut[-3:]) == (2002, "9 …")
    assert last == "last"


@pytest.mark.slow
def test_end_of_stderr_is_in_the_message_however_much_there_was(script: Script) -> None:
    text = "yes 'a line of some length' | head -n 200000 >&2; echo the end >&2; exit 3"

    message = str(error(script(text), PermanentError))

    assert message.endswith("a line of some length\nthe end")
    assert 2000 < len(message) < 2200


def test_progress_is_told_and_not_logged(script: Script, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "contentq.handlers.command")
    lines = ["contentq:progress 0.25", "contentq:progress 1.0 almost there", "contentq:progress soon"]
    heard: Heard = []

    run(CommandHandler([script("\n".join(f"echo {line} >&2" for line in lines))]), heard=heard)

    assert heard == [(0.25, None), (1.0, "almost there")]
    assert [record.getMessage() for record in caplog.records] == ["task=task-1 attempt=1 contentq:progress soon"]


def test_output_past_the_limit_ends_the_program(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "STDOUT_LIMIT", 1_000_000)
    assert len(run(CommandHandler([script("head -c 999999 /dev/zero | tr '\\0' x")])).body) == 1_000_000

    message = str(error(script("yes"), PermanentError))

    assert message.startswith("handler output too large: ")
    assert message.endswith("write.sh wrote more than 1,000,000 bytes")


def test_only_the_variables_of_the_list_reach_the_program(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name not in ("PATH", "HOME"):
            monkeypatch.delenv(name)
    for name in ("DATABASE_URL", "PGPASSWORD", "API_KEY", "OTHER_KEY", "LC_TIME", "LANG", "TZ", "LCX"):
        monkeypatch.setenv(name, "value")
    path = script("exec env")

    def names(*asked: str) -> set[str]:
        body = run(CommandHandler([path], asked)).body
        return {line.partition("=")[0] for line in body.splitlines()} - {"_", "PWD", "SHLVL", "CONTENTQ_PROGRAM"}

    assert names() == {"PATH", "HOME", "LC_TIME", "LANG", "TZ"}
    assert names("API_KEY", "NOT_SET") == {"PATH", "HOME", "LC_TIME", "LANG", "TZ", "API_KEY"}


def test_no_descriptor_of_the_worker_reaches_the_program(script: Script, tmp_path: Path) -> None:
    with (tmp_path / "secret").open("wb") as file:
        os.set_inheritable(file.fileno(), True)
        found = run(CommandHandler([script("for fd in {3..30}; do [ -e /dev/fd/$fd ] && echo $fd; done; true")]))
    # The script that Bash reads is also an open file.
    assert found is None or len(found.body.split()) <= 1


def refusal(*words: str, environment: tuple[str, ...] = (), name: str = "command") -> str:
    with pytest.raises(HandlerUnusable) as caught:
        load(name, command=words, environment=environment)
    return str(caught.value)


def test_handler_is_found_by_its_name(script: Script) -> None:
    handler = load("command", command=(script("echo '# Soup'"),))

    assert (handler.name, handler.is_async) == ("command", True)
    assert run(handler.call).title == "Soup"


def test_options_that_do_not_fit_together_are_refused() -> None:
    assert refusal() == "the handler command needs a program: add --command './write.sh'"
    assert refusal("x", name="template") == (
        "--command is for the handler command, not for 'template': add --handler command"
    )
    assert refusal(environment=("A",), name="m:f") == (
        "--env is for the handler command, not for 'm:f': add --handler command"
    )
    assert refusal("cat", environment=("KEY=secret",)) == (
        "--env takes the name of a variable of the worker's environment, without a value: --env KEY"
    )


def test_program_that_cannot_be_run_is_refused_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    for name, text in {
        "plain.sh": "#!/bin/sh\n",
        "windows.sh": "#!/bin/sh\r\n",
        "lost.sh": "#!/no/such/shell\n",
        "lost.mjs": "#!/usr/bin/env no-such-node\n",
        "bare.sh": "# A script\n\techo\n",
        "marked.sh": "\ufeff#!/bin/sh\n",
        "empty.sh": "",
    }.items():
        (tmp_path / name).write_bytes(text.encode())
        (tmp_path / name).chmod(0o755 if name != "plain.sh" else 0o644)

    assert refusal("no-such-program") == "--command: there is no program 'no-such-program' in the PATH"
    assert refusal("plain.sh") == (
        "--command: there is no program 'plain.sh' in the PATH (that of the current folder is ./plain.sh)"
    )
    assert refusal("./gone.sh") == f"--command: there is no file './gone.sh' in {tmp_path}"
    assert refusal("./") == "--command: './' is a folder"
    if os.geteuid() != 0 or not os.access("plain.sh", os.X_OK):
        assert refusal("./plain.sh") == "--command: './plain.sh' is not executable; run: chmod +x ./plain.sh"
    assert refusal("./windows.sh") == "--command: './windows.sh' cannot be run: its lines end with \\r\\n"
    assert refusal("./lost.sh") == "--command: './lost.sh' cannot be run: there is no '/no/such/shell'"
    assert refusal("./lost.mjs") == "--command: './lost.mjs' cannot be run: there is no 'no-such-node'"
    for name in ("./bare.sh", "./marked.sh", "./empty.sh"):
        assert refusal(name) == (
            f"--command: '{name}' cannot be run: a script must begin with a line such as #!/usr/bin/env bash"
        )


def test_binary_is_a_program_as_well() -> None:
    given = task()

    assert run(CommandHandler([shutil.which("cat") or "/bin/cat"]), given)["topic"] == given.topic


def test_program_that_is_gone_later_may_be_back_soon(script: Script) -> None:
    path = script("true")
    handler = CommandHandler([path])
    Path(path).unlink()

    with pytest.raises(TemporaryError, match=r"write\.sh cannot be started: No such file or directory$"):
        run(handler)


MANY = """
import asyncio, os, resource, sys
from contentq.errors import TemporaryError
from contentq.handlers.commands.handler import CommandHandler
from tests.handlers.programs import context
from tests.support.tasks import task

def count():
    return len(os.listdir("/dev/fd"))

async def main():
    handler, given = CommandHandler(["sh", "-c", "echo '# Soup'"]), task()
    await handler(given, context(given))
    before = count()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]), hard))
    outcomes = await asyncio.gather(
        *(handler(given, context(given)) for _ in range(int(sys.argv[2]))), return_exceptions=True
    )
    await handler(given, context(given))
    failed = [each for each in outcomes if isinstance(each, BaseException)]
    assert all(isinstance(each, TemporaryError) for each in failed), failed
    assert all("cannot be started: Too many open files" in str(each) for each in failed), failed
    for _ in range(200):
        if count() <= before:
            break
        await asyncio.sleep(0.05)
    assert count() <= before, os.listdir("/dev/fd")
    try:
        os.waitpid(-1, os.WNOHANG)
        children = 1  # the guardian
    except ChildProcessError:
        children = 0
    print(len(failed), children)

asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.parametrize(("descriptors", "attempts", "fail"), [(2000, 300, False), (60, 100, True)])
def test_hundreds_start_at_once_and_a_lack_of_descriptors_is_temporary(
    descriptors: int, attempts: int, fail: bool
) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and hard < descriptors:
        pytest.skip(f"no more than {hard} file descriptors are allowed here")

    done = subprocess.run(
        [sys.executable, "-c", MANY, str(descriptors), str(attempts)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=Path(__file__).parents[2],
    )

    assert (done.returncode, done.stderr) == (0, "")
    failed, _ = done.stdout.split()
    assert (int(failed) > 0) == fail


@pytest.mark.parametrize("name", ["write.sh", "write.mjs"])
def test_examples_draft_what_they_are_given(name: str) -> None:
    if name == "write.mjs" and shutil.which("node") is None:
        pytest.skip("node is not installed")
    given = task(
        topic='Soup "à la\tcarte" 茶 \\n $(x) 100 %', keywords="onion, lentil", requirements='"topic": "X"'
    )

    content = run(CommandHandler([str(EXAMPLES / name)]), given)

    assert content.title == given.topic
    assert [line for line in content.body.splitlines() if line.startswith("## ")] == ["## onion", "## lentil"]
    with pytest.raises(PermanentError, match="ended with exit code 1: a task needs a topic"):
        run(CommandHandler([str(EXAMPLES / name)]), task(topic=None))


@pytest.mark.parametrize("name", ["write.sh", "write.mjs"])
def test_examples_are_those_of_the_documentation(name: str) -> None:
    text = (EXAMPLES / name).read_text(encoding="utf-8")

    assert f"<!-- file: {name} -->\n```" in PAGE
    assert f"\n{text}```\n" in PAGE
