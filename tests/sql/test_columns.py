"""Task columns in Python match the migrated table, and everything derived from them follows."""

from __future__ import annotations

import typing
from datetime import datetime

import pytest
from contentq.cli.submit import submit
from contentq.queue.claimed import CLAIMED
from contentq.task import COLUMNS, NOT_COLUMNS, SETTABLE, Column, NewTask, Task

from tests.support.databases import Connection

pytestmark = pytest.mark.in_public

TYPES = {
    "integer": int,
    "bigint": int,
    "boolean": bool,
    "timestamp with time zone": datetime,
}
"""The Python types of columns that are not text."""


@pytest.fixture
def table(database: Connection) -> dict[str, tuple[str, bool, bool]]:
    """By column: its type, whether it is NOT NULL, and whether it has a default."""
    rows = database.execute(
        "SELECT attname, format_type(atttypid, atttypmod), attnotnull, atthasdef OR attidentity <> '' "
        "FROM pg_attribute "
        "WHERE attrelid = 'public.content_generation_tasks'::regclass AND attnum > 0 AND NOT attisdropped"
    ).fetchall()
    return {name: (type_, not_null, has_default) for name, type_, not_null, has_default in rows}


def test_columns_are_those_of_the_table(table: dict[str, tuple[str, bool, bool]]) -> None:
    assert {column.name: column.type for column in COLUMNS} == {name: row[0] for name, row in table.items()}


def test_producer_must_set_no_more_than_the_account(table: dict[str, tuple[str, bool, bool]]) -> None:
    required = [name for name, (_, not_null, has_default) in table.items() if not_null and not has_default]

    assert required == ["account_id"]
    assert "account_id" in {column.name for column in SETTABLE}


def test_handler_sees_columns_with_the_types_that_they_have(table: dict[str, tuple[str, bool, bool]]) -> None:
    hints = typing.get_type_hints(Task)
    fields = [name for name in Task._fields if name not in NOT_COLUMNS]

    assert [column.name for column in COLUMNS if column.is_claimed] == [
        column.name for column in COLUMNS if column.name in fields
    ]
    for name in fields:
        type_, not_null, _ = table[name]
        expected = TYPES.get(type_, str)
        # A claimed task has been started, although the column is nullable.
        optional = not not_null and name != "started_at"
        assert hints[name] == (expected | None if optional else expected), name


def test_python_api_takes_what_a_producer_may_set() -> None:
    assert set(NewTask.__annotations__) == {column.name for column in SETTABLE}


def test_claim_selects_each_field_once(database: Connection) -> None:
    cursor = database.execute(f"SELECT {CLAIMED} FROM public.content_generation_tasks")

    assert cursor.description is not None
    assert len(cursor.description) == len(Task._fields)


@pytest.mark.parametrize(
    "column", [column for column in SETTABLE if column.option], ids=lambda column: column.name
)
def test_submit_has_an_option_for_the_column(column: Column) -> None:
    assert column.option is not None
    options = {flag: option for option in submit.params for flag in option.opts}

    assert options[column.option.flag].name == column.name
    assert column.option.duration is None or column.option.duration.flag in options
