"""Which database to use, and how to name it without showing its password."""

from __future__ import annotations

import os
from typing import Any

import psycopg
from psycopg import conninfo

from contentq.database import embedded
from contentq.errors import ContentQueueError

_SECRETS = ("password", "passfile", "sslpassword", "oauth_client_secret")


def resolve(dsn: str | None = None) -> str:
    """The DSN to use: the one given, else DATABASE_URL, else the embedded server if it is running.

    Raises EmbeddedServerError when it comes to the embedded server and that is not running, and
    ContentQueueError when the DSN cannot be read.
    """
    chosen = dsn or os.environ.get("DATABASE_URL") or embedded.running_dsn()
    return normalise(chosen)


def normalise(dsn: str) -> str:
    """The DSN in a form that libpq reads, also when it is written for SQLAlchemy (postgresql+psycopg://)."""
    scheme, separator, rest = dsn.partition("://")
    if separator and scheme.partition("+")[0] in ("postgresql", "postgres"):
        dsn = f"postgresql://{rest}"
    parameters(dsn)
    return dsn


def parameters(dsn: str) -> dict[str, Any]:
    """The connection parameters that a DSN (URL or key=value) names."""
    try:
        return conninfo.conninfo_to_dict(dsn)
    except psycopg.ProgrammingError as error:
        # libpq quotes the string in its message, and the string may hold a password.
        raise ContentQueueError(
            "the database DSN cannot be read; write it as postgresql://user:password@host:5432/database "
            "(special characters in the password percent-encoded)"
        ) from error.with_traceback(None)


def without_secrets(dsn: str) -> str:
    """The DSN as key=value pairs, with nothing secret in it; for messages and logs."""
    shown = {key: value for key, value in parameters(dsn).items() if key not in _SECRETS}
    return conninfo.make_conninfo("", **shown)
