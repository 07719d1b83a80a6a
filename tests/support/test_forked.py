"""A forked program inherits nothing from the tests and behaves like a started one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.support.forked import Forked
from tests.support.waiting import eventually


def run(main: Any, *arguments: str, **options: Any) -> tuple[int, str, str]:
    done = Forked("program", main).run(*arguments, **options)
    return done.returncode, done.stdout, done.stderr


def test_arguments_streams_folder_and_environment_are_its_own(tmp_path: Path) -> None:
    def main() -> None:
        print(sys.argv, sys.stdin.read(), Path.cwd(), dict(os.environ))
        print("茶", file=sys.stderr)

    code, out, err = run(main, "one", stdin="typed", cwd=tmp_path, env={"NAME": "value"})

    assert (code, out, err) == (0, f"['program', 'one'] typed {tmp_path} {{'NAME': 'value'}}\n", "茶\n")


def test_exit_code_is_what_main_returns_or_raises() -> None:
    def raising() -> None:
        raise RuntimeError("no")

    assert run(lambda: 3)[0] == 3
    assert run(lambda: sys.exit(4))[0] == 4
    code, out, err = run(raising)
    assert (code, out) == (1, "")
    assert err.endswith("RuntimeError: no\n")


def test_module_of_another_folder_is_not_taken_for_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("theirs", "ours"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "handlers_of_forked.py").write_text(f"NAME = {name!r}\n")
    monkeypatch.syspath_prepend(tmp_path / "theirs")
    __import__("handlers_of_forked")

    code, out, _ = run(lambda: print(__import__("handlers_of_forked").NAME), cwd=tmp_path / "ours")

    assert (code, out) == (0, "ours\n")
    monkeypatch.delitem(sys.modules, "handlers_of_forked")


def test_signals_do_what_they_do_to_a_program() -> None:
    def wait() -> None:
        print("ready", flush=True)
        time.sleep(60)

    for number in (signal.SIGTERM, signal.SIGINT):
        process = Forked("program", wait).start(stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert process.stdout is not None
        eventually(lambda process=process: process.stdout.readline() == b"ready\n")  # type: ignore[misc]
        process.send_signal(number)
        assert process.wait(20) == (-signal.SIGTERM if number == signal.SIGTERM else 1)
        process.stdout.close()


def test_connections_of_the_tests_are_left_alone(dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        assert run(lambda: psycopg.connect(dsn).execute("SELECT 1") and None)[0] == 0
        assert connection.execute("SELECT 1").fetchone() == (1,)
