"""contentq try: a handler that hangs, is interrupted, forks, prints, or tries to control the terminal."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

from tests.cli.conftest import Run, Start
from tests.cli.terminal import on_terminal
from tests.cli.trials import without_time


@pytest.mark.parametrize("handler", ["sleeps", "asks", "late"])
def test_deadline_ends_it_as_a_worker_would(attempt: Run, handler: str) -> None:
    shown = attempt(handler, "--timeout", "0.2s")

    assert shown.code == 1
    printed = {"sleeps": ["sleeps", "cleaned up"], "asks": ["stopped"], "late": []}[handler]
    assert without_time(shown.err).splitlines() == [
        *printed,
        "The task would be ended by its deadline, as timeout: Task execution timeout",
    ]
    assert shown.out == ""


@pytest.mark.slow
@pytest.mark.parametrize("handler", ["blocks", "clings", "blocks_a_thread"])
def test_handler_that_does_not_end_at_its_deadline_is_left_behind(
    start: Start, trial_folder: Path, handler: str
) -> None:
    began = time.monotonic()
    process = start("try", "--handler", f"handlers:{handler}", "--timeout", "0.2s", cwd=trial_folder)
    _, err = process.communicate(timeout=30)

    assert process.returncode == 1
    assert b"as timeout: Task execution timeout" in err
    assert (b"The handler is still running" in err) == (handler != "blocks_a_thread")
    assert time.monotonic() - began < 20


@pytest.mark.parametrize("handler", ["sleeps", "blocks", "blocks_the_loop", "blocks_a_thread", "clings"])
def test_ctrl_c_ends_it_whatever_it_does(start: Start, trial_folder: Path, handler: str) -> None:
    process = start("try", "--handler", f"handlers:{handler}", cwd=trial_folder)
    assert process.stderr is not None
    assert process.stderr.readline().decode().strip() == handler.replace("_", " ")

    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)

    printed = {"sleeps": ["cleaned up"], "clings": ["clings still"]}.get(handler, [])
    assert (process.returncode, out) == (130, b"")
    assert [line for line in err.decode().splitlines() if line] == [*printed, "interrupted"]


def test_ctrl_c_ends_it_although_the_signal_does_not_wake_its_loop(start: Start, trial_folder: Path) -> None:
    process = start("try", "--handler", "handlers:blocks_and_gets_the_signal", cwd=trial_folder)
    _, err = process.communicate(timeout=20)

    assert (process.returncode, err.decode().split()) == (130, ["interrupted"])


def test_second_ctrl_c_ends_it_at_once(start: Start, trial_folder: Path) -> None:
    process = start("try", "--handler", "handlers:clings", cwd=trial_folder)
    assert process.stderr is not None
    process.stderr.readline()

    process.send_signal(signal.SIGINT)
    assert process.stderr.readline() == b"clings still\n"
    began = time.monotonic()
    process.send_signal(signal.SIGINT)

    assert process.wait(20) == 130
    assert time.monotonic() - began < 1.5


def test_child_of_a_handler_that_forks_shows_nothing(start: Start, trial_folder: Path) -> None:
    process = start("try", "--handler", "handlers:forks", "--json", cwd=trial_folder)
    out, _ = process.communicate(timeout=30)

    assert process.returncode == 0
    assert json.loads(out)["result"] == {"forked": True}


@pytest.mark.parametrize(
    ("topic", "shown"),
    [
        ("content", ["note", "title", "body", "model"]),
        ("result", ["note", "model"]),
        ("error", ["note", "error", "model"]),
    ],
)
def test_terminal_is_not_steered_by_what_a_handler_says(
    trial_folder: Path, monkeypatch: pytest.MonkeyPatch, topic: str, shown: list[str]
) -> None:
    monkeypatch.chdir(trial_folder)
    code, screen = on_terminal("try", "--handler", "handlers:steers", "--topic", topic)

    assert code == (1 if topic == "error" else 0)
    for each in shown:
        assert f"{each} \\x1b]0;pwn\\x07\\x1b[31m\\x9b31m" in screen
    if topic != "error":
        assert r'"text": "result \u001b]0;pwn\u0007\u001b[31m\u009b31m"' in screen
    assert not {*"\x1b\x07\x9b"} & {*screen}


@pytest.mark.parametrize(("topic", "outcome"), [("good", "completed"), ("error", "retried")])
def test_what_a_handler_prints_goes_to_standard_error(
    start: Start, trial_folder: Path, topic: str, outcome: str
) -> None:
    (trial_folder / "chatty.py").write_text("from handlers import prints\nprint('from the module')\n")
    process = start("try", "--handler", "chatty:prints", "--topic", topic, "--json", cwd=trial_folder)
    out, err = process.communicate(timeout=30)

    assert process.returncode == (0 if topic == "good" else 1)
    assert json.loads(out)["outcome"] == outcome
    sources = ["__stdout__", "a program", "print", "the descriptor", "the module"]
    assert sorted(err.decode().splitlines()) == [f"from {source}" for source in sources]
