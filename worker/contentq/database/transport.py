"""Protects connections to the server: TLS, and secrets that are not sent without it.

With libpq's default, sslmode=prefer, a server that refuses TLS and requests the password in clear text gets it.
contentq refuses to send it (require_auth, since libpq 16), and retries with TLS only.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import psycopg
from psycopg import pq

log = logging.getLogger("contentq.database")

REQUIRE_AUTH_SINCE = 160000
"""The first libpq version with require_auth."""

NO_CLEARTEXT = "!password"

_VARIABLES = {
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "gssencmode": "PGGSSENCMODE",
    "require_auth": "PGREQUIREAUTH",
}
"""The relevant connection parameters, with their environment variables."""

_ADVICE = {
    "certificate verify failed": "the server's certificate is not from a trusted authority: set sslrootcert in "
    "the DSN to the file with the authority's certificate, or check whether another server answers",
    "does not match host name": "connect by a name that is in the server's certificate, or get a certificate for "
    "this name; otherwise another server may be answering",
    "root certificate file": "set sslrootcert in the DSN to the file with the certificate of the server's "
    "authority, or use sslrootcert=system for the authorities that this system trusts",
    "does not support SSL": "nothing was sent; enable TLS on the server (ssl = on)",
}
"""Advice, by a part of libpq's message."""

_REFUSED = (
    "; the server requested the password in clear text over an unencrypted connection, and it was not sent. "
    "Enable TLS on the server and set sslmode=verify-full in the DSN, or let the server use scram-sha-256. In a "
    "trusted network, allow it with require_auth=password in the DSN"
)

_warned: set[str] = set()
"""Hosts about which this process has warned."""


def guarded(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Returns connection parameters that never send a password in clear text over TCP.

    They are unchanged if TLS is required, or if the user sets require_auth. Local addresses are no exception,
    because any user of this machine may listen on a port. Warns once about each remote host without sslmode.
    """
    settings = _settings(parameters)
    hosts = [host for host in _hosts(settings) if _is_tcp(host)]
    if not hosts or _is_encrypted(settings):
        return dict(parameters)
    can_refuse = pq.version() >= REQUIRE_AUTH_SINCE
    if "sslmode" not in settings:
        _warn([host for host in hosts if not _is_this_machine(host)], can_refuse)
    if not can_refuse or "require_auth" in settings:
        return dict(parameters)
    return {**parameters, "require_auth": NO_CLEARTEXT}


def is_worth_tls(parameters: Mapping[str, Any], error: psycopg.OperationalError) -> bool:
    """Whether a server requested a password in clear text, and the user has not disabled TLS."""
    return _was_refused(error) and _settings(parameters).get("sslmode") != "disable"


def over_tls(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Returns parameters for TLS only, for a server that requests a password in clear text."""
    return {**parameters, "sslmode": "require"}


def advice(error: psycopg.OperationalError, over_tls: bool) -> str:
    """Returns advice to append to the message of a failed connection; empty if there is none.

    over_tls: the previous attempt was without TLS, and the server requested the password in clear text.
    """
    said = str(error)
    if _was_refused(error) or (over_tls and "SSL" in said):
        return _REFUSED
    return next((f"; {what}" for text, what in _ADVICE.items() if text in said), "")


def _was_refused(error: psycopg.OperationalError) -> bool:
    # The message is translated, but the quoted requirement is the same in all languages.
    return f'"{NO_CLEARTEXT}"' in str(error)


def _settings(parameters: Mapping[str, Any]) -> dict[str, str]:
    """The parameters of a connection as libpq finds them: the DSN, then the service file, then the environment."""
    variables = {name: os.environ[variable] for name, variable in _VARIABLES.items() if os.environ.get(variable)}
    service = parameters.get("service") or os.environ.get("PGSERVICE")
    of_service = _service(str(service), parameters) if service else {}
    given = {name: str(parameters[name]) for name in _VARIABLES if parameters.get(name)}
    return {**variables, **{name: of_service[name] for name in _VARIABLES if of_service.get(name)}, **given}


def _service(name: str, parameters: Mapping[str, Any]) -> dict[str, str]:
    """The parameters of a service from the first file that has it; empty if none has it, which libpq reports."""
    own = parameters.get("servicefile") or os.environ.get("PGSERVICEFILE") or "~/.pg_service.conf"
    folders = [os.environ.get("PGSYSCONFDIR"), "/etc/postgresql-common", "/etc"]
    for file in (Path(own).expanduser(), *(Path(folder, "pg_service.conf") for folder in folders if folder)):
        try:
            lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            continue
        found = dict(_section(lines, name))
        if found:
            return found
    return {}


def _section(lines: list[str], name: str) -> Iterator[tuple[str, str]]:
    inside = False
    for line in map(str.strip, lines):
        if line.startswith("["):
            inside = line == f"[{name}]"
        elif inside and not line.startswith("#") and "=" in line:
            key, _, value = line.partition("=")
            yield key.strip(), value.strip()


def _hosts(settings: Mapping[str, str]) -> list[str]:
    """The addresses if any are given, because libpq connects to those; otherwise the names."""
    addresses, names = (settings.get(name, "").split(",") for name in ("hostaddr", "host"))
    length = max(len(addresses), len(names))
    padded = (each + [""] * (length - len(each)) for each in (addresses, names))
    return [address.strip() or name.strip() for address, name in zip(*padded, strict=True)]


def _is_tcp(host: str) -> bool:
    """Whether the host is reached over TCP; an empty name or a path is a Unix socket."""
    return bool(host) and not host.startswith(("/", "@"))


def _is_this_machine(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host.partition("%")[0].strip("[]")).is_loopback
    except ValueError:
        return False


def _is_encrypted(settings: Mapping[str, str]) -> bool:
    """Whether an unencrypted connection is impossible."""
    default = "verify-full" if settings.get("sslrootcert") == "system" else "prefer"
    is_tls = settings.get("sslmode", default) in ("require", "verify-ca", "verify-full")
    return is_tls or settings.get("gssencmode") == "require"


def _warn(hosts: list[str], can_refuse: bool) -> None:
    unknown = [host for host in dict.fromkeys(hosts) if host not in _warned]
    if not unknown:
        return
    _warned.update(unknown)
    libpq = pq.version() // 10000
    also = "" if can_refuse else f" (libpq {libpq} sends the password in clear text if the server requests it)"
    log.warning(
        "no sslmode is set for %s%s: others may read the connection or impersonate the server; add "
        "sslmode=verify-full to the DSN, or sslmode=disable in a trusted network",
        ", ".join(unknown),
        also,
    )
