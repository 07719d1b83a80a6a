"""Clusters, workers and a proxy for the fault suite, and the report of its measurements.

`make faults` runs the short form in two processes; FAULTS_MINUTES=30 make faults repeats the torture for that many
minutes, in one process.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.faults.figures import FIGURES
from tests.faults.fleet import WorkerProcess, fleet
from tests.faults.limits import TRACKED
from tests.faults.proxy import Proxy
from tests.faults.scene import Scene
from tests.support.cluster import Cluster
from tests.support.databases import Databases
from tests.support.programs import Programs, installed

CRASH_SAFE = {"fsync": "off", "max_connections": "60", **TRACKED}
"""Settings for a server that crashes on a machine that does not: data given to the kernel are safe."""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints the measurements, for docs/explanation/guarantees.md."""
    if FIGURES:
        terminalreporter.section("figures of the fault suite")
        for line in FIGURES.lines():
            terminalreporter.line(line)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Sends the measurements of one of several processes."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["contentq_figures"] = FIGURES.as_sent()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Receives them."""
    if sent := getattr(node, "workeroutput", {}).get("contentq_figures"):
        FIGURES.add(sent)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Runs tests marked `long` only in the long form, and modules with NEEDS_THE_MACHINE first."""
    items.sort(key=lambda item: not getattr(getattr(item, "module", None), "NEEDS_THE_MACHINE", False))
    if not os.environ.get("FAULTS_MINUTES"):
        reason = pytest.mark.skip(reason="only in the long form: FAULTS_MINUTES=30 make faults")
        for item in items:
            if item.get_closest_marker("long"):
                item.add_marker(reason)


@pytest.fixture(scope="module", autouse=True)
def alone(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Lets modules with NEEDS_THE_MACHINE, which measure, run while the other process waits."""
    if not hasattr(request.config, "workerinput"):
        yield
        return
    how = fcntl.LOCK_EX if getattr(request.module, "NEEDS_THE_MACHINE", False) else fcntl.LOCK_SH
    with (tmp_path_factory.getbasetemp().parent / "machine").open("w") as lock:
        fcntl.flock(lock, how)
        yield


@pytest.fixture(scope="session")
def programs() -> Programs:
    """The newest PostgreSQL that is installed."""
    return next(iter(installed().values()))


@pytest.fixture(scope="session")
def cluster(programs: Programs) -> Iterator[Cluster]:
    """The server to break; it runs at the start of each test."""
    with Cluster(programs.folder, settings=CRASH_SAFE, tcp=True) as made:
        yield made


@pytest.fixture(scope="session")
def databases(cluster: Cluster) -> Iterator[Databases]:
    """Databases on it, reached over TCP as remote workers do."""
    made = Databases(cluster.dsn(host="127.0.0.1"))
    yield made
    made.close()


@pytest.fixture
def dsn(databases: Databases) -> Iterator[str]:
    """A migrated database for one test."""
    with databases.migrated() as name:
        yield name


@pytest.fixture
def workers() -> Iterator[list[WorkerProcess]]:
    """The workers of a test; those still running at its end are killed."""
    with fleet() as made:
        yield made


@pytest.fixture
def scene(dsn: str, tmp_path: Path, workers: list[WorkerProcess]) -> Iterator[Scene]:
    """The database, ready for workers."""
    with closing(Scene(dsn, tmp_path, workers)) as made:
        yield made


@pytest.fixture(scope="session")
def minutes() -> float:
    """Maximum seconds of the long form; 0 for the short form."""
    return float(os.environ.get("FAULTS_MINUTES") or 0)


@pytest.fixture
def freeze_seconds(minutes: float) -> float:
    """Seconds for which a worker is frozen, longer than the allowed silence."""
    return 30.0 if minutes else 12.0


@pytest.fixture
def proxy(cluster: Cluster) -> Iterator[Proxy]:
    """A proxy between workers and the server."""
    with Proxy(cluster.port) as made:
        yield made
