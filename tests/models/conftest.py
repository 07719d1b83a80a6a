"""SQLAlchemy on the test's database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from contentq.models import Account
from sqlalchemy.orm import Session

from tests.support.engines import engine_of


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
