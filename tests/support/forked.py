"""Programs that start as a fork of the test process, with their modules already imported.

Starting Python and importing takes a third of a second, and the tests start hundreds of programs. A forked program
has its own process, streams, working folder and environment. It ignores variables that only a new interpreter
reads, such as PYTHONUTF8 and the locale.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import subprocess
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

import alembic.config
import contentq.cli.main

Done: TypeAlias = subprocess.CompletedProcess[str]

_DEFAULT = (signal.SIGTERM, signal.SIGHUP, signal.SIGALRM, signal.SIGCHLD, signal.SIGUSR1)
"""Signals that a new program handles by default."""


class ForkedProgram(subprocess.Popen[bytes]):
    """A Popen whose process runs a function instead of a program.

    It accepts the options cwd, env, start_new_session and the three streams.
    """

    def __init__(self, main: Callable[[], Any], arguments: list[str], **options: Any) -> None:
        self._main = main
        super().__init__(arguments, **options)

    def _execute_child(self, args: list[str], *options: Any) -> None:
        cwd, env = options[4], options[5]
        pipes = options[9:15]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about forking with threads
            self.pid = os.fork()
        if self.pid == 0:
            if options[20]:
                os.setsid()
            _become(self._main, args, cwd, env, streams=(pipes[0], pipes[3], pipes[5]))
        self._child_created = True
        self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Forked:
    """A program, given its main function, which reads sys.argv."""

    name: str
    main: Callable[[], Any]

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
        """Starts it with options of Popen."""
        return ForkedProgram(self.main, [self.name, *arguments], **options)

    def run(self, *arguments: str, stdin: str = "", timeout: float = 120, **options: Any) -> Done:
        """Runs it until it ends, with pipes and options of Popen."""
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with self.start(*arguments, **pipes, **options) as process:
            try:
                out, err = process.communicate(stdin.encode(), timeout)
            except BaseException:
                process.kill()
                raise
        return Done([self.name, *arguments], process.returncode, out.decode(), err.decode())


CONTENTQ = Forked("contentq", contentq.cli.main.run)
ALEMBIC = Forked("alembic", alembic.config.main)


def _become(
    main: Callable[[], Any],
    arguments: list[str],
    cwd: str | Path | None,
    env: Mapping[str, str] | None,
    streams: tuple[int, int, int],
) -> NoReturn:
    """Runs main in this newly forked process as if it were a new program."""
    code = 1
    try:
        _take_streams(streams)
        # Finalising objects of the tests here would write to connections that are already closed.
        gc.freeze()
        _forget_the_tests()
        if cwd is not None:
            os.chdir(cwd)
        if env is not None:
            os.environ.clear()
            os.environ.update(env)
        _forget_modules_in(Path.cwd())
        sys.argv = arguments
        sys.path.insert(0, os.getcwd())
        code = _exit_code(main)
        with suppress(OSError, ValueError, AttributeError):
            sys.stdout.flush()
            sys.stderr.flush()
    finally:
        os._exit(code)


def _take_streams(streams: tuple[int, int, int]) -> None:
    for place, descriptor in enumerate(streams):
        if descriptor > 2:
            os.dup2(descriptor, place)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    sys.stdin = _stream(0, "r", "strict")
    sys.stdout = _stream(1, "w", "strict")
    sys.stderr = _stream(2, "w", "backslashreplace")


def _stream(descriptor: int, mode: str, errors: str) -> Any:
    buffering = 1 if descriptor == 2 or os.isatty(descriptor) else -1
    return open(descriptor, mode, buffering, encoding="utf-8", errors=errors, closefd=False)


def _forget_the_tests() -> None:
    signal.set_wakeup_fd(-1)
    for each in _DEFAULT:
        signal.signal(each, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.excepthook, sys.unraisablehook = sys.__excepthook__, sys.__unraisablehook__
    threading.excepthook = threading.__excepthook__
    warnings.resetwarnings()
    warnings.simplefilter("ignore")
    root = logging.getLogger()
    root.handlers.clear()
    root.setLevel(logging.WARNING)


def _forget_modules_in(folder: Path) -> None:
    """Imports a handler's module from this folder, not one of the same name that another test imported."""
    for file in folder.glob("*.py"):
        sys.modules.pop(file.stem, None)


def _exit_code(main: Callable[[], Any]) -> int:
    try:
        outcome = main()
    except SystemExit as end:
        outcome = end.code
    except BaseException:
        traceback.print_exc()
        return 1
    return outcome if isinstance(outcome, int) else 0 if outcome is None else 1
