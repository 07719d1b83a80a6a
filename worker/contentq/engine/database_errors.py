"""What an error of a database call means for whether, and where, to make the call again."""

from __future__ import annotations

import psycopg

from contentq.errors import DatabaseUnreachable


def is_outage(error: BaseException) -> bool:
    """Whether an error is about reaching the database or its state of health, not about what was asked.

    Such a call may be made again, and will work some time: no connection, a shutdown or failover, too many
    connections, a full disk, a lock that could not be had, a deadlock.
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
    """Whether an outage is one of the connection, and so most likely of all connections to the database."""
    if isinstance(error, psycopg.Error) and error.sqlstate is not None:
        return error.sqlstate[:2] in ("08", "57") or is_read_only(error)
    return is_outage(error)


def is_refusal(error: BaseException) -> bool:
    """Whether the error is about the data that was sent; sent again, it would be refused again.

    It is not when the database is out of reach or out of order, nor when its schema or its rights are not what
    they should be (classes 26, 28, 3D, 3F and 42): then it can be sent again once that is mended.
    """
    if isinstance(error, UnicodeError):
        return True
    if not isinstance(error, psycopg.Error) or is_outage(error):
        return False
    return (error.sqlstate or "")[:2] not in ("26", "28", "3D", "3F", "42")


def is_out_of_reach(error: BaseException) -> bool:
    """Whether no primary is there to make calls to; then it is not the call that is to blame."""
    return isinstance(error, DatabaseUnreachable) or is_read_only(error)


def is_unknown(error: BaseException) -> bool:
    """Whether the error comes neither from the database nor from the way to it."""
    return not isinstance(error, psycopg.Error) and not is_outage(error)


def is_read_only(error: BaseException) -> bool:
    """Whether a connection that still works leads to the wrong server: to a standby."""
    return isinstance(error, psycopg.Error) and error.sqlstate == "25006"


def one_line(error: BaseException) -> str:
    """An error's class and text in one line, whatever its __str__ does; without the statement that it arose in."""
    try:
        said = error.diag.message_primary if isinstance(error, psycopg.Error) else None
        detail = error.diag.message_detail if isinstance(error, psycopg.Error) else None
        text = " ".join((f"{said} ({detail})" if said and detail else said or str(error)).split())
    except Exception:
        text = "(its text cannot be had)"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
