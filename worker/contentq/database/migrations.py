"""Bringing the schema of a database to a revision.

The revisions are alembic's, in alembic/versions/; each only names the SQL files that it runs, in
sql/migrations/. Alembic's version table is contentq.alembic_version, so that a host application's own
history is left alone.
"""

from __future__ import annotations

import io
import re
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

from contentq.database import dsn as dsns
from contentq.database.connect import connect
from contentq.database.locations import ALEMBIC, SQL
from contentq.database.revisions import current_revision, newer
from contentq.errors import ContentQueueError

VERSION_TABLE = "alembic_version"
VERSION_SCHEMA = "contentq"

DEFAULT_LOCK_TIMEOUT = 5.0
"""Seconds that a statement of a migration may wait for a lock before the migration gives up."""

_ADVISORY_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('contentq.migrate', 0))"
_CREATE_SCHEMA = (
    "CREATE SCHEMA IF NOT EXISTS contentq;\n"
    "COMMENT ON SCHEMA contentq IS 'The machinery of the queue in public.content_generation_tasks.';"
)
_PLAIN_SQL = {"no_parameters": True}
"""Execution option: the text goes to the server as it is, % and : included, any number of statements."""


def migrate(
    dsn: str, revision: str = "head", lock_timeout: float = DEFAULT_LOCK_TIMEOUT
) -> tuple[str | None, str | None]:
    """Brings the database to a revision, forwards or backwards; returns (revision before, revision after).

    revision: "head", "base" or a number such as 0001. lock_timeout: seconds. Two calls at once wait for each
    other. Raises ContentQueueError with nothing changed, since all of it is one transaction.
    """
    script = ScriptDirectory.from_config(_config())
    target = _known(script, revision)
    with connect(dsn, "contentq migrate") as connection:
        before = current_revision(connection)
    if before is not None and before not in _revisions(script):
        raise newer(before)
    config = _config()
    config.attributes["dsn"] = dsn
    config.attributes["lock_timeout"] = lock_timeout
    # Which way to go is decided under the lock, so that two migrations at once do not both go.
    config.attributes["target"] = target
    try:
        with EnvironmentContext(config, script, fn=_steps_to(script, target)):
            script.run_env()
    except sqlalchemy.exc.DBAPIError as error:
        raise _explained(error, lock_timeout) from error
    with connect(dsn, "contentq migrate") as connection:
        return before, current_revision(connection)


def migration_sql(revision: str = "head", start: str = "base") -> str:
    """The SQL that migrates from one revision to another, for someone else to read and run."""
    printed = io.StringIO()
    config = _config(printed)
    script = ScriptDirectory.from_config(config)
    start, target = _known(script, start), _known(script, revision)
    order = ["base", *_revisions(script)]
    try:
        if order.index(target) >= order.index(start):
            command.upgrade(config, f"{start}:{target}" if start != "base" else target, sql=True)
        else:
            command.downgrade(config, f"{start}:{target}", sql=True)
    except CommandError as error:
        raise ContentQueueError(str(error)) from error
    return printed.getvalue()


def run_sql(name: str) -> None:
    """Runs a file of sql/migrations/ in the migration under way; for the revisions."""
    text = (SQL / "migrations" / name).read_text(encoding="utf-8")
    context = _migration_context()
    if context.as_sql:
        context.impl.static_output(text.rstrip() + "\n")
    else:
        _execute(context.connection, text)


def run_revisions(environment: Any) -> None:
    """Runs the revisions that alembic asks for, in one transaction, waiting for any other migration."""
    attributes = environment.config.attributes
    dsn = attributes.get("dsn") or dsns.resolve()
    engine = sqlalchemy.create_engine(
        "postgresql+psycopg://",
        creator=lambda: _plain_connection(dsn),
        poolclass=sqlalchemy.pool.NullPool,
    )
    lock_timeout = attributes.get("lock_timeout", DEFAULT_LOCK_TIMEOUT)
    with engine.connect() as connection, connection.begin():
        _execute(connection, _ADVISORY_LOCK)
        _execute(connection, f"SET LOCAL lock_timeout = {int(lock_timeout * 1000)}")
        schema_exists = connection.exec_driver_sql("SELECT to_regnamespace('contentq') IS NOT NULL").scalar()
        if not schema_exists:
            _execute(connection, _CREATE_SCHEMA)
        environment.configure(
            connection=connection, version_table=VERSION_TABLE, version_table_schema=VERSION_SCHEMA
        )
        environment.run_migrations()


def print_revisions(environment: Any) -> None:
    """Prints the SQL of the revisions that alembic asks for, as one transaction."""
    environment.configure(
        dialect_name="postgresql",
        version_table=VERSION_TABLE,
        version_table_schema=VERSION_SCHEMA,
        output_buffer=environment.config.output_buffer,
    )
    with environment.begin_transaction():
        environment.get_context().impl.static_output(_CREATE_SCHEMA)
        environment.run_migrations()


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
            f"there is no schema revision {revision!r}; there are base, {', '.join(order)} and head"
        )
    return revision


def _config(output: io.StringIO | None = None) -> Config:
    config = Config(stdout=io.StringIO(), output_buffer=output)
    config.set_main_option("script_location", str(ALEMBIC).replace("%", "%%"))
    return config


def _plain_connection(dsn: str) -> psycopg.Connection[TupleRow]:
    connection = connect(dsn, "contentq migrate")
    connection.autocommit = False
    return connection


def _execute(connection: sqlalchemy.Connection | None, text: str) -> None:
    assert connection is not None
    connection.execution_options(**_PLAIN_SQL).exec_driver_sql(text)


def _migration_context() -> MigrationContext:
    from alembic import op

    context: MigrationContext = op.get_context()
    return context


def _explained(error: sqlalchemy.exc.DBAPIError, lock_timeout: float) -> ContentQueueError:
    cause = error.orig
    if isinstance(cause, psycopg.errors.LockNotAvailable):
        return ContentQueueError(
            f"the migration waited {lock_timeout:g} seconds for a lock that another session holds and gave up, "
            "with nothing changed; run it again when that session has ended, or with a longer --lock-timeout"
        )
    if isinstance(cause, psycopg.Error) and cause.diag.message_primary:
        parts = [cause.diag.message_primary, cause.diag.message_hint or ""]
        text = ". ".join(re.sub(r"\.$", "", part) for part in parts if part)
        return ContentQueueError(f"the migration stopped, with nothing changed: {text}")
    return ContentQueueError(f"the migration stopped, with nothing changed: {cause}")
