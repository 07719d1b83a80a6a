"""SQLAlchemy on the test's database."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
import sqlalchemy
from contentq.models import Account
from sqlalchemy.orm import Session


def engine_of(dsn: str) -> sqlalchemy.Engine:
    """An engine that keeps no connection open."""
    return sqlalchemy.create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(dsn), poolclass=sqlalchemy.pool.NullPool
    )


@pytest.fixture
def session(dsn: str) -> Iterator[Session]:
    """A session on the test's database."""
    with Session(engine_of(dsn)) as session:
        yield session


@pytest.fixture
def account(session: Session) -> Account:
    """An account."""
    account = Account(name="Ada")
    session.add(account)
    session.commit()
    return account
