"""Running alembic in a checkout has the same effect as `contentq migrate`, and never shows a traceback."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from contentq.database.locations import ALEMBIC, SQL
from contentq.database.migrations import Migrated, migrate
from contentq.database.revisions import head_revision

from tests.support.queue import Queue

pytestmark = pytest.mark.slow

HEAD = head_revision()
ROOT = ALEMBIC.parent


class Checkout:
    """A copy of the checkout, for new revisions."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("alembic", "sql", "worker"):
            shutil.copytree(ROOT / name, folder / name)
        shutil.copy(ROOT / "alembic.ini", folder)

    def alembic(self, *arguments: str, dsn: str | None = None, code: int = 0) -> str:
        """Runs alembic there and returns its output."""
        environment = {
            **os.environ,
            "PYTHONPATH": str(self.folder / "worker"),
            "CONTENTQ_HOME": str(self.folder / "home"),
        }
        environment.pop("DATABASE_URL", None)
        if dsn is not None:
            environment["DATABASE_URL"] = dsn
        done = subprocess.run(
            [sys.executable, "-m", "alembic", *arguments],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == (255 if code else 0), done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_upgrade_makes_what_migrate_makes_and_check_finds_no_difference(
    checkout: Checkout, empty_dsn: str
) -> None:
    checkout.alembic("upgrade", "head", dsn=empty_dsn)

    assert migrate(empty_dsn) == Migrated(HEAD, HEAD)
    assert f"{HEAD} (head)" in checkout.alembic("current", dsn=empty_dsn)
    assert "No new upgrade operations detected" in checkout.alembic("check", dsn=empty_dsn)


def test_check_finds_tables_in_a_schema_of_their_own(checkout: Checkout, empty_dsn: str, bare: Queue) -> None:
    checkout.alembic("-x", "schema=content_queue", "upgrade", "head", dsn=empty_dsn)

    assert "No new upgrade operations detected" in checkout.alembic("check", dsn=empty_dsn)

    bare.run("ALTER TABLE content_queue.accounts DROP COLUMN external_id CASCADE")
    assert "add_column" in checkout.alembic("check", dsn=empty_dsn, code=1)


def test_new_revision_runs_up_and_down(checkout: Checkout, dsn: str, queue: Queue) -> None:
    new = f"{int(HEAD) + 1:04}"

    checkout.alembic("revision", "-m", "Colours of accounts", dsn=dsn)

    up = checkout.folder / f"sql/migrations/{new}_colours_of_accounts.up.sql"
    up.write_text(up.read_text() + "ALTER TABLE public.accounts ADD COLUMN colour text;\n")
    down = checkout.folder / f"sql/migrations/{new}_colours_of_accounts.down.sql"
    down.write_text(down.read_text() + "ALTER TABLE public.accounts DROP COLUMN colour;\n")
    checkout.alembic("upgrade", "head", dsn=dsn)
    queue.run("UPDATE accounts SET colour = 'red'")
    # The functions exist again, and work.
    assert queue.claim(queue.register()) == []
    checkout.alembic("downgrade", HEAD, dsn=dsn)
    assert migrate(dsn).after == HEAD
    assert queue.claim(queue.register()) == []
    assert not (SQL / f"migrations/{up.name}").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("revision", "--autogenerate", "-m", "x"), "contentq's revisions are written in SQL"),
        (("revision",), "the revision has no message: run alembic revision -m"),
    ],
)
def test_revision_that_cannot_be_made_is_a_sentence(
    checkout: Checkout, dsn: str, queue: Queue, arguments: tuple[str, ...], sentence: str
) -> None:
    queue.run("ALTER TABLE accounts DROP COLUMN external_id CASCADE")

    assert sentence in checkout.alembic(*arguments, dsn=dsn, code=1)


def test_url_of_the_configuration_comes_first(checkout: Checkout, empty_dsn: str, bare: Queue) -> None:
    file = checkout.folder / "alembic.ini"
    file.write_text(file.read_text() + f"sqlalchemy.url = {empty_dsn}\n")

    checkout.alembic("upgrade", "head", dsn="postgresql://nobody@127.0.0.1:1/none")

    assert bare.value("SELECT version_num FROM contentq.alembic_version") == HEAD


def test_without_a_database_it_says_how_to_name_one(checkout: Checkout) -> None:
    assert "no database is given" in checkout.alembic("upgrade", "head", code=1)


def test_tables_that_do_not_fit_are_named(checkout: Checkout, empty_dsn: str, bare: Queue) -> None:
    bare.run("CREATE TABLE accounts (id uuid PRIMARY KEY, name text)")

    said = checkout.alembic("upgrade", "head", dsn=empty_dsn, code=1)

    assert "accounts.id is uuid but must be integer or bigint" in said
