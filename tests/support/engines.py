"""SQLAlchemy engines on the databases of tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest
import sqlalchemy
from sqlalchemy.pool import NullPool

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine


def engine_of(dsn: str) -> sqlalchemy.Engine:
    """An engine without a connection pool."""
    return sqlalchemy.create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(dsn), poolclass=NullPool
    )


def async_engine_of(dsn: str) -> AsyncEngine:
    """The same for asyncio. Skips the test if SQLAlchemy lacks asyncio support here."""
    pytest.importorskip(
        "greenlet", reason="asyncio with SQLAlchemy needs greenlet: pip install 'sqlalchemy[asyncio]'"
    )
    from sqlalchemy.ext.asyncio import create_async_engine

    return create_async_engine(
        "postgresql+psycopg://",
        async_creator=lambda: psycopg.AsyncConnection.connect(dsn),
        poolclass=NullPool,
    )
