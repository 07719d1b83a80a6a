"""The models on tables that a host had before, and in a separate schema."""

from __future__ import annotations

from collections.abc import Iterator

import contentq
import psycopg
import pytest
from contentq.models import Account, Content, ContentGenerationTask
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from tests.support.engines import engine_of
from tests.support.hosts import LARGE_KEYS, SMALL_KEYS, adopt


@pytest.fixture(params=[SMALL_KEYS, LARGE_KEYS], ids=["keys of 4 bytes", "keys of 8 bytes"])
def session(empty_dsn: str, request: pytest.FixtureRequest) -> Iterator[Session]:
    adopt(empty_dsn, request.param)
    with Session(engine_of(empty_dsn)) as session:
        yield session


def test_models_read_and_write_the_tables_of_a_host(session: Session) -> None:
    account = session.scalars(select(Account)).one()
    assert account.name == "Ada"
    content = Content(account=account, title="Tea", body="Tea is good", word_count=3)
    task = ContentGenerationTask(account=account, content=content, topic="Tea")
    session.add(task)
    session.commit()
    account_id, content_id = account.id, content.id
    session.expunge_all()

    task = session.scalars(
        select(ContentGenerationTask).where(ContentGenerationTask.account_id == account_id)
    ).one()
    assert task.content is not None
    assert (task.account.name, task.content.title, task.content.review_status) == ("Ada", "Tea", "pending")
    assert task.account.generation_tasks == task.content.generation_tasks == [task]
    assert task.account.contents == [task.content]
    assert session.get(Account, account_id) is task.account
    assert session.scalars(select(Content).where(Content.id.in_([content_id, 5]))).one() is task.content


def test_key_that_four_bytes_do_not_hold_is_looked_up_in_any_table(dsn: str) -> None:
    with Session(engine_of(dsn)) as session:
        assert session.get(Account, 3_000_000_000) is None
        assert session.scalars(select(Content).where(Content.account_id == 2**40)).all() == []


@pytest.fixture
def elsewhere(empty_dsn: str) -> Engine:
    """The three tables are in schema queue; public has another accounts table."""
    contentq.migrate(empty_dsn, schema="queue")
    with psycopg.connect(empty_dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE accounts (id uuid PRIMARY KEY, owner text)")
    return engine_of(empty_dsn)


def test_models_find_their_tables_in_the_schema_that_the_engine_names(elsewhere: Engine) -> None:
    engine = elsewhere.execution_options(schema_translate_map={None: "queue"})
    with Session(engine) as session:
        account = Account(name="Ada")
        session.add(ContentGenerationTask(account=account, content=Content(account=account, title="T", body="B")))
        session.commit()
        session.expunge_all()

        task = session.scalars(select(ContentGenerationTask)).one()
        assert task.content is not None
        assert task.account.contents == [task.content]
