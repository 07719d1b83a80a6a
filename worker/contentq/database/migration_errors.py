"""Messages for errors that end a migration, with what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import psycopg
import sqlalchemy

from contentq.errors import ContentQueueError, MigrationStopped


def cause_of(error: Exception) -> BaseException | None:
    """Returns the PostgreSQL error inside SQLAlchemy's."""
    return error.orig if isinstance(error, sqlalchemy.exc.DBAPIError) else error


def explain(error: Exception, attributes: Mapping[str, Any]) -> ContentQueueError:
    """Returns the error to raise when PostgreSQL has ended a migration. attributes: of the configuration."""
    cause = cause_of(error)
    if isinstance(cause, psycopg.errors.LockNotAvailable):
        return ContentQueueError(
            f"the migration waited {attributes['lock_timeout']:g} seconds for a lock and gave up; nothing was "
            f"changed. The lock is held by {attributes.get('blockers', 'another session')}; run the migration "
            "again when that session has ended, or with a longer --lock-timeout"
        )
    if isinstance(cause, psycopg.errors.DependentObjectsStillExist):
        return ContentQueueError(
            "the migration stopped, and nothing was changed: your objects depend on contentq's: "
            f"{cause.diag.message_detail or cause}; drop them, migrate, and create them again"
        )
    if isinstance(cause, psycopg.errors.InsufficientPrivilege):
        return ContentQueueError(
            f"the migration stopped, and nothing was changed: {cause.diag.message_primary}; run it as "
            f"{attributes['owner']}, or have that user grant the right"
        )
    if isinstance(cause, psycopg.Error) and cause.diag.message_primary:
        parts = [cause.diag.message_primary, cause.diag.message_hint or ""]
        separator = "\n" if "\n" in parts[0] else ". "
        text = separator.join(re.sub(r"\.$", "", part) for part in parts if part)
        return MigrationStopped(f"the migration stopped, and nothing was changed: {text}")
    return ContentQueueError(f"the migration stopped, and nothing was changed: {cause}")
