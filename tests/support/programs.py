"""Finds PostgreSQL programs on this machine: in the embedded wheel and in the system."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from contentq.database import embedded
from contentq.errors import EmbeddedServerError

_EMBEDDED = (16, 18)
_SYSTEM_FOLDERS = "usr/lib/postgresql/*/bin"


@dataclass(frozen=True)
class Programs:
    """A folder with postgres, initdb, pg_ctl, psql, pg_dump … of one major version."""

    major: int
    folder: Path
    origin: str

    def path(self, name: str) -> Path:
        """The path of one of them."""
        return self.folder / name


@cache
def installed() -> dict[int, Programs]:
    """By major version: from the embedded wheel if it has that version, otherwise from the system."""
    found = {programs.major: programs for programs in of_the_system()}
    for major in _EMBEDDED:
        try:
            found[major] = Programs(major, embedded.programs(major), "the embedded wheel")
        except EmbeddedServerError:
            continue
    return dict(sorted(found.items(), reverse=True))


def of_the_system() -> list[Programs]:
    """Programs from a package manager. They come with extensions that the wheel lacks."""
    majors = ((_major(folder), folder) for folder in _system_folders())
    return [Programs(major, folder, "the system") for major, folder in majors if major is not None]


def client(name: str) -> Path:
    """The newest psql or pg_dump: a client works with servers of its own version and older ones."""
    for programs in installed().values():
        if programs.path(name).is_file():
            return programs.path(name)
    found = shutil.which(name)
    if found is None:
        raise FileNotFoundError(f"{name} is not installed; pip install 'contentq[embedded]' brings it")
    return Path(found)


def dump(dsn: str, *options: str) -> str:
    """The output of pg_dump for a database, without parts that only servers of newer versions understand."""
    command = [str(client("pg_dump")), *options, "--dbname", dsn]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return printed.replace("SET transaction_timeout = 0;\n", "")


def _system_folders() -> list[Path]:
    folders = list(Path("/").glob(_SYSTEM_FOLDERS))
    pg_config = shutil.which("pg_config")
    if pg_config is not None:
        answer = subprocess.run([pg_config, "--bindir"], capture_output=True, text=True, check=False)
        folders.append(Path(answer.stdout.strip()))
    return [folder for folder in folders if all((folder / name).is_file() for name in ("postgres", "initdb"))]


def _major(folder: Path) -> int | None:
    answer = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=False)
    number = answer.stdout.partition("(PostgreSQL) ")[2]
    digits = number.partition(".")[0].strip()
    return int(digits) if digits.isdigit() else None
