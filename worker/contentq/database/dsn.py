"""Which database to use, and how to name it without showing its password."""

from __future__ import annotations

import os
import re
from typing import Any

import psycopg
from psycopg import conninfo

from contentq.database import embedded
from contentq.errors import UnreadableDsn

_SECRETS = (
    "password",
    "passfile",
    "sslpassword",
    "oauth_client_secret",
    "scram_client_key",
    "scram_server_key",
)


def resolve(dsn: str | None = None) -> str:
    """The DSN to use: the one given, else DATABASE_URL, else the embedded server if it is running.

    Raises EmbeddedServerError when it comes to the embedded server and that is not running, and
    UnreadableDsn when the DSN cannot be read.
    """
    chosen = dsn or os.environ.get("DATABASE_URL") or embedded.running_dsn()
    return normalise(chosen)


def normalise(dsn: str) -> str:
    """The DSN in a form that libpq reads, also when it is written for SQLAlchemy (postgresql+psycopg://)."""
    dsn = dsn.strip()
    scheme, separator, rest = dsn.partition("://")
    if separator and scheme.partition("+")[0] in ("postgresql", "postgres"):
        dsn = f"postgresql://{rest}"
    parameters(dsn)
    return dsn


def parameters(dsn: str) -> dict[str, Any]:
    """The connection parameters that a DSN (URL or key=value) names."""
    try:
        found = conninfo.conninfo_to_dict(dsn)
    except psycopg.ProgrammingError:
        found = None
    if found is None or _is_misread(dsn, found):
        # Not as the cause of another: libpq quotes the string in its message, and that may hold a password.
        raise UnreadableDsn(
            "the database DSN cannot be read; write it as postgresql://user:password@host:5432/database "
            "(special characters in the password percent-encoded)"
        )
    return found


def _is_misread(dsn: str, found: dict[str, Any]) -> bool:
    """Whether a piece of the password is taken for something else, for a / or @ in it that is not encoded."""
    scheme, _, rest = dsn.partition("://")
    if scheme not in ("postgresql", "postgres"):
        return False
    authority, _, path = rest.partition("?")[0].partition("/")
    return "@" in path or authority.count("@") > 1 or not re.fullmatch(r"[\d,]*", str(found.get("port", "")))


def has_password(dsn: str) -> bool:
    """Whether there is a password in it; of one that cannot be read, nobody knows."""
    try:
        found = parameters(normalise(dsn))
    except UnreadableDsn:
        return False
    return bool(found.get("password") or found.get("sslpassword"))


def without_secrets(dsn: str) -> str:
    """The DSN as key=value pairs, with nothing secret in it; for messages and logs."""
    shown = {key: value for key, value in parameters(dsn).items() if key not in _SECRETS}
    return conninfo.make_conninfo("", **shown)
