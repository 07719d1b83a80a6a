"""contentq completion in the shells that are installed."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from contentq.cli.completion import SHELLS

from tests.cli.conftest import Run, plain_environment
from tests.support.waiting import eventually

PLAIN = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
}
"""Shells without user configuration that complete input on a terminal."""

SETUP = {
    "bash": "source <(contentq completion bash)",
    "zsh": "autoload -U compinit; compinit -D -u; source <(contentq completion zsh)",
}
"""As the help describes."""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The environment: `contentq` is this program, and no shell stores a history."""
    program = tmp_path / "bin" / "contentq"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m contentq "$@"\n')
    program.chmod(0o755)
    return {
        **plain_environment(),
        "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "TERM": "dumb",
        "LC_ALL": "C.UTF-8",
    }


class Typing:
    """A shell on a terminal."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self._ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True
        )
        os.close(theirs)
        os.set_blocking(self._ours, False)
        self._shown = b""

    def type(self, text: str) -> None:
        """Types this text."""
        os.write(self._ours, text.encode())

    def shows(self, text: str) -> bool:
        """Whether the screen shows this text now, with single spaces."""
        try:
            while chunk := os.read(self._ours, 65536):
                self._shown += chunk
        except BlockingIOError:
            pass
        return text in " ".join(self._shown.decode(errors="replace").split())

    def close(self) -> None:
        """Stops the shell."""
        self.process.kill()
        self.process.wait()
        os.close(self._ours)


@pytest.fixture(params=PLAIN)
def shell(request: pytest.FixtureRequest, environment: dict[str, str]) -> Iterator[Typing]:
    """Each of these shells, with completion set up."""
    name = request.param
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    typing = Typing(PLAIN[name], environment)
    typing.type(f"{SETUP[name]}; echo set''-up\n")
    eventually(lambda: typing.shows(" set-up"), within=30)
    yield typing
    typing.close()


@pytest.mark.slow
def test_tab_completes_commands_options_and_values(shell: Typing) -> None:
    # Prints the lines instead of running them: their beginning becomes echo.
    for typed in ("contentq gate\tli\t", "contentq list --stat\tproc\t"):
        shell.type(f"{typed}\x01echo '<' \x05 '>'\n")

    eventually(lambda: shell.shows("< contentq gates list >"), within=30)
    eventually(lambda: shell.shows("< contentq list --status processing >"), within=30)


@pytest.mark.slow
def test_fish_completes_commands_options_and_values(environment: dict[str, str], tmp_path: Path) -> None:
    if shutil.which("fish") is None:
        pytest.skip("fish is not installed")
    completions = tmp_path / ".config" / "fish" / "completions"
    completions.mkdir(parents=True)
    lines = ("contentq gate", "contentq gates li", "contentq list --stat", "contentq list --status proc")
    asked = "; ".join(f"complete -C '{line}'" for line in lines)

    def fish(command: str) -> list[str]:
        done = subprocess.run(["fish", "-c", command], env=environment, capture_output=True, check=True)
        return [line.split("\t")[0] for line in done.stdout.decode().splitlines()]

    fish(f"contentq completion fish > {completions}/contentq.fish")

    assert fish(asked) == ["gates", "list", "--status", "processing"]


@pytest.mark.parametrize("name", SHELLS)
def test_script_calls_the_program_by_its_name(contentq: Run, name: str) -> None:
    outcome = contentq("completion", name)

    assert (outcome.code, outcome.err) == (0, "")
    assert f"_CONTENTQ_COMPLETE={name}_complete" in outcome.out


def test_shell_that_is_not_known_is_refused(contentq: Run) -> None:
    outcome = contentq("completion", "tcsh")

    assert outcome.code == 2
    assert "'bash', 'zsh', 'fish'" in outcome.err
