"""What `alembic revision --autogenerate` of a host application leaves to contentq."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from sqlalchemy.schema import SchemaItem

IncludeObject: TypeAlias = "Callable[[SchemaItem, str | None, str, bool, SchemaItem | None], bool]"
"""What alembic asks for as include_object: of (object, name, type, reflected, compare_to)."""

MACHINERY = "contentq"
"""The schema in which everything is contentq's."""

QUEUE = "content_generation_tasks"

ADDED: Mapping[str, frozenset[str]] = {
    "accounts": frozenset({"external_id", "max_running", "monthly_budget", "paused_until", "share"}),
    "contents": frozenset({"generation_task_id", "reviewed_by", "reviewed_at", "review_note"}),
}
"""By table of a host: columns that `contentq migrate` adds, with their constraints and indexes."""

ADDED_INDEXES = frozenset({"contents_review_idx"})
"""Indexes that it adds on columns of the host."""

NEEDED: Mapping[str, frozenset[str]] = {
    "accounts": frozenset({"id", "name", "created_at"}),
    "contents": frozenset({"id", "account_id", "title", "body", "word_count", "review_status", "created_at"}),
}
"""By table of a host: columns that it has and contentq reads. They are the host's, but not to be dropped."""


MODEL = "contentq"
"""Key in the info of the tables of contentq.models."""


class _Object(NamedTuple):
    """What alembic says of an object."""

    name: str | None
    type: str
    only_in_database: bool


def alembic_filter(include_object: IncludeObject | None = None, *, schema: str | None = None) -> IncludeObject:
    """Makes alembic leave alone what is contentq's; for context.configure(include_object=alembic_filter()).

    That is: schema contentq; the table content_generation_tasks; accounts and contents, unless the host's metadata
    have them; and in those of the host what contentq has added, and columns that it cannot do without.

    include_object: the host's own function, asked about all the rest. schema: where the three tables are, for a
    host that has others with these names elsewhere; without it, those of every schema count.
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
    """Whether a table of this schema, None for the default one, may be one of the three."""
    return wanted is None or (schema or "public") == wanted
