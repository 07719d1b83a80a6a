"""The scratch schema: an empty copy of the queue, made by the migrations themselves, and gone in the end.

Every statement of contentq names the schemas of what it uses. With these names replaced, the migrations make the
copy, and a worker works on it without a change. The same goes for what belongs to a whole database: notifications
have a channel of their own, and advisory locks other keys, so that the real queue notices nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow

from contentq.database.connect import connect
from contentq.database.locations import SQL
from contentq.engine.reconnecting import CURSORS
from contentq.errors import ContentQueueError

SCHEMA = "contentq_bench"

LOCK_TIMEOUT = 10
"""Seconds that the schema's end waits for others who are looking at it."""

APPLICATION = "contentq bench"
"""The name of its connections in pg_stat_activity."""

OURS = "Scratch schema of contentq bench, which drops it in the end."
"""The comment by which it is known: what a killed run has left has it, a schema of someone else has not."""

_NAMES = re.compile(r"\b(?:public|contentq)(?=\.)|\bcontentq(?=_ready\b)|\b1668183153\b")
_NEW_NAMES = {"public": SCHEMA, "contentq": SCHEMA, "1668183153": "1668183138"}
"""Schemas, channel, and the first key of the advisory locks of wake_workers()."""

_LOCK = "SELECT pg_try_advisory_xact_lock(hashtextextended('contentq.bench', 0))"
_STATE = (
    "SELECT obj_description(oid, 'pg_namespace'), nspowner::regrole::text FROM pg_namespace WHERE nspname = %s"
)
_PUBLISHED = "SELECT min(pubname) FROM pg_publication WHERE puballtables"
_RIGHTS = """
    SELECT has_database_privilege(current_database(), 'CREATE'), current_user, current_database(),
           format('GRANT CREATE ON DATABASE %I TO %I', current_database(), current_user)"""

Connection = psycopg.Connection[TupleRow]


@cache
def redirected(statement: str) -> str:
    """The statement, about the scratch schema instead of the queue."""
    return _NAMES.sub(lambda found: _NEW_NAMES[found[0]], statement)


class RedirectedCursor(psycopg.AsyncCursor[TupleRow]):
    """Runs every statement on the scratch schema."""

    async def execute(self, query: Any, *arguments: Any, **options: Any) -> Any:
        """Runs the statement; a text only, since nothing else can be redirected."""
        assert isinstance(query, str)
        return await super().execute(redirected(query).encode(), *arguments, **options)


@contextmanager
def scratch_schema(dsn: str) -> Iterator[Connection]:
    """Makes the schema, and drops it in the end; gives a connection, in autocommit mode.

    A worker that is made meanwhile works in there. Raises ContentQueueError when another bench is running, when
    a schema of that name is someone else's, or when it may not be made.
    """
    with _alone(dsn), connect(dsn, APPLICATION) as connection:
        _check_rights(connection)
        _check_publications(connection)
        _drop(connection)
        given_back = CURSORS.set(RedirectedCursor)
        try:
            _create(connection)
            yield connection
        except BaseException:
            # What cannot be dropped now, since the database is lost, the next bench drops.
            with suppress(psycopg.Error, ContentQueueError):
                _drop_anew(dsn)
            raise
        else:
            _drop_anew(dsn)
        finally:
            CURSORS.reset(given_back)


@contextmanager
def _alone(dsn: str) -> Iterator[None]:
    """Holds the lock that only one bench in a database can have, in a transaction: a pooler respects that, too."""
    with connect(dsn, APPLICATION) as connection, connection.transaction():
        connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        row = connection.execute(_LOCK).fetchone()
        if row is None or not row[0]:
            raise ContentQueueError("another contentq bench is running in this database; wait until it has ended")
        yield


def _check_rights(connection: Connection) -> None:
    """Raises ContentQueueError, with what to grant, where no schema may be made."""
    may_create, user, database, grant = connection.execute(_RIGHTS).fetchone() or (True, "", "", "")
    if not may_create:
        raise ContentQueueError(
            f"the bench works in a schema of its own, and user {user} may not create one in database {database}; "
            f"have the owner of the database run: {grant}"
        )


def _check_publications(connection: Connection) -> None:
    """Raises ContentQueueError where the scratch tables would be replicated to databases that lack them."""
    row = connection.execute(_PUBLISHED).fetchone()
    if row is not None and row[0] is not None:
        raise ContentQueueError(
            f"the publication {row[0]} is FOR ALL TABLES: the bench's own would be replicated, too, and stop "
            "subscribers that do not have them; measure a database without such a publication"
        )


def _drop_anew(dsn: str) -> None:
    """Drops it over a new connection: the one that was used may be lost, or in the middle of a statement."""
    with connect(dsn, APPLICATION) as connection:
        _drop(connection)


def _drop(connection: Connection) -> None:
    """Drops the schema, if it is there. Raises ContentQueueError when it is someone else's."""
    row = connection.execute(_STATE, [SCHEMA]).fetchone()
    if row is None:
        return
    comment, owner = row
    if comment != OURS:
        raise ContentQueueError(
            f"there is a schema {SCHEMA} that contentq bench has not made; it works in a schema of this name, "
            "and leaves yours alone: rename it, or measure another database"
        )
    try:
        with connection.transaction():
            connection.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}s'")
            connection.execute(f"DROP SCHEMA {SCHEMA} CASCADE")
    except psycopg.errors.LockNotAvailable:
        raise ContentQueueError(
            f"another session reads the schema {SCHEMA}, pg_dump perhaps, so that it is left; the next bench "
            f"drops it, or you do: DROP SCHEMA {SCHEMA} CASCADE"
        ) from None
    except psycopg.errors.InsufficientPrivilege:
        raise ContentQueueError(
            f"a bench of user {owner} that was killed has left the schema {SCHEMA}; run the bench as that user, "
            f"or have it run: DROP SCHEMA {SCHEMA} CASCADE"
        ) from None


def _create(connection: Connection) -> None:
    """Makes the schema with a queue in it, all or nothing."""
    with connection.transaction():
        connection.execute(f"CREATE SCHEMA {SCHEMA}")
        connection.execute(sql.SQL("COMMENT ON SCHEMA {} IS {}").format(sql.Identifier(SCHEMA), OURS))
        for file in sorted((SQL / "migrations").glob("*.up.sql")):
            connection.execute(redirected(file.read_text(encoding="utf-8")).encode())
        connection.execute(f"INSERT INTO {SCHEMA}.accounts (id, name) VALUES (1, 'contentq bench')")
