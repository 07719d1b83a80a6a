"""The notification queue fills up because a session listens and never reads."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import psycopg
import pytest
from contentq.database.migrations import migrate

from tests.faults.fleet import WorkerProcess
from tests.faults.scene import Scene
from tests.support.cluster import QUICK, Cluster
from tests.support.programs import Programs
from tests.support.waiting import eventually


@pytest.fixture
def small_queue(programs: Programs) -> Iterator[str]:
    """A migrated database on a server with a small notification queue."""
    if programs.major < 17:
        pytest.skip("max_notify_queue_pages is a setting since PostgreSQL 17")
    with Cluster(programs.folder, settings={**QUICK, "max_notify_queue_pages": "64"}) as cluster:
        migrate(cluster.dsn())
        yield cluster.dsn()


def test_full_queue_of_notifications_holds_up_nothing(
    small_queue: str, tmp_path: Path, workers: list[WorkerProcess]
) -> None:
    with (
        closing(Scene(small_queue, tmp_path, workers)) as scene,
        closing(psycopg.connect(small_queue, autocommit=True)) as deaf,
    ):
        worker = scene.start("--poll", "0.5", "--grace", "0")
        deaf.execute("LISTEN other")
        with deaf.transaction():
            deaf.execute("SELECT")
            with suppress(psycopg.OperationalError, psycopg.errors.ProgramLimitExceeded):
                for _ in range(1000):
                    scene.queue.run("SELECT pg_notify('other', repeat('x', 7900))")
            assert scene.queue.value("SELECT pg_notification_queue_usage()") > 0.5
            scene.insert(5)
            scene.wait_until_all_have_ended()
            scene.insert(5, {"sleep": 600})
            eventually(lambda: scene.count("status = 'processing'") == 5)
            worker.send(signal.SIGTERM)
            assert worker.end() == 6
            assert scene.count("status = 'pending' AND retry_count = 0") == 5
        scene.cancel_what_waits()
        assert scene.audit() == []
