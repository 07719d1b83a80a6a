"""Installs functions, views and triggers; the files in sql/ are their only copy.

They are *repeatable*: no revision contains a copy. The table `contentq.definitions` stores two digests of each: of
its source text, and of the catalogue's text after it was created. Together they tell whether a definition is of
this version, and whether someone has changed it. Other objects in schema contentq belong to others and are not
changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import md5

import psycopg
from psycopg.rows import TupleRow

from contentq.database.locations import SQL

Connection = psycopg.Connection[TupleRow]
Name = tuple[str, str]
"""Kind (function, view or trigger) and name; a trigger's name is prefixed with its table."""

DEFAULT_SCHEMA = "public"

_PUBLIC = re.compile(r"\bpublic\.")
_TRIGGER = re.compile(r"^CREATE (?:CONSTRAINT )?TRIGGER (\w+)\s.*?\bON public\.(\w+)", re.DOTALL | re.MULTILINE)

CATALOGUE = """
    SELECT 'function' AS kind, p.proname::text AS name, p.oid::regprocedure::text AS identity, p.oid,
           p.xmin::text AS version,
           md5(pg_get_functiondef(p.oid) || coalesce(obj_description(p.oid, 'pg_proc'), '')) AS digest
    FROM pg_proc AS p
    WHERE p.pronamespace = to_regnamespace('contentq')
      AND p.prokind = 'f'
    UNION ALL
    SELECT 'view', c.relname, c.oid::regclass::text, c.oid, c.xmin::text,
           md5(concat_ws('|', pg_get_viewdef(c.oid), c.reloptions, obj_description(c.oid, 'pg_class')))
    FROM pg_class AS c
    WHERE c.relnamespace = to_regnamespace('contentq')
      AND c.relkind = 'v'
    UNION ALL
    SELECT 'trigger', c.relname || '.' || t.tgname, concat(quote_ident(t.tgname), ' ON ', t.tgrelid::regclass),
           t.oid, t.xmin::text,
           md5(concat_ws('|', pg_get_triggerdef(t.oid), t.tgenabled, obj_description(t.oid, 'pg_trigger')))
    FROM pg_trigger AS t
    JOIN pg_class AS c ON c.oid = t.tgrelid
    JOIN pg_proc AS p ON p.oid = t.tgfoid
    WHERE p.pronamespace = to_regnamespace('contentq')
      AND NOT t.tgisinternal
      AND t.tgparentid = 0"""
"""The existing objects: kind, name, the name for DROP, oid, version of the catalogue row, and a digest of
definition and comment. Several functions can have the same name."""

_EXPOSED = f"""
    SELECT c.name, c.identity
    FROM ({CATALOGUE}) AS c
    JOIN contentq.definitions AS d ON d.kind = c.kind AND d.name = c.name AND d.installed = c.digest
    JOIN pg_proc AS p ON p.oid = c.oid
    WHERE c.kind = 'function'
      AND EXISTS (
          SELECT
          FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a
          WHERE a.grantee = 0
      )"""
"""Functions of contentq that PUBLIC may execute, which is PostgreSQL's default for new functions."""

_KNOWN = "SELECT kind, name, source, installed FROM contentq.definitions"
_HAS_TABLE = "SELECT to_regclass('contentq.definitions') IS NOT NULL"
_REMEMBER = """
    INSERT INTO contentq.definitions AS d (kind, name, source, installed)
    SELECT u.*
    FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[]) AS u
    ON CONFLICT ON CONSTRAINT definitions_pkey DO UPDATE
    SET source = excluded.source,
        installed = excluded.installed"""
_REMEMBER_ALL = f"""
    INSERT INTO contentq.definitions (kind, name, source, installed)
    SELECT c.kind, c.name, u.source, c.digest
    FROM ({CATALOGUE}) AS c
    JOIN unnest({{}}::text[], {{}}::text[], {{}}::text[]) AS u (kind, name, source)
        ON u.kind = c.kind AND u.name = c.name"""
_DROPPED = f"""
            SELECT c.identity
            FROM ({CATALOGUE}) AS c
            JOIN contentq.definitions AS d ON d.kind = c.kind AND d.name = c.name
            WHERE true"""

_GRANTS = """
    SELECT o.kind, o.name, o.identity, o.col, a.grantee::regrole::text, a.privilege_type, a.is_grantable
    FROM (
        SELECT 'function' AS kind, p.proname::text AS name, p.oid::regprocedure::text AS identity, NULL AS col,
               p.proacl AS acl, p.proowner AS owner
        FROM pg_proc AS p
        WHERE p.pronamespace = to_regnamespace('contentq')
          AND p.prokind = 'f'
        UNION ALL
        SELECT 'view', c.relname, c.oid::regclass::text, NULL, c.relacl, c.relowner
        FROM pg_class AS c
        WHERE c.relnamespace = to_regnamespace('contentq')
          AND c.relkind = 'v'
        UNION ALL
        SELECT 'view', c.relname, c.oid::regclass::text, a.attname, a.attacl, c.relowner
        FROM pg_class AS c
        JOIN pg_attribute AS a ON a.attrelid = c.oid AND NOT a.attisdropped
        WHERE c.relnamespace = to_regnamespace('contentq')
          AND c.relkind = 'v'
    ) AS o
    LEFT JOIN LATERAL aclexplode(o.acl) AS a ON a.grantee <> o.owner
    WHERE o.acl IS NOT NULL"""
"""Rights on functions, views and columns of views, if any were granted or revoked. No grantee: none is left."""

_COLUMNS = """
    SELECT c.oid::regclass::text, a.attname::text
    FROM pg_class AS c
    JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE c.relnamespace = to_regnamespace('contentq')
      AND c.relkind = 'v'"""

_REVOKE = f"""
DO $$
BEGIN
    EXECUTE (SELECT 'REVOKE ALL ON FUNCTION ' || string_agg(e.identity, ', ') || ' FROM PUBLIC'
             FROM ({_EXPOSED}) AS e);
END;
$$;
"""
"""The SQL of Installer._revoke_from_public(), for others to run."""

_CANNOT_BE_REPLACED = (
    psycopg.errors.InvalidFunctionDefinition,
    psycopg.errors.InvalidTableDefinition,
    psycopg.errors.DependentObjectsStillExist,
    psycopg.errors.AmbiguousFunction,
)

_ORDER = ("trigger", "view", "function")
"""The order in which objects are dropped; they are created in reverse."""


@dataclass(frozen=True)
class Definition:
    """A function, view or trigger: the text of its file, with its comment."""

    kind: str
    name: str
    text: str

    @property
    def key(self) -> Name:
        """Its kind and name."""
        return self.kind, self.name

    @property
    def source(self) -> str:
        """The digest of its text."""
        return md5(self.text.encode(), usedforsecurity=False).hexdigest()


def in_schema(text: str, schema: str) -> str:
    """Rewrites SQL for tables in schema public to another schema."""
    if schema == DEFAULT_SCHEMA:
        return text
    return _PUBLIC.sub(f'"{schema}".', text)


def definitions(schema: str = DEFAULT_SCHEMA) -> list[Definition]:
    """All definitions, in the order in which they are created."""
    found = [
        Definition(kind, file.stem, in_schema(file.read_text(encoding="utf-8"), schema))
        for kind in ("function", "view")
        for file in sorted((SQL / f"{kind}s").glob("*.sql"))
    ]
    text = (SQL / "triggers.sql").read_text(encoding="utf-8")
    starts = [match.start() for match in _TRIGGER.finditer(text)]
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        match = _TRIGGER.match(text, start)
        assert match is not None
        name = f"{match[2]}.{match[1]}"
        found.append(Definition("trigger", name, in_schema(_without_trailing_comment(text[start:end]), schema)))
    return found


def _without_trailing_comment(text: str) -> str:
    """The text of a statement without the comment that introduces the next one."""
    return text[: text.rindex(";") + 1] + "\n"


def create_all_sql(schema: str) -> str:
    """SQL that creates and records all definitions in a database without any, for others to run."""
    wanted = definitions(schema)
    columns = zip(*[(each.kind, each.name, each.source) for each in wanted], strict=True)
    arrays = ["ARRAY['" + "', '".join(column) + "']" for column in columns]
    return (
        "SET LOCAL check_function_bodies = off;\n\n"
        + "\n".join(each.text for each in wanted)
        + _REMEMBER_ALL.format(*arrays)
        + f";\n{_REVOKE}"
    )


def drop_all_sql() -> str:
    """SQL that drops all definitions, whatever their version, for others to run."""
    drops = "\n".join(
        "    FOR dropped IN\n"
        # All views in one statement, because views may depend on each other; triggers one by one.
        f"        EXECUTE $query$SELECT string_agg(d.identity, ', ') FROM ({_DROPPED} AND c.kind = '{kind}') AS d "
        f"{'GROUP BY d.identity' if kind == 'trigger' else 'HAVING count(*) > 0'}$query$\n"
        "    LOOP\n"
        f"        EXECUTE 'DROP {kind.upper()} ' || dropped;\n"
        "    END LOOP;"
        for kind in _ORDER
    )
    return (
        "DO $$\nDECLARE\n    dropped text;\nBEGIN\n"
        "    IF to_regclass('contentq.definitions') IS NULL THEN\n        RETURN;\n    END IF;\n"
        f"{drops}\n    DELETE FROM contentq.definitions;\nEND;\n$$;\n"
    )


@dataclass(frozen=True)
class Found:
    """A function, view or trigger in the database."""

    identity: str
    oid: int
    version: str
    digest: str


class Installer:
    """Installs functions, views and triggers in one database, within the caller's transaction."""

    def __init__(self, connection: Connection, schema: str) -> None:
        self._connection = connection
        self._wanted = {each.key: each for each in definitions(schema)}
        self._grants: list[TupleRow] = []
        self.has_dropped = False
        """Whether drop_all() has dropped them, and create_all() must create them."""

    def drop_all(self) -> None:
        """Drops all definitions, so that tables can be changed; create_all() restores their grants."""
        if self.has_dropped:
            return
        self.has_dropped = True
        known, present = self._known(), self._present()
        self._grants = self._connection.execute(_GRANTS).fetchall()
        self._drop({key: self._own(key, known, present) for key in present})
        if self._has_table():
            self._execute("DELETE FROM contentq.definitions")

    def create_all(self) -> None:
        """Creates all definitions; none may exist."""
        self._create(self._wanted, {})
        self._revoke_from_public()
        self._restore_grants()

    def repair(self) -> list[str]:
        """Restores missing and changed definitions; returns what was done, one line each."""
        known, before = self._known(), self._present()
        wrong = [
            key
            for key, each in self._wanted.items()
            if key not in known
            or known[key][0] != each.source
            or known[key][1] not in [found.digest for found in before.get(key, [])]
        ]
        unwanted = [key for key in known if key not in self._wanted]
        changes = [
            f"revoked from PUBLIC the right to execute function {name}"
            for name in self._revoke_from_public()
            if ("function", name) not in wrong
        ]
        if not wrong and not unwanted:
            return changes
        self._grants = self._connection.execute(_GRANTS).fetchall()
        own = {key: self._own(key, known, before) for key in before}
        # Replacing keeps objects that depend on a definition; drop only what cannot be replaced.
        triggers = [key for key in wrong if key[0] == "trigger"]
        for dropped, created in ((triggers, wrong), (wrong, wrong), (list(before), list(self._wanted))):
            try:
                with self._connection.transaction():
                    self._drop({key: own[key] for key in {*dropped, *unwanted} if key in own})
                    self._forget(unwanted)
                    self._create(created, own)
                    self._revoke_from_public()
                    self._restore_grants()
                break
            except _CANNOT_BE_REPLACED:
                if created != wrong:
                    raise
        return [
            *changes,
            *self._describe_repairs(wrong, known, before, self._present()),
            *(f"dropped {kind} {name}" for kind, name in unwanted if own.get((kind, name))),
        ]

    def _describe_repairs(
        self,
        wrong: list[Name],
        known: dict[Name, tuple[str, str]],
        before: dict[Name, list[Found]],
        after: dict[Name, list[Found]],
    ) -> list[str]:
        """Describes the changes to these definitions; omits those that turned out to be equal."""
        lines = []
        for key in wrong:
            kind, name = key
            digests = {found.digest for found in before.get(key, [])}
            if key not in before:
                lines.append(f"created {kind} {name}")
            elif digests != {found.digest for found in after[key]}:
                is_of_this_version = key in known and known[key][0] == self._wanted[key].source
                lines.append(
                    f"restored {kind} {name}, which was changed"
                    if is_of_this_version
                    else f"updated {kind} {name}"
                )
        return lines

    def _own(self, key: Name, known: dict[Name, tuple[str, str]], present: dict[Name, list[Found]]) -> list[Found]:
        """Which objects of a name contentq has created; a host may have added functions with other arguments."""
        if (known and key not in known) or (not known and key not in self._wanted):
            return []
        found = present.get(key, [])
        return [each for each in found if key in known and each.digest == known[key][1]] or found

    def _drop(self, found: dict[Name, list[Found]]) -> None:
        for kind in _ORDER:
            names = [each.identity for key, entries in found.items() if key[0] == kind for each in entries]
            if kind == "trigger":
                for name in names:
                    self._execute(f"DROP TRIGGER {name}")
            elif names:
                self._execute(f"DROP {kind.upper()} {', '.join(names)}")

    def _create(self, names: Iterable[Name], own: dict[Name, list[Found]]) -> None:
        """Creates or replaces these; then drops versions of ours that had other arguments."""
        names = list(names)
        before = {(found.oid, found.version) for entries in self._present().values() for found in entries}
        self._execute("SET LOCAL check_function_bodies = off")
        for name in names:
            self._execute(self._wanted[name].text)
        after = self._present()
        made = {
            name: next(found for found in after[name] if (found.oid, found.version) not in before)
            for name in names
        }
        for name in names:
            ours = {found.oid for found in own.get(name, [])}
            # If ours was replaced in place, objects with other arguments belong to a host.
            if made[name].oid not in ours:
                self._drop({name: [found for found in after[name] if found.oid in ours]})
        self._connection.execute(
            _REMEMBER,
            [
                [kind for kind, _ in names],
                [name for _, name in names],
                [self._wanted[name].source for name in names],
                [made[name].digest for name in names],
            ],
        )

    def _forget(self, names: Iterable[Name]) -> None:
        for kind, name in names:
            self._connection.execute(
                "DELETE FROM contentq.definitions WHERE kind = %s AND name = %s", [kind, name]
            )

    def _revoke_from_public(self) -> list[str]:
        """Revokes EXECUTE on our functions from PUBLIC, because some run with their owner's rights.

        Returns the names of the functions that had it.
        """
        if not self._has_table():
            return []
        found = self._connection.execute(_EXPOSED.encode()).fetchall()
        if found:
            self._execute(f"REVOKE ALL ON FUNCTION {', '.join(row[1] for row in found)} FROM PUBLIC")
        return sorted(row[0] for row in found)

    def _restore_grants(self) -> None:
        """Restores earlier grants on objects with the same name, whatever their arguments are now.

        Grants to PUBLIC are not restored on functions.
        """
        known, present = self._known(), self._present()
        columns = set(self._connection.execute(_COLUMNS).fetchall())
        have = set(self._connection.execute(_GRANTS).fetchall())
        lost = [row for row in self._grants if row not in have]
        places = {
            (row[0], row[1]): own[0].identity
            for row in lost
            if (own := self._own((row[0], row[1]), known, present))
        }
        for kind, name, _, column, grantee, privilege, grantable in lost:
            place = places.get((kind, name), "")
            if not place or grantee is None or (column is not None and (place, column) not in columns):
                continue
            if kind == "function" and grantee == "-":
                continue
            target = f"FUNCTION {place}" if kind == "function" else place
            right = privilege if column is None else f'{privilege} ("{column}")'
            to = "PUBLIC" if grantee == "-" else grantee
            self._execute(f"GRANT {right} ON {target} TO {to}{' WITH GRANT OPTION' if grantable else ''}")

    def _known(self) -> dict[Name, tuple[str, str]]:
        """The stored digests, of source text and catalogue text."""
        if not self._has_table():
            return {}
        return {(row[0], row[1]): (row[2], row[3]) for row in self._connection.execute(_KNOWN)}

    def _present(self) -> dict[Name, list[Found]]:
        """The existing objects, by kind and name."""
        found: dict[Name, list[Found]] = {}
        for kind, name, identity, oid, version, digest in self._connection.execute(CATALOGUE):
            found.setdefault((kind, name), []).append(Found(identity, oid, version, digest))
        return found

    def _has_table(self) -> bool:
        row = self._connection.execute(_HAS_TABLE).fetchone()
        return row is not None and bool(row[0])

    def _execute(self, text: str) -> None:
        self._connection.execute(text.encode())
