"""A server for the programs beside this file, in a temporary folder."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def server() -> Iterator[dict[str, str]]:
    """Starts an embedded server with a migrated database.

    Gives the environment in which `contentq` finds it, with its address in DATABASE_URL.
    """
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "CONTENTQ_HOME": home}
        environment.pop("DATABASE_URL", None)

        def contentq(*arguments: str) -> str:
            command = [sys.executable, "-m", "contentq", *arguments]
            return subprocess.run(
                command, env=environment, check=True, capture_output=True, text=True
            ).stdout.strip()

        contentq("db", "start")
        try:
            contentq("migrate")
            yield {**environment, "DATABASE_URL": contentq("db", "url")}
        finally:
            contentq("db", "stop")
