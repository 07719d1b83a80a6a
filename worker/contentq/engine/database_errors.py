"""Sorts errors of database calls: whether, and where, to make the call again."""

from __future__ import annotations

import psycopg

from contentq.errors import DatabaseUnreachable


def is_outage(error: BaseException) -> bool:
    """Whether an error is about the connection or the state of the server, not about the statement.

    Such a call may be repeated and will work in time: no connection, a shutdown or failover, too many connections,
    a full disk, a lock timeout, a deadlock.
    """
    if isinstance(error, DatabaseUnreachable | OSError):
        return True
    if not isinstance(error, psycopg.Error):
        return False
    # 08 connection, 25006 read-only (a standby after a failover), 40 rollback, 53 resources, 55P03 lock,
    # 57 operator intervention, 58 system error, XX internal error.
    state = error.sqlstate
    if state is None:
        return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
    return state[:2] in ("08", "40", "53", "57", "58", "XX") or state in ("25006", "25P03", "55P03")


def is_connection_lost(error: BaseException) -> bool:
    """Whether an outage concerns the connection, and so probably all connections to the database."""
    if isinstance(error, psycopg.Error) and error.sqlstate is not None:
        return error.sqlstate[:2] in ("08", "57") or is_read_only(error)
    return is_outage(error)


def is_refusal(error: BaseException) -> bool:
    """Whether the error is about the data sent, so that the same data would be refused again.

    Not so for outages, and not for a schema or rights that are wrong (classes 26, 28, 3D, 3F and 42): after these
    are corrected, the data can be sent again.
    """
    if isinstance(error, UnicodeError):
        return True
    if not isinstance(error, psycopg.Error) or is_outage(error):
        return False
    return (error.sqlstate or "")[:2] not in ("26", "28", "3D", "3F", "42")


def is_out_of_reach(error: BaseException) -> bool:
    """Whether no primary can be reached, so that the call is not the cause."""
    return isinstance(error, DatabaseUnreachable) or is_read_only(error)


def is_unknown(error: BaseException) -> bool:
    """Whether the error comes from neither the database nor the connection."""
    return not isinstance(error, psycopg.Error) and not is_outage(error)


def is_read_only(error: BaseException) -> bool:
    """Whether a working connection leads to a standby."""
    return isinstance(error, psycopg.Error) and error.sqlstate == "25006"


def one_line(error: BaseException) -> str:
    """The class and text of an error in one line, without its statement. Safe for any __str__."""
    try:
        said = error.diag.message_primary if isinstance(error, psycopg.Error) else None
        detail = error.diag.message_detail if isinstance(error, psycopg.Error) else None
        text = " ".join((f"{said} ({detail})" if said and detail else said or str(error)).split())
    except Exception:
        text = "(its text cannot be had)"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
