"""The database of a program: where it is, and how connections to it are opened."""

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
    "leads to another database than --dsn",
    "leads to a standby, or --dsn does: both need the primary",
    "logs in as {}, and --dsn as {}: a worker has one login",
)
"""What is wrong when these are not the same on both ways."""

_DIRECT = "the direct way to the database (--listen-dsn, CONTENTQ_LISTEN_DSN)"


@dataclass(frozen=True)
class Database:
    """Opens the connections of one program to one database."""

    dsn: str

    listen_dsn: str | None = None
    """A direct way to the same database, for LISTEN and heartbeats, when dsn leads through a pooler."""

    listen: bool = True
    """Whether to LISTEN; without it, only polling finds new tasks."""

    @property
    def is_direct(self) -> bool:
        """Whether dsn leads to the server itself: then claims may listen, and statements may be prepared."""
        return self.listen and self.listen_dsn is None

    def direct(self) -> Database:
        """The same database without the pooler, as far as a way around it is known."""
        return self if self.listen_dsn is None else replace(self, dsn=self.listen_dsn, listen_dsn=None)

    def connect(self, application_name: str, *, plain: bool = False) -> psycopg.Connection[TupleRow]:
        """A connection in autocommit mode. plain: for SQL that is not contentq's. Raises DatabaseUnreachable."""
        return connect(self.dsn, application_name, plain=plain)

    async def connect_async(
        self, application_name: str, *, prepare: bool = False, plain: bool = False
    ) -> psycopg.AsyncConnection[TupleRow]:
        """An asyncio connection in autocommit mode. Raises DatabaseUnreachable.

        prepare: whether its statements may be prepared by name, which needs a direct way. plain: for SQL that is
        not contentq's.
        """
        return await connect_async(self.dsn, application_name, prepare=prepare, plain=plain)

    def check(self, application_name: str) -> None:
        """Raises what keeps a worker from its work, so that a mistake shows before anything is started.

        DatabaseUnreachable, SchemaMismatch, or ContentQueueError when the user may not act as a worker, or when
        listen_dsn does not lead to the same database as the same user.
        """
        identity = self._check(application_name)
        if self.listen_dsn is None:
            return
        try:
            direct = self.direct()._check(application_name)
        except ContentQueueError as error:
            raise type(error)(f"{_DIRECT} is of no use: {error}") from None
        for said, one, other in zip(_DIFFERENCES, direct, identity, strict=True):
            if one != other:
                raise ContentQueueError(f"{_DIRECT} {said.format(one, other)}")

    def _check(self, application_name: str) -> Identity:
        """Raises what keeps a worker from using this way; returns where it leads to."""
        with self.connect(application_name) as connection:
            require_head(connection)
            refused = connection.execute(_NOT_A_WORKER).fetchone()
            identity = connection.execute(_IDENTITY).fetchone()
        if refused is not None:
            raise ContentQueueError(
                f"user {refused[0]} may not act as a worker (permission denied for function register_worker); "
                "connect as a user who may, or have the owner of the database run: contentq roles apply, and "
                f"GRANT contentq_worker TO {refused[0]}"
            )
        assert identity is not None
        server, database, is_standby, login = identity
        return (server, database), is_standby, login
