"""The schema is repaired, removed and restored under a running worker, and nothing is lost."""

from __future__ import annotations

from contentq.database.migrations import migrate

from tests.faults.scene import Scene
from tests.support.waiting import eventually

ROWS = 200_000


def test_repairs_under_a_running_worker_go_unnoticed(scene: Scene) -> None:
    """Replaced functions, and triggers created again on a large table in use."""
    scene.queue.run(
        "INSERT INTO content_generation_tasks (account_id, status, completed_at) "
        "SELECT %s, 'completed', now() FROM generate_series(1, %s)",
        scene.account,
        ROWS,
    )
    worker = scene.start("--concurrency", "20")
    tasks = scene.insert(2000, {"sleep": 0.02})
    eventually(lambda: scene.count("result IS NOT NULL") >= 50)
    before = len(worker.log())

    for _ in range(5):
        scene.queue.run("COMMENT ON FUNCTION contentq.claim IS 'changed'")
        scene.queue.run("DROP TRIGGER content_generation_tasks_touch ON content_generation_tasks")
        scene.queue.run("DROP VIEW contentq.queue_overview")
        assert len(migrate(scene.dsn).changes) == 3

    scene.wait_until_all_have_ended()
    assert "database call failed" not in worker.log()[before:]
    assert scene.count("status = 'completed' AND attempt = 1") == len(tasks)
    # The auditor ignores tasks that were inserted as completed.
    scene.queue.run("DELETE FROM audit.changes WHERE old_status IS NULL AND new_status = 'completed'")
    scene.queue.run("DELETE FROM content_generation_tasks WHERE result IS NULL")
    assert scene.audit() == []


def test_worker_goes_on_when_the_schema_is_back(scene: Scene) -> None:
    """For adopted tables, the down migration drops the additions and keeps every row."""
    scene.queue.run("UPDATE contentq.tables SET is_created = false")
    worker = scene.start("--concurrency", "20")
    scene.insert(200, {"sleep": 0.1})
    eventually(lambda: scene.count("status = 'completed'") >= 50)

    migrate(scene.dsn, "base")
    eventually(lambda: 'schema "contentq" does not exist' in worker.log(), within=20)
    # Without triggers and functions, the table still accepts tasks.
    scene.insert(10)
    migrate(scene.dsn)

    eventually(lambda: scene.count("status = 'completed'") == 210, within=60)
    assert worker.alive
