"""Workers that die, freeze, are stopped, or run harmful handlers."""

from __future__ import annotations

import re
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import psycopg

from tests.faults.figures import FIGURES
from tests.faults.scene import Scene
from tests.support.waiting import eventually

RESCUED = 10.0 + 2.0
"""Seconds from a death to pending tasks: the allowed silence and one heartbeat (the guarantee)."""

LONG = {"sleep": 600}


def _refused(log: str) -> int:
    """Outcomes that a worker has logged as refused: the first by name, later ones summarised in a line."""
    return log.count("outcome refused") + sum(map(int, re.findall(r"outcomes refused tasks=(\d+)", log)))


def test_tasks_of_a_killed_worker_are_pending_again(scene: Scene) -> None:
    """One retry is charged; tasks of live workers are never touched."""
    alive = scene.start("--concurrency", "5")
    (kept,) = scene.insert(plan=LONG)
    eventually(lambda: scene.queue.status(kept) == "processing")
    doomed = scene.start("--concurrency", "50")
    lost = scene.insert(20, LONG)
    eventually(lambda: scene.count("status = 'processing'") == 21)
    of_doomed = scene.queue.values(
        "SELECT t.id FROM content_generation_tasks AS t JOIN audit.workers AS w ON w.id = t.worker_id "
        "WHERE w.pid = %s",
        doomed.pid,
    )
    assert set(of_doomed) <= set(lost)
    assert of_doomed
    scene.suspects.add(doomed.pid)
    doomed.kill()
    killed = scene.now()

    eventually(lambda: scene.count("retry_count = 1") == len(of_doomed), within=2 * RESCUED)

    rescued = "SELECT extract(epoch FROM max(at) - %s)::float8 FROM audit.changes WHERE new_retries = 1"
    seconds = scene.queue.value(rescued, killed)
    FIGURES.took("tasks of a killed worker pending again after", seconds)
    assert seconds <= RESCUED
    assert alive.alive
    assert (scene.queue.row(kept)["attempt"], scene.queue.row(kept)["retry_count"]) == (1, 0)
    assert scene.count("id = ANY (%s) AND attempt_errors->0->>'error_class' = 'WorkerDied'", of_doomed) == len(
        of_doomed
    )
    scene.queue.run("SELECT contentq.cancel(task_id) FROM content_generation_tasks")
    scene.wait_until_all_have_ended()
    assert scene.audit() == []


def test_frozen_worker_finds_its_tasks_gone(scene: Scene, freeze_seconds: float) -> None:
    """It cancels the handlers that still run, and the outcomes of its other handlers are not accepted."""
    frozen = scene.start("--concurrency", "10")
    scene.insert(5, {"sleep": freeze_seconds + 2, "content": True}, max_retries=1)
    scene.insert(5, {"sleep": 3, "content": True}, max_retries=1)
    eventually(lambda: scene.count("status = 'processing'") == 10)
    scene.suspects.add(frozen.pid)
    frozen.send(signal.SIGSTOP)
    began = scene.now()
    scene.start("--concurrency", "10")

    eventually(lambda: scene.count("attempt = 2") == 10, within=2 * RESCUED)
    eventually(lambda: (scene.now() - began).total_seconds() >= freeze_seconds, within=2 * freeze_seconds)
    frozen.send(signal.SIGCONT)

    eventually(lambda: "registration lost" in frozen.log(), within=10)
    eventually(lambda: frozen.log().count("registered worker=") == 2, within=10)
    eventually(lambda: frozen.log().count("reason=lost") + _refused(frozen.log()) == 10)
    assert frozen.log().count("reason=lost") >= 5
    scene.wait_until_all_have_ended(within=freeze_seconds + 30)
    assert scene.count("attempt = 2 AND retry_count = 1") == 10
    assert scene.count("status = 'completed' AND (result->>'pid')::integer <> %s", frozen.pid) == 10
    assert scene.queue.value("SELECT count(*) FROM contents") == 10
    assert scene.audit() == []


def test_task_that_kills_its_worker_ends_failed_and_its_neighbours_do_not(scene: Scene) -> None:
    scene.queue.run("UPDATE contentq.settings SET heartbeat_timeout = '5 seconds'")
    (poison,) = scene.insert(plan={"kill": True}, max_retries=1)
    neighbours = scene.insert(5, {"sleep": 2}, priority=10, max_retries=3)
    keeper = scene.start("--category", "nothing of this")  # does the housekeeping
    workers = 0
    while scene.queue.status(poison) != "failed":
        worker = scene.start("--concurrency", "10")
        scene.suspects.add(worker.pid)
        workers += 1
        eventually(lambda: not scene.workers[-1].alive or scene.queue.status(poison) == "failed", within=30)

    row = scene.queue.row(poison)
    assert (row["attempt"], row["retry_count"], workers) == (2, 1, 3)
    assert "The worker that ran attempt 2 died" in row["error_message"]
    assert "no retry is left (max_retries 1)" in row["error_message"]
    scene.wait_until_all_have_ended(within=60)
    assert [scene.queue.status(id_) for id_ in neighbours] == ["completed"] * 5
    assert keeper.alive
    assert scene.audit() == []


def test_worker_stopped_under_full_load_leaves_nothing_to_rescue(scene: Scene) -> None:
    scene.insert(20_000, {"sleep": 0.02})
    worker = scene.start("--concurrency", "100", "--grace", "5")
    eventually(lambda: scene.count("status = 'completed'") > 500)

    worker.send(signal.SIGTERM)

    assert worker.end() == 0
    assert scene.count("status = 'processing'") == 0
    assert scene.count("retry_count > 0") == 0
    assert scene.queue.value("SELECT count(*) FROM contentq.workers") == 0
    scene.cancel_what_waits()
    assert scene.audit() == []


def test_second_signal_releases_at_once(scene: Scene) -> None:
    scene.insert(100, LONG)
    worker = scene.start("--concurrency", "100", "--grace", "600")
    eventually(lambda: scene.count("status = 'processing'") == 100)
    worker.send(signal.SIGTERM)
    eventually(lambda: "draining" in worker.log())
    before = time.monotonic()

    worker.send(signal.SIGTERM)

    assert worker.end() == 6
    FIGURES.took("a second signal ended a worker with 100 running tasks after", time.monotonic() - before)
    assert scene.count("status = 'pending' AND retry_count = 0 AND attempt = 1") == 100
    scene.cancel_what_waits()
    assert scene.audit() == []


def test_housekeeping_from_many_sessions_at_once(scene: Scene) -> None:
    """No deadlock, no double charge, and never more than one batch per call."""
    tasks = 4000
    worker = scene.queue.register(slots=tasks)
    scene.insert(tasks)
    scene.queue.run("SELECT count(*) FROM contentq.claim(%s, %s)", worker, tasks)
    scene.queue.run(
        "UPDATE content_generation_tasks SET timeout_at = clock_timestamp() - interval '1 s' WHERE id %% 2 = 0"
    )
    scene.queue.silence(worker)
    scene.suspects.add(4711)

    def keep_house(number: int) -> tuple[int, int]:
        swept = rescued = 0
        with closing(psycopg.connect(scene.dsn, autocommit=True)) as connection:
            connection.execute("SET deadlock_timeout = '10ms'")
            for _ in range(20):
                calls = ["sweep_timeouts", "rescue_dead_workers", "cleanup", "maintain"]
                for call in calls[number % 4 :] + calls[: number % 4]:
                    row = connection.execute(f"SELECT contentq.{call}()".encode()).fetchone()
                    assert row is not None
                    if call in ("sweep_timeouts", "rescue_dead_workers"):
                        assert row[0] <= 1000
                        swept += row[0] if call == "sweep_timeouts" else 0
                        rescued += row[0] if call == "rescue_dead_workers" else 0
        return swept, rescued

    with ThreadPoolExecutor(12) as sessions:
        list(sessions.map(keep_house, range(12)))

    # The rescue may charge an overdue task first; its deadline then still ends it.
    assert scene.count("status = 'timeout' AND retry_count <= 1") == tasks / 2
    assert scene.count("status = 'pending' AND retry_count = 1") == tasks / 2
    assert scene.count("retry_count <> jsonb_array_length(attempt_errors)") == 0
    changes = scene.queue.values("SELECT count(*) FROM audit.changes WHERE old_status = 'processing' GROUP BY id")
    assert changes == [1] * tasks
    scene.cancel_what_waits()
    assert scene.audit() == []
