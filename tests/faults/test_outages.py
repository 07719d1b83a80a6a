"""The database becomes unreachable in various ways; the worker survives and returns to its full rate."""

from __future__ import annotations

from contextlib import ExitStack, closing, suppress
from pathlib import Path

import psycopg
import pytest
from contentq.database.migrations import migrate
from psycopg.conninfo import make_conninfo

from tests.faults.figures import FIGURES
from tests.faults.fleet import WorkerProcess
from tests.faults.proxy import Proxy
from tests.faults.scene import Break, Scene
from tests.support import pooler
from tests.support.cluster import Cluster
from tests.support.programs import Programs
from tests.support.waiting import eventually

BACKLOG = 3000
PLAN = {"sleep": 0.1}
SLOTS = "20"
"""200 tasks per second: far below the machine's capacity, so that the handlers determine the rate."""

AT_FULL_RATE = 5.0
"""Seconds after the database is reachable (the guarantee)."""

WORKER = ("--concurrency", SLOTS)

TERMINATE = (
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name LIKE 'contentq %%'"
)


def recovers(scene: Scene, worker: WorkerProcess, what: str, break_: Break, within: float = AT_FULL_RATE) -> None:
    """Runs a worker at full rate through an outage, and checks that it recovers."""
    scene.insert(BACKLOG, PLAN)
    eventually(lambda: scene.count("status = 'completed'") >= 200, within=20)
    rate = scene.rate()
    break_()
    back = scene.now()
    seconds = scene.seconds_to_full_rate(back, rate, within=30)
    FIGURES.took(f"full rate after {what}", seconds)
    assert seconds <= within
    assert worker.alive
    scene.cancel_what_waits()
    scene.wait_until_all_have_ended()
    assert scene.audit() == []
    assert scene.count("retry_count > 0") == 0


def test_fast_restart(scene: Scene, cluster: Cluster) -> None:
    recovers(scene, scene.start(*WORKER), "a restart", lambda: cluster.restart("fast"))


def test_crash_of_the_server(scene: Scene, cluster: Cluster) -> None:
    def crash() -> None:
        cluster.kill()
        cluster.start()

    recovers(scene, scene.start(*WORKER), "a crash", crash)


def test_backends_terminated(scene: Scene) -> None:
    def terminate() -> None:
        assert scene.queue.value(TERMINATE) >= 3

    recovers(scene, scene.start(*WORKER), "all backends terminated", terminate)


def test_connections_cut(scene: Scene, proxy: Proxy) -> None:
    recovers(scene, scene.start(*WORKER, dsn=proxy.dsn(scene.dsn)), "connections cut", proxy.cut)


def test_nothing_answers_for_a_while(scene: Scene, proxy: Proxy) -> None:
    worker = scene.start(*WORKER, dsn=proxy.dsn(scene.dsn))
    scene.suspects.add(worker.pid)

    def stall() -> None:
        proxy.stall()
        pause(scene, 5)
        proxy.resume()

    recovers(scene, worker, "a network that was silent for 5 s", stall)


def test_peer_silently_gone(scene: Scene, proxy: Proxy) -> None:
    """Half-open connections: packets on them are lost without an error. New connections work."""
    worker = scene.start(*WORKER, dsn=proxy.dsn(scene.dsn))

    def strand() -> None:
        proxy.strand()
        eventually(lambda: "database connection lost" in worker.log(), within=15)

    recovers(scene, worker, "half-open connections were noticed", strand)


def test_listening_connection_that_is_silent_is_found(scene: Scene, proxy: Proxy) -> None:
    """Only the LISTEN connection is lost; polling alone is too slow."""
    scene.start(*WORKER, "--poll", "300", "--listen-dsn", proxy.dsn(scene.dsn))
    scene.insert()
    scene.wait_until_all_have_ended()
    proxy.strand()
    (id_,) = scene.insert()
    eventually(lambda: scene.count("id = %s AND status = 'completed'", id_) == 1, within=30)
    FIGURES.took(
        "a task inserted behind a dead LISTEN was started",
        scene.queue.value(
            "SELECT extract(epoch FROM started_at - submitted_at)::float8 FROM content_generation_tasks "
            "WHERE id = %s",
            id_,
        ),
    )
    assert scene.audit() == []


def test_no_connection_left(scene: Scene) -> None:
    worker = scene.start(*WORKER)

    def hog() -> None:
        with ExitStack() as hogs:
            while "too many clients" not in worker.log():
                with suppress(psycopg.OperationalError):
                    hogs.enter_context(closing(psycopg.connect(scene.dsn, autocommit=True)))
                scene.queue.value(TERMINATE)
        eventually(lambda: scene.now(), within=10)

    recovers(scene, worker, "max_connections was reached", hog)


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("53100", "disk full"),
        pytest.param("57014", "canceled", marks=pytest.mark.long),
        pytest.param("40P01", "deadlock", marks=pytest.mark.long),
    ],
)
def test_writes_that_fail(scene: Scene, state: str, said: str) -> None:
    """As on a full disk: every write to the queue fails until there is room again."""
    worker = scene.start(*WORKER)
    scene.queue.run(
        "CREATE FUNCTION audit.refuse() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION 'no: {said}' USING ERRCODE = '{state}'; END $$"
    )

    def refuse() -> None:
        for table in ("content_generation_tasks", "contentq.workers"):
            scene.queue.run(f"CREATE TRIGGER refuse BEFORE UPDATE ON {table} EXECUTE FUNCTION audit.refuse()")
        eventually(lambda: f"no: {said}" in worker.log(), within=10)
        pause(scene, 3)
        for table in ("content_generation_tasks", "contentq.workers"):
            scene.queue.run(f"DROP TRIGGER refuse ON {table}")

    recovers(scene, worker, "writes were refused", refuse)


def test_idle_in_transaction_session_timeout(scene: Scene) -> None:
    """It hits the transaction of a handler that has requested its connection too early."""
    scene.queue.run(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %%I SET idle_in_transaction_session_timeout = %%L', "
        "current_database(), '300ms'); END $$"
    )
    worker = scene.start(*WORKER)
    (slow,) = scene.insert(plan={"connection": True, "sleep": 1.5}, max_retries=1)
    (other,) = scene.insert(plan={"sleep": 0.1})
    scene.wait_until_all_have_ended()
    row = scene.queue.row(slow)
    assert (row["status"], row["retry_count"]) == ("failed", 1)
    assert "idle-in-transaction timeout" in row["error_message"]
    assert scene.queue.status(other) == "completed"
    assert worker.alive
    assert scene.audit() == []


def test_failover_to_a_promoted_standby(programs: Programs, tmp_path: Path, workers: list[WorkerProcess]) -> None:
    with Cluster(programs.folder, tcp=True) as primary:
        migrate(primary.dsn(host="127.0.0.1"))
        alone = {"synchronous_standby_names": ""}
        with Cluster(programs.folder, settings=alone, tcp=True, standby_of=primary) as standby:
            # Without synchronous replication, a commit could be lost with the primary.
            primary.configure({"synchronous_commit": "on", "synchronous_standby_names": "*"})
            primary.reload()
            both = make_conninfo(
                primary.dsn(host="127.0.0.1,127.0.0.1"),
                port=f"{primary.port},{standby.port}",
                target_session_attrs="read-write",
            )

            def fail_over() -> None:
                primary.kill()
                standby.promote()

            with closing(Scene(both, tmp_path, workers)) as scene:
                recovers(scene, scene.start(*WORKER), "a failover", fail_over)


def test_pgbouncer_restarted(scene: Scene, request: pytest.FixtureRequest) -> None:
    pooled = pooler.Pooler(scene.dsn, request)
    worker = scene.start(*WORKER, "--listen-dsn", scene.dsn, dsn=pooled.url)

    def restart() -> None:
        pooled.stop()
        pooled.start()

    recovers(scene, worker, "PgBouncer was restarted", restart)


def pause(scene: Scene, seconds: float) -> None:
    """Keeps an outage going for this long, by the database's clock."""
    scene.queue.value("SELECT pg_sleep(%s)", seconds)
