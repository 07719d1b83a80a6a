"""Opens connections that detect a dead peer quickly and are safe behind PgBouncer.

Connections are secured (see secured.py), except *plain* ones for the SQL of a host or handler. A plain session has
the server's settings; on it, contentq only calls single qualified functions, without operators.
"""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import suppress
from typing import Any, TypedDict

import psycopg
from psycopg.rows import TupleRow

from contentq.database import transport
from contentq.database.dsn import parameters, without_secrets
from contentq.database.secured import SecuredAsyncConnection, SecuredConnection
from contentq.errors import DatabaseUnreachable

CONNECT_TIMEOUT = 3
"""Seconds to wait for one host to answer a connection attempt."""

ANSWER_TIMEOUT = 10
"""Seconds to wait for the first answer of an asyncio connection; a pooler may have no free session until then."""

_DEFAULTS = {
    "connect_timeout": CONNECT_TIMEOUT,
    # A peer that vanished is detected after 5 + 3 * 2 seconds; libpq's default is two hours.
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
    # Prepared statements break behind a pooler in transaction mode.
    "prepare_threshold": None,
}

PREPARE_AFTER = 1
"""Executions of a statement after which it is prepared, on connections with prepare=True."""


def connection_parameters(dsn: str, application_name: str, over_tls: bool = False) -> dict[str, Any]:
    """Returns the DSN's parameters, with contentq's defaults for missing ones.

    Without TLS, no password is sent in clear text over TCP (see transport.py). over_tls: require TLS.
    """
    given = {"application_name": application_name, **_DEFAULTS, **parameters(dsn)}
    return transport.over_tls(given) if over_tls else transport.guarded(given)


def connect(
    dsn: str, application_name: str = "contentq", *, plain: bool = False, over_tls: bool = False
) -> psycopg.Connection[TupleRow]:
    """Opens a connection in autocommit mode. plain: for SQL of others. Raises DatabaseUnreachable."""
    given = connection_parameters(dsn, application_name, over_tls)
    try:
        if plain:
            return psycopg.connect(**given, **_OPTIONS)
        connection = SecuredConnection.connect(**given, **_OPTIONS)
        try:
            connection.secure()
        except BaseException:
            connection.close()
            raise
        return connection
    except psycopg.OperationalError as error:
        if not transport.is_worth_tls(given, error):
            raise DatabaseUnreachable(_unreachable(dsn, error, over_tls)) from None
    return connect(dsn, application_name, plain=plain, over_tls=True)


async def connect_async(
    dsn: str,
    application_name: str = "contentq",
    *,
    prepare: bool = False,
    plain: bool = False,
    over_tls: bool = False,
) -> psycopg.AsyncConnection[TupleRow]:
    """Opens an asyncio connection in autocommit mode. prepare: whether its statements may be prepared.

    plain: for SQL of others. Raises DatabaseUnreachable.
    """
    given = connection_parameters(dsn, application_name, over_tls)
    options: _Options = {**_OPTIONS, "prepare_threshold": PREPARE_AFTER if prepare else None}
    try:
        if plain:
            return await psycopg.AsyncConnection.connect(**given, **options)
        connection = await SecuredAsyncConnection.connect(**given, **options)
        # The peer may vanish after it accepted the connection.
        cutting = asyncio.get_running_loop().call_later(ANSWER_TIMEOUT, cut, connection)
        try:
            await connection.secure()
        except BaseException:
            await connection.close()
            raise
        finally:
            cutting.cancel()
        return connection
    except psycopg.OperationalError as error:
        if not transport.is_worth_tls(given, error):
            raise DatabaseUnreachable(_unreachable(dsn, error, over_tls)) from None
    return await connect_async(dsn, application_name, prepare=prepare, plain=plain, over_tls=True)


def leads_to_the_server(connection: object) -> bool:
    """Whether a secured connection has no pooler in between."""
    return isinstance(connection, SecuredConnection | SecuredAsyncConnection) and connection.is_direct


def cut(connection: psycopg.Connection[TupleRow] | psycopg.AsyncConnection[TupleRow]) -> None:
    """Shuts down the socket of a connection, so that waiting calls end even if the peer does not answer."""
    with suppress(psycopg.Error, OSError), socket.socket(fileno=os.dup(connection.fileno())) as copy:
        copy.shutdown(socket.SHUT_RDWR)


def _unreachable(dsn: str, error: psycopg.OperationalError, over_tls: bool) -> str:
    reason = " ".join(str(error).split())
    return f"cannot connect to the database ({without_secrets(dsn)}): {reason}{transport.advice(error, over_tls)}"
