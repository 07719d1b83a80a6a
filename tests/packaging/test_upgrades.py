"""`contentq migrate` turns a database filled by an earlier release into what a new one would be."""

from __future__ import annotations

import os
from pathlib import Path

import psycopg
import pytest
from contentq.database.migrations import migrate

from tests.packaging import building
from tests.support.queue import Queue
from tests.support.schema_snapshot import dump

RELEASED: tuple[str, ...] = ()
"""The versions on PyPI, oldest first. Add one when it is released."""

THIS_COMMIT = "this commit"
"""Its wheel, as if it were released: tests this test, and that migrating again changes nothing."""

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("installing")]


@pytest.fixture(params=[*RELEASED, THIS_COMMIT])
def released(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program of a release, in a separate environment."""
    if request.param == THIS_COMMIT:
        return building.environment_with_wheel(tmp_path_factory) / "bin/contentq"
    return building.environment_with_release(tmp_path_factory, request.param) / "bin/contentq"


def test_upgraded_database_is_a_new_one_with_its_rows_kept(
    released: Path, empty_dsn: str, dsn: str, tmp_path: Path
) -> None:
    def run(*arguments: str) -> None:
        environment = {"PATH": os.defpath, "PYTHONUTF8": "1", "DATABASE_URL": empty_dsn}
        building.run([str(released), *arguments], cwd=tmp_path, env=environment)

    (tmp_path / "refusing.py").write_text("def write(task, context):\n    raise ValueError('no')\n")
    run("migrate")
    with psycopg.connect(empty_dsn, autocommit=True) as connection:
        queue = Queue(connection)
        completed = queue.add(topic="Tea")
        run("worker", "--until-empty")
        failed = queue.add(max_retries=0)
        run("worker", "--handler", "refusing:write", "--until-empty")
        waiting = queue.add(topic="Coffee", scheduled_at="2999-01-01")
        rows = {id_: queue.row(id_) for id_ in (completed, failed, waiting)}
        articles = queue.rows("SELECT id, account_id, title, body, word_count FROM contents")

    migrate(empty_dsn)

    with psycopg.connect(empty_dsn, autocommit=True) as connection:
        queue = Queue(connection)
        assert dump(empty_dsn) == dump(dsn)
        assert [row["status"] for row in rows.values()] == ["completed", "failed", "pending"]
        for id_, row in rows.items():
            assert queue.row(id_).items() >= row.items()
        assert queue.rows("SELECT id, account_id, title, body, word_count FROM contents") == articles
        assert [article["title"] for article in articles] == ["Tea"]
