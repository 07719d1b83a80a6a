"""contentq worker as a program: invalid options, exit codes, output."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg.conninfo import make_conninfo

from tests.cli.conftest import Outcome, Run, Start
from tests.cli.terminal import on_terminal
from tests.support.queue import Queue
from tests.support.waiting import eventually

HANDLERS = '''
import asyncio
from contentq import PermanentError, TemporaryError

TIMES = 7


class Writer:
    async def __call__(self, task, context):
        return {"written": task.topic}


write = Writer()


async def by_topic(task, context):
    if task.topic == "wrong":
        raise PermanentError("no such subject")
    if task.topic == "again":
        raise TemporaryError("busy")
    return {"success": True}


def plain(task, context):
    return {"in": "a thread"}


async def until_let_go(task, context):
    """Ends when a file with the name of its topic is there."""
    from pathlib import Path

    while not Path(task.topic).exists():
        await asyncio.sleep(0.01)
    return {"success": True}


async def one_argument(task):
    pass
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working folder with handlers for the worker."""
    (tmp_path / "handlers.py").write_text(HANDLERS)
    (tmp_path / "broken.py").write_text("x = 1\ndef f(:\n")
    (tmp_path / "needs.py").write_text("import broken\n")
    (tmp_path / "lacks.py").write_text("\nimport no_such_package\n")
    (tmp_path / "raises.py").write_text("raise ValueError('two\\nlines')\n")
    (tmp_path / "leaves.py").write_text("import sys\n\nsys.exit('no key is set')\n")
    return tmp_path


def _ended(process: subprocess.Popen[bytes], within: float = 30) -> Outcome:
    out, err = process.communicate(timeout=within)
    return Outcome(process.returncode, out.decode(), err.decode())


@pytest.fixture
def inside(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Changes to this folder, and later removes the modules imported there."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield folder
    sys.modules.pop("handlers", None)


@pytest.mark.parametrize(
    ("handler", "message"),
    [
        ("handlers", "'handlers' does not name a handler; write module:function, or one of: template,"),
        ("handlers:", "'handlers:' does not name a handler"),
        ("handlers.py:write", "names a file; run in its folder with --handler handlers:write"),
        ("./pkg/handlers.py:write", "names a file; run in its folder with --handler handlers:write"),
        ("nothing:write", "there is no module 'nothing' in {folder} or among the installed packages"),
        ("handlers:nothing", "module handlers ({folder}/handlers.py) has no 'nothing'"),
        ("broken:f", "importing broken failed: SyntaxError: invalid syntax ({folder}/broken.py, line 2)"),
        ("needs:f", "importing needs failed: SyntaxError: invalid syntax ({folder}/broken.py, line 2)"),
        ("lacks:f", "ModuleNotFoundError: No module named 'no_such_package' ({folder}/lacks.py, line 2)"),
        ("raises:f", "importing raises failed: ValueError: two lines ({folder}/raises.py, line 1)"),
        ("leaves:f", "importing leaves failed: SystemExit: no key is set ({folder}/leaves.py, line 3)"),
        ("handlers:TIMES", "handler 'handlers:TIMES' is not a function; a handler is called with (task, context)"),
        ("handlers:Writer", "handler 'handlers:Writer' is not a function"),
        ("handlers:one_argument", "cannot be called with (task, context): it takes (task)"),
    ],
)
def test_handler_that_cannot_be_used_ends_with_2_and_one_line(
    contentq: Run, inside: Path, handler: str, message: str
) -> None:
    outcome = contentq("worker", "--handler", handler)

    assert outcome.code == 2
    assert message.format(folder=inside) in outcome.error
    assert len(outcome.err.splitlines()) == 1


def test_template_folder_that_is_not_there_ends_with_2(contentq: Run) -> None:
    outcome = contentq("worker", "--templates", "/no/such/folder")

    assert outcome.code == 2
    assert outcome.error == "the template folder '/no/such/folder' is not a folder"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--handler", "command"], "the handler command needs a program: add --command './write.sh'"),
        (
            ["--handler", "command", "--command", " "],
            "the handler command needs a program: add --command './write.sh'",
        ),
        (["--command", "cat"], "--command is for the handler command, not for 'template': add --handler command"),
        (["--env", "KEY"], "--env is for the handler command, not for 'template': add --handler command"),
        (["--handler", "command", "--command", "no-such"], "--command: there is no program 'no-such' in the PATH"),
    ],
)
def test_command_that_cannot_be_used_ends_with_2(contentq: Run, options: list[str], message: str) -> None:
    outcome = contentq("worker", *options)

    assert (outcome.code, outcome.error) == (2, message)


def test_program_gets_its_arguments_and_the_variables_named(
    start: Start, dsn: str, queue: Queue, folder: Path
) -> None:
    queue.add(topic="Soup")
    program = folder / "write.sh"
    program.write_text('#!/bin/sh\necho "# $1|$2|$API_KEY|$DATABASE_URL"\necho stirring >&2\n')
    program.chmod(0o755)
    options = ["--handler", "command", "--command", "./write.sh 'a b' $HOME", "--env", "API_KEY"]

    outcome = _ended(start("worker", *options, "--until-empty", cwd=folder, DATABASE_URL=dsn, API_KEY="key"))

    assert outcome.code == 0
    assert queue.values("SELECT title FROM contents") == ["a b|$HOME|key|"]
    assert " level=INFO logger=contentq.handlers.command task=" in outcome.err
    assert "attempt=1 stirring\n" in outcome.err


BY_CATEGORY = """
[categories.plain]
handler = "handlers:plain"
[categories.loop]
handler = "handlers:by_topic"
"""

PROGRAM = """
[categories.program]
handler = "command"
command = "sub/write.sh"
"""


def test_each_category_is_run_by_its_own_handler_and_others_wait(
    start: Start, dsn: str, queue: Queue, folder: Path
) -> None:
    for category in ("plain", "loop", "program", "other", None):
        queue.add(topic="x", category=category)
    (folder / "handlers.toml").write_text(BY_CATEGORY + PROGRAM)
    program = folder / "sub/write.sh"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho '# By a program'\n")
    program.chmod(0o755)

    outcome = _ended(start("worker", "--handlers", "handlers.toml", "--until-empty", cwd=folder, DATABASE_URL=dsn))

    assert outcome.code == 0, outcome.err
    done = "SELECT concat_ws(' ', category, status, result->>'in') FROM content_generation_tasks ORDER BY id"
    assert queue.values(done) == [
        "plain completed a thread",
        "loop completed",
        "program completed",
        "other pending",
        "pending",
    ]


def test_worker_registers_the_categories_that_it_claims(
    start: Start, dsn: str, queue: Queue, folder: Path
) -> None:
    (folder / "handlers.toml").write_text(BY_CATEGORY)
    registered = "SELECT concat_ws(' ', handler, categories) FROM contentq.workers"
    first = start("worker", "--handlers", "handlers.toml", cwd=folder, DATABASE_URL=dsn)
    eventually(lambda: queue.values(registered) == ["handlers.toml {plain,loop}"])
    first.terminate()
    _ended(first)

    start("worker", "--handlers", "handlers.toml", "--category", "loop", cwd=folder, DATABASE_URL=dsn)

    eventually(lambda: queue.values(registered) == ["handlers.toml {loop}"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--handler", "template"], "give --handler or --handlers, not both"),
        (["--templates", "x"], "--templates goes into the file of --handlers, as the key templates"),
        (["--env", "X"], "--env goes into the file of --handlers, as the key env"),
        (
            ["--category", "b"],
            "the handlers 'handlers.toml': there is none for the category 'b'; there are: a",
        ),
    ],
)
def test_options_that_do_not_go_with_a_file_of_handlers_end_with_2(
    contentq: Run, inside: Path, options: list[str], message: str
) -> None:
    (inside / "handlers.toml").write_text('[categories.a]\nhandler = "template"\n')

    outcome = contentq("worker", "--handlers", "handlers.toml", *options)

    assert (outcome.code, outcome.err.splitlines()[-1]) == (2, f"Error: {message}")


@pytest.mark.parametrize("options", [[], ["--until-empty", "--progress"]])
def test_unreachable_database_ends_with_3(start: Start, options: list[str]) -> None:
    outcome = _ended(start("worker", *options, DATABASE_URL="postgresql://user:geheim@127.0.0.1:1/queue"))

    assert outcome.code == 3
    assert outcome.error.startswith("cannot connect to the database (user=user dbname=queue host=127.0.0.1")
    assert "geheim" not in outcome.err


@pytest.mark.parametrize("options", [[], ["--until-empty", "--progress"]])
def test_database_that_is_not_migrated_ends_with_4(start: Start, empty_dsn: str, options: list[str]) -> None:
    outcome = _ended(start("worker", *options, DATABASE_URL=empty_dsn))

    assert outcome.code == 4
    assert outcome.error == "the database is not migrated; run: contentq migrate"


def test_until_empty_works_the_queue_off_and_sums_up(start: Start, dsn: str, queue: Queue, folder: Path) -> None:
    tasks = {topic: queue.add(topic=topic, max_retries=1) for topic in ("good", "better", "wrong", "again")}
    queue.run("UPDATE contentq.settings SET backoff_base = '1 millisecond'")
    later = queue.add(topic="later", scheduled_at="2130-01-01")

    outcome = _ended(
        start("worker", "--handler", "handlers:by_topic", "--until-empty", cwd=folder, DATABASE_URL=dsn)
    )

    assert (outcome.code, outcome.out) == (0, "")
    assert outcome.err.splitlines()[-1].startswith("2 completed, 2 failed, 1 to be retried in ")
    assert [queue.status(id_) for id_ in tasks.values()] == ["completed", "completed", "failed", "failed"]
    assert queue.status(later) == "pending"
    assert queue.value("SELECT count(*) FROM contentq.workers") == 0


def test_until_empty_ends_with_0_also_when_every_task_has_failed(
    start: Start, dsn: str, queue: Queue, folder: Path
) -> None:
    queue.add(topic="wrong")
    outcome = _ended(
        start("worker", "--handler", "handlers:by_topic", "--until-empty", cwd=folder, DATABASE_URL=dsn)
    )

    assert outcome.code == 0
    assert outcome.err.splitlines()[-1].startswith("0 completed, 1 failed in ")


def test_only_the_categories_named_are_worked_off(start: Start, dsn: str, queue: Queue, folder: Path) -> None:
    blog, faq, other = (queue.add(category=category) for category in ("blog", "faq", "other"))
    options = ["--handler", "handlers:write", "--category", "blog", "--category", "faq", "--until-empty"]

    assert _ended(start("worker", *options, cwd=folder, DATABASE_URL=dsn)).code == 0

    assert [queue.status(id_) for id_ in (blog, faq, other)] == ["completed", "completed", "pending"]


def test_templates_come_from_the_folder_named(start: Start, dsn: str, queue: Queue, tmp_path: Path) -> None:
    (tmp_path / "draft.md.j2").write_text("# On {{ topic }}\n\nNothing.\n")
    queue.add(topic="hedges")

    assert _ended(start("worker", "--templates", str(tmp_path), "--until-empty", DATABASE_URL=dsn)).code == 0

    assert queue.values("SELECT title FROM contents") == ["On hedges"]


def test_listening_can_go_another_way(start: Start, dsn: str, queue: Queue) -> None:
    listens = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'direct'"
    )

    process = start("worker", "--listen-dsn", make_conninfo(dsn, application_name="direct"), DATABASE_URL=dsn)

    # It tests this connection before it registers, and a signal ends it at once.
    eventually(lambda: queue.value("SELECT count(*) FROM contentq.workers") == 1)
    eventually(lambda: queue.value(listens) == 1)
    process.terminate()
    assert _ended(process).code == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_lets_what_runs_end_within_the_grace(
    start: Start, dsn: str, queue: Queue, folder: Path, number: signal.Signals
) -> None:
    id_ = queue.add(topic="let-go")
    process = start("worker", "--handler", "handlers:until_let_go", cwd=folder, DATABASE_URL=dsn)
    eventually(lambda: queue.status(id_) == "processing")

    process.send_signal(number)
    eventually(lambda: queue.value("SELECT draining FROM contentq.workers"))
    late = queue.add(topic="late")
    (folder / "let-go").touch()
    outcome = _ended(process)

    assert outcome.code == 0
    assert outcome.err.splitlines()[-1].startswith("1 completed in ")
    assert (queue.status(id_), queue.status(late)) == ("completed", "pending")


def test_task_that_does_not_end_within_the_grace_is_given_back(
    start: Start, dsn: str, queue: Queue, folder: Path
) -> None:
    id_ = queue.add(topic="never")
    options = ["--handler", "handlers:until_let_go", "--grace", "0.2"]
    process = start("worker", *options, cwd=folder, DATABASE_URL=dsn)
    eventually(lambda: queue.status(id_) == "processing")

    process.terminate()
    outcome = _ended(process)

    assert outcome.code == 6
    assert "Traceback" not in outcome.err
    task = queue.row(id_)
    assert (task["status"], task["retry_count"], task["worker_id"]) == ("pending", 0, None)
    assert (task["error_message"], task["attempt_errors"]) == (None, [])


def test_second_signal_does_not_wait_for_the_grace(start: Start, dsn: str, queue: Queue, folder: Path) -> None:
    id_ = queue.add(topic="never")
    options = ["--handler", "handlers:until_let_go", "--grace", "600"]
    process = start("worker", *options, cwd=folder, DATABASE_URL=dsn)
    eventually(lambda: queue.status(id_) == "processing")

    process.terminate()
    eventually(lambda: queue.value("SELECT draining FROM contentq.workers"))
    process.terminate()
    outcome = _ended(process, within=15)

    assert outcome.code == 6
    assert "cannot stop" not in outcome.err
    assert (queue.status(id_), queue.row(id_)["retry_count"]) == ("pending", 0)


def test_idle_worker_ends_at_once(start: Start, dsn: str, queue: Queue) -> None:
    process = start("worker", DATABASE_URL=dsn)
    eventually(lambda: queue.value("SELECT count(*) FROM contentq.workers") == 1)

    process.terminate()
    outcome = _ended(process)

    assert outcome.code == 0
    assert outcome.err.splitlines()[-1].startswith("0 completed in ")
    assert queue.value("SELECT count(*) FROM contentq.workers") == 0


def test_progress_is_shown_on_a_terminal(dsn: str, queue: Queue) -> None:
    for _ in range(3):
        queue.add(topic="A topic")
    queue.add(topic="later", scheduled_at="2130-01-01")

    code, shown = on_terminal("worker", "--until-empty", DATABASE_URL=dsn)

    assert code == 0, shown
    assert "working ━" in shown
    assert "3/3" in shown
    assert "level=INFO" not in shown
    assert shown.splitlines()[-1].startswith("3 completed in ")


def test_progress_can_be_left_out(dsn: str, queue: Queue) -> None:
    queue.add()

    code, shown = on_terminal("worker", "--until-empty", "--no-progress", DATABASE_URL=dsn)

    assert code == 0, shown
    assert "━" not in shown
    assert "level=INFO" in shown


@pytest.mark.parametrize(("level", "told"), [("info", True), ("warning", False)])
def test_log_level_says_what_is_logged(start: Start, dsn: str, queue: Queue, level: str, told: bool) -> None:
    queue.add()

    outcome = _ended(start("worker", "--until-empty", "--log-level", level, DATABASE_URL=dsn))

    assert outcome.code == 0
    assert (" level=INFO logger=contentq.worker registered worker=" in outcome.err) == told
    # A slow start leaves it time to report that it runs.
    assert len([line for line in outcome.err.splitlines() if " at work " not in line]) == 1 + told


@pytest.mark.parametrize(
    "options",
    [
        ["--concurrency", "0"],
        ["--grace", "-1"],
        ["--poll", "0"],
        ["--log-level", "loud"],
        ["--handler-connections", "0"],
        ["--handler", "command", "--command", "echo 'open"],
    ],
)
def test_setting_that_makes_no_sense_is_wrong_usage(contentq: Run, options: list[str]) -> None:
    outcome = contentq("worker", *options)

    assert outcome.code == 2
    assert outcome.err.startswith("Usage: contentq worker ")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--gate", ""], "--gate needs the key of a gate, such as the host of a provider; every worker has *"),
        (["--gate", "*"], "--gate needs the key of a gate, such as the host of a provider; every worker has *"),
        (["--gate", "p", "--no-gate"], "give --gate or --no-gate, not both"),
        (["--gate", "", "--no-gate"], "give --gate or --no-gate, not both"),
    ],
)
@pytest.mark.usefixtures("inside")
def test_gate_that_makes_no_sense_ends_with_2(contentq: Run, options: list[str], message: str) -> None:
    outcome = contentq("worker", "--handler", "handlers:write", *options)

    assert outcome.code == 2
    assert message in outcome.err


@pytest.mark.parametrize(
    ("options", "gate"),
    [([], None), (["--gate", "api.example.com"], "api.example.com"), (["--no-gate"], None)],
    ids=["nothing", "--gate", "--no-gate"],
)
def test_worker_has_the_gate_that_it_is_given(
    start: Start, dsn: str, queue: Queue, folder: Path, options: list[str], gate: str | None
) -> None:
    start("worker", "--handler", "handlers:write", *options, cwd=folder, DATABASE_URL=dsn)

    eventually(lambda: queue.value("SELECT count(*) FROM contentq.workers") == 1)
    assert queue.values("SELECT gate FROM contentq.workers") == [gate]


@pytest.mark.parametrize(
    ("options", "gate"),
    [([], "localhost:1"), (["--gate", "another"], "another"), (["--no-gate"], None)],
    ids=["nothing", "--gate", "--no-gate"],
)
def test_gate_of_the_handler_is_the_default(
    start: Start, dsn: str, queue: Queue, tmp_path: Path, options: list[str], gate: str | None
) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text('model = "m"\nbase_url = "http://localhost:1/v1"\n')

    start(
        "worker",
        "--handler",
        "openai",
        "--settings",
        str(settings),
        *options,
        OPENAI_API_KEY="k",
        DATABASE_URL=dsn,
    )

    eventually(lambda: queue.value("SELECT count(*) FROM contentq.workers") == 1, within=60)
    assert queue.values("SELECT gate FROM contentq.workers") == [gate]
