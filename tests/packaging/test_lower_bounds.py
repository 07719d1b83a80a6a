"""The oldest versions that pyproject.toml allows are sufficient."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import psycopg
import pytest

from tests.packaging import bounds, building
from tests.support.queue import Queue

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("installing"),
    pytest.mark.skipif(
        sys.version_info[:2] != (3, 11), reason="the oldest versions are those for the oldest Python, 3.11"
    ),
]


def _oldest() -> dict[str, str]:
    """The requirements with the extras `openai` and `metrics`, each at its oldest version."""
    return bounds.oldest(bounds.needed("openai", "metrics"))


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the programs in an environment with the oldest versions."""
    folder = tmp_path_factory.mktemp("oldest")
    constraints = folder / "constraints.txt"
    constraints.write_text(
        "\n".join(f"{name}=={version}" for name, version in _oldest().items()), encoding="utf-8"
    )
    environment = folder / "environment"
    building.make_environment(environment)
    requirement = f"contentq[openai,metrics] @ {building.wheel(tmp_path_factory).as_uri()}"
    pip = [str(environment / "bin/python"), "-m", "pip"]
    building.run([*pip, "install", "--quiet", "--constraint", str(constraints), requirement])
    return environment / "bin"


def test_oldest_versions_migrate_work_and_show(scripts: Path, empty_dsn: str, tmp_path: Path) -> None:
    def run(program: str, *arguments: str) -> str:
        environment = {"PATH": os.defpath, "PYTHONUTF8": "1", "DATABASE_URL": empty_dsn}
        return building.run([str(scripts / program), *arguments], cwd=tmp_path, env=environment)

    run("python", "-W", "error", "-c", "import contentq, contentq.models, contentq.handlers.openai.handler")
    assert "worker" in run("contentq", "--help")
    run("contentq", "migrate")
    with psycopg.connect(empty_dsn, autocommit=True) as connection:
        queue = Queue(connection)
        task = queue.add(topic="Tea")
        run("contentq", "worker", "--until-empty")
        assert queue.status(task) == "completed"
    assert "completed" in run("contentq", "stats", "--json")
    assert 'contentq_tasks{status="completed"} 1.0' in run("contentq", "metrics", "--once")
