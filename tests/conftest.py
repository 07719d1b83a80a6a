"""Which PostgreSQL the tests use, the databases that they get on it, and which tests run.

The server, first of these:

1. CONTENTQ_TEST_DSN: a server that is running; the user of this DSN must be allowed to create databases.
   The value "embedded" goes straight to 3.
2. A container, when a Docker engine answers (it is asked for half a second at most) and has or gets the image.
3. A throwaway cluster of PostgreSQL 18 from the embedded wheel, without the wheel one of the system's programs.

With --all, tests/sql also runs on a throwaway cluster of the oldest major version that is installed (of
the same one if there is no other), with the tables in a schema of their own; `-k schema` picks these. The tests
marked `thorough` run then, and those beside masses of rows have more of them.

In a parallel run (`-n 2`) each process starts servers of its own, which takes a second each: what belongs to a
whole server, such as roles, is then no other test's business. Only the server of CONTENTQ_TEST_DSN is everyone's.
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
        help="run tests/sql on every PostgreSQL there is, and what builds, installs, downloads or measures",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Lets what the tests start be interrupted, also when a script has started the suite in the background.

    Gives this run a temporary folder of its own: any start of pytest closes its usual one to other users, and as
    root the embedded servers of the tests run as such a user.
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
    """Leaves the thorough tests to --all, where they come first in each process: they are the longest.

    What builds and installs stays in one process, which does so once for all of them.
    """
    marked = [item for item in items if item.get_closest_marker("thorough")]
    others = [item for item in items if not item.get_closest_marker("thorough")]
    if config.getoption(EVERY_VERSION):
        processes = getattr(config, "workerinput", {}).get("workercount", 1)
        items[:] = in_shares(marked, others, processes, _folder)
    elif marked:
        config.hook.pytest_deselected(items=marked)
        items[:] = others


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """What `-n auto` means: two processes more than there are processors, for most of a test's time is waiting."""
    return 2 + (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, Any, Any]:
    """Writes lone surrogates, which some tests log, in a form that can be sent to another process."""
    return _sendable((yield))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tells the other processes of a parallel run which Docker engine it uses."""
    node.workerinput["contentq_engine"] = engine_for_workers(node.config)


@pytest.fixture(scope="session")
def servers(pytestconfig: pytest.Config) -> Iterator[Servers]:
    """All servers of this run."""
    with servers_of(pytestconfig) as found:
        yield found


@pytest.fixture(scope="session")
def server(servers: Servers) -> Server:
    """The server that a test uses; in tests/sql each one in turn."""
    return servers.default


@pytest.fixture(scope="session")
def is_thorough(pytestconfig: pytest.Config) -> bool:
    """Whether tests that come in two sizes take the larger one: with --all."""
    return bool(pytestconfig.getoption(EVERY_VERSION))


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
            connection = opened.enter_context(open_connection(dsn, "contentq test", plain=True))
            # A test that waits for a lock of another of its sessions would wait for ever.
            connection.execute("SET lock_timeout = '10s'")
            return connection

        yield open_one


@pytest.fixture
def database(connect: Callable[[], Connection]) -> Connection:
    """A connection to the database of `dsn`, in autocommit mode."""
    return connect()


def _folder(item: pytest.Item) -> str:
    """The folder of a test; "installing" for both of those that install the wheel."""
    name = item.path.parent.name
    return "installing" if name in ("docs", "packaging") else name


def _sendable(value: Any) -> Any:
    match value:
        case str():
            return value.encode(errors="backslashreplace").decode()
        case dict():
            return {name: _sendable(member) for name, member in value.items()}
        case list() | tuple():
            return type(value)(map(_sendable, value))
    return value
