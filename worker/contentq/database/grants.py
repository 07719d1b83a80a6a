"""The rights of contentq's roles: where sql/roles.sql was applied once, each migration restores them."""

from __future__ import annotations

import psycopg
from psycopg.rows import TupleRow

from contentq.database.definitions import in_schema
from contentq.database.locations import SQL

ROLES = ("contentq_producer", "contentq_worker", "contentq_operator", "contentq_reader")

_APPLIED = """
    SELECT count(*) = cardinality(%(roles)s::text[])
    FROM pg_roles AS r
    WHERE r.rolname = ANY (%(roles)s)
      AND has_schema_privilege(r.oid, 'contentq', 'USAGE')"""
_RIGHTS = """
    SELECT md5(coalesce(string_agg(concat_ws('|', o.oid, o.acl), ',' ORDER BY o.oid, o.acl), ''))
    FROM (
        SELECT c.oid, c.relacl::text AS acl FROM pg_class AS c
        JOIN pg_namespace AS n ON n.oid = c.relnamespace AND n.nspname IN ('contentq', %(schema)s)
        UNION ALL
        SELECT a.attrelid, a.attnum || ' ' || a.attacl::text FROM pg_attribute AS a
        JOIN pg_class AS c ON c.oid = a.attrelid
        JOIN pg_namespace AS n ON n.oid = c.relnamespace AND n.nspname IN ('contentq', %(schema)s)
        WHERE a.attacl IS NOT NULL
        UNION ALL
        SELECT n.oid, n.nspacl::text FROM pg_namespace AS n WHERE n.nspname IN ('contentq', %(schema)s)
    ) AS o"""


def grants_sql(schema: str) -> str:
    """What sql/roles.sql does, as statements for a transaction that has begun."""
    text = (SQL / "roles.sql").read_text(encoding="utf-8")
    return in_schema(text.replace("\nBEGIN;\n", "\n", 1).replace("\nCOMMIT;\n", "\n", 1), schema)


def apply_grants(connection: psycopg.Connection[TupleRow], schema: str) -> list[str]:
    """Gives the roles their rights, where they have been given any; says so if that has changed something."""
    values = {"roles": list(ROLES), "schema": schema}
    row = connection.execute(_APPLIED, values).fetchone()
    if row is None or not row[0]:
        return []
    before = connection.execute(_RIGHTS, values).fetchone()
    changes: list[str] = []
    with connection.transaction() as applying:
        connection.execute(grants_sql(schema).encode())
        if connection.execute(_RIGHTS, values).fetchone() == before:
            raise psycopg.Rollback(applying)
        changes.append("restored the rights of the roles of sql/roles.sql")
    return changes
