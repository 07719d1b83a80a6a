"""The rights of contentq's roles. Once sql/roles.sql was applied, each migration restores them.

The file reports its changes in notices.
"""

from __future__ import annotations

import re

import psycopg
from psycopg.errors import Diagnostic
from psycopg.rows import TupleRow

from contentq.database.connect import connect
from contentq.database.locations import SQL
from contentq.database.revisions import require_head
from contentq.errors import ContentQueueError

ROLES = (
    "contentq_producer",
    "contentq_worker",
    "contentq_operator",
    "contentq_reader",
    "contentq_reviewer",
    "contentq_definer",
)

_APPLIED = """
    SELECT count(*) = cardinality(%(roles)s::text[])
    FROM pg_roles AS r
    WHERE r.rolname = ANY (%(roles)s)
      AND has_schema_privilege(r.oid, 'contentq', 'USAGE')"""
_RIGHTS = """
    SELECT md5(coalesce(
        string_agg(concat_ws('|', o.oid, o.part, o.owner, r.rights), ',' ORDER BY o.oid, o.part), ''))
    FROM (
        SELECT c.oid, 0 AS part, NULL::oid AS owner, c.relacl AS acl FROM pg_class AS c
        JOIN pg_namespace AS n ON n.oid = c.relnamespace AND n.nspname IN ('contentq', %(schema)s)
        UNION ALL
        SELECT a.attrelid, a.attnum, NULL, a.attacl FROM pg_attribute AS a
        JOIN pg_class AS c ON c.oid = a.attrelid
        JOIN pg_namespace AS n ON n.oid = c.relnamespace AND n.nspname IN ('contentq', %(schema)s)
        WHERE a.attacl IS NOT NULL
        UNION ALL
        SELECT n.oid, 0, NULL, n.nspacl FROM pg_namespace AS n
        WHERE n.nspname IN ('contentq', 'public', %(schema)s)
        UNION ALL
        SELECT p.oid, 0, p.proowner, p.proacl FROM pg_proc AS p
        JOIN pg_namespace AS n ON n.oid = p.pronamespace AND n.nspname = 'contentq'
    ) AS o
    CROSS JOIN LATERAL (
        SELECT string_agg(a.item::text, ' ' ORDER BY a.item::text) AS rights FROM unnest(o.acl) AS a (item)
    ) AS r"""

_REMOVE = """
DO $$
DECLARE
    statement text;
BEGIN
    FOR statement IN
        SELECT format('REVOKE ALL ON SCHEMA %I FROM %I', n.nspname, r.rolname)
        FROM pg_namespace AS n, aclexplode(n.nspacl) AS a, pg_roles AS r
        WHERE n.nspname = '{schema}'
          AND r.oid = a.grantee
          AND r.rolname IN ({roles})
        UNION
        SELECT format('REVOKE ALL ON %s FROM %I', c.oid::regclass, r.rolname)
        FROM pg_class AS c, pg_namespace AS n, pg_roles AS r
        WHERE n.oid = c.relnamespace
          AND n.nspname = '{schema}'
          AND (c.relname IN ('accounts', 'contents', 'content_generation_tasks') OR c.relkind = 'S')
          AND r.rolname IN ({roles})
    LOOP
        EXECUTE statement;
    END LOOP;
END;
$$;
"""


def grants_sql() -> str:
    """The statements of sql/roles.sql for an open transaction, without psql commands."""
    text = (SQL / "roles.sql").read_text(encoding="utf-8")
    return re.sub(r"^(\\.*|BEGIN;|COMMIT;)$", "", text, flags=re.MULTILINE)


def apply_roles(dsn: str) -> tuple[list[str], list[str]]:
    """Creates the roles and grants their rights; returns what was done and what is left to do, one line each.

    Raises ContentQueueError; then nothing was changed.
    """
    done: list[str] = []
    left: list[str] = []

    def note(notice: Diagnostic) -> None:
        (done if notice.severity_nonlocalized == "NOTICE" else left).append(notice.message_primary or "")

    with connect(dsn, "contentq roles") as connection:
        require_head(connection)
        connection.add_notice_handler(note)
        try:
            with connection.transaction():
                connection.execute(grants_sql().encode())
        except psycopg.errors.LockNotAvailable:
            raise ContentQueueError(
                "a migration is running, and nothing was changed; try again when it has ended"
            ) from None
        except psycopg.errors.RaiseException as error:
            raise ContentQueueError(f"the roles were not applied: {error.diag.message_primary}") from None
        except psycopg.errors.InsufficientPrivilege as error:
            raise ContentQueueError(
                f"the roles were not applied: {error.diag.message_primary}; run it as a superuser, or as the "
                "owner of the database with CREATEROLE"
            ) from None
    return done, left


def apply_grants(connection: psycopg.Connection[TupleRow], schema: str) -> list[str]:
    """Restores the grants if the roles were applied before; returns what was done."""
    values = {"roles": list(ROLES), "schema": schema}
    row = connection.execute(_APPLIED, values).fetchone()
    if row is None or not row[0]:
        return []
    before = connection.execute(_RIGHTS, values).fetchone()
    changes: list[str] = []
    with connection.transaction() as applying:
        connection.execute(grants_sql().encode())
        if connection.execute(_RIGHTS, values).fetchone() == before:
            raise psycopg.Rollback(applying)
        changes.append("restored the rights of the roles of sql/roles.sql")
    return changes


def remove_grants_sql(schema: str) -> str:
    """SQL that revokes the roles' rights on tables, and in a schema, that stay."""
    return _REMOVE.format(schema=schema, roles=", ".join(f"'{role}'" for role in ROLES))


def remove_grants(connection: psycopg.Connection[TupleRow], schema: str) -> list[str]:
    """Revokes the roles' rights in the schema of the tables, which stays; returns a note that the roles stay."""
    values = {"roles": list(ROLES), "schema": schema}
    connection.execute(remove_grants_sql(schema).encode())
    found = connection.execute("SELECT rolname FROM pg_roles WHERE rolname = ANY (%(roles)s)", values).fetchall()
    if not found:
        return []
    names = ", ".join(sorted(str(row[0]) for row in found))
    return [f"the roles {names} stay, because other databases may use them; to drop them: DROP ROLE {names}"]
