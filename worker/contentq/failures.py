"""The message and exit code of a command that ends with an error."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from contentq.errors import ContentQueueError, DatabaseUnreachable, SchemaMismatch

if TYPE_CHECKING:
    import psycopg

EXIT_INTERRUPTED = 130
"""The exit code that shells report after Ctrl-C."""


def explain_error(error: Exception) -> tuple[str, int] | None:
    """Returns (message, exit code) for an error that the user can act on; None for a bug."""
    if isinstance(error, ContentQueueError):
        return str(error), error.exit_code
    if isinstance(error, UnicodeEncodeError):
        return "an argument or the output is not UTF-8; set the locale to a UTF-8 one", 2
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror or error}", 1
    # If psycopg was not imported, the error is not one of its errors.
    if "psycopg" in sys.modules:
        from psycopg import Error

        if isinstance(error, Error):
            return _from_database(error)
    return None


def _from_database(error: psycopg.Error) -> tuple[str, int]:
    from psycopg import OperationalError, errors

    message = error.diag.message_primary or " ".join(str(error).split())
    hint = f" ({error.diag.message_hint})" if error.diag.message_hint else ""
    if isinstance(error, errors.InsufficientPrivilege) and not hint:
        return (
            f"{message}; connect as a member of a role with this right: docs/how-to/set-up-the-database.md "
            "lists the roles and their rights",
            1,
        )
    if isinstance(error, errors.LockNotAvailable):
        place = (error.diag.context or "").partition("\n")[0]
        return (
            f"another session has locked what this command needs{f' ({place})' if place else ''}, and did not "
            "release it in time; try again when its transaction has ended (see pg_stat_activity)",
            1,
        )
    if isinstance(error, errors.ReadOnlySqlTransaction):
        return f"{message}; this is a standby, or a user with read-only sessions: connect to the primary", 1
    if isinstance(error, errors.UndefinedTable | errors.UndefinedFunction | errors.UndefinedColumn):
        return (
            f"the database has the right schema revision, but a part of the schema is missing: {message}; to "
            "find it, run: contentq doctor",
            SchemaMismatch.exit_code,
        )
    if isinstance(error, OperationalError) and _is_lost(error.sqlstate):
        return f"the connection to the database was lost: {message}", DatabaseUnreachable.exit_code
    return f"the database refused the statement: {message}{hint}", 1


def _is_lost(sqlstate: str | None) -> bool:
    """Whether the connection or the server is gone: no code, class 08, or a shutdown."""
    return sqlstate is None or sqlstate[:2] == "08" or sqlstate in ("57P01", "57P02", "57P03", "57P05")
