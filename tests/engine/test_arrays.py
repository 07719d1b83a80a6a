"""PostgreSQL reads the arrays that a worker writes."""

from __future__ import annotations

import pytest
from contentq.queue.arrays import integers, texts

from tests.engine.conftest import Database

TEXTS = [
    "",
    " ",
    "NULL",
    "null",
    "a,b",
    "{}",
    '"',
    "\\",
    '\\"',
    "\n\t\r",
    "é漢字🐝",
    "'",
    "%s",
    "a\\\\b",
    None,
    '{"a": "b\\"c"}',
]


@pytest.mark.parametrize("values", [[], TEXTS, *([text] for text in TEXTS)], ids=str)
def test_texts_come_through(database: Database, values: list[str | None]) -> None:
    assert database.execute("SELECT %s::text[]", [texts(values)]).fetchone() == (values,)


@pytest.mark.parametrize("values", [[], [1], [2147483647, 0, -1]])
def test_integers_come_through(database: Database, values: list[int]) -> None:
    assert database.execute("SELECT %s::integer[]", [integers(values)]).fetchone() == (values,)
