"""Regression tests of a third security review of reviews, selectors, and waiting for tasks and batches.

Each of these cases let a login read, change or learn about rows of others.
"""

from __future__ import annotations

import psycopg
import pytest

from tests.security.test_row_security import Scene, scene

__all__ = ["scene"]


@pytest.mark.parametrize("role", ["contentq_reader", "contentq_producer", "contentq_reviewer"])
def test_nobody_waits_for_a_task_of_another_account(scene: Scene, role: str) -> None:
    """Nor learns whether it exists, or whether another session waits."""
    owner = scene.owner
    owner.run("UPDATE content_generation_tasks SET batch = 'spring' WHERE task_id = 'Theirs-1'")
    session = scene.add_open("login", role)

    for noted in (0, 2):
        for kind, argument, name in (("task", "task_id", "Theirs-1"), ("batch", "batch", "spring")):
            with pytest.raises(psycopg.errors.NoDataFound):
                session.run(f"SELECT contentq.wait_channel({argument} => %s)", name)
            for _ in range(2):
                asked = [session.value("SELECT contentq.await_end(%s, %s)", kind, each) for each in (name, "none")]
                assert asked == [True, True]
        assert owner.value("SELECT count(*) FROM contentq.awaited") == noted
        owner.run("SELECT contentq.wait_channel('Theirs-1'), contentq.wait_channel(batch => 'spring')")

    assert session.value("SELECT contentq.wait_channel('Mine-1')").startswith("contentq_task_")
    assert owner.value("SELECT count(*) FROM contentq.awaited WHERE name = 'Mine-1'") == 1


def test_reader_does_not_see_what_others_wait_for(scene: Scene) -> None:
    scene.owner.run("SELECT contentq.wait_channel('Theirs-1')")
    session = scene.add_open("reader", "contentq_reader")

    assert session.rows("SELECT * FROM contentq.awaited") == []
