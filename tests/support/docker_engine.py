"""PostgreSQL in a container, when a Docker engine answers."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from psycopg import conninfo

from tests.support.waiting import eventually

IMAGE = "postgres:18-alpine"
MAJOR = 18

PING_TIMEOUT = 0.4
"""Seconds to wait for an engine to answer."""

START_TIMEOUT = 60
"""Seconds to wait for PostgreSQL in the container to answer."""

_USER, _PASSWORD = "postgres", "contentq"


def answers() -> bool:
    """Whether a Docker engine answers a ping; costs half a second at most."""
    address = os.environ.get("DOCKER_HOST") or next(
        (f"unix://{path}" for path in _usual_sockets() if path.is_socket()), None
    )
    if address is None:
        return False
    parts = urlsplit(address)
    try:
        if parts.scheme == "unix":
            with socket.socket(socket.AF_UNIX) as engine:
                engine.settimeout(PING_TIMEOUT)
                engine.connect(parts.path)
                return _pong(engine)
        if parts.scheme in ("tcp", "http") and parts.hostname is not None:
            with socket.create_connection((parts.hostname, parts.port or 2375), PING_TIMEOUT) as engine:
                return bool(os.environ.get("DOCKER_TLS_VERIFY")) or _pong(engine)
    except OSError:
        pass
    return False


@contextmanager
def container() -> Iterator[str]:
    """Runs PostgreSQL in a container; gives the DSN of its superuser."""
    from testcontainers.core.container import DockerContainer

    server = (
        DockerContainer(IMAGE)
        .with_env("POSTGRES_PASSWORD", _PASSWORD)
        .with_exposed_ports(5432)
        .with_command("postgres -c fsync=off -c full_page_writes=off -c synchronous_commit=off")
    )
    with server:
        dsn = conninfo.make_conninfo(
            "",
            host=server.get_container_host_ip(),
            port=server.get_exposed_port(5432),
            user=_USER,
            password=_PASSWORD,
            dbname="postgres",
        )
        # The image runs a first server without TCP for its set-up, so that only the second one answers here.
        eventually(lambda: _connects(dsn), within=START_TIMEOUT)
        yield dsn


def _usual_sockets() -> list[Path]:
    return [Path("/var/run/docker.sock"), Path.home() / ".docker" / "run" / "docker.sock"]


def _pong(engine: socket.socket) -> bool:
    engine.settimeout(PING_TIMEOUT)
    engine.sendall(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
    return engine.recv(64).split(b" ", 2)[1:2] == [b"200"]


def _connects(dsn: str) -> bool:
    try:
        psycopg.connect(dsn, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True
