"""The scratch database: an empty queue on the same server, created by the migrations and dropped at the end."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import NamedTuple

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo
from psycopg.rows import TupleRow

from contentq.database.connect import connect
from contentq.errors import ContentQueueError, DatabaseUnreachable

APPLICATION = "contentq bench"
"""The name of its connections in pg_stat_activity."""

PREFIX = "contentq_bench_"

LEFT_AFTER = 60
"""Seconds after which a scratch database without connections counts as left over from a killed bench."""

_NAME = re.compile(rf"{PREFIX}(\d+)_(\d{{10,}})_[0-9a-f]{{8}}")
"""The oid of the measured database, the creation time (seconds since 1970), and a random part."""

_HOME = """
    SELECT current_user::text, rolcreatedb OR rolsuper, pg_backend_pid(), d.oid::bigint,
           pg_encoding_to_char(d.encoding), d.datcollate, d.datctype, nullif(t.spcname::text, 'pg_default')
    FROM pg_database AS d
    JOIN pg_tablespace AS t ON t.oid = d.dattablespace
    CROSS JOIN pg_roles AS r
    WHERE d.datname = current_database()
      AND r.rolname = current_user"""
_SETTINGS = """
    SELECT split_part(setting, '=', 1)
    FROM pg_db_role_setting AS s
    JOIN pg_database AS d ON d.oid = s.setdatabase
    CROSS JOIN unnest(s.setconfig) AS setting
    WHERE d.datname = current_database()
      AND s.setrole = 0
      AND NOT starts_with(setting, 'search_path=')"""
_SCRATCH_DATABASES = """
    SELECT d.datname::text, EXISTS (SELECT FROM pg_stat_activity AS a WHERE a.datid = d.oid),
           pg_has_role(d.datdba, 'MEMBER')
    FROM pg_database AS d
    WHERE starts_with(d.datname, %s)"""
_CREATE = """
    CREATE DATABASE {} TEMPLATE template0 ENCODING {} LC_COLLATE {} LC_CTYPE {}"""

Connection = psycopg.Connection[TupleRow]


class _Home(NamedTuple):
    """The properties of the database and the user on which its scratch database depends."""

    user: str
    may_create: bool
    backend_pid: int
    oid: int
    encoding: str
    collate: str
    ctype: str
    tablespace: str | None


@dataclass(frozen=True)
class Scratch:
    """A scratch database. connection: to it, in autocommit mode. database: the name of the original database."""

    dsn: str
    connection: Connection
    database: str


@contextmanager
def scratch_database(dsn: str) -> Iterator[Scratch]:
    """Creates a database with an empty queue and the settings of the DSN's database; drops it at the end.

    Raises ContentQueueError if another bench is running, or if no database can be created or reached.
    """
    with connect(dsn, APPLICATION) as connection:
        home = _read_home(connection)
        _clear_up(connection, home)
        name = f"{PREFIX}{home.oid}_{int(time.time())}_{secrets.token_hex(4)}"
        database = connection.info.dbname
        is_direct = home.backend_pid == connection.info.backend_pid
        try:
            _create(connection, name, home)
            yield from _open(make_conninfo(dsn, dbname=name), database, is_direct)
        except BaseException:
            # If the connection is lost and the database cannot be dropped now, the next bench drops it.
            with suppress(psycopg.Error, ContentQueueError):
                _drop_anew(dsn, name)
            raise
        _drop_anew(dsn, name)


def _read_home(connection: Connection) -> _Home:
    """Raises ContentQueueError, naming the right to grant, if the user cannot create databases."""
    row = connection.execute(_HOME).fetchone()
    assert row is not None
    home = _Home(*row)
    if not home.may_create:
        role = sql.Identifier(home.user).as_string(connection)
        raise ContentQueueError(
            f"the benchmark creates its own database, and user {home.user} may not create one; "
            f"have an administrator run: ALTER ROLE {role} CREATEDB"
        )
    return home


def _clear_up(connection: Connection, home: _Home) -> None:
    """Drops the databases of killed runs. Raises ContentQueueError if another bench is running."""
    for name, is_used, is_ours in connection.execute(_SCRATCH_DATABASES, [PREFIX]).fetchall():
        found = _NAME.fullmatch(name)
        if found is None:
            continue
        if is_used and int(found[1]) == home.oid:
            raise ContentQueueError("another contentq bench of this database is running; wait until it ends")
        if is_ours and not is_used and time.time() - int(found[2]) >= LEFT_AFTER:
            _drop(connection, name)


def _create(connection: Connection, name: str, home: _Home) -> None:
    options = (home.encoding, home.collate, home.ctype)
    create = sql.SQL(_CREATE).format(sql.Identifier(name), *map(sql.Literal, options))
    if home.tablespace is not None:
        create += sql.SQL(" TABLESPACE {}").format(sql.Identifier(home.tablespace))
    _run_alone(connection, create)
    for (setting,) in connection.execute(_SETTINGS).fetchall():
        with suppress(psycopg.errors.InsufficientPrivilege):
            parts = sql.SQL(".").join(map(sql.Identifier, setting.split(".")))
            connection.execute(
                sql.SQL("ALTER DATABASE {} SET {} FROM CURRENT").format(sql.Identifier(name), parts)
            )


def _open(dsn: str, database: str, is_direct: bool) -> Iterator[Scratch]:
    from contentq.database.migrations import migrate

    try:
        migrate(dsn)
        connection = connect(dsn, APPLICATION)
    except DatabaseUnreachable as error:
        if is_direct:
            raise
        raise DatabaseUnreachable(
            "the benchmark creates its own database, and the pooler does not pass it on; give a --dsn that leads "
            f"to the server itself, or have the pooler pass on any database (* = in PgBouncer): {error}"
        ) from None
    with connection:
        connection.execute("INSERT INTO public.accounts (id, name) VALUES (1, 'contentq bench')")
        yield Scratch(dsn, connection, database)


def _drop_anew(dsn: str, name: str) -> None:
    """Drops it over a new connection: the previous one may be lost, or busy with a statement."""
    with connect(dsn, APPLICATION) as connection:
        _drop(connection, name)


def _drop(connection: Connection, name: str) -> None:
    """Drops it, even while a pooler holds connections to it."""
    drop = sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name))
    try:
        _run_alone(connection, drop + sql.SQL(" WITH (FORCE)"))
    except psycopg.errors.InsufficientPrivilege:
        # Not every user may end an autovacuum; without FORCE, PostgreSQL asks it to end and waits.
        _run_alone(connection, drop)


def _run_alone(connection: Connection, statement: sql.Composed) -> None:
    """Runs a statement that cannot share a transaction with any other, including SET."""
    psycopg.Cursor(connection).execute(statement)
