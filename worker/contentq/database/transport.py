"""What protects the way to the server: TLS, and what is not sent without it.

libpq's default, sslmode=prefer, takes whatever the server offers: one that refuses TLS and asks for the password
in clear text gets it. contentq refuses that (require_auth, since libpq 16), and tries again over TLS only.
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
"""The version of libpq that knows require_auth."""

NO_CLEARTEXT = "!password"

_VARIABLES = {
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "gssencmode": "PGGSSENCMODE",
    "require_auth": "PGREQUIREAUTH",
}
"""The parameters that matter here, and what they are called in the environment."""

_ADVICE = {
    "certificate verify failed": "the server's certificate is not from an authority that is trusted here: name "
    "the file with its authority's certificate as sslrootcert in the DSN, or find out who answers in its place",
    "does not match host name": "connect by a name that is in the server's certificate, or have one issued for "
    "this name; if neither is wrong, someone else answers",
    "root certificate file": "name the file with the certificate of the server's authority as sslrootcert in the "
    "DSN, or write sslrootcert=system for the authorities that this system trusts",
    "does not support SSL": "nothing was sent to it; have the server offer TLS (ssl = on)",
}
"""What to do, by what libpq says."""

_REFUSED = (
    "; the server asks for the password in clear text over a connection that is not encrypted, and it was not "
    "sent. Have the server offer TLS and write sslmode=verify-full, or have it ask with scram-sha-256; where the "
    "network is trusted, allow it with require_auth=password in the DSN"
)

_warned: set[str] = set()
"""The hosts that were warned of in this process."""


def guarded(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a connection with which no password is sent in clear text over TCP.

    Nothing is added where TLS is required, or where the user says what is allowed. This machine is no exception:
    whoever is first to listen on a port may be another of its users. Warns once of a host elsewhere that is
    reached without sslmode.
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
    """Whether a server has asked for a password in clear text, and the user has not ruled out TLS."""
    return _was_refused(error) and _settings(parameters).get("sslmode") != "disable"


def over_tls(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a connection over TLS only, to a server that asks for a password in clear text."""
    return {**parameters, "sslmode": "require"}


def advice(error: psycopg.OperationalError, over_tls: bool) -> str:
    """The end of the message of a connection that failed: what to do; empty when there is nothing to say.

    over_tls: the attempt before was without TLS, and the password was asked for in clear text.
    """
    said = str(error)
    if _was_refused(error) or (over_tls and "SSL" in said):
        return _REFUSED
    return next((f"; {what}" for text, what in _ADVICE.items() if text in said), "")


def _was_refused(error: psycopg.OperationalError) -> bool:
    # The message is translated; what was required is quoted in all languages.
    return f'"{NO_CLEARTEXT}"' in str(error)


def _settings(parameters: Mapping[str, Any]) -> dict[str, str]:
    """What holds for a connection, as libpq finds it: the DSN, then the service file, then the environment."""
    variables = {name: os.environ[variable] for name, variable in _VARIABLES.items() if os.environ.get(variable)}
    service = parameters.get("service") or os.environ.get("PGSERVICE")
    of_service = _service(str(service), parameters) if service else {}
    given = {name: str(parameters[name]) for name in _VARIABLES if parameters.get(name)}
    return {**variables, **{name: of_service[name] for name in _VARIABLES if of_service.get(name)}, **given}


def _service(name: str, parameters: Mapping[str, Any]) -> dict[str, str]:
    """The parameters of a service in the first file that has it; nothing when none has, which libpq says
    itself."""
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
    """The addresses where they are given, since those are what is connected to; else the names."""
    addresses, names = (settings.get(name, "").split(",") for name in ("hostaddr", "host"))
    length = max(len(addresses), len(names))
    padded = (each + [""] * (length - len(each)) for each in (addresses, names))
    return [address.strip() or name.strip() for address, name in zip(*padded, strict=True)]


def _is_tcp(host: str) -> bool:
    """Whether it is reached over TCP; without a name or with a path it is a socket."""
    return bool(host) and not host.startswith(("/", "@"))


def _is_this_machine(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host.partition("%")[0].strip("[]")).is_loopback
    except ValueError:
        return False


def _is_encrypted(settings: Mapping[str, str]) -> bool:
    """Whether there is no connection without encryption."""
    default = "verify-full" if settings.get("sslrootcert") == "system" else "prefer"
    is_tls = settings.get("sslmode", default) in ("require", "verify-ca", "verify-full")
    return is_tls or settings.get("gssencmode") == "require"


def _warn(hosts: list[str], can_refuse: bool) -> None:
    unknown = [host for host in dict.fromkeys(hosts) if host not in _warned]
    if not unknown:
        return
    _warned.update(unknown)
    libpq = pq.version() // 10000
    also = "" if can_refuse else f" (libpq {libpq} sends it the password in clear text if it is asked to)"
    log.warning(
        "no sslmode is set for %s%s: the connection may be open to whoever is between, and anyone may answer it; "
        "add sslmode=verify-full to the DSN, or sslmode=disable where the network is trusted",
        ", ".join(unknown),
        also,
    )
