"""The schema is taken back and brought forward under a running worker, and nothing is lost."""

from __future__ import annotations

from contentq.database.migrations import migrate

from tests.faults.scene import Scene
from tests.support.waiting import eventually

ROWS = 200_000


def test_worker_lives_through_a_downgrade_and_an_upgrade_of_a_large_table(scene: Scene) -> None:
    scene.queue.run(
        "INSERT INTO content_generation_tasks (account_id, status, completed_at) "
        "SELECT %s, 'completed', now() FROM generate_series(1, %s)",
        scene.account,
        ROWS,
    )
    worker = scene.start("--concurrency", "20")
    tasks = scene.insert(600, {"sleep": 0.1})
    eventually(lambda: scene.count("result IS NOT NULL") >= 100)

    migrate(scene.dsn, "0001")
    held = scene.count("status = 'processing'")
    eventually(lambda: "contentq.heartbeat" in worker.log() and "contentq.claim" in worker.log(), within=20)
    # Without triggers and functions, it is still a table into which tasks can be put.
    tasks += scene.insert(10)
    migrate(scene.dsn)

    eventually(lambda: scene.count("status = 'completed'") == ROWS + len(tasks), within=60)
    assert held == 0
    assert worker.alive
    assert scene.count("retry_count > 0") == 0
    # Those that were put there completed are none of the auditor's business.
    scene.queue.run("DELETE FROM audit.changes WHERE old_status IS NULL AND new_status = 'completed'")
    scene.queue.run("DELETE FROM content_generation_tasks WHERE result IS NULL")
    assert scene.audit() == []


def test_revisions_come_and_go_under_a_running_worker(scene: Scene) -> None:
    """A call that waits while tables change may fail, and is made again; functions and views change unnoticed."""
    worker = scene.start("--concurrency", "20")
    scene.insert(2000, {"sleep": 0.02})
    migrate(scene.dsn, "0004")
    eventually(lambda: scene.count("status = 'completed'") >= 50)
    before = len(worker.log())
    for _ in range(5):
        migrate(scene.dsn, "0002")
        migrate(scene.dsn, "0004")
    assert "call failed" not in worker.log()[before:]
    migrate(scene.dsn)
    scene.wait_until_all_have_ended()
    assert scene.count("status = 'completed' AND attempt = 1") == 2000
    assert scene.audit() == []
