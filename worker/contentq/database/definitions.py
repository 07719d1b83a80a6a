"""Functions, views and triggers: the files in sql/ are the only copy, and a migration installs them.

They are *repeatable*: no revision holds a copy of one. Table `contentq.definitions` remembers two digests of each:
of the text that it was created from, and of what the catalogue then said of it. So one that this version of
contentq defines differently can be told from one that someone has changed, and both from one that is in order.
Whatever else is in schema contentq is someone else's, and is left alone.
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
"""Kind (function, view or trigger) and name; a trigger's has its table before it."""

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
"""What there is: kind, name, how DROP names it, oid, version of its row, and a digest of definition and comment.
Several functions can have one name."""

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
"""Functions of contentq's own that PUBLIC may execute, as it may when they have just been created."""

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
"""Rights on functions, views and columns of views, where any were granted or revoked; no grantee: none is left."""

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
"""The same as Installer._revoke_from_public(), for someone else to run."""

_CANNOT_BE_REPLACED = (
    psycopg.errors.InvalidFunctionDefinition,
    psycopg.errors.InvalidTableDefinition,
    psycopg.errors.DependentObjectsStillExist,
    psycopg.errors.AmbiguousFunction,
)

_ORDER = ("trigger", "view", "function")
"""The order in which they are dropped; they are created in the reverse order."""


@dataclass(frozen=True)
class Definition:
    """One function, view or trigger: the text of its file, with the comment that belongs to it."""

    kind: str
    name: str
    text: str

    @property
    def key(self) -> Name:
        """What it is known by."""
        return self.kind, self.name

    @property
    def source(self) -> str:
        """Digest of its text."""
        return md5(self.text.encode(), usedforsecurity=False).hexdigest()


def in_schema(text: str, schema: str) -> str:
    """SQL that is written for tables in schema public, for tables in another schema."""
    if schema == DEFAULT_SCHEMA:
        return text
    return _PUBLIC.sub(f'"{schema}".', text)


def definitions(schema: str = DEFAULT_SCHEMA) -> list[Definition]:
    """All of them, in the order in which they are created."""
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
    """A statement's text without the comment lines that introduce the next one."""
    return text[: text.rindex(";") + 1] + "\n"


def create_all_sql(schema: str) -> str:
    """SQL that creates all of them in a database that has none, and remembers them; for someone else to run."""
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
    """SQL that drops all that were created, whatever their version; for someone else to run."""
    drops = "\n".join(
        "    FOR dropped IN\n"
        # All views at once, since one may read another; a statement drops one trigger.
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
    """One function, view or trigger as it is in the database."""

    identity: str
    oid: int
    version: str
    digest: str


class Installer:
    """Installs the functions, views and triggers in one database, in a transaction of the caller's."""

    def __init__(self, connection: Connection, schema: str) -> None:
        self._connection = connection
        self._wanted = {each.key: each for each in definitions(schema)}
        self._grants: list[TupleRow] = []
        self.has_dropped = False
        """Whether drop_all() has dropped them, so that create_all() is to create them."""

    def drop_all(self) -> None:
        """Drops all of them, so that tables can be changed; create_all() gives back what was granted on them."""
        if self.has_dropped:
            return
        self.has_dropped = True
        known, present = self._known(), self._present()
        self._grants = self._connection.execute(_GRANTS).fetchall()
        self._drop({key: self._own(key, known, present) for key in present})
        if self._has_table():
            self._execute("DELETE FROM contentq.definitions")

    def create_all(self) -> None:
        """Creates all of them; there is none."""
        self._create(self._wanted, {})
        self._revoke_from_public()
        self._give_back_grants()

    def repair(self) -> list[str]:
        """Restores what is missing or was changed; says what, one line each."""
        known, before = self._known(), self._present()
        wrong = [
            key
            for key, each in self._wanted.items()
            if key not in known
            or known[key][0] != each.source
            or known[key][1] not in [found.digest for found in before.get(key, [])]
        ]
        unwanted = [key for key in known if key not in self._wanted]
        said = [
            f"revoked from PUBLIC the right to execute function {name}"
            for name in self._revoke_from_public()
            if ("function", name) not in wrong
        ]
        if not wrong and not unwanted:
            return said
        self._grants = self._connection.execute(_GRANTS).fetchall()
        own = {key: self._own(key, known, before) for key in before}
        # What can be is replaced, so that what a host has built on it stays; the rest has to be dropped first.
        triggers = [key for key in wrong if key[0] == "trigger"]
        for dropped, created in ((triggers, wrong), (wrong, wrong), (list(before), list(self._wanted))):
            try:
                with self._connection.transaction():
                    self._drop({key: own[key] for key in {*dropped, *unwanted} if key in own})
                    self._forget(unwanted)
                    self._create(created, own)
                    self._revoke_from_public()
                    self._give_back_grants()
                break
            except _CANNOT_BE_REPLACED:
                if created != wrong:
                    raise
        return [
            *said,
            *self._told(wrong, known, before, self._present()),
            *(f"dropped {kind} {name}" for kind, name in unwanted if own.get((kind, name))),
        ]

    def _told(
        self,
        wrong: list[Name],
        known: dict[Name, tuple[str, str]],
        before: dict[Name, list[Found]],
        after: dict[Name, list[Found]],
    ) -> list[str]:
        """What became of those that were not in order; nothing of those that turned out to be the same."""
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
        """Which of those of a name contentq has created: a host may have added one with other arguments."""
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
        """Creates or replaces them, and drops those of our own that one with other arguments has replaced."""
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
            # Where one was replaced in its place, it was ours, and what has other arguments is a host's.
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
        """Takes from PUBLIC the right to execute our functions, some of which run with their owner's rights.

        Returns the names of those that had it.
        """
        if not self._has_table():
            return []
        found = self._connection.execute(_EXPOSED.encode()).fetchall()
        if found:
            self._execute(f"REVOKE ALL ON FUNCTION {', '.join(row[1] for row in found)} FROM PUBLIC")
        return sorted(row[0] for row in found)

    def _give_back_grants(self) -> None:
        """Grants what was granted before, on those that have the same name now and whatever arguments.

        Not to PUBLIC, which may execute no function.
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
        """The digests that were remembered: of the text, and of what the catalogue said."""
        if not self._has_table():
            return {}
        return {(row[0], row[1]): (row[2], row[3]) for row in self._connection.execute(_KNOWN)}

    def _present(self) -> dict[Name, list[Found]]:
        """What there is, by kind and name."""
        found: dict[Name, list[Found]] = {}
        for kind, name, identity, oid, version, digest in self._connection.execute(CATALOGUE):
            found.setdefault((kind, name), []).append(Found(identity, oid, version, digest))
        return found

    def _has_table(self) -> bool:
        row = self._connection.execute(_HAS_TABLE).fetchone()
        return row is not None and bool(row[0])

    def _execute(self, text: str) -> None:
        self._connection.execute(text.encode())
