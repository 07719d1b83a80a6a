"""Warnings that are no errors: one line each on standard error, so that what a program reads stays as it is."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from contentq.cli.streams import print_error

ABOUT_DATABASE = "contentq.database"
"""The logger of what is said of connections and of the embedded server."""


class _Notes(logging.Handler):
    """Prints what is logged, where commands have no log."""

    def emit(self, record: logging.LogRecord) -> None:
        print_error(f"{'note' if record.levelno < logging.WARNING else 'warning'}: {record.getMessage()}")


@contextmanager
def notes_to_stderr() -> Iterator[None]:
    """Shows what is said of the database, until there is a log that it goes to."""
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
    """Sends it to the log instead, which has been set up."""
    logger = logging.getLogger(ABOUT_DATABASE)
    for handler in [handler for handler in logger.handlers if isinstance(handler, _Notes)]:
        logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)
    logger.propagate = True


def warn_of_password(option: str, dsn: str | None) -> None:
    """For a DSN on the command line, which every user of the machine can read for as long as the process runs."""
    if dsn is None:
        return
    from contentq.database.dsn import has_password

    if has_password(dsn):
        print_error(
            f"warning: other users of this machine can read the password in {option} (ps); name the DSN in "
            "DATABASE_URL, or keep the password in ~/.pgpass (PGPASSFILE) or a service file, or use a login "
            "without one, such as peer or a client certificate"
        )
