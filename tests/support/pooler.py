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
{dbname} = host={host} port={port} user={user}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen_port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 4
"""


def start(dsn: str, request: pytest.FixtureRequest) -> str:
    """Starts it for the rest of the test; returns the URL that leads through it."""
    program = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        pytest.skip("pgbouncer is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        listen_port = free.getsockname()[1]
    server = conninfo_to_dict(dsn)
    folder = tempfile.TemporaryDirectory(prefix="cq-pooler-")
    request.addfinalizer(folder.cleanup)
    settings = Path(folder.name, "pgbouncer.ini")
    settings.write_text(_SETTINGS.format(**server, listen_port=listen_port))
    process = subprocess.Popen([program, settings], stderr=subprocess.DEVNULL, **_not_as_root(folder.name))
    request.addfinalizer(process.wait)
    request.addfinalizer(process.terminate)
    url = f"postgresql://{server['user']}@127.0.0.1:{listen_port}/{server['dbname']}?sslmode=disable"
    eventually(lambda: _answers(url))
    return url


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
