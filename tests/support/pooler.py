"""PgBouncer in transaction mode in front of a database."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from tests.support.waiting import eventually

_SETTINGS = """\
[databases]
{databases} = host={host} port={port} user={user}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen_port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {pool_size}
"""


class Pooler:
    """PgBouncer for the rest of a test. Skips the test, naming PgBouncer, if it is not installed.

    databases: the databases that it serves, * for the whole server; by default the database of the DSN. pool_size:
    number of server sessions that all its clients share.
    """

    def __init__(
        self, dsn: str, request: pytest.FixtureRequest, databases: str | None = None, pool_size: int = 4
    ) -> None:
        program = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        if program is None:
            pytest.skip("pgbouncer is not installed")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            listen_port = free.getsockname()[1]
        server = conninfo_to_dict(dsn)
        folder = tempfile.TemporaryDirectory(prefix="cq-pooler-")
        request.addfinalizer(folder.cleanup)
        request.addfinalizer(self.stop)
        settings = Path(folder.name, "pgbouncer.ini")
        settings.write_text(
            _SETTINGS.format(
                **server,
                databases=databases or server["dbname"],
                listen_port=listen_port,
                pool_size=pool_size,
            )
        )
        self._command, self._user = [program, str(settings)], _not_as_root(folder.name)
        self.url = f"postgresql://{server['user']}@127.0.0.1:{listen_port}/{server['dbname']}?sslmode=disable"
        self.start()

    def start(self) -> None:
        """Starts it and waits until it answers."""
        self._process = subprocess.Popen(self._command, stderr=subprocess.DEVNULL, **self._user)
        eventually(lambda: _answers(self.url))

    def stop(self) -> None:
        """Stops it, even if clients are connected."""
        self._process.kill()
        self._process.wait()


def _not_as_root(folder: str) -> dict[str, Any]:
    """PgBouncer refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    os.chmod(folder, 0o755)
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True
