"""Row level security by account: a login sees and inserts rows of its accounts (table contentq.account_roles)."""

from __future__ import annotations

import psycopg
from psycopg.rows import TupleRow

Connection = psycopg.Connection[TupleRow]

_SET = "SELECT contentq.set_row_security(%s)"

_IS_ON = """
    SELECT EXISTS (
        SELECT
        FROM pg_catalog.pg_policy AS p
        JOIN contentq.tables AS t ON t.table_name = 'content_generation_tasks'
        WHERE p.polname = 'contentq_own_accounts'
          AND p.polrelid = pg_catalog.to_regclass(pg_catalog.format('%I.%I', t.schema_name, t.table_name))
    )"""

_BLIND = """
    SELECT r.rolname
    FROM pg_catalog.pg_roles AS r
    JOIN contentq.tables AS t ON t.table_name = 'content_generation_tasks'
    JOIN pg_catalog.pg_class AS c
        ON c.oid = pg_catalog.to_regclass(pg_catalog.format('%I.%I', t.schema_name, t.table_name))
    WHERE r.rolcanlogin
      AND NOT r.rolsuper
      AND NOT r.rolbypassrls
      AND NOT pg_catalog.pg_has_role(r.oid, c.relowner, 'USAGE')
      AND (pg_catalog.has_any_column_privilege(r.oid, c.oid, 'SELECT')
           OR pg_catalog.has_any_column_privilege(r.oid, c.oid, 'INSERT'))
      AND NOT EXISTS (
          SELECT
          FROM contentq.account_roles AS a
          JOIN pg_catalog.pg_roles AS g ON g.rolname = a.role_name
          WHERE pg_catalog.pg_has_role(r.oid, g.oid, 'USAGE')
      )
      AND NOT EXISTS (
          SELECT
          FROM pg_catalog.pg_policy AS p
          CROSS JOIN LATERAL pg_catalog.unnest(p.polroles) AS g (oid)
          WHERE p.polrelid = c.oid
            AND p.polname <> 'contentq_own_accounts'
            AND (g.oid = 0 OR pg_catalog.pg_has_role(r.oid, g.oid, 'USAGE'))
      )
    ORDER BY r.rolname"""
"""Logins with rights on the queue that see no row under any policy."""


def set_row_security(connection: Connection, enabled: bool) -> bool:
    """Turns it on or off; returns whether that changed anything. Only the owner of the tables can."""
    row = connection.execute(_SET, [enabled]).fetchone()
    return row is not None and row[0] > 0


def has_row_security(connection: Connection) -> bool:
    """Whether row level security is on."""
    row = connection.execute(_IS_ON).fetchone()
    return row is not None and bool(row[0])


def blind_logins(connection: Connection) -> list[str]:
    """The logins that may use the queue but see no rows, because they have no account."""
    return [str(row[0]) for row in connection.execute(_BLIND)]


def keep_row_security(connection: Connection) -> list[str]:
    """Restores missing policies during a migration, if row level security is on; returns what was done."""
    if has_row_security(connection) and set_row_security(connection, True):
        return ["restored the policies of row level security"]
    return []
