"""Which PostgreSQL the tests use, and the databases that they get on it.

The server, first of these:

1. CONTENTQ_TEST_DSN: a server that is running; the user of this DSN must be allowed to create databases.
   The value "embedded" goes straight to 3.
2. A container, when a Docker engine answers (it is asked for half a second at most).
3. A throwaway cluster of PostgreSQL 18 from the embedded wheel, without the wheel one of the system's programs.

The tests in tests/sql run there and, one major version after the other, on a throwaway cluster of every other
version that is installed. CONTENTQ_TEST_ONE_SERVER=1 keeps them to the first one; `-k postgresql-16` picks one.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from contentq.database.connect import connect as open_connection

from tests.support.databases import Connection
from tests.support.servers import Server, Servers, servers_of


def pytest_configure() -> None:
    """Lets what the tests start be interrupted, also when a script has started the suite in the background."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header(config: pytest.Config) -> str:
    servers = servers_of(config)
    others = [str(server.major) for server in servers.all if server is not servers.default]
    also = f"; tests/sql also on {', '.join(others)}" if others else ""
    return f"server: {servers.default.description}{also}"


@pytest.fixture(scope="session")
def servers(pytestconfig: pytest.Config) -> Iterator[Servers]:
    """All servers of this run."""
    with servers_of(pytestconfig) as found:
        yield found


@pytest.fixture(scope="session")
def server(servers: Servers) -> Server:
    """The server that a test uses; in tests/sql each one in turn."""
    return servers.default


@pytest.fixture
def dsn(server: Server) -> Iterator[str]:
    """The DSN of a migrated database of the test's own."""
    with server.databases.migrated() as name:
        yield name


@pytest.fixture
def empty_dsn(server: Server) -> Iterator[str]:
    """The DSN of a database of the test's own that has nothing in it."""
    with server.databases.empty() as name:
        yield name


@pytest.fixture
def connect(dsn: str) -> Iterator[Callable[[], Connection]]:
    """Opens further connections to the database of `dsn`, in autocommit mode; all are closed afterwards."""
    with ExitStack() as opened:

        def open_one() -> Connection:
            connection = opened.enter_context(open_connection(dsn, "contentq test"))
            # A test that waits for a lock of another of its sessions would wait for ever.
            connection.execute("SET lock_timeout = '10s'")
            return connection

        yield open_one


@pytest.fixture
def database(connect: Callable[[], Connection]) -> Connection:
    """A connection to the database of `dsn`, in autocommit mode."""
    return connect()
