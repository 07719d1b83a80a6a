"""Finds the DSN of the database, and formats it without its password."""

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
    """Returns the DSN: the one given, else DATABASE_URL, else that of the running embedded server.

    Raises EmbeddedServerError if no DSN is given and the embedded server is not running, and UnreadableDsn if the
    DSN cannot be parsed.
    """
    chosen = dsn or os.environ.get("DATABASE_URL") or embedded.running_dsn()
    return normalise(chosen)


def normalise(dsn: str) -> str:
    """Returns the DSN in a form that libpq parses; also accepts SQLAlchemy's form (postgresql+psycopg://)."""
    dsn = dsn.strip()
    scheme, separator, rest = dsn.partition("://")
    if separator and scheme.partition("+")[0] in ("postgresql", "postgres"):
        dsn = f"postgresql://{rest}"
    parameters(dsn)
    return dsn


def parameters(dsn: str) -> dict[str, Any]:
    """Parses a DSN (URL or key=value) into connection parameters."""
    try:
        found = conninfo.conninfo_to_dict(dsn)
    except psycopg.ProgrammingError:
        found = None
    if found is None or _is_misread(dsn, found):
        # Not chained: libpq quotes the DSN in its message, and the DSN may contain a password.
        raise UnreadableDsn(
            "the database DSN cannot be parsed; write it as postgresql://user:password@host:5432/database, with "
            "special characters in the password percent-encoded"
        )
    return found


def _is_misread(dsn: str, found: dict[str, Any]) -> bool:
    """Whether an unencoded / or @ splits the password, so that a part of it counts as something else."""
    scheme, _, rest = dsn.partition("://")
    if scheme not in ("postgresql", "postgres"):
        return False
    authority, _, path = rest.partition("?")[0].partition("/")
    return "@" in path or authority.count("@") > 1 or not re.fullmatch(r"[\d,]*", str(found.get("port", "")))


def has_password(dsn: str) -> bool:
    """Whether the DSN contains a password; False for a DSN that cannot be parsed."""
    try:
        found = parameters(normalise(dsn))
    except UnreadableDsn:
        return False
    return bool(found.get("password") or found.get("sslpassword"))


def without_secrets(dsn: str) -> str:
    """The DSN as key=value pairs without secrets, for messages and logs."""
    shown = {key: value for key, value in parameters(dsn).items() if key not in _SECRETS}
    return conninfo.make_conninfo("", **shown)
