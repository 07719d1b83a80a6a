"""Runs a program in its own process group, to its end or to one of its limits, and ends the whole group."""

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
"""Seconds between SIGTERM and SIGKILL; a stopping worker gives its handlers 2 seconds in total."""

LAST_WORDS = 1.0
"""Seconds for the processes that a program leaves behind to finish its output, as `tee` may have to."""

EMPTYING = 0.2
"""Seconds to read the rest of killed processes' output; processes that have left the group may keep it open."""

KILLED = 1.0
"""Seconds for a process to vanish after SIGKILL; a process that is stuck in the kernel may not."""

DESCRIPTORS = 8
"""File descriptors that a start needs: three pipes, one to wait for the end, one spare."""

FLOOD = 32_768
"""Bytes in one piece of standard error above which reading pauses: a pipe holds twice this number."""

PAUSE = 0.02
"""Seconds of the pause, so that a program that writes without end slows itself down, and not the worker."""

POLL = 0.02
"""Seconds between two checks that a process group still exists."""


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
    """Runs a program to its end, without a shell, in the current folder. No process of its group survives.

    The guardian ends processes that have left the group a moment later, if it can find them. Standard input is a
    file, so that the program may leave it unread, or open it as /dev/stdin. stdout_limit: bytes. on_stderr gets
    pieces of standard error; it must not raise. Raises OSError if the program cannot be started, and
    OutputTooLarge. On cancellation, the whole group gets SIGTERM, then SIGKILL a second later or on a second
    cancellation.
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
    """One run. Its session, and so its process group, has the id of the program."""

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
        """The exit code of the ended program."""
        code = self._transport.get_returncode() if self._transport is not None else None
        assert code is not None
        return code

    async def start(self, command: Sequence[str], stdin: bytes, environment: Mapping[str, str]) -> None:
        """Starts it. Raises OSError."""
        self._starting = asyncio.get_running_loop().create_task(self._begin(command, stdin, environment))
        self._starting.add_done_callback(_forget_error)
        try:
            # A cancelled start would leave a program that nothing tracks.
            await asyncio.shield(self._starting)
        except (OSError, RuntimeError) as error:
            # The program may run nevertheless: no file descriptor or thread was left to wait for its end.
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
        """After the end of the program, waits until no process has its output open, up to the time limit."""
        if not self._silent.is_set():
            await _within(LAST_WORDS, self._silent)
        if not self._silent.is_set():
            self._signal(signal.SIGKILL)
            await _within(EMPTYING, self._silent)

    async def end(self) -> None:
        """Ends the rest of its group, and closes its pipes."""
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
        """Collects output; drops what exceeds the limit, so that the program can continue to its end."""
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
        """Called when no process has this end of its output open."""
        self._open.discard(fd)
        if not self._open:
            self._silent.set()

    def process_exited(self) -> None:
        """The program has ended; others of its group may still run."""
        self._exited.set()
        self.ended.set()
        if self._unwanted and self._transport is not None:
            self._transport.close()

    def connection_lost(self, _exc: Exception | None) -> None:
        """Called when the program has ended and all pipes are closed."""
        self._lost.set()

    async def _gone(self, seconds: float) -> None:
        """Waits, up to this time, until the group has no process, or none that can still write output."""
        loop = asyncio.get_running_loop()
        give_up = loop.time() + seconds
        while self._signal(0) and loop.time() < give_up:
            if self._exited.is_set() and self._silent.is_set():
                break  # the rest may be zombies that nothing reaps, as in a container without an init
            await asyncio.sleep(POLL)

    def _kill(self) -> None:
        group = self._group
        self._signal(signal.SIGKILL)
        if group is not None:
            GUARDIAN.forget(group)
        self._group = None

    def _close(self) -> None:
        """Closes its output, which processes that left its group may keep open."""
        for fd in self._open:
            pipe = self._transport.get_pipe_transport(fd) if self._transport is not None else None
            if pipe is not None:
                pipe.close()

    def _signal(self, number: int) -> bool:
        """Sends a signal to its group; returns whether the group has a process. Signal 0 only checks.

        The id belongs to the group while it has a member. After the first false the id may be reused, so it gets
        no further signals.
        """
        if self._group is None:
            return False
        try:
            os.killpg(self._group, number)
        except (ProcessLookupError, PermissionError):  # macOS returns the second for a group of zombies
            return False
        return True


def _require_descriptors(fd: int) -> None:
    """Raises OSError unless enough file descriptors are left for a start.

    If they run out during a start, Python 3.10 does not close all of them, and Python 3.12 leaves the program
    running.
    """
    opened: list[int] = []
    try:
        for _ in range(DESCRIPTORS):
            opened.append(os.dup(fd))
    finally:
        for each in opened:
            os.close(each)


def _forget_error(task: asyncio.Task[object]) -> None:
    """Retrieves a task's exception that nothing awaits any more."""
    if not task.cancelled():
        task.exception()


async def _within(seconds: float, event: asyncio.Event) -> None:
    with suppress(asyncio.TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
