"""Selects the PostgreSQL server of a test run, makes databases on it, and orders the tests.

The server is the first available of these:

1. CONTENTQ_TEST_DSN: a running server. The user of this DSN must be allowed to create databases. The value
   "embedded" selects option 3.
2. A container, if a Docker engine answers within half a second and has or can pull the image.
3. A throwaway cluster of PostgreSQL 18 from the embedded wheel, or without the wheel from the system's programs.

With --all-servers, tests/sql also runs on a throwaway cluster of the oldest installed major version (or of the
same version if there is no other), with the tables in a separate schema. Select these with `-k schema`.

In a parallel run (`-n 2`) each process starts its own servers, which takes a second each, so tests may change what
belongs to a whole server, such as roles. Only the server of CONTENTQ_TEST_DSN is shared.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from contentq.database.connect import connect as open_connection

from tests.support.databases import Connection
from tests.support.servers import EVERY_VERSION, Server, Servers, engine_for_workers, servers_of
from tests.support.shares import in_shares


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        EVERY_VERSION,
        action="store_true",
        help="run tests/sql on the oldest PostgreSQL, too",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Makes everything that the tests start interruptible, even if a script runs the suite in the background.

    Gives this run its own temporary folder. Each start of pytest closes its usual folder to other users, but the
    embedded servers of a run by root run as another user.
    """
    if config.option.basetemp is None:
        config.option.basetemp = tempfile.mkdtemp(
            prefix="contentq-tests-", dir="/tmp" if os.path.isdir("/tmp") else None
        )
        config.add_cleanup(lambda: shutil.rmtree(config.option.basetemp, ignore_errors=True))
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header(config: pytest.Config) -> list[str]:
    servers = servers_of(config)
    others = [server.name for server in servers.all if server is not servers.default]
    also = f"; tests/sql also on {', '.join(others)}" if others else ""
    note = [f"note: {servers.note}; an embedded server takes its place"] if servers.note else []
    return [f"server: {servers.default.description}{also}", *note]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Runs the slow tests first in each process.

    Tests that install the wheel share one process, which builds it once for all of them.
    """
    slow = [item for item in items if item.get_closest_marker("slow")]
    others = [item for item in items if not item.get_closest_marker("slow")]
    processes = getattr(config, "workerinput", {}).get("workercount", 1)
    items[:] = in_shares(slow, others, processes, _group)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Sets `-n auto` to two processes more than there are processors, because tests mostly wait."""
    return 2 + (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, Any, Any]:
    """Escapes lone surrogates in logs of tests, which cannot be sent to another process."""
    return _sendable((yield))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Passes the Docker engine of the run to the other processes."""
    node.workerinput["contentq_engine"] = engine_for_workers(node.config)


@pytest.fixture(scope="session")
def servers(pytestconfig: pytest.Config) -> Iterator[Servers]:
    """All servers of this run."""
    with servers_of(pytestconfig) as found:
        yield found


@pytest.fixture(scope="session")
def server(servers: Servers) -> Server:
    """The server for a test; in tests/sql each server in turn."""
    return servers.default


@pytest.fixture
def dsn(server: Server) -> Iterator[str]:
    """The DSN of a migrated database for one test."""
    with server.databases.migrated() as name:
        yield name


@pytest.fixture
def empty_dsn(server: Server) -> Iterator[str]:
    """The DSN of an empty database for one test."""
    with server.databases.empty() as name:
        yield name


@pytest.fixture
def connect(dsn: str) -> Iterator[Callable[[], Connection]]:
    """Opens more connections to the database of `dsn`, in autocommit mode.

    All are closed at the end of the test.
    """
    with ExitStack() as opened:

        def open_one() -> Connection:
            connection = opened.enter_context(open_connection(dsn, "contentq test", plain=True))
            # Without it, a test that waits for a lock of its own other session would wait forever.
            connection.execute("SET lock_timeout = '10s'")
            return connection

        yield open_one


@pytest.fixture
def database(connect: Callable[[], Connection]) -> Connection:
    """A connection to the database of `dsn`, in autocommit mode."""
    return connect()


def _group(item: pytest.Item) -> str:
    """The tests with which a test shares a process: those of its `xdist_group`, if it has one."""
    marker = item.get_closest_marker("xdist_group")
    return item.nodeid if marker is None else str(marker.args[0])


def _sendable(value: Any) -> Any:
    match value:
        case str():
            return value.encode(errors="backslashreplace").decode()
        case dict():
            return {name: _sendable(member) for name, member in value.items()}
        case list() | tuple():
            return type(value)(map(_sendable, value))
    return value
