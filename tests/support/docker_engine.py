"""PostgreSQL in a container, if a Docker engine answers and has or can pull the image.

The engine is searched once, in the places that Docker's client and testcontainers use. Both are then directed to
this engine.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from psycopg import conninfo

from tests.support.waiting import eventually

IMAGE = "postgres:18-alpine"
MAJOR = 18

PING_TIMEOUT = 0.4
"""Seconds to wait for an engine to answer."""

PULL_TIMEOUT = 120
"""Seconds without a message from the engine after which a pull has failed."""

START_TIMEOUT = 60
"""Seconds to wait for PostgreSQL in the container to answer."""

_USER, _PASSWORD = "postgres", "contentq"


class NoImage(Exception):
    """The engine does not have the image of PostgreSQL and cannot pull it; the message states why."""


def address() -> str | None:
    """The address of the Docker engine, if one answers a ping within half a second.

    The first one configured: tc.host in ~/.testcontainers.properties, DOCKER_HOST, Docker's current context.
    Without configuration, the first of the usual sockets that exists.
    """
    named = _of_testcontainers() or os.environ.get("DOCKER_HOST") or _of_the_context()
    found = named or next((f"unix://{path}" for path in _usual_sockets() if path.is_socket()), None)
    return found if found is not None and _answers(found) else None


def fetch_images(engine: str) -> None:
    """Pulls the images that container() needs if they are missing. Raises NoImage."""
    import docker
    from docker.errors import DockerException, ImageNotFound
    from requests.exceptions import RequestException
    from testcontainers.core.config import testcontainers_config

    # testcontainers cleans up with the second image.
    images = [IMAGE] if testcontainers_config.ryuk_disabled else [IMAGE, testcontainers_config.ryuk_image]
    image = IMAGE
    try:
        with closing(docker.from_env(timeout=PULL_TIMEOUT, environment=_environment(engine))) as client:
            for image in images:
                try:
                    client.images.get(image)
                except ImageNotFound:
                    client.images.pull(image)
    except (DockerException, RequestException) as error:
        reason = getattr(error, "explanation", None) or error
        raise NoImage(f"the Docker engine at {engine} has no image {image} and cannot pull it: {reason}") from None


@contextmanager
def container(engine: str) -> Iterator[str]:
    """Runs PostgreSQL in a container of this engine; yields the DSN of its superuser."""
    os.environ["DOCKER_HOST"] = engine
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
        # During set-up the image runs a first server without TCP, so only the final server answers here.
        eventually(lambda: _connects(dsn), within=START_TIMEOUT)
        yield dsn


def _environment(engine: str) -> dict[str, str]:
    return {**os.environ, "DOCKER_HOST": engine}


def _of_testcontainers() -> str | None:
    try:
        lines = (Path.home() / ".testcontainers.properties").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    properties = (line.partition("=") for line in lines if not line.lstrip().startswith("#"))
    return next((value.strip() for name, _, value in properties if name.strip() == "tc.host"), None)


def _of_the_context() -> str | None:
    """The endpoint of the context chosen by DOCKER_CONTEXT or `docker context use`, or None for the default
    context.
    """
    folder = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    try:
        name = (
            os.environ.get("DOCKER_CONTEXT") or json.loads((folder / "config.json").read_text())["currentContext"]
        )
        meta = folder / "contexts" / "meta" / hashlib.sha256(name.encode()).hexdigest() / "meta.json"
        return str(json.loads(meta.read_text())["Endpoints"]["docker"]["Host"])
    except (OSError, ValueError, KeyError):
        return None


def _usual_sockets() -> list[Path]:
    runtime = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    of_the_user = [Path.home() / ".docker" / folder / "docker.sock" for folder in ("run", "desktop")]
    return [Path("/var/run/docker.sock"), Path(runtime, "docker.sock"), *of_the_user]


def _answers(engine: str) -> bool:
    parts = urlsplit(engine)
    try:
        if parts.scheme == "unix":
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(PING_TIMEOUT)
                connection.connect(parts.path)
                return _pong(connection)
        if parts.scheme in ("tcp", "http") and parts.hostname is not None:
            with socket.create_connection((parts.hostname, parts.port or 2375), PING_TIMEOUT) as connection:
                return bool(os.environ.get("DOCKER_TLS_VERIFY")) or _pong(connection)
    except OSError:
        pass
    return False


def _pong(connection: socket.socket) -> bool:
    connection.settimeout(PING_TIMEOUT)
    connection.sendall(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
    return connection.recv(64).split(b" ", 2)[1:2] == [b"200"]


def _connects(dsn: str) -> bool:
    try:
        psycopg.connect(dsn, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True
