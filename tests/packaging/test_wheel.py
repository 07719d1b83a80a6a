"""The wheel works outside the checkout."""

from __future__ import annotations

import os
import tarfile
import zipfile
from pathlib import Path

import psycopg
import pytest

from tests.packaging import building

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("installing")]

_OUTSIDE = {"PATH": os.defpath, "PYTHONUTF8": "1"}
"""An environment without the variables of the tests."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return building.wheel(tmp_path_factory)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return building.copy_of_the_project(tmp_path_factory.mktemp("checkout") / "contentq")


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory, project: Path) -> Path:
    return building.build(project, tmp_path_factory.mktemp("sdist"), "--sdist")


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the programs in an environment with the wheel installed."""
    return building.environment_with_wheel(tmp_path_factory) / "bin"


def _contents(archive: Path) -> dict[str, bytes]:
    """The content of a wheel, without the list of its own checksums."""
    with zipfile.ZipFile(archive) as opened:
        return {name: opened.read(name) for name in opened.namelist() if not name.endswith("/RECORD")}


def _files(*folders: str) -> set[str]:
    found = (path for folder in folders for path in (building.ROOT / folder).rglob("*"))
    return {
        path.relative_to(building.ROOT).as_posix()
        for path in found
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_wheel_holds_the_package_with_its_migrations_and_sql_and_nothing_else(wheel: Path) -> None:
    package = {name.removeprefix("worker/") for name in _files("worker/contentq")}
    carried = {f"contentq/{name}" for name in _files("alembic", "sql")}
    names = {name for name in _contents(wheel) if ".dist-info/" not in name}
    assert names == package | carried
    assert {"contentq/py.typed", "contentq/sql/roles.sql", "contentq/alembic/env.py"} <= names


def test_sdist_builds_the_same_wheel(wheel: Path, sdist: Path, tmp_path: Path) -> None:
    (tmp_path / "unpacked").mkdir()
    building.run(["tar", "-xf", str(sdist)], cwd=tmp_path / "unpacked")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    rebuilt = building.build(unpacked, tmp_path / "wheel", "--wheel")
    assert rebuilt.name == wheel.name
    assert _contents(rebuilt) == _contents(wheel)


def test_sdist_holds_what_a_checkout_holds(project: Path, sdist: Path) -> None:
    with tarfile.open(sdist) as opened:
        packed = {name.partition("/")[2] for name in opened.getnames()}
    copied = {path.relative_to(project).as_posix() for path in project.rglob("*") if path.is_file()}
    assert copied <= packed


def test_installed_wheel_migrates_a_database_and_works_on_it(
    scripts: Path, empty_dsn: str, tmp_path: Path
) -> None:
    environment = {**_OUTSIDE, "DATABASE_URL": empty_dsn}
    contentq = str(scripts / "contentq")
    building.run([contentq, "migrate"], cwd=tmp_path, env=environment)
    with psycopg.connect(empty_dsn, autocommit=True) as connection:
        connection.execute("INSERT INTO accounts (name) VALUES ('Elsewhere')")
        connection.execute("INSERT INTO content_generation_tasks (account_id, topic) VALUES (1, 'Far from home')")
        building.run([contentq, "worker", "--until-empty"], cwd=tmp_path, env=environment)
        row = connection.execute(
            "SELECT t.status, c.title FROM content_generation_tasks AS t JOIN contents AS c ON c.id = t.content_id"
        ).fetchone()
    assert row == ("completed", "Far from home")


def test_installed_wheel_does_not_reach_into_the_checkout(scripts: Path, tmp_path: Path) -> None:
    program = "import sys; from contentq.database.locations import ALEMBIC, SQL; print(ALEMBIC, SQL, *sys.path)"
    printed = building.run([str(scripts / "python"), "-c", program], cwd=tmp_path, env=_OUTSIDE)
    assert str(building.ROOT) not in printed


def test_installed_wheel_finds_a_handler_in_the_current_folder(scripts: Path, dsn: str, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def write(task, context):\n    return {'topic': task.topic}\n")
    environment = {**_OUTSIDE, "DATABASE_URL": dsn}
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("INSERT INTO accounts (name) VALUES ('Elsewhere')")
        connection.execute("INSERT INTO content_generation_tasks (account_id, topic) VALUES (1, 'Near')")
        command = [str(scripts / "contentq"), "worker", "--handler", "mine:write", "--until-empty"]
        building.run(command, cwd=tmp_path, env=environment)
        row = connection.execute("SELECT result FROM content_generation_tasks").fetchone()
    assert row == ({"topic": "Near"},)
