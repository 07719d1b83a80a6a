"""Excludes contentq's objects from `alembic revision --autogenerate` of a host application."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from sqlalchemy.schema import SchemaItem

IncludeObject: TypeAlias = "Callable[[SchemaItem, str | None, str, bool, SchemaItem | None], bool]"
"""The type of alembic's include_object: a function of (object, name, type, reflected, compare_to)."""

MACHINERY = "contentq"
"""The schema that contains only objects of contentq."""

QUEUE = "content_generation_tasks"

ADDED: Mapping[str, frozenset[str]] = {
    "accounts": frozenset({"external_id", "max_running", "monthly_budget", "paused_until", "share"}),
    "contents": frozenset({"generation_task_id", "reviewed_by", "reviewed_at", "review_note"}),
}
"""By table of a host: the columns that `contentq migrate` adds, with their constraints and indexes."""

ADDED_INDEXES = frozenset({"contents_review_idx"})
"""Indexes that it adds to columns of the host."""

NEEDED: Mapping[str, frozenset[str]] = {
    "accounts": frozenset({"id", "name", "created_at"}),
    "contents": frozenset({"id", "account_id", "title", "body", "word_count", "review_status", "created_at"}),
}
"""By table of a host: its columns that contentq reads. They belong to the host, but must not be dropped."""


MODEL = "contentq"
"""The key in the info of the tables of contentq.models."""


class _Object(NamedTuple):
    """An object as alembic describes it."""

    name: str | None
    type: str
    only_in_database: bool


def alembic_filter(include_object: IncludeObject | None = None, *, schema: str | None = None) -> IncludeObject:
    """Makes alembic ignore contentq's objects; use it as context.configure(include_object=alembic_filter()).

    It excludes schema contentq; the table content_generation_tasks; accounts and contents, unless the host's
    metadata contains them; and, in the host's tables, what contentq has added and the columns that it needs.

    include_object: the host's own function for all other objects. schema: the schema of the three tables, if the
    host has other tables with these names elsewhere; default: any schema.
    """

    def include(
        item: SchemaItem, name: str | None, type_: str, reflected: bool, compare_to: SchemaItem | None
    ) -> bool:
        if _is_contentqs(item, _Object(name, type_, reflected and compare_to is None), schema):
            return False
        return include_object is None or include_object(item, name, type_, reflected, compare_to)

    return include


def _is_contentqs(item: Any, object_: _Object, schema: str | None) -> bool:
    table = item if object_.type == "table" else item.table
    if table.schema == MACHINERY or table.name == QUEUE:
        return True
    if table.name not in ADDED or not _is_in(table.schema, schema):
        return False
    if object_.type == "table":
        return MODEL in table.info or object_.only_in_database
    if object_.type == "column":
        added, needed = object_.name in ADDED[table.name], object_.name in NEEDED[table.name]
        return added or (needed and object_.only_in_database)
    return object_.name in ADDED_INDEXES or any(
        column.name in ADDED[table.name] for column in getattr(item, "columns", ())
    )


def _is_in(schema: str | None, wanted: str | None) -> bool:
    """Whether a table in this schema (None: the default one) may be one of the three."""
    return wanted is None or (schema or "public") == wanted
