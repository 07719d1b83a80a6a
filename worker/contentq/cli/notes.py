"""Prints notes and warnings on standard error, one line each, so that standard output stays parseable."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from contentq.cli.streams import print_error

ABOUT_DATABASE = "contentq.database"
"""The logger of messages about connections and the embedded server."""


class _Notes(logging.Handler):
    """Prints log records, for commands that write no log."""

    def emit(self, record: logging.LogRecord) -> None:
        print_error(f"{'note' if record.levelno < logging.WARNING else 'warning'}: {record.getMessage()}")


@contextmanager
def notes_to_stderr() -> Iterator[None]:
    """Prints messages about the database until notes_to_log() is called."""
    logger = logging.getLogger(ABOUT_DATABASE)
    notes, level = _Notes(), logger.level
    logger.addHandler(notes)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(notes)
        logger.setLevel(level)
        logger.propagate = True


def notes_to_log() -> None:
    """Sends messages about the database to the log, once logging is set up."""
    logger = logging.getLogger(ABOUT_DATABASE)
    for handler in [handler for handler in logger.handlers if isinstance(handler, _Notes)]:
        logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)
    logger.propagate = True


def warn_of_password(option: str, dsn: str | None) -> None:
    """Warns about a password in a DSN argument: every user of the machine can read the arguments of a process."""
    if dsn is None:
        return
    from contentq.database.dsn import has_password

    if has_password(dsn):
        print_error(
            f"warning: other users of this machine can read the password in {option} (with ps); set DATABASE_URL "
            "instead, keep the password in ~/.pgpass (PGPASSFILE) or a service file, or use a login without a "
            "password (peer or a client certificate)"
        )
