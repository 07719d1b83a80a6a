"""What a user reads, and which exit code a script gets, when a command ends with an error."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from contentq.errors import ContentQueueError, DatabaseUnreachable, SchemaMismatch

if TYPE_CHECKING:
    import psycopg

EXIT_INTERRUPTED = 130
"""What shells report for a program that Ctrl-C ended."""


def explain_error(error: Exception) -> tuple[str, int] | None:
    """(message, exit code) for an error that a user can do something about; None for a bug."""
    if isinstance(error, ContentQueueError):
        return str(error), error.exit_code
    if isinstance(error, UnicodeEncodeError):
        return "an argument, or the output, is not UTF-8; set the locale to a UTF-8 one", 2
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror or error}", 1
    # Whoever has not imported psycopg has no error of it.
    if "psycopg" in sys.modules:
        from psycopg import Error

        if isinstance(error, Error):
            return _from_database(error)
    return None


def _from_database(error: psycopg.Error) -> tuple[str, int]:
    from psycopg import OperationalError, errors

    said = error.diag.message_primary or " ".join(str(error).split())
    hint = f" ({error.diag.message_hint})" if error.diag.message_hint else ""
    if isinstance(error, errors.InsufficientPrivilege) and not hint:
        return (
            f"{said}; connect as a member of a role that may: docs/how-to/set-up-the-database.md lists them, "
            "with their rights",
            1,
        )
    if isinstance(error, errors.LockNotAvailable):
        place = (error.diag.context or "").partition("\n")[0]
        return (
            f"another session has locked what this needs{f' ({place})' if place else ''} and has not released it "
            "in time; try again when its transaction has ended (pg_stat_activity shows it)",
            1,
        )
    if isinstance(error, errors.ReadOnlySqlTransaction):
        return f"{said}; this is a replica, or a user whose sessions may only read: name the primary", 1
    if isinstance(error, errors.UndefinedTable | errors.UndefinedFunction | errors.UndefinedColumn):
        return (
            f"the database has the right schema revision, but not all of its schema: {said}; if something of it "
            "was dropped or altered by hand, restore that",
            SchemaMismatch.exit_code,
        )
    if isinstance(error, OperationalError) and _is_lost(error.sqlstate):
        return f"the connection to the database was lost: {said}", DatabaseUnreachable.exit_code
    return f"the database refused: {said}{hint}", 1


def _is_lost(sqlstate: str | None) -> bool:
    """Whether this says that the connection, or the server, is gone: without a code, class 08, or shut down."""
    return sqlstate is None or sqlstate[:2] == "08" or sqlstate in ("57P01", "57P02", "57P03", "57P05")
