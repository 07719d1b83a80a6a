"""Logins for tests: users with certain rights, in separate sessions. SET ROLE would not change session_user."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from contentq.database.connect import connect
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tests.support.queue import Queue

PASSWORD = "secret"


class Logins:
    """Creates logins in the test's database.

    They are dropped at the end, because they belong to the whole server.
    """

    def __init__(self, administrator: Queue, dsn: str, opened: ExitStack) -> None:
        self._administrator = administrator
        self._dsn = dsn
        self._opened = opened
        self.names: list[str] = []

    def add(self, name: str, *roles: str) -> str:
        """Creates a login that is a member of these roles and returns its DSN."""
        full = self.name(name)
        self._run("CREATE ROLE {} LOGIN PASSWORD {}", sql.Identifier(full), sql.Literal(PASSWORD))
        self.names.append(full)
        for role in roles:
            self._run("GRANT {} TO {}", sql.Identifier(role), sql.Identifier(full))
        return make_conninfo(self._dsn, user=full, password=PASSWORD)

    def name(self, name: str) -> str:
        """The name of the login on the server."""
        return f"{self._administrator.connection.info.dbname}_{name}"

    def open(self, dsn: str) -> Queue:
        """A session of a login."""
        return Queue(self._opened.enter_context(connect(dsn, "contentq test", plain=True)))

    def add_open(self, name: str, *roles: str) -> Queue:
        """Creates a login that is a member of these roles and returns a session of it."""
        return self.open(self.add(name, *roles))

    def drop(self) -> None:
        """Drops all logins."""
        self._administrator.run("RESET ROLE")
        for name in self.names:
            self._run("REASSIGN OWNED BY {} TO CURRENT_USER", sql.Identifier(name))
            self._run("DROP OWNED BY {}", sql.Identifier(name))
            self._run("DROP ROLE {}", sql.Identifier(name))

    def _run(self, statement: str, *values: sql.Composable) -> None:
        self._administrator.connection.execute(sql.SQL(statement).format(*values))


@contextmanager
def made_logins(administrator: Queue, dsn: str) -> Iterator[Logins]:
    """Logins for the time of a test."""
    with ExitStack() as opened:
        made = Logins(administrator, dsn, opened)
        opened.callback(made.drop)
        yield made
