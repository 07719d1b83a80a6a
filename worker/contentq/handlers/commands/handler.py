"""The `command` handler: runs any program, one process for each attempt.

The program reads the task as JSON from standard input and writes its result to standard output;
docs/how-to/run-a-program.md has the whole contract. Its process group is killed when the attempt is stopped.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeGuard, TypeVar

from contentq.errors import HandlerUnusable, PermanentError, TemporaryError
from contentq.handlers.commands import processes
from contentq.handlers.commands.answers import Answer, answer_of
from contentq.handlers.commands.exits import error_of
from contentq.handlers.commands.hiding import hide_process
from contentq.handlers.commands.stderr import Lines
from contentq.handlers.commands.stdin import line_of
from contentq.task import Task
from contentq.tracing import current_traceparent

T = TypeVar("T")

log = logging.getLogger("contentq.handlers.command")

STDOUT_LIMIT = 4_000_000
"""Maximum size of standard output, in bytes.

A worker may hold this once for each slot, and more than twenty times as much for JSON that consists of brackets.
"""

LARGE = 20_000
"""Size, in bytes, from which an output is parsed in a thread, so that it does not delay other tasks."""

KEPT = ("PATH", "HOME", "LANG", "TZ", "TMPDIR", "USER", "LOGNAME", "SHELL")
"""Environment variables that every program gets, in addition to those that begin with LC_."""

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")

_PROGRESS = re.compile(r"contentq:progress\s+(\d+(?:\.\d*)?|\.\d+)(?:\s+(.*))?$")


class CommandHandler:
    """Runs a program on each task.

    command: the program and its arguments. environment: names of further environment variables to pass, if they
    are set when the worker starts. Raises HandlerUnusable if the program cannot be started.
    """

    def __init__(self, command: Sequence[str] = (), environment: Sequence[str] = ()) -> None:
        if not command:
            raise HandlerUnusable("the handler command needs a program: add --command './write.sh'")
        self._command = tuple(command)
        self._environment = _select_environment(os.environ, environment)
        _check(command[0], self._environment.get("PATH", os.defpath))

    def introduce(self) -> None:
        """Before any program starts, keeps programs from reading the environment of the worker in /proc."""
        hide_process()

    async def __call__(self, task: Task, context: Any) -> Answer:
        """The result from the program's output.

        Raises TemporaryError, RateLimited or PermanentError, depending on how it ended.
        """

        def take(line: str) -> bool:
            progress = _PROGRESS.match(line)
            if progress:
                context.progress(min(float(progress[1]), 1.0), progress[2] or None)
            return progress is not None

        def write(line: str) -> None:
            log.info("task=%s attempt=%d %s", task.task_id, task.attempt, line)

        def leave_out(lines: int) -> None:
            log.info("task=%s attempt=%d … and %d lines more", task.task_id, task.attempt, lines)

        stderr = Lines(take, write, leave_out)
        try:
            ended = await processes.run(
                self._command,
                stdin=line_of(task, context),
                environment=self._environment_of(task),
                stdout_limit=STDOUT_LIMIT,
                on_stderr=stderr.feed,
            )
        except OSError as error:
            raise TemporaryError(f"{self._command[0]} cannot be started: {error.strerror or error}") from error
        except processes.OutputTooLarge:
            raise PermanentError(
                f"handler output too large: {self._command[0]} wrote more than {STDOUT_LIMIT:,} bytes"
            ) from None
        finally:
            tail = stderr.end()
        if ended.code != 0:
            raise await _take_apart(ended.stdout, error_of, self._command[0], ended.code, ended.stdout, tail)
        return await _take_apart(ended.stdout, answer_of, ended.stdout, task.topic)

    def _environment_of(self, task: Task) -> dict[str, str]:
        """Adds the trace context, as https://opentelemetry.io/docs/specs/otel/context/env-carriers/ specifies."""
        traceparent = current_traceparent() or task.traceparent
        return {**self._environment, **({"TRACEPARENT": traceparent} if _is_traceparent(traceparent) else {})}


def _is_traceparent(text: str | None) -> TypeGuard[str]:
    """Whether it has the expected form."""
    return text is not None and _TRACEPARENT.fullmatch(text) is not None


async def _take_apart(stdout: bytes, function: Callable[..., T], *arguments: Any) -> T:
    """Parses an output with this function, in a thread if it is large."""
    return await asyncio.to_thread(function, *arguments) if len(stdout) > LARGE else function(*arguments)


def _select_environment(environment: Mapping[str, str], asked: Sequence[str]) -> dict[str, str]:
    """The variables that a program gets. Raises HandlerUnusable for an invalid name."""
    for name in asked:
        if "=" in name:
            raise HandlerUnusable(
                "--env takes the name of a variable of the worker's environment, without a value: "
                f"--env {name.partition('=')[0] or 'NAME'}"
            )
    return {
        name: value
        for name, value in environment.items()
        if name in KEPT or name.startswith("LC_") or name in asked
    }


def _check(program: str, path: str) -> None:
    """Raises HandlerUnusable if there is no such program, or it is not executable."""
    if os.sep not in program:
        if shutil.which(program, path=path) is None:
            here = " (that of the current folder is ./" + program + ")" if Path(program).exists() else ""
            raise HandlerUnusable(f"--command: there is no program {program!r} in the PATH{here}")
        return
    if not os.path.exists(program):
        raise HandlerUnusable(f"--command: there is no file {program!r} in {os.getcwd()}")
    if os.path.isdir(program):
        raise HandlerUnusable(f"--command: {program!r} is a folder")
    if not os.access(program, os.X_OK):
        raise HandlerUnusable(f"--command: {program!r} is not executable; run: chmod +x {program}")
    with open(program, "rb") as file:
        first_line = file.readline(200).rstrip(b"\n")
    if first_line.startswith(b"#!"):
        _check_interpreter(program, first_line[2:], path)
    elif _is_text(first_line):
        raise HandlerUnusable(
            f"--command: {program!r} cannot be run: a script must begin with a line such as #!/usr/bin/env bash"
        )


def _is_text(line: bytes) -> bool:
    """Whether a file that begins with these bytes is text; also true if it is empty or has a byte order mark."""
    try:
        return line.decode("utf-8-sig").expandtabs().rstrip("\r").isprintable()
    except UnicodeDecodeError:
        return False


def _check_interpreter(program: str, first_line: bytes, path: str) -> None:
    """Raises HandlerUnusable if the interpreter in a script's first line does not exist."""
    words = first_line.decode("utf-8", "replace").split()
    if first_line.endswith(b"\r"):
        raise HandlerUnusable(f"--command: {program!r} cannot be run: its lines end with \\r\\n")
    missing = None
    if words and not os.path.exists(words[0]):
        missing = words[0]
    elif len(words) == 2 and os.path.basename(words[0]) == "env" and shutil.which(words[1], path=path) is None:
        missing = words[1]
    if missing is not None:
        raise HandlerUnusable(f"--command: {program!r} cannot be run: there is no {missing!r}")
