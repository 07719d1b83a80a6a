"""Functions, views and triggers: the files in sql/ are the only copy, and a migration installs them.

They are *repeatable*: no revision holds a copy of one. Table `contentq.definitions` remembers two digests of each:
of the text that it was created from, and of what the catalogue then said of it. So one that this version of
contentq defines differently can be told from one that someone has changed, and both from one that is in order.
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
    SELECT 'function' AS kind, p.proname::text AS name, p.oid::regprocedure::text AS identity,
           md5(pg_get_functiondef(p.oid) || coalesce(obj_description(p.oid, 'pg_proc'), '')) AS digest
    FROM pg_proc AS p
    WHERE p.pronamespace = to_regnamespace('contentq')
      AND p.prokind = 'f'
    UNION ALL
    SELECT 'view', c.relname, c.oid::regclass::text,
           md5(concat_ws('|', pg_get_viewdef(c.oid), c.reloptions, obj_description(c.oid, 'pg_class')))
    FROM pg_class AS c
    WHERE c.relnamespace = to_regnamespace('contentq')
      AND c.relkind = 'v'
    UNION ALL
    SELECT 'trigger', c.relname || '.' || t.tgname, concat(quote_ident(t.tgname), ' ON ', t.tgrelid::regclass),
           md5(concat_ws('|', pg_get_triggerdef(t.oid), t.tgenabled, obj_description(t.oid, 'pg_trigger')))
    FROM pg_trigger AS t
    JOIN pg_class AS c ON c.oid = t.tgrelid
    JOIN pg_proc AS p ON p.oid = t.tgfoid
    WHERE p.pronamespace = to_regnamespace('contentq')
      AND NOT t.tgisinternal"""
"""What there is: kind, name, how DROP names it, and a digest of its definition and comment."""

_KNOWN = "SELECT kind, name, source, installed FROM contentq.definitions"
_HAS_TABLE = "SELECT to_regclass('contentq.definitions') IS NOT NULL"
_REMEMBER = f"""
    INSERT INTO contentq.definitions AS d (kind, name, source, installed)
    SELECT c.kind, c.name, u.source, c.digest
    FROM ({CATALOGUE}) AS c
    JOIN unnest(%s::text[], %s::text[], %s::text[]) AS u (kind, name, source)
        ON u.kind = c.kind AND u.name = c.name
    ON CONFLICT ON CONSTRAINT definitions_pkey DO UPDATE
    SET source = excluded.source,
        installed = excluded.installed"""

_GRANTS = """
    SELECT o.kind, o.name, a.grantee::regrole::text, a.privilege_type, a.is_grantable
    FROM (
        SELECT 'function' AS kind, p.proname::text AS name, p.proacl AS acl, p.proowner AS owner
        FROM pg_proc AS p
        WHERE p.pronamespace = to_regnamespace('contentq')
        UNION ALL
        SELECT 'view', c.relname, c.relacl, c.relowner
        FROM pg_class AS c
        WHERE c.relnamespace = to_regnamespace('contentq')
          AND c.relkind = 'v'
    ) AS o
    CROSS JOIN LATERAL aclexplode(o.acl) AS a
    WHERE a.grantee <> o.owner"""
"""Rights that were granted on functions and views; those that had none granted or revoked are not in it."""

_BLOCK_ACCOUNTS = """
    SELECT contentq.block_account(a.id)
    FROM contentq.accounts AS a
    WHERE a.paused_until IS NOT NULL
       OR a.monthly_budget IS NOT NULL"""
"""Accounts that were paused, or had a budget, before there were triggers."""

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
        + _REMEMBER.replace("%s", "{}").format(*arrays)
        + f";\n{_BLOCK_ACCOUNTS};\n"
    )


def drop_all_sql() -> str:
    """SQL that drops all of them, whatever their version; for someone else to run."""
    loops = "\n".join(
        f"    FOR identity IN SELECT c.identity FROM ({CATALOGUE}) AS c WHERE c.kind = '{kind}' LOOP\n"
        f"        EXECUTE 'DROP {kind.upper()} ' || identity;\n"
        "    END LOOP;"
        for kind in _ORDER
    )
    return f"DO $$\nDECLARE\n    identity text;\nBEGIN\n{loops}\nEND;\n$$;\n"


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
        self._grants = self._connection.execute(_GRANTS).fetchall()
        known = self._known()
        present = self._present()
        for kind in _ORDER:
            names = [
                identity
                for key, (identity, _) in present.items()
                if key[0] == kind and (key in known or key in self._wanted)
            ]
            if kind == "trigger":
                for name in names:
                    self._execute(f"DROP TRIGGER {name}")
            elif names:
                self._execute(f"DROP {kind.upper()} {', '.join(names)}")
        if self._has_table():
            self._execute("DELETE FROM contentq.definitions")

    def create_all(self) -> None:
        """Creates all of them; there is none."""
        self._create(self._wanted.values())
        self._give_back_grants()
        self._execute(_BLOCK_ACCOUNTS)

    def repair(self) -> list[str]:
        """Restores what is missing or was changed; says what, one line each."""
        known, present = self._known(), self._present()
        missing = [key for key in self._wanted if key not in present]
        outdated = [
            key
            for key, each in self._wanted.items()
            if key in present and (key not in known or known[key][0] != each.source)
        ]
        changed = [
            key
            for key in self._wanted
            if key in present and key not in outdated and known[key][1] != present[key][1]
        ]
        unwanted = [key for key in present if key in known and key not in self._wanted]
        if not (missing or outdated or changed or unwanted):
            return []
        try:
            with self._connection.transaction():
                for kind, name in unwanted:
                    self._execute(f"DROP {kind.upper()} {present[kind, name][0]}")
                self._forget(unwanted)
                wrong = {*missing, *outdated, *changed}
                for key in wrong:
                    if key[0] == "trigger" and key in present:
                        self._execute(f"DROP TRIGGER {present[key][0]}")
                self._create([each for key, each in self._wanted.items() if key in wrong])
        except _CANNOT_BE_REPLACED:
            self.drop_all()
            self.create_all()
        return [
            *(f"created {kind} {name}" for kind, name in missing),
            *(f"updated {kind} {name}" for kind, name in outdated),
            *(f"restored {kind} {name}, which was changed" for kind, name in changed),
            *(f"dropped {kind} {name}" for kind, name in unwanted),
        ]

    def _create(self, wanted: Iterable[Definition]) -> None:
        wanted = list(wanted)
        self._execute("SET LOCAL check_function_bodies = off")
        for each in wanted:
            self._execute(each.text)
        values = [[each.kind for each in wanted], [each.name for each in wanted], [each.source for each in wanted]]
        self._connection.execute(_REMEMBER, values)

    def _forget(self, names: Iterable[Name]) -> None:
        for kind, name in names:
            self._connection.execute(
                "DELETE FROM contentq.definitions WHERE kind = %s AND name = %s", [kind, name]
            )

    def _give_back_grants(self) -> None:
        present = self._present()
        granted = [row for row in self._grants if (row[0], row[1]) in present]
        for kind, name in {(row[0], row[1]) for row in granted if row[0] == "function"}:
            self._execute(f"REVOKE ALL ON FUNCTION {present[kind, name][0]} FROM PUBLIC")
        for kind, name, grantee, privilege, grantable in granted:
            target = f"FUNCTION {present[kind, name][0]}" if kind == "function" else present[kind, name][0]
            to = "PUBLIC" if grantee == "-" else grantee
            self._execute(f"GRANT {privilege} ON {target} TO {to}{' WITH GRANT OPTION' if grantable else ''}")
        self._grants = []

    def _known(self) -> dict[Name, tuple[str, str]]:
        """The digests that were remembered: of the text, and of what the catalogue said."""
        if not self._has_table():
            return {}
        return {(row[0], row[1]): (row[2], row[3]) for row in self._connection.execute(_KNOWN)}

    def _present(self) -> dict[Name, tuple[str, str]]:
        """What there is: how DROP names it, and its digest."""
        return {(row[0], row[1]): (row[2], row[3]) for row in self._connection.execute(CATALOGUE)}

    def _has_table(self) -> bool:
        row = self._connection.execute(_HAS_TABLE).fetchone()
        return row is not None and bool(row[0])

    def _execute(self, text: str) -> None:
        self._connection.execute(text.encode())
