"""The database of a program: its DSNs, and how to connect to it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import psycopg
from psycopg.rows import TupleRow

from contentq.database.connect import connect, connect_async
from contentq.database.revisions import require_head
from contentq.errors import ContentQueueError

_NOT_A_WORKER = """
    SELECT quote_ident(current_user)
    FROM pg_proc
    WHERE pronamespace = 'contentq'::regnamespace
      AND proname = 'register_worker'
      AND NOT has_function_privilege(oid, 'EXECUTE')"""


_IDENTITY = """
    SELECT (SELECT system_identifier FROM pg_control_system()),
           (SELECT oid FROM pg_database WHERE datname = current_database()),
           pg_is_in_recovery(),
           quote_ident(session_user)"""

Identity = tuple[tuple[int, int], bool, str]
"""Server and database, whether it is a standby, and the login."""

_DIFFERENCES = (
    "goes to another database than --dsn",
    "goes to a standby, or --dsn does: both need the primary",
    "logs in as {}, but --dsn as {}: a worker needs the same login for both",
)
"""Messages if these differ between the two connections."""

_DIRECT = "the direct connection to the database (--listen-dsn, CONTENTQ_LISTEN_DSN)"


@dataclass(frozen=True)
class Database:
    """Opens the connections of a program to a database."""

    dsn: str

    listen_dsn: str | None = None
    """A direct DSN of the same database, for LISTEN and heartbeats, if dsn goes through a pooler."""

    listen: bool = True
    """Whether to LISTEN; without it, only polling finds new tasks."""

    @property
    def is_direct(self) -> bool:
        """Whether dsn goes to the server without a pooler: claims may listen, and statements may be prepared."""
        return self.listen and self.listen_dsn is None

    def direct(self) -> Database:
        """The same database without the pooler, if a direct DSN is known."""
        return self if self.listen_dsn is None else replace(self, dsn=self.listen_dsn, listen_dsn=None)

    def connect(self, application_name: str, *, plain: bool = False) -> psycopg.Connection[TupleRow]:
        """Opens a connection in autocommit mode. plain: for SQL of others. Raises DatabaseUnreachable."""
        return connect(self.dsn, application_name, plain=plain)

    async def connect_async(
        self, application_name: str, *, prepare: bool = False, plain: bool = False
    ) -> psycopg.AsyncConnection[TupleRow]:
        """Opens an asyncio connection in autocommit mode. Raises DatabaseUnreachable.

        prepare: whether its statements may be prepared, which needs a direct connection. plain: for SQL of others.
        """
        return await connect_async(self.dsn, application_name, prepare=prepare, plain=plain)

    def check(self, application_name: str) -> None:
        """Raises errors that would keep a worker from running, before anything is started.

        DatabaseUnreachable, SchemaMismatch, or ContentQueueError if the user may not act as a worker, or if
        listen_dsn does not lead to the same database with the same login.
        """
        identity = self._check(application_name)
        if self.listen_dsn is None:
            return
        try:
            direct = self.direct()._check(application_name)
        except ContentQueueError as error:
            raise type(error)(f"{_DIRECT} cannot be used: {error}") from None
        for message, one, other in zip(_DIFFERENCES, direct, identity, strict=True):
            if one != other:
                raise ContentQueueError(f"{_DIRECT} {message.format(one, other)}")

    def _check(self, application_name: str) -> Identity:
        """Raises errors that keep a worker from using this connection; returns where it leads."""
        with self.connect(application_name) as connection:
            require_head(connection)
            refused = connection.execute(_NOT_A_WORKER).fetchone()
            identity = connection.execute(_IDENTITY).fetchone()
        if refused is not None:
            raise ContentQueueError(
                f"user {refused[0]} may not act as a worker (permission denied for function register_worker); "
                "connect as another user, or have the owner of the database run: contentq roles apply, and "
                f"GRANT contentq_worker TO {refused[0]}"
            )
        assert identity is not None
        server, database, is_standby, login = identity
        return (server, database), is_standby, login
