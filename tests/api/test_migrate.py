"""contentq.migrate, and the modules that importing contentq loads."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import contentq
import psycopg
import pytest
from contentq import aio


def test_migrate_makes_the_tables_and_may_be_repeated(empty_dsn: str) -> None:
    contentq.migrate(empty_dsn)
    asyncio.run(aio.migrate(empty_dsn))

    with psycopg.connect(empty_dsn) as connection:
        assert connection.execute("SELECT count(*) FROM content_generation_tasks").fetchone() == (0,)


def test_database_that_does_not_answer_is_a_sentence() -> None:
    with pytest.raises(contentq.ContentQueueError, match="cannot connect to the database"):
        contentq.migrate("postgresql+psycopg://localhost:1/x?connect_timeout=2")


def test_import_does_not_bring_libraries_that_few_need() -> None:
    program = (
        "import sys, contentq\n"
        "print(*sorted({'sqlalchemy', 'alembic', 'click', 'rich', 'jinja2', 'openai'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == ""
