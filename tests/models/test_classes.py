"""The classes: their representation, and the restrictions on their use."""

from __future__ import annotations

import pytest
from contentq.models import Account, Base, Content, ContentGenerationTask, Status
from sqlalchemy import MetaData, select
from sqlalchemy.orm import Session, defer, make_transient


def test_status_names_what_the_database_accepts(session: Session, account: Account) -> None:
    from typing import get_args

    session.add_all(
        ContentGenerationTask(
            account_id=account.id, status=status, started_at=account.created_at, completed_at=account.created_at
        )
        for status in get_args(Status)
    )
    session.commit()

    found = session.scalars(select(ContentGenerationTask.status).distinct()).all()
    assert sorted(found) == sorted(get_args(Status))


def test_repr_says_which_row_it_is(session: Session, account: Account) -> None:
    content = Content(account=account, title="Tea", body="Tea is good")
    task = ContentGenerationTask(account=account, content=content, task_id="task-1")
    session.add(task)
    session.flush()

    assert repr(task) == "<ContentGenerationTask id=1 task_id='task-1' status='pending'>"
    assert repr(account) == "<Account id=1 name='Ada'>"
    assert repr(content) == "<Content id=1 title='Tea' review_status='pending'>"


def test_repr_loads_nothing(session: Session, account: Account) -> None:
    assert repr(ContentGenerationTask()) == "<ContentGenerationTask>"
    session.add(ContentGenerationTask(account=account))
    session.commit()
    session.expunge_all()

    task = session.scalars(select(ContentGenerationTask).options(defer(ContentGenerationTask.task_id))).one()
    assert repr(task) == "<ContentGenerationTask id=1 status='pending'>"
    session.expire(task)
    assert repr(task) == "<ContentGenerationTask>"
    session.expunge(task)
    assert repr(task) == "<ContentGenerationTask>"
    make_transient(task)
    assert repr(task) == "<ContentGenerationTask>"


@pytest.mark.parametrize("model", [Account, Content, ContentGenerationTask])
def test_subclass_is_refused_with_what_to_do(model: type[Base]) -> None:
    with pytest.raises(TypeError, match=rf"Mine cannot be a subclass of {model.__name__}, .*AccountMixin"):
        type("Mine", (model,), {})


def test_copy_into_other_metadata_keeps_all_names() -> None:
    for convention in (None, {"ix": "ix_%(column_0_label)s", "ck": "ck_%(table_name)s_%(constraint_name)s"}):
        copied = MetaData(naming_convention=convention)
        for table in Base.metadata.tables.values():
            table.to_metadata(copied)

        for name, table in Base.metadata.tables.items():
            other = copied.tables[name]
            assert {index.name for index in other.indexes} == {index.name for index in table.indexes}
            assert {rule.name for rule in other.constraints} == {rule.name for rule in table.constraints}
