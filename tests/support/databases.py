"""Databases for tests on one server: clones of a template that is migrated once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from secrets import token_hex

import psycopg
from contentq.database.definitions import DEFAULT_SCHEMA
from contentq.database.migrations import migrate
from psycopg import conninfo, sql
from psycopg.rows import TupleRow

Connection = psycopg.Connection[TupleRow]


class Databases:
    """Creates and drops databases on a server. The user of the DSN must be allowed to do so.

    schema: the schema of the tables in migrated databases, first on their search_path.
    """

    def __init__(self, server_dsn: str, schema: str = DEFAULT_SCHEMA) -> None:
        self.server_dsn = server_dsn
        self._schema = schema
        self._connection: Connection | None = None
        self._prefix = f"contentq_test_{os.getpid()}_{token_hex(3)}"
        self._numbers = count(1)
        self._template: str | None = None
        self._left: list[str] = []

    def dsn(self, name: str) -> str:
        """The DSN of a database on this server."""
        return conninfo.make_conninfo(self.server_dsn, dbname=name)

    @contextmanager
    def migrated(self) -> Iterator[str]:
        """Creates a migrated database without rows, a clone of the template, and returns its DSN."""
        with self._database(self._migrated_template()) as dsn:
            if self._schema != DEFAULT_SCHEMA:
                # CREATE DATABASE does not copy the settings of the template.
                self._execute(
                    sql.SQL("ALTER DATABASE {} SET search_path = {}, public").format(
                        sql.Identifier(str(conninfo.conninfo_to_dict(dsn)["dbname"])), sql.Identifier(self._schema)
                    )
                )
            yield dsn

    @contextmanager
    def empty(self) -> Iterator[str]:
        """Creates an empty database and returns its DSN."""
        with self._database("template0") as dsn:
            yield dsn

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Excludes other processes of a parallel run: for tests that change the whole server."""
        self._server.execute("SELECT pg_advisory_lock(hashtext('tests of contentq'))")
        try:
            yield
        finally:
            self._server.execute("SELECT pg_advisory_unlock(hashtext('tests of contentq'))")

    def close(self) -> None:
        """Drops all databases that were created."""
        for name in [*self._left, *filter(None, [self._template])]:
            self._drop(name)
        self._left, self._template = [], None
        if self._connection is not None:
            self._connection.close()

    @contextmanager
    def _database(self, template: str) -> Iterator[str]:
        # The database used last is dropped later: a backend that is about to end delays DROP DATABASE by 0.1
        # seconds.
        while len(self._left) > 1:
            self._drop(self._left.pop(0))
        name = f"{self._prefix}_{next(self._numbers)}"
        self._create(name, template)
        try:
            yield self.dsn(name)
        finally:
            self._left.append(name)

    def _migrated_template(self) -> str:
        if self._template is None:
            name = f"{self._prefix}_template"
            self._create(name, "template0")
            migrate(self.dsn(name), schema=self._schema)
            # Closed to all connections, including autovacuum, so that it can be copied at any time.
            closed = sql.SQL("ALTER DATABASE {} WITH ALLOW_CONNECTIONS false").format(sql.Identifier(name))
            self._execute(closed)
            self._template = name
        return self._template

    def _create(self, name: str, template: str) -> None:
        # Copying files is faster for a database of a few megabytes.
        query = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")
        self._execute(query.format(sql.Identifier(name), sql.Identifier(template)))

    def _drop(self, name: str) -> None:
        self._execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def _execute(self, query: sql.Composed) -> None:
        """Runs a statement. Repeats it once if the server was restarted since the last one."""
        try:
            self._server.execute(query)
        except psycopg.OperationalError:
            if self._connection is None or not self._connection.closed:
                raise
            self._server.execute(query)

    @property
    def _server(self) -> Connection:
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(self.server_dsn, autocommit=True)
        return self._connection
