"""Lists the members of contentq's roles, and drops the roles."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow, dict_row

from contentq.database.connect import connect
from contentq.database.grants import ROLES, remove_grants_sql
from contentq.database.revisions import require_head
from contentq.database.row_security import has_row_security
from contentq.errors import ContentQueueError

Connection = psycopg.Connection[TupleRow]

_MEMBERS = """
    SELECT n.name AS role,
           r.oid IS NOT NULL AS is_there,
           coalesce(pg_catalog.has_schema_privilege(r.oid, 'contentq', 'USAGE'), false) AS has_rights,
           ARRAY(SELECT m.rolname::text
                 FROM pg_catalog.pg_auth_members AS a
                 JOIN pg_catalog.pg_roles AS m ON m.oid = a.member
                 WHERE a.roleid = r.oid
                 ORDER BY m.rolname) AS members
    FROM pg_catalog.unnest(%s::text[]) WITH ORDINALITY AS n (name, place)
    LEFT JOIN pg_catalog.pg_roles AS r ON r.rolname = n.name
    ORDER BY n.place"""

_SCHEMA = "SELECT schema_name FROM contentq.tables WHERE table_name = 'content_generation_tasks'"

_RESTORE = """
    SELECT pg_catalog.format('ALTER FUNCTION %s OWNER TO %I', p.oid::regprocedure, n.nspowner::regrole)
    FROM pg_catalog.pg_proc AS p
    JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace AND n.nspname = 'contentq'
    JOIN pg_catalog.pg_roles AS r ON r.oid = p.proowner AND r.rolname = 'contentq_definer'"""


def members_of_roles(dsn: str) -> list[dict[str, Any]]:
    """Returns contentq's roles: whether they exist and have rights in this database, and their members."""
    with connect(dsn, "contentq roles") as connection, connection.cursor(row_factory=dict_row) as cursor:
        require_head(connection)
        return cursor.execute(_MEMBERS, [list(ROLES)]).fetchall()


def drop_roles(dsn: str) -> tuple[list[str], list[str]]:
    """Revokes the rights of the roles and drops them; returns what was done and what is left, one line each.

    Roles that other objects depend on, such as rights in another database, stay. Raises ContentQueueError; then
    nothing was changed.
    """
    with connect(dsn, "contentq roles") as connection:
        require_head(connection)
        if has_row_security(connection):
            raise ContentQueueError(
                "row level security is on, and its policies use the roles; "
                "turn it off first: contentq roles row-security --off"
            )
        try:
            with connection.transaction():
                return _drop(connection)
        except psycopg.errors.LockNotAvailable:
            raise ContentQueueError(
                "a migration is running, and nothing was changed; try again when it has ended"
            ) from None
        except psycopg.errors.InsufficientPrivilege as error:
            raise ContentQueueError(
                f"the roles were not dropped: {error.diag.message_primary}; run it as a superuser, or as the "
                "owner of the database with CREATEROLE"
            ) from None


def _drop(connection: Connection) -> tuple[list[str], list[str]]:
    done, left = [], []
    connection.execute("SET LOCAL lock_timeout = '5s'")
    connection.execute("LOCK TABLE contentq.alembic_version IN EXCLUSIVE MODE")
    found = connection.execute("SELECT rolname FROM pg_roles WHERE rolname = ANY (%s)", [list(ROLES)]).fetchall()
    roles = [role for role in ROLES if role in {row[0] for row in found}]
    for (statement,) in connection.execute(_RESTORE).fetchall():
        connection.execute(statement.encode())
    if roles:
        names = sql.SQL(", ").join(map(sql.Identifier, roles))
        for kind in ("SCHEMA contentq", "ALL TABLES IN SCHEMA contentq", "ALL FUNCTIONS IN SCHEMA contentq"):
            connection.execute(sql.SQL("REVOKE ALL ON {} FROM {}").format(sql.SQL(kind), names))
    (schema,) = connection.execute(_SCHEMA).fetchall()[0]
    connection.execute(remove_grants_sql(schema).encode())
    done.append("revoked the rights of the roles")
    for role in roles:
        try:
            with connection.transaction():
                connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))
            done.append(f"dropped role {role}")
        except (psycopg.errors.DependentObjectsStillExist, psycopg.errors.InsufficientPrivilege) as error:
            why = error.diag.message_detail or error.diag.message_primary or ""
            left.append(f"role {role} was not dropped: {'; '.join(why.splitlines())}")
    return done, left
