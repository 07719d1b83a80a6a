"""Migrates the schema of a database to a revision.

Two kinds of SQL make up the schema. *Table steps* are alembic revisions in alembic/versions/; each runs its SQL
files in sql/migrations/. Functions, views and triggers are *repeatable* (see definitions.py): after the table
steps, those of this version of contentq are installed. The whole migration is one transaction.

Alembic's version table is contentq.alembic_version, so that it does not affect a host application's own history.
"""

from __future__ import annotations

import io
import re
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy
from alembic import command
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from psycopg.rows import TupleRow

from contentq.database import definitions
from contentq.database import dsn as dsns
from contentq.database.blockers import watching
from contentq.database.comments import remove_comments_sql, restore_comments, write_comments_sql
from contentq.database.connect import connect
from contentq.database.definitions import DEFAULT_SCHEMA, Installer, in_schema
from contentq.database.grants import apply_grants, remove_grants, remove_grants_sql
from contentq.database.host_tables import (
    SCHEMA_COMMENT,
    choose_schema,
    collect_notes,
    create_schema_sql,
    describe_taken_over,
    describe_tasks_taken_over,
)
from contentq.database.locations import ALEMBIC, SQL
from contentq.database.migration_errors import cause_of, explain
from contentq.database.revisions import current_revision, known_revisions, newer, tables_schema
from contentq.database.row_security import keep_row_security
from contentq.errors import ContentQueueError

VERSION_TABLE = "alembic_version"
VERSION_SCHEMA = "contentq"

DEFAULT_LOCK_TIMEOUT = 5.0
"""Seconds that a statement of a migration waits for a lock before the migration gives up."""

_CREATE_MACHINERY = """
CREATE SCHEMA IF NOT EXISTS contentq;
COMMENT ON SCHEMA contentq IS 'The machinery of the queue.';
"""
_CREATE_VERSION_TABLE = """
CREATE TABLE IF NOT EXISTS contentq.alembic_version (
    version_num varchar(32) NOT NULL,
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
"""
_SEARCH_PATH = "SET LOCAL search_path = pg_catalog, pg_temp;\n"
_LOCK = "LOCK TABLE contentq.alembic_version IN EXCLUSIVE MODE;\n"
"""Makes concurrent migrations wait for each other. Users with read access only cannot hold this lock."""

_OWNER = """
    SELECT pg_catalog.pg_backend_pid(), pg_catalog.pg_get_userbyid(coalesce(
        (SELECT n.nspowner FROM pg_catalog.pg_namespace AS n WHERE n.nspname = 'contentq'),
        (SELECT d.datdba FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database())))"""
"""The backend process id, and the user who may migrate: the owner of schema contentq, else of the database."""

_STRANGER = """
    SELECT o.rolname, pg_catalog.quote_ident(o.rolname)
    FROM pg_catalog.pg_namespace AS n
    JOIN pg_catalog.pg_roles AS o ON o.oid = n.nspowner
    JOIN pg_catalog.pg_roles AS me ON me.rolname = current_user
    JOIN pg_catalog.pg_database AS d ON d.datname = pg_catalog.current_database()
    WHERE n.nspname = 'contentq'
      AND me.rolsuper
      AND NOT o.rolsuper
      AND o.oid <> d.datdba"""
"""The owner of schema contentq, if this user is a superuser who would run that owner's code."""

_FORGET = """
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM contentq.alembic_version) THEN
        DROP TABLE contentq.alembic_version;
        IF NOT EXISTS (SELECT FROM pg_class WHERE relnamespace = 'contentq'::regnamespace)
            AND NOT EXISTS (SELECT FROM pg_proc WHERE pronamespace = 'contentq'::regnamespace)
        THEN
            DROP SCHEMA contentq;
        END IF;
        IF obj_description(to_regnamespace('{schema}'), 'pg_namespace') = '{comment}'
            AND NOT EXISTS (SELECT FROM pg_class WHERE relnamespace = to_regnamespace('{schema}'))
        THEN
            DROP SCHEMA {schema};
        END IF;
    END IF;
END;
$$;
"""
"""Removes everything of contentq from a database that was downgraded to base."""

_PLAIN_SQL = {"no_parameters": True}
"""Execution option: sends the text unchanged, including % and :, with any number of statements."""


@dataclass
class Migrated:
    """The result of a migration."""

    before: str | None = None
    """The revision before; None if the database was not migrated."""

    after: str | None = None
    """The revision after; None if everything of contentq was removed."""

    changes: list[str] = field(default_factory=list)
    """What was adopted, created, updated or restored, one line each; empty if nothing had to be changed."""

    notes: list[str] = field(default_factory=list)
    """Further notes for the user, one line each."""


def migrate(
    dsn: str,
    revision: str = "head",
    lock_timeout: float = DEFAULT_LOCK_TIMEOUT,
    *,
    schema: str | None = None,
) -> Migrated:
    """Migrates the database to a revision, up or down, and updates its functions, views and triggers.

    revision: "head", "base" or a number such as 0001. lock_timeout: seconds. schema: for the tables accounts,
    contents and content_generation_tasks; default: the existing one, else public. Concurrent calls wait for each
    other. At the head, missing and changed objects are restored. The migration is one transaction. Raises
    ContentQueueError; then nothing was changed.
    """
    script = ScriptDirectory.from_config(_config())
    target = _known(script, revision)
    done = Migrated()
    config = _config()
    config.attributes.update(dsn=dsn, lock_timeout=lock_timeout, schema=schema, done=done, target=target)
    for attempt in (1, 2):
        try:
            with EnvironmentContext(config, script, fn=_steps_to(script, target)):
                script.run_env()
            break
        except (sqlalchemy.exc.DBAPIError, psycopg.Error) as error:
            # Another migration has just created the schema; the second attempt waits for it.
            if not (attempt == 1 and isinstance(cause_of(error), psycopg.errors.UniqueViolation)):
                raise explain(error, config.attributes) from error
    return done


def migration_sql(revision: str = "head", start: str = "base", schema: str | None = None) -> str:
    """Returns the SQL that migrates from one revision to another, for others to read and run."""
    printed = io.StringIO()
    config = _config(printed)
    config.attributes["schema"] = schema
    script = ScriptDirectory.from_config(config)
    start, target = _known(script, start), _known(script, revision)
    config.attributes["target"] = target
    order = ["base", *_revisions(script)]
    try:
        if order.index(target) >= order.index(start):
            command.upgrade(config, f"{start}:{target}" if start != "base" else target, sql=True)
        else:
            command.downgrade(config, f"{start}:{target}", sql=True)
    except CommandError as error:
        raise ContentQueueError(str(error)) from error
    return printed.getvalue()


def run_step(revision_file: str, way: str) -> None:
    """Runs the table step of a revision, "up" or "down", in the current migration; called by the revisions.

    Before the first step, functions, views and triggers are dropped, because they may depend on the tables.
    """
    text = (SQL / "migrations" / f"{Path(revision_file).stem}.{way}.sql").read_text(encoding="utf-8")
    context = _migration_context()
    environment = context.environment_context
    assert environment is not None
    assert environment.config is not None
    attributes = environment.config.attributes
    text = in_schema(text, attributes["schema"])
    if context.as_sql:
        context.impl.static_output(text.rstrip() + "\n")
    else:
        attributes["installer"].drop_all()
        if way == "down":
            _execute(context.connection, remove_comments_sql(attributes["schema"]))
        _execute(context.connection, text)


def run_revisions(environment: Any) -> None:
    """Runs the revisions that alembic requests, in one transaction; waits for other migrations."""
    attributes = environment.config.attributes
    dsn = attributes.get("dsn") or dsns.resolve(environment.config.get_main_option("sqlalchemy.url"))
    engine = sqlalchemy.create_engine(
        "postgresql+psycopg://",
        creator=lambda: _transactional_connection(dsn),
        poolclass=sqlalchemy.pool.NullPool,
        # SQLAlchemy would look up the type with operators before the search_path is set behind a pooler.
        use_native_hstore=False,
    )
    lock_timeout = attributes.setdefault("lock_timeout", DEFAULT_LOCK_TIMEOUT)
    with ExitStack() as opened:
        connection = opened.enter_context(engine.connect())
        # Matches the search_path, which is not yet set behind a pooler when SQLAlchemy asks for it.
        connection.dialect.default_schema_name = "pg_catalog"
        opened.enter_context(connection.begin())
        _execute(connection, f"SET LOCAL lock_timeout = {int(lock_timeout * 1000)};\n{_SEARCH_PATH}")
        raw: Any = connection.connection.dbapi_connection
        pid, attributes["owner"] = raw.execute(_OWNER).fetchone()
        _refuse_stranger(raw)
        attributes["blockers"] = opened.enter_context(watching(dsn, pid, lock_timeout))
        schema = _begin(raw, _wanted_schema(environment))
        attributes["schema"] = schema
        attributes["installer"] = installer = Installer(raw, schema)
        environment.configure(
            connection=connection,
            version_table=VERSION_TABLE,
            version_table_schema=VERSION_SCHEMA,
            process_revision_directives=_write_step_files,
            target_metadata=_metadata(schema),
            include_schemas=True,
            include_name=lambda name, kind, _parents: kind != "schema" or name == schema,
            include_object=_is_in_the_models,
            compare_server_default=True,
        )
        done = attributes.get("done") or Migrated()
        done.before = current_revision(raw)
        known = _revisions(ScriptDirectory.from_config(environment.config))
        if done.before is not None and done.before not in known:
            raise newer(done.before)
        environment.run_migrations()
        done.after = current_revision(raw)
        if done.after is None:
            if done.before is not None:
                done.notes += remove_grants(raw, schema)
            _execute(connection, _FORGET.format(schema=schema, comment=SCHEMA_COMMENT))
        elif done.after == known[-1] and _is_asked_to_migrate(environment):
            if installer.has_dropped:
                installer.create_all()
                restore_comments(raw, schema)
                done.changes += describe_taken_over(raw)
                done.notes += describe_tasks_taken_over(raw)
            else:
                done.changes += installer.repair()
                done.changes += restore_comments(raw, schema)
            done.changes += apply_grants(raw, schema)
            done.changes += keep_row_security(raw)
            done.notes += collect_notes(raw)


def _refuse_stranger(connection: psycopg.Connection[TupleRow]) -> None:
    """Raises ContentQueueError if a superuser would use a schema contentq that another user has prepared.

    A user who can create schemas could have created it with views and triggers that a superuser would then run.
    """
    found = connection.execute(_STRANGER).fetchone()
    if found is not None:
        name, quoted = found
        raise ContentQueueError(
            f"schema contentq belongs to {name}, who is neither a superuser nor the owner of the database; its "
            "code would run with a superuser's rights. Nothing was changed. Run contentq migrate as "
            f"{name}, or, if you trust {name} with all your rights: "
            f"ALTER DATABASE {connection.info.dbname} OWNER TO {quoted}"
        )


def _metadata(schema: str) -> sqlalchemy.MetaData:
    """The tables of the models in their schema, for `alembic check`."""
    from contentq.models import Base

    metadata = sqlalchemy.MetaData()
    for table in Base.metadata.tables.values():
        table.to_metadata(metadata, schema=schema)
    return metadata


def _is_in_the_models(
    _thing: object, _name: str | None, _kind: str, reflected: bool, compare_to: object | None
) -> bool:
    """Ignores other objects of the database, which belong to a host or to schema contentq."""
    return not (reflected and compare_to is None)


def _is_asked_to_migrate(environment: Any) -> bool:
    """Whether alembic was called to migrate, rather than to show something or to create a revision."""
    if "target" in environment.config.attributes:
        return True
    try:
        environment.get_revision_argument()
    except KeyError:
        return False
    return True


def _write_step_files(context: MigrationContext, _heads: Any, directives: list[Any]) -> None:
    """Gives a new revision of `alembic revision` the next number, and creates its SQL files."""
    environment = context.environment_context
    options = environment.config.cmd_opts if environment is not None and environment.config is not None else None
    if not hasattr(options, "message"):
        return  # alembic check creates no revision
    for directive in directives:
        if not directive.upgrade_ops.is_empty():
            raise ContentQueueError(
                "contentq's revisions are written in SQL: run alembic revision -m 'what changes', without "
                "--autogenerate"
            )
        slug = "_".join(re.findall(r"\w+", directive.message or "")).lower()
        if not slug:
            raise ContentQueueError("the revision has no message: run alembic revision -m 'what changes'")
        directive.rev_id = f"{int(known_revisions()[-1]) + 1:04}"
        for way, what in (("up", directive.message), ("down", "undone")):
            name = f"{directive.rev_id}_{slug}.{way}.sql"
            (SQL / "migrations" / name).write_text(f"-- {directive.rev_id}: {what}.\n", encoding="utf-8")


def _begin(connection: psycopg.Connection[TupleRow], wanted: str | None) -> str:
    """Locks out other migrations; returns the schema of the tables."""
    choose_schema(wanted, tables_schema(connection))
    connection.execute((_CREATE_MACHINERY + _CREATE_VERSION_TABLE + _LOCK).encode())
    # Decided under the lock, because another migration may have created the tables meanwhile.
    known = tables_schema(connection)
    schema = choose_schema(wanted, known)
    if known is None and schema != DEFAULT_SCHEMA:
        exists = connection.execute("SELECT to_regnamespace(%s) IS NOT NULL", [schema]).fetchone()
        if exists is not None and not exists[0]:
            connection.execute(create_schema_sql(schema).encode())
    return schema


def print_revisions(environment: Any) -> None:
    """Prints the SQL of the revisions that alembic requests, as one transaction."""
    attributes = environment.config.attributes
    schema = choose_schema(_wanted_schema(environment), None)
    attributes["schema"] = schema
    script = ScriptDirectory.from_config(environment.config)
    target = attributes.get("target") or environment.get_revision_argument()
    environment.configure(
        dialect_name="postgresql",
        version_table=VERSION_TABLE,
        version_table_schema=VERSION_SCHEMA,
        output_buffer=environment.config.output_buffer,
    )
    print_sql = environment.get_context().impl.static_output
    with environment.begin_transaction():
        print_sql(_SEARCH_PATH + _CREATE_MACHINERY)
        if schema != DEFAULT_SCHEMA:
            print_sql(create_schema_sql(schema))
        print_sql(definitions.drop_all_sql() + remove_comments_sql(schema))
        environment.run_migrations()
        if target == _revisions(script)[-1] or target == "head":
            print_sql(definitions.create_all_sql(schema) + write_comments_sql(schema))
        elif target in (None, "base"):
            print_sql(remove_grants_sql(schema) + _FORGET.format(schema=schema, comment=SCHEMA_COMMENT))


def _wanted_schema(environment: Any) -> str | None:
    """The schema given to migrate(), or with `alembic -x schema=NAME`."""
    named: str | None = environment.config.attributes.get("schema")
    given: dict[str, str] = environment.get_x_argument(as_dictionary=True)
    return named or given.get("schema")


def _require_utf8(connection: psycopg.Connection[TupleRow]) -> None:
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise ContentQueueError(
            f"the database has the encoding {encoding}, but contentq needs UTF8 to store texts in any language; "
            "nothing was changed. Use a database created with: CREATE DATABASE ... ENCODING 'UTF8' "
            "TEMPLATE template0"
        )


def _steps_to(script: ScriptDirectory, target: str) -> Any:
    def steps(current: str | tuple[str, ...], _context: MigrationContext) -> Any:
        order = ["base", *_revisions(script)]
        here = current[0] if isinstance(current, tuple) and current else current or "base"
        if order.index(target) >= order.index(str(here)):
            return script._upgrade_revs(target, current)  # type: ignore[arg-type]
        return script._downgrade_revs(target, current)  # type: ignore[arg-type]

    return steps


def _revisions(script: ScriptDirectory) -> list[str]:
    """All revisions, oldest first."""
    return [found.revision for found in script.walk_revisions()][::-1]


def _known(script: ScriptDirectory, revision: str) -> str:
    order = _revisions(script)
    if revision == "head":
        return order[-1]
    if revision != "base" and revision not in order:
        raise ContentQueueError(
            f"there is no schema revision {revision!r}; the revisions are base, {', '.join(order)} and head"
        )
    return revision


def _config(output: io.StringIO | None = None) -> Config:
    config = Config(stdout=io.StringIO(), output_buffer=output)
    config.set_main_option("script_location", str(ALEMBIC).replace("%", "%%"))
    return config


def _transactional_connection(dsn: str) -> psycopg.Connection[TupleRow]:
    connection = connect(dsn, "contentq migrate")
    try:
        _require_utf8(connection)
    except ContentQueueError:
        connection.close()
        raise
    connection.autocommit = False
    return connection


def _execute(connection: sqlalchemy.Connection | None, text: str) -> None:
    assert connection is not None
    connection.execution_options(**_PLAIN_SQL).exec_driver_sql(text)


def _migration_context() -> MigrationContext:
    from alembic import op

    context: MigrationContext = op.get_context()
    return context
