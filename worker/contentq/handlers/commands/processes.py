"""A program in a process group of its own: run to its end within its limits, or killed with all it has started."""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
import signal
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from contentq.handlers.commands.guardian import GUARDIAN, MARK

TERM_GRACE = 1.0
"""Seconds between SIGTERM and SIGKILL; a stopping worker gives its handlers 2 seconds in all."""

LAST_WORDS = 1.0
"""Seconds for the processes that a program leaves behind to finish its output, as `tee` may have to."""

EMPTYING = 0.2
"""Seconds to read the last of those that were killed; others that have left the group may hold the output."""

KILLED = 1.0
"""Seconds for a process to vanish after SIGKILL; one that is stuck in the kernel may not."""

DESCRIPTORS = 8
"""File descriptors that a start needs: three pipes, one to wait for the end, one to spare."""

FLOOD = 32_768
"""Bytes in one piece of standard error after which the next has to wait: a pipe holds twice as many."""

PAUSE = 0.02
"""Seconds that it waits, so that a program that writes without end slows down itself, and not the worker."""

POLL = 0.02
"""Seconds between two looks at whether a process group still exists."""


class OutputTooLarge(Exception):
    """The program exceeded its output limit and was killed."""


@dataclass(frozen=True)
class Ended:
    """The result of a program. code: its exit code, or the negative number of the signal that killed it."""

    code: int
    stdout: bytes


async def run(
    command: Sequence[str],
    *,
    stdin: bytes,
    environment: Mapping[str, str],
    stdout_limit: int,
    on_stderr: Callable[[bytes], None],
) -> Ended:
    """Runs a program to its end, without a shell, in the current folder; nothing of its group outlives the call.

    What has left the group is ended by the guardian a moment later, where it can find it.

    Standard input is a file, so that it may be left unread, and opened as /dev/stdin. stdout_limit: bytes.
    on_stderr is told what is written to standard error, in pieces; it must not raise.

    Raises OSError when the program cannot be started, and OutputTooLarge. When cancelled, the whole group gets
    SIGTERM, and SIGKILL a second later, or when cancelled again.
    """
    program = _Program(stdout_limit, on_stderr)
    try:
        await program.start(command, stdin, environment)
        await program.ended.wait()
        if program.too_large:
            raise OutputTooLarge
        await program.last_words()
        return Ended(program.code, bytes(program.stdout))
    finally:
        await program.end()


class _Program(asyncio.SubprocessProtocol):
    """One run. It is in a session, and so in a process group, that has the id of the program itself."""

    def __init__(self, stdout_limit: int, on_stderr: Callable[[bytes], None]) -> None:
        self._stdout_limit = stdout_limit
        self._on_stderr = on_stderr
        self._starting: asyncio.Task[None] | None = None
        self._transport: asyncio.SubprocessTransport | None = None
        self._group: int | None = None
        self._mark = secrets.token_hex(16)
        self._unwanted = False
        self._unwatched = False
        self._open = {1, 2}
        self._exited = asyncio.Event()
        self._silent = asyncio.Event()
        self._lost = asyncio.Event()
        self.ended = asyncio.Event()
        self.stdout = bytearray()
        self.too_large = False

    @property
    def code(self) -> int:
        """The exit code of the program, which has ended."""
        code = self._transport.get_returncode() if self._transport is not None else None
        assert code is not None
        return code

    async def start(self, command: Sequence[str], stdin: bytes, environment: Mapping[str, str]) -> None:
        """Starts it. Raises OSError."""
        self._starting = asyncio.get_running_loop().create_task(self._begin(command, stdin, environment))
        self._starting.add_done_callback(_forget_error)
        try:
            # A start that is cut off halfway would leave a program of which no one knows.
            await asyncio.shield(self._starting)
        except (OSError, RuntimeError) as error:
            # It may run all the same: there was no file descriptor or thread left to wait for its end.
            self._unwatched = True
            raise error if isinstance(error, OSError) else OSError(errno.EAGAIN, str(error)) from error

    async def _begin(self, command: Sequence[str], stdin: bytes, environment: Mapping[str, str]) -> None:
        with tempfile.TemporaryFile() as file:
            file.write(stdin)
            file.seek(0)
            _require_descriptors(file.fileno())
            await asyncio.get_running_loop().subprocess_exec(
                lambda: self,
                *command,
                stdin=file,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**environment, MARK: self._mark},
                start_new_session=True,
            )

    async def last_words(self) -> None:
        """Waits, when it has ended, until no process holds its output any more, or for as long as is allowed."""
        if not self._silent.is_set():
            await _within(LAST_WORDS, self._silent)
        if not self._silent.is_set():
            self._signal(signal.SIGKILL)
            await _within(EMPTYING, self._silent)

    async def end(self) -> None:
        """Ends what is left of its group, and closes what it held."""
        self._unwanted = True
        if self._starting is not None:
            await asyncio.wait({self._starting})
        if self._transport is None:
            return
        try:
            if self.too_large or not self._exited.is_set():
                self._signal(signal.SIGTERM)
                await self._gone(TERM_GRACE)
        finally:
            self._kill()
            self._close()
            await _within(KILLED, self._exited)
            self._transport.close()
            await _within(KILLED, self._lost)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called when it was started."""
        assert isinstance(transport, asyncio.SubprocessTransport)
        self._transport = transport
        self._group = transport.get_pid()
        GUARDIAN.watch(self._group, self._mark)
        if self._unwanted:
            self._kill()
            self._close()
        if self._unwanted and self._unwatched:
            transport.close()
            asyncio.get_running_loop().call_later(KILLED, transport.get_extra_info("subprocess").poll)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """It has written; what is more than it may is dropped, so that it can go on to its end."""
        if fd == 2:
            self._on_stderr(data)
            if len(data) >= FLOOD and self._transport is not None:
                stderr: Any = self._transport.get_pipe_transport(2)
                stderr.pause_reading()
                asyncio.get_running_loop().call_later(PAUSE, stderr.resume_reading)
        elif len(self.stdout) + len(data) > self._stdout_limit:
            self.too_large = True
            self.ended.set()
        elif not self.too_large:
            self.stdout += data

    def pipe_connection_lost(self, fd: int, _exc: Exception | None) -> None:
        """Called when no process holds this end of its output."""
        self._open.discard(fd)
        if not self._open:
            self._silent.set()

    def process_exited(self) -> None:
        """The program has ended; others of its group may be there still."""
        self._exited.set()
        self.ended.set()
        if self._unwanted and self._transport is not None:
            self._transport.close()

    def connection_lost(self, _exc: Exception | None) -> None:
        """Called when it has ended and everything is closed."""
        self._lost.set()

    async def _gone(self, seconds: float) -> None:
        """Waits until no process of its group is left, or none that has anything to say; at most so long."""
        loop = asyncio.get_running_loop()
        give_up = loop.time() + seconds
        while self._signal(0) and loop.time() < give_up:
            if self._exited.is_set() and self._silent.is_set():
                break  # the rest may be zombies that no one reaps, as in a container without an init
            await asyncio.sleep(POLL)

    def _kill(self) -> None:
        group = self._group
        self._signal(signal.SIGKILL)
        if group is not None:
            GUARDIAN.forget(group)
        self._group = None

    def _close(self) -> None:
        """Closes its output, which others may hold that have left its group."""
        for fd in self._open:
            pipe = self._transport.get_pipe_transport(fd) if self._transport is not None else None
            if pipe is not None:
                pipe.close()

    def _signal(self, number: int) -> bool:
        """Whether there was a process in its group to be told; 0 only asks.

        The id belongs to the group for as long as it has a member. After the first "no" it may be given to
        others, and is not used again.
        """
        if self._group is None:
            return False
        try:
            os.killpg(self._group, number)
        except (ProcessLookupError, PermissionError):  # macOS says the second of a group of zombies
            return False
        return True


def _require_descriptors(fd: int) -> None:
    """Raises OSError unless there are file descriptors left for a start.

    Where they run out in its midst, Python 3.10 does not close all of them, and 3.12 leaves the program running.
    """
    opened: list[int] = []
    try:
        for _ in range(DESCRIPTORS):
            opened.append(os.dup(fd))
    finally:
        for each in opened:
            os.close(each)


def _forget_error(task: asyncio.Task[object]) -> None:
    """Has a task's error taken note of, when no one waits for it any more."""
    if not task.cancelled():
        task.exception()


async def _within(seconds: float, event: asyncio.Event) -> None:
    with suppress(asyncio.TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
