"""A database connection for a command; the schema must match this program."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psycopg
    from psycopg.rows import TupleRow

    from contentq.cli.main import GlobalOptions


@contextmanager
def open_session(options: GlobalOptions) -> Iterator[psycopg.Connection[TupleRow]]:
    """Yields a connection in autocommit mode. Raises DatabaseUnreachable or SchemaMismatch."""
    from contentq.database import dsn
    from contentq.database.connect import connect
    from contentq.database.revisions import require_head

    with connect(dsn.resolve(options.dsn), "contentq cli") as connection:
        require_head(connection)
        yield connection
