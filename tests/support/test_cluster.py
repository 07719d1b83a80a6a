"""The throwaway cluster works as described, even if its test process ends unexpectedly."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.support.cluster import DURABLE, Cluster
from tests.support.guardian import postmaster
from tests.support.programs import Programs, installed
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow


@pytest.fixture
def programs() -> Programs:
    if not installed():
        pytest.skip("there are no PostgreSQL programs to start a cluster with")
    return next(iter(installed().values()))


@pytest.fixture
def cluster(programs: Programs) -> Iterator[Cluster]:
    with Cluster(programs.folder, settings=DURABLE) as cluster:
        run(cluster, "CREATE TABLE kept AS SELECT 1 AS n")
        yield cluster


def run(cluster: Cluster, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
        cursor = connection.execute(query.encode())
        return cursor.fetchall() if cursor.description else []


def test_cluster_is_gone_afterwards(programs: Programs) -> None:
    with Cluster(programs.folder) as cluster:
        folder, pid = cluster.folder, cluster.pid
        assert pid is not None

    assert not folder.exists()


def test_committed_rows_survive_a_restart_a_crash_and_a_kill(cluster: Cluster) -> None:
    pids = [cluster.pid]
    for mode in ("fast", "immediate"):
        cluster.restart(mode)
        pids.append(cluster.pid)
    cluster.kill()
    pids.append(cluster.pid)
    cluster.start()

    assert pids[3] is None
    assert len({*pids, cluster.pid}) == 5
    assert run(cluster, "SELECT n FROM kept") == [(1,)]


def test_stopped_cluster_can_be_started_with_other_settings(cluster: Cluster) -> None:
    cluster.stop()
    assert cluster.pid is None
    cluster.configure({"work_mem": "7MB"})
    cluster.start()

    assert run(cluster, "SHOW work_mem") == [("7MB",)]


def test_standby_follows_and_can_be_promoted(cluster: Cluster, programs: Programs) -> None:
    with Cluster(programs.folder, settings=DURABLE, standby_of=cluster) as standby:
        run(cluster, "INSERT INTO kept VALUES (2)")
        eventually(lambda: run(standby, "SELECT count(*) FROM kept") == [(2,)])
        cluster.stop("immediate")

        standby.promote()

        run(standby, "INSERT INTO kept VALUES (3)")
        assert run(standby, "SELECT n FROM kept ORDER BY n") == [(1,), (2,), (3,)]


def test_cluster_can_be_reached_over_tcp(programs: Programs) -> None:
    with (
        Cluster(programs.folder, tcp=True) as cluster,
        psycopg.connect(cluster.dsn(host="127.0.0.1")) as connection,
    ):
        assert connection.execute("SELECT inet_server_port()").fetchone() == (cluster.port,)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_of_a_test_process_that_dies(programs: Programs, how: signal.Signals) -> None:
    program = (
        "import sys, pathlib, threading; from tests.support.cluster import Cluster\n"
        "with Cluster(pathlib.Path(sys.argv[1])) as cluster:\n"
        "    print(cluster.folder, cluster.pid, flush=True)\n"
        "    threading.Event().wait()\n"
    )
    command = [sys.executable, "-c", program, str(programs.folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        name, pid = process.stdout.readline().split()
        folder = Path(name)
        assert postmaster(folder / "data") == int(pid)

        process.send_signal(how)

        eventually(lambda: not folder.exists(), within=20)
