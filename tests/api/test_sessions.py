"""The Python API and the objects in a session."""

from __future__ import annotations

import contentq
import pytest
from contentq.models import Account, ContentGenerationTask
from sqlalchemy import text
from sqlalchemy.orm import Session

from tests.support.databases import Connection
from tests.support.engines import engine_of


def test_what_waits_in_the_session_is_written_first(dsn: str) -> None:
    with Session(engine_of(dsn)) as session:
        account = Account(name="Ada")
        session.add(account)
        session.add(ContentGenerationTask(account=account, task_id="post-1"))

        assert contentq.cancel(session, "post-1") == "failed"

        session.commit()
        assert session.get_one(ContentGenerationTask, 1).status == "failed"


def test_task_and_the_rows_of_the_host_are_one_transaction(dsn: str, database: Connection) -> None:
    with Session(engine_of(dsn)) as session:
        account = Account(name="Ada")
        session.add(account)
        session.flush()
        contentq.submit(session, account_id=account.id)
        session.rollback()

    assert database.execute("SELECT count(*) FROM accounts").fetchone() == (0,)
    assert database.execute("SELECT count(*) FROM content_generation_tasks").fetchone() == (0,)


def test_errors_of_the_transaction_stay_those_of_the_library(dsn: str, database: Connection) -> None:
    """So that a host's retry logic recognises them."""
    from sqlalchemy.exc import OperationalError

    database.execute("INSERT INTO accounts (name) VALUES ('Ada')")
    database.execute("INSERT INTO content_generation_tasks (account_id, task_id) VALUES (1, 'post-1')")
    with Session(engine_of(dsn).execution_options(isolation_level="REPEATABLE READ")) as session:
        session.execute(text("SELECT FROM content_generation_tasks"))
        database.execute("UPDATE content_generation_tasks SET priority = 7")

        with pytest.raises(OperationalError, match="could not serialize"):
            contentq.cancel(session, "post-1")


def test_row_factory_of_a_connection_does_not_matter(database: Connection, account: int) -> None:
    from psycopg.rows import dict_row

    database.row_factory = dict_row  # type: ignore[assignment]

    task_id = contentq.submit(database, account_id=account)

    assert contentq.cancel(database, task_id) == "failed"
