"""`alembic revision --autogenerate` in the project of a host, as the host runs it."""

from __future__ import annotations

import ast
import os
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import contentq
import psycopg
import pytest

from tests.support.forked import ALEMBIC
from tests.support.hosts import LARGE_KEYS, SMALL_KEYS, adopt

pytestmark = pytest.mark.slow

ENV = """
    import contentq, os, psycopg
    from alembic import context
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool
    import host

    engine = create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(os.environ["HOST_DSN"]), poolclass=NullPool
    )
    with engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=host.target_metadata,
            compare_type=True,
            compare_server_default=True,
            {options}
        )
        with context.begin_transaction():
            context.run_migrations()
"""

NOTHING = """
    from sqlalchemy import Column, Integer, MetaData, String, Table

    metadata = MetaData()
    Table("invoices", metadata, Column("id", Integer, primary_key=True), Column("number", String(20)))
    target_metadata = metadata
"""
"""A host unrelated to the three tables."""

SHIPPED = (
    NOTHING
    + """
    import contentq.models
    target_metadata = [metadata, contentq.models.Base.metadata]
"""
)
"""A host that uses contentq's models."""

COPIED = (
    NOTHING
    + """
    import contentq.models
    for table in contentq.models.Base.metadata.tables.values():
        table.to_metadata(metadata)
"""
)
"""A host that has copied them into its own metadata."""

OWN = """
    from contentq.models import AccountMixin, ContentMixin, TaskMixin
    from sqlalchemy import Column, Integer, MetaData, String, Table, Text
    from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

    class Base(DeclarativeBase):
        metadata = MetaData(naming_convention={"ix": "ix_%(column_0_label)s", "ck": "ck_%(constraint_name)s"})

    class Account(AccountMixin, Base):
        __tablename__ = "accounts"
        id: Mapped[int] = mapped_column(primary_key=True)
        username: Mapped[str] = mapped_column(String(50))
        platform_id: Mapped[int | None]
        name: Mapped[str | None] = mapped_column(String(100))

    class Content(ContentMixin, Base):
        __tablename__ = "contents"
        id: Mapped[int] = mapped_column(primary_key=True)
        account_id: Mapped[int]
        title: Mapped[str | None] = mapped_column(String(200))
        body: Mapped[str | None] = mapped_column(Text)
        word_count: Mapped[int | None]
        review_status: Mapped[str | None] = mapped_column(String(50), server_default="pending")
        publish_status: Mapped[str | None] = mapped_column(String(50))

    class Task(TaskMixin, Base):
        __tablename__ = "content_generation_tasks"

    Table("invoices", Base.metadata, Column("id", Integer, primary_key=True), Column("number", String(20)))
    target_metadata = Base.metadata
"""
"""A host with its own classes, built from the mixins, on the tables of SMALL_KEYS."""

PLAIN = """
    from sqlalchemy import (
        BigInteger, Column, DateTime, ForeignKey, Identity, Index, Integer, MetaData, String, Table, Text, text
    )

    metadata = MetaData()
    now = {"server_default": text("now()"), "nullable": False}
    Table(
        "accounts", metadata,
        Column("id", BigInteger, Identity(start=3000000000), primary_key=True),
        Column("name", Text, nullable=False),
        Column("created_at", DateTime(timezone=True), **now),
        Column("plan", Text),
    )
    Table(
        "contents", metadata,
        Column("id", BigInteger, Identity(start=4000000000), primary_key=True),
        Column("account_id", BigInteger, ForeignKey("accounts.id"), nullable=False),
        Column("title", Text, nullable=False),
        Column("body", Text, nullable=False),
        Column("word_count", Integer, server_default="0", nullable=False),
        Column("review_status", Text, server_default="pending", nullable=False),
        Column("created_at", DateTime(timezone=True), **now),
        Column("slug", Text),
        Index("contents_slug_idx", "slug"),
    )
    Table("invoices", metadata, Column("id", Integer, primary_key=True), Column("number", String(20)))
    target_metadata = metadata
"""
"""A host with classes that do not know contentq, on the tables of LARGE_KEYS."""

HOSTS = {
    "no model": (None, NOTHING),
    "models of contentq": (None, SHIPPED),
    "copied models": (None, COPIED),
    "models of contentq on small keys": (SMALL_KEYS, SHIPPED),
    "models of contentq on large keys": (LARGE_KEYS, SHIPPED),
    "mixins": (SMALL_KEYS, OWN),
    "classes without contentq": (LARGE_KEYS, PLAIN),
}

INVOICES = "CREATE TABLE invoices (id serial PRIMARY KEY, number varchar(20))"

Autogenerate = Callable[..., str]


@pytest.fixture
def autogenerate(tmp_path: Path, empty_dsn: str) -> Autogenerate:
    """Creates a host's project and a revision in it; returns the body of its upgrade(), or "pass"."""

    def run(host: str, options: str = "include_object=contentq.alembic_filter()") -> str:
        (tmp_path / "versions").mkdir(exist_ok=True)
        (tmp_path / "alembic.ini").write_text("[alembic]\nscript_location = %(here)s\n")
        (tmp_path / "env.py").write_text(dedent(ENV).format(options=options))
        (tmp_path / "host.py").write_text(dedent(host))
        (tmp_path / "script.py.mako").write_text(
            "from alembic import op\nimport sqlalchemy as sa\n${imports if imports else ''}\n"
            "revision = ${repr(up_revision)}\ndown_revision = ${repr(down_revision)}\n"
            "def upgrade():\n    ${upgrades if upgrades else 'pass'}\n"
        )
        command = ["revision", "--autogenerate", "-m", "mine", "--rev-id", "mine"]
        done = ALEMBIC.run(*command, cwd=tmp_path, env={**os.environ, "HOST_DSN": empty_dsn})
        assert done.returncode == 0, done.stdout + done.stderr
        [revision] = (tmp_path / "versions").glob("*.py")
        tree = ast.parse(revision.read_text())
        [upgrade] = [each for each in tree.body if isinstance(each, ast.FunctionDef)]
        return "\n".join(ast.unparse(each) for each in upgrade.body)

    return run


def migrated(dsn: str, tables: str | None) -> None:
    adopt(dsn, f"{INVOICES}; {tables or ''}")


@pytest.mark.parametrize("host", HOSTS)
def test_nothing_of_contentq_is_in_a_revision(empty_dsn: str, autogenerate: Autogenerate, host: str) -> None:
    tables, models = HOSTS[host]
    migrated(empty_dsn, tables)

    assert autogenerate(models) == "pass"


@pytest.mark.parametrize("host", ["no model", "models of contentq", "mixins"])
def test_nothing_of_contentq_is_in_a_revision_of_all_schemas(
    empty_dsn: str, autogenerate: Autogenerate, host: str
) -> None:
    tables, models = HOSTS[host]
    migrated(empty_dsn, tables)

    assert autogenerate(models, "include_schemas=True, include_object=contentq.alembic_filter()") == "pass"


@pytest.mark.parametrize("host", ["no model", "mixins", "classes without contentq"])
def test_change_of_the_host_is_found(empty_dsn: str, autogenerate: Autogenerate, host: str) -> None:
    tables, models = HOSTS[host]
    migrated(empty_dsn, tables)

    assert "op.alter_column('invoices', 'number'" in autogenerate(models.replace("String(20)", "String(30)"))


@pytest.mark.parametrize(
    ("host", "replace", "found"),
    [
        (
            "mixins",
            ("username: Mapped[str] = mapped_column(String(50))", ""),
            "op.drop_column('accounts', 'username')",
        ),
        ("mixins", ("username: Mapped[str]", "nick: Mapped[str]"), "op.add_column('accounts', sa.Column('nick'"),
        ("mixins", ("title: Mapped[str | None]", "title: Mapped[str]"), "op.alter_column('contents', 'title'"),
        ("mixins", ("String(200)", "String(300)"), "op.alter_column('contents', 'title'"),
        (
            "classes without contentq",
            ('Index("contents_slug_idx", "slug"),', ""),
            "op.drop_index(op.f('contents_slug_idx'), table_name='contents')",
        ),
        (
            "classes without contentq",
            ('Column("plan", Text)', 'Column("plan", Text, index=True)'),
            "op.create_index(op.f('ix_accounts_plan'), 'accounts'",
        ),
    ],
)
def test_change_of_a_table_that_both_use_is_found(
    empty_dsn: str, autogenerate: Autogenerate, host: str, replace: tuple[str, str], found: str
) -> None:
    tables, models = HOSTS[host]
    migrated(empty_dsn, tables)

    assert replace[0] in models
    assert found in autogenerate(models.replace(*replace))


def test_column_that_contentq_needs_is_not_dropped(empty_dsn: str, autogenerate: Autogenerate) -> None:
    tables, models = HOSTS["classes without contentq"]
    migrated(empty_dsn, tables)

    assert autogenerate(models.replace('Column("name", Text, nullable=False),', "")) == "pass"


def test_host_makes_its_own_tables_before_it_adopts_contentq(autogenerate: Autogenerate) -> None:
    made = autogenerate(PLAIN)

    assert "op.create_table('accounts'" in made
    assert "op.create_table('contents'" in made


def test_tables_of_contentq_are_left_to_its_own_migration(empty_dsn: str, autogenerate: Autogenerate) -> None:
    with psycopg.connect(empty_dsn, autocommit=True) as connection:
        connection.execute(INVOICES)

    assert autogenerate(SHIPPED) == "pass"


def test_filter_of_the_host_decides_about_the_rest(empty_dsn: str, autogenerate: Autogenerate) -> None:
    migrated(empty_dsn, None)
    options = "include_object=contentq.alembic_filter(lambda item, name, *_: name != 'invoices')"

    made = autogenerate(NOTHING + "    Table('new', metadata, Column('id', Integer))\n", options)

    assert made.splitlines()[0].startswith("op.create_table('new'")
    assert "invoices" not in made


def test_other_tables_of_these_names_are_the_hosts_where_a_schema_is_named(
    empty_dsn: str, autogenerate: Autogenerate
) -> None:
    contentq.migrate(empty_dsn, schema="queue")
    with psycopg.connect(empty_dsn, autocommit=True) as connection:
        connection.execute(INVOICES)
        connection.execute("CREATE TABLE accounts (id uuid PRIMARY KEY, name text)")

    options = "include_schemas=True, include_object=contentq.alembic_filter(schema='queue')"
    assert autogenerate(NOTHING, options) == "op.drop_table('accounts')"


def test_models_of_contentq_have_no_difference_without_the_filter(
    empty_dsn: str, autogenerate: Autogenerate
) -> None:
    migrated(empty_dsn, None)

    assert autogenerate(SHIPPED, "") == "pass"


def test_without_the_filter_everything_would_be_dropped(empty_dsn: str, autogenerate: Autogenerate) -> None:
    migrated(empty_dsn, None)

    made = autogenerate(NOTHING, "include_schemas=True")

    assert "op.drop_table('content_generation_tasks')" in made
    assert "schema='contentq'" in made
