"""Runs each test of this folder on every server of the run. On one server the tables are in a separate schema.

Tests that begin without tables, or that are marked `in_public`, choose the schema themselves. Slow tests are
marked `newest` and run on one server only. On the oldest server, a test runs with the first of its parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from contentq.database.connect import connect as open_connection
from contentq.database.definitions import DEFAULT_SCHEMA

from tests.sql.waiters import Waiter
from tests.support.databases import Connection
from tests.support.queue import Queue
from tests.support.servers import Server, Servers, servers_of

HERE = Path(__file__).parent


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "server" in metafunc.fixturenames:
        servers = servers_of(metafunc.config)
        says_where = "empty_dsn" in metafunc.fixturenames or _is_marked(metafunc, "in_public")
        elsewhere = [server for server in servers.all if server.schema != DEFAULT_SCHEMA and not says_where]
        names = [server.name for server in elsewhere]
        names += [
            server.name
            for server in servers.all
            if server.schema == DEFAULT_SCHEMA
            and (server is servers.default or server.major not in {each.major for each in elsewhere})
        ]
        if _is_marked(metafunc, "newest"):
            names = [servers.default.name]
        metafunc.parametrize("server", names, indirect=True, scope="session")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out, on the oldest server, tests that differ from an earlier one only in their parameters."""
    default = servers_of(config).default.name
    seen: set[tuple[str, str]] = set()
    kept: list[pytest.Item] = []
    left_out: list[pytest.Item] = []
    for item in items:
        callspec = getattr(item, "callspec", None)
        server = default if callspec is None else callspec.params.get("server", default)
        test = (item.nodeid.partition("[")[0], server)
        is_repeated = server != default and item.path.is_relative_to(HERE) and test in seen
        (left_out if is_repeated else kept).append(item)
        seen.add(test)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = kept


def _is_marked(metafunc: pytest.Metafunc, name: str) -> bool:
    return any(marker.name == name for marker in metafunc.definition.iter_markers())


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest, servers: Servers) -> Server:
    return next(server for server in servers.all if server.name == request.param)


@pytest.fixture
def queue(database: Connection) -> Queue:
    """The queue in the test's database."""
    return Queue(database)


@pytest.fixture
def worker(queue: Queue) -> int:
    """The id of a registered worker."""
    return queue.register()


@pytest.fixture
def connect_queue(connect: Callable[[], Connection]) -> Callable[[], Queue]:
    """Opens the queue once more, in a separate session."""
    return lambda: Queue(connect())


@pytest.fixture
def bare(empty_dsn: str) -> Iterator[Queue]:
    """A session in the database of `empty_dsn`, which is not migrated."""
    with closing(open_connection(empty_dsn, "contentq test", plain=True)) as connection:
        yield Queue(connection)


@pytest.fixture
def in_utc(queue: Queue) -> None:
    """Shows times in UTC in this session."""
    queue.run("SET TIME ZONE 'UTC'")


@pytest.fixture
def idle(queue: Queue) -> int:
    """A worker with the gate api.example that accepts any task."""
    return queue.register(gate="api.example")


@pytest.fixture
def waiter(connect_queue: Callable[[], Queue]) -> Waiter:
    """A separate session that waits for tasks and batches."""
    return Waiter(connect_queue())
