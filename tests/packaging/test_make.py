"""`make run` works on a fresh copy of the project, in any folder and environment."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.markdown import ROOT, sections_of
from tests.docs.outputs import comparable
from tests.packaging import building

_SOMEONES_DATABASE = {
    "DATABASE_URL": "postgresql://someone@database.invalid/production",
    "PGHOSTADDR": "192.0.2.1",
    "PGPORT": "1",
    "PGSERVICE": "production",
}

_WITHOUT_ENSUREPIP = """\
#!/bin/sh
case "$*" in
    *--without-pip*) ;;
    "-m venv"*) exit 1 ;;
esac
exec "{real}" "$@"
"""
"""The behaviour of Debian's python3 without python3-venv."""


def _environment(**more: str) -> dict[str, str]:
    """The environment of the tests, without variables that would lead `make` back to this checkout."""
    left_out = ("CONTENTQ_", "PG", "MAKE", "MFLAGS", "DATABASE_URL", "VIRTUAL_ENV")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    return {**kept, **more}


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Path]:
    """A copy of the project in a folder with a space in its name, too deep for a Unix socket."""
    project = building.copy_of_the_project(tmp_path / "not ours, but Ada's" / ("deep-" * 30) / "contentq")
    yield project
    building.run(["make", "clean"], cwd=project, env=_environment())


@pytest.mark.slow
@pytest.mark.xdist_group("installing")
def test_make_run_ends_with_an_article_and_a_second_run_works_too(fresh: Path) -> None:
    environment = _environment(**_SOMEONES_DATABASE, LC_ALL="xx_YY.UTF-8")
    for tasks in (50, 100):
        printed = building.run(["make", "run"], cwd=fresh, env=environment)
        assert "50 completed in " in printed
        assert re.search(r"Harbour & Finch +\| completed +\| +34 ", printed)
        assert re.search(r"青禾文化 +\| completed +\| +16 ", printed)
        assert "# Password managers, explained to your parents" in printed
        count = "SELECT count(*) FROM content_generation_tasks WHERE status = 'completed'"
        counted = building.run(
            [str(fresh / ".venv/bin/contentq"), "db", "psql", "-Atc", count],
            cwd=fresh,
            env=_environment(CONTENTQ_HOME=str(fresh / ".contentq")),
        )
        assert counted.strip() == str(tasks)
    _go_on_as_suggested(fresh, printed)
    building.run(["make", "stop"], cwd=fresh, env=environment)


def _go_on_as_suggested(folder: Path, printed: str) -> None:
    """Pastes the last lines of `make run` into a shell in the folder, then the hello world of README.md."""
    statements, export = _suggested(printed), _line(printed, "export ")
    hello = next(part for part in sections_of(ROOT / "README.md") if part.heading == "Hello, world")
    exported = next(block.text for block in hello.blocks if block.text.startswith("export "))
    assert exported.strip() in export
    answers = [block.text for block in hello.blocks if block.language == "text"]
    queries = [block.text for block in hello.blocks if block.language == "sql"]
    assert re.search(r"completed +100 ", _run(folder, export, "contentq stats"))
    for submit, *reading in (statements, queries):
        _psql(folder, export, submit)
        _run(folder, export, "contentq worker --until-empty --log-level warning")
        shown = [_psql(folder, export, statement) for statement in reading]
        assert "# Why the sky is blue\n" in shown[-1]
    assert [comparable(text) for text in shown] == [comparable(text) for text in answers]


def _suggested(printed: str) -> list[str]:
    """The statements among the indented lines: those that submit, and the one that reads."""
    indented = [line for line in printed.splitlines() if line.startswith("  ")]
    start, end = (
        next(number for number, line in enumerate(indented) if line.startswith(f"  {beginning}"))
        for beginning in ("INSERT INTO", "SELECT body")
    )
    return ["\n".join(indented[start:end]), indented[end]]


def _line(printed: str, beginning: str) -> str:
    return next(line.strip() for line in printed.splitlines() if line.strip().startswith(beginning))


def _run(folder: Path, export: str, command: str) -> str:
    environment = _environment(DATABASE_URL=_SOMEONES_DATABASE["DATABASE_URL"])
    return building.run(["sh", "-euc", f"{export}\n{command}"], cwd=folder, env=environment)


def _psql(folder: Path, export: str, statement: str) -> str:
    return _run(folder, export, f"contentq db psql -X <<'SQL'\n{statement}\nSQL")


def test_make_alone_lists_the_targets_and_installs_nothing(tmp_path: Path) -> None:
    project = building.copy_of_the_project(tmp_path / "contentq")
    printed = building.run(["make"], cwd=project, env=_environment())
    assert "make run" in printed
    assert "make test" in printed
    assert not (project / ".venv").exists()


def test_without_a_usable_python_make_says_what_to_install(tmp_path: Path) -> None:
    project = building.copy_of_the_project(tmp_path / "contentq")
    done = subprocess.run(
        ["make", "run", "PYTHON=false"],
        cwd=project,
        env=_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "No Python of 3.11 or later was found under the name false" in done.stderr


@pytest.mark.slow
@pytest.mark.xdist_group("installing")
def test_an_environment_is_made_where_python_has_no_ensurepip(tmp_path: Path) -> None:
    python = tmp_path / "python-without-ensurepip"
    python.write_text(_WITHOUT_ENSUREPIP.format(real=sys.executable))
    python.chmod(0o755)
    environment = tmp_path / "environment"
    script = str(building.ROOT / ".ci/make-venv")
    building.run([script, str(environment)], env=_environment(PYTHON=str(python)))
    assert building.run([str(environment / "bin/python"), "-m", "pip", "--version"]).startswith("pip ")
