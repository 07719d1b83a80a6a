"""Opening connections the one way that contentq does: quick to notice a dead peer, and safe behind PgBouncer."""

from __future__ import annotations

from typing import Any, TypedDict

import psycopg
from psycopg.rows import TupleRow

from contentq.database import transport
from contentq.database.dsn import parameters, without_secrets
from contentq.errors import DatabaseUnreachable

CONNECT_TIMEOUT = 3
"""Seconds to wait for one host to answer a connection attempt."""

_DEFAULTS = {
    "connect_timeout": CONNECT_TIMEOUT,
    # A peer that is gone without a word is noticed after 5 + 3 * 2 seconds; libpq's default is two hours.
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 11_000,
}


class _Options(TypedDict):
    autocommit: bool
    prepare_threshold: int | None


_OPTIONS: _Options = {
    "autocommit": True,
    # Statements prepared by name break behind a pooler in transaction mode.
    "prepare_threshold": None,
}

PREPARE_AFTER = 1
"""Executions of a statement after which it is prepared by name, on a connection of which that is asked."""


def connection_parameters(dsn: str, application_name: str) -> dict[str, Any]:
    """The DSN's parameters with contentq's defaults for whatever it leaves open.

    Over a network, no password is sent in clear text (transport.py).
    """
    return {"application_name": application_name, **_DEFAULTS, **transport.guarded(parameters(dsn))}


def connect(dsn: str, application_name: str = "contentq") -> psycopg.Connection[TupleRow]:
    """A connection in autocommit mode. Raises DatabaseUnreachable."""
    wanted = connection_parameters(dsn, application_name)
    try:
        return psycopg.connect(**wanted, **_OPTIONS)
    except psycopg.OperationalError as error:
        first = error
    try:
        return psycopg.connect(**_again(dsn, wanted, first), **_OPTIONS)
    except psycopg.OperationalError as error:
        raise DatabaseUnreachable(_unreachable(dsn, error, first)) from None


async def connect_async(
    dsn: str, application_name: str = "contentq", *, prepare: bool = False
) -> psycopg.AsyncConnection[TupleRow]:
    """An asyncio connection in autocommit mode. prepare: whether its statements may be prepared by name.

    Raises DatabaseUnreachable.
    """
    options: _Options = {**_OPTIONS, "prepare_threshold": PREPARE_AFTER if prepare else None}
    wanted = connection_parameters(dsn, application_name)
    try:
        return await psycopg.AsyncConnection.connect(**wanted, **options)
    except psycopg.OperationalError as error:
        first = error
    try:
        return await psycopg.AsyncConnection.connect(**_again(dsn, wanted, first), **options)
    except psycopg.OperationalError as error:
        raise DatabaseUnreachable(_unreachable(dsn, error, first)) from None


def _again(dsn: str, wanted: dict[str, Any], error: psycopg.OperationalError) -> dict[str, Any]:
    """What to try after an error. Raises DatabaseUnreachable unless another way is left."""
    found = transport.over_tls(wanted, error)
    if found is None:
        raise DatabaseUnreachable(_unreachable(dsn, error)) from None
    return found


def _unreachable(dsn: str, error: psycopg.OperationalError, first: psycopg.OperationalError | None = None) -> str:
    reason = " ".join(str(error).split())
    shown = without_secrets(dsn)
    return f"cannot connect to the database ({shown}): {reason}{transport.advice(error, first)}"
