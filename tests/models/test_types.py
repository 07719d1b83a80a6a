"""Guarantees of the models' types beyond SQLAlchemy's."""

from __future__ import annotations

from typing import Any

import pytest
from contentq.models import Account, Base, ContentGenerationTask
from sqlalchemy import select
from sqlalchemy.orm import Session


def test_progress_is_a_float(session: Session, account: Account) -> None:
    task = ContentGenerationTask(account_id=account.id, progress=0.25)
    session.add(task)
    session.commit()

    assert isinstance(task.progress, float)
    assert session.scalars(select(ContentGenerationTask).where(ContentGenerationTask.progress > 0.2)).all() == [
        task
    ]


def kind(type_: Any) -> str | None:
    """The field that sqladmin chooses: for the first class of a type's MRO that it supports."""
    fields = ("String", "Text", "Boolean", "DateTime", "Integer", "Numeric", "JSON", "JSONB")
    for each in type(type_).__mro__:
        for name in (each.__name__, type(getattr(each, "impl", None)).__name__):
            if name in fields:
                return name
    return None


@pytest.mark.parametrize("table", Base.metadata.tables)
def test_forms_can_be_made_of_every_column(table: str) -> None:
    unknown = [column.name for column in Base.metadata.tables[table].columns if kind(column.type) is None]

    assert unknown == []
