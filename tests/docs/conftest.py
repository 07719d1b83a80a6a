"""Servers that clients in other languages can reach over TCP, and the environments in which blocks run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.docs.markdown import ROOT, Section
from tests.docs.running import INSTALL_TIMEOUT, TIMEOUT, Run
from tests.packaging.building import copy_of_the_project, environment_to_install_into
from tests.support import pooler, programs, provider, provider_batches
from tests.support.cluster import Cluster
from tests.support.databases import Databases
from tests.support.provider_rules import Rule

KEPT = ("HOME", "LANG", "TERM", "TMPDIR", "USER")
"""Variables of the test environment that blocks see, in addition to those of package managers."""

MODELS = ("gpt-5.4", "gpt-5.4-mini", "qwen2.5:1.5b")
"""The models of the test provider."""

REVISED = Rule(
    contains="Close with three first steps, as a numbered list",
    text="""\
# Password managers, explained to your parents

Much has been said about it, and little of that was short. Here is what matters.

## First steps

1. Write down one long passphrase.
2. Install the manager.
3. Change the password of your mail.
""",
)
"""Its answer to the reviewer's note in the tutorial."""


@pytest.fixture(scope="session")
def tcp_databases() -> Iterator[Databases]:
    """Databases on a separate server that listens on TCP, as JDBC drivers require."""
    newest = next(iter(programs.installed().values()))
    with Cluster(newest.folder, tcp=True) as cluster:
        databases = Databases(cluster.dsn(host="127.0.0.1"))
        yield databases
        databases.close()


@pytest.fixture(scope="session")
def node_modules(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """Returns a folder node_modules with the driver pg, installed on first use."""
    folder = tmp_path_factory.mktemp("node")

    def installed() -> Path:
        modules = folder / "node_modules"
        if not modules.is_dir():
            command = ["npm", "install", "--no-save", "--no-audit", "--no-fund", "pg"]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                pytest.skip(f"the Node.js driver pg could not be installed: {done.stderr.strip()[-300:]}")
        return modules

    return installed


@pytest.fixture
def run(
    request: pytest.FixtureRequest, tmp_path: Path, node_modules: Callable[[], Path]
) -> Iterator[Callable[[Section], Run]]:
    """Prepares the run of a section, with or without a database and a worker."""
    started: list[Run] = []

    def prepare(section: Section) -> Run:
        folder = tmp_path / "folder"
        folder.mkdir()
        environment = _environment()
        if "pip" in section.options:
            copy_of_the_project(folder)
            environment |= environment_to_install_into(request.getfixturevalue("tmp_path_factory"), tmp_path)
        elif "checkout" in section.options:
            (folder / "contentq").symlink_to(ROOT)
        else:
            environment |= _database(request, section.account)
        if "provider" in section.options:
            environment |= _provider(request)
        if "batches" in section.options:
            environment |= _batches(request)
        running = Run(folder, environment, node_modules, INSTALL_TIMEOUT if section.installs else TIMEOUT)
        started.append(running)
        if "pooler" in section.options:
            environment["POOLER_URL"] = pooler.Pooler(environment["DATABASE_URL"], request).url
        if "worker" in section.options:
            running.start([running.program("contentq"), "worker"], until="registered worker=")
        return running

    yield prepare
    for running in started:
        running.stop()
        if "CONTENTQ_HOME" in running.environment:
            subprocess.run([running.program("contentq"), "db", "stop"], env=running.environment, check=True)


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name in KEPT or name.startswith(("PIP_", "npm_"))}
    scripts = Path(sys.executable).parent
    path = [str(scripts), str(programs.client("psql").parent), os.environ.get("PATH", os.defpath)]
    return {**kept, "PATH": os.pathsep.join(path), "PYTHONUTF8": "1"}


def _provider(request: pytest.FixtureRequest) -> dict[str, str]:
    """A server that behaves like OpenAI's and offers the models that the documents name."""
    running = provider.running(models=MODELS, rules=[REVISED])
    started = running.__enter__()
    request.addfinalizer(lambda: running.__exit__(None, None, None))
    return {"OPENAI_BASE_URL": started.url, "OPENAI_API_KEY": "sk-proj-of-the-tests"}


def _batches(request: pytest.FixtureRequest) -> dict[str, str]:
    """The same for batches."""
    running = provider_batches.running(provider_batches.titled)
    started = running.__enter__()
    request.addfinalizer(lambda: running.__exit__(None, None, None))
    started.at_once = True
    return {"OPENAI_BASE_URL": started.url, "OPENAI_API_KEY": "sk-proj-of-the-tests"}


def _database(request: pytest.FixtureRequest, account: str | None) -> dict[str, str]:
    """A migrated database with the account 1 and an optional second account."""
    databases: Databases = request.getfixturevalue("tcp_databases")
    migrated = databases.migrated()
    dsn = migrated.__enter__()
    request.addfinalizer(lambda: migrated.__exit__(None, None, None))
    with psycopg.connect(dsn, autocommit=True) as connection:
        for name in filter(None, ("Harbour & Finch", account)):
            connection.execute("INSERT INTO accounts (name) VALUES (%s)", [name])
        info: Any = connection.info
        address = f"postgresql://127.0.0.1:{info.port}/{info.dbname}"
    return {
        "DATABASE_URL": f"{address.replace('//', '//postgres@')}?sslmode=disable",
        "JDBC_URL": f"jdbc:{address}?user=postgres",
    }
