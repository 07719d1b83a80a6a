"""Builds the distributions, and empty environments to install them in."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent

SOURCES = (
    ".ci",
    "Makefile",
    "README.md",
    "README.zh.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "alembic",
    "alembic.ini",
    "docs",
    "mkdocs.yml",
    "pyproject.toml",
    "sql",
    "tests",
    "worker",
)
"""The files of a checkout."""


def copy_of_the_project(folder: Path) -> Path:
    """Copies the project as a fresh checkout."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
        else:
            shutil.copy(source, folder / name)
    return folder


_MADE: dict[str, Path] = {}
"""Artifacts made once for all tests of this run."""


def wheel(factory: pytest.TempPathFactory) -> Path:
    """The wheel, built once from a copy of the project."""
    if "wheel" not in _MADE:
        project = copy_of_the_project(factory.mktemp("project") / "contentq")
        _MADE["wheel"] = build(project, factory.mktemp("wheel"), "--wheel")
    return _MADE["wheel"]


def build(project: Path, output: Path, kind: str) -> Path:
    """Builds one distribution (--wheel or --sdist) of a project folder; returns its path."""
    run([sys.executable, "-m", "build", kind, "--outdir", str(output), str(project)])
    (made,) = output.iterdir()
    return made


def environment_with_wheel(factory: pytest.TempPathFactory) -> Path:
    """An environment outside the checkout with the wheel and the embedded server."""
    if "environment" not in _MADE:
        folder = factory.mktemp("installed") / "environment"
        make_environment(folder)
        requirement = f"contentq[embedded] @ {wheel(factory).as_uri()}"
        run([str(folder / "bin/python"), "-m", "pip", "install", "--quiet", requirement])
        _MADE["environment"] = folder
    return _MADE["environment"]


def environment_with_release(factory: pytest.TempPathFactory, version: str) -> Path:
    """An environment with a published version."""
    folder = factory.mktemp("released") / version
    make_environment(folder)
    run([str(folder / "bin/python"), "-m", "pip", "install", "--quiet", f"contentq=={version}"])
    return folder


def environment_to_install_into(factory: pytest.TempPathFactory, folder: Path) -> dict[str, str]:
    """Variables of an empty environment in which `pip install contentq` finds the wheel of this project."""
    environment = folder / "environment"
    make_environment(environment)
    links = f"{os.environ.get('PIP_FIND_LINKS', '')} {wheel(factory).parent}".strip()
    return {
        "PATH": os.pathsep.join([str(environment / "bin"), os.environ.get("PATH", os.defpath)]),
        "PIP_FIND_LINKS": links,
        "CONTENTQ_HOME": str(folder / "home"),
    }


def make_environment(folder: Path) -> None:
    """Creates a virtual environment that contains only pip."""
    venv.create(folder, with_pip=True, symlinks=True)


def run(command: list[str], **options: object) -> str:
    """Runs a program and returns its output. Fails the test with the whole output if it ends with an error."""
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        **options,  # type: ignore[call-overload]
    )
    if done.returncode != 0:
        pytest.fail(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}")
    return str(done.stdout)
