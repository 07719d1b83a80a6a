"""The roles of sql/roles.sql, in a test's database."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from contentq.database.grants import ROLES
from contentq.database.locations import SQL

from tests.support.programs import client
from tests.support.queue import Queue
from tests.support.servers import Server


def apply_roles(dsn: str) -> None:
    """Runs sql/roles.sql as its comment describes."""
    command = [str(client("psql")), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", dsn, "-f", str(SQL / "roles.sql")]
    subprocess.run(command, capture_output=True, text=True, check=True)


@contextmanager
def applied_roles(queue: Queue, server: Server, dsn: str) -> Iterator[None]:
    """Creates the roles for the test's database.

    They are dropped at the end, because they belong to the whole server.
    """
    if not queue.value("SELECT rolsuper FROM pg_roles WHERE rolname = current_user"):
        pytest.skip("the user of CONTENTQ_TEST_DSN may not make roles and act as them")
    with server.databases.alone():
        known = queue.values("SELECT rolname FROM pg_roles WHERE rolname = ANY (%s)", list(ROLES))
        apply_roles(dsn)
        try:
            yield
        finally:
            queue.run("RESET ROLE")
            left = queue.values("SELECT rolname FROM pg_roles WHERE rolname = ANY (%s)", list(ROLES))
            for role in set(left) - set(known):
                queue.run(f"REASSIGN OWNED BY {role} TO CURRENT_USER")
                queue.run(f"DROP OWNED BY {role}")
                queue.run(f"DROP ROLE {role}")
