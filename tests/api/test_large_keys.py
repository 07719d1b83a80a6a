"""The Python API with account keys beyond the range of 4 bytes."""

from __future__ import annotations

import pytest

from tests.api.conftest import Caller
from tests.support.databases import Connection
from tests.support.hosts import LARGE_KEYS, adopt

pytestmark = pytest.mark.slow


@pytest.fixture
def dsn(empty_dsn: str) -> str:
    adopt(empty_dsn, LARGE_KEYS)
    return empty_dsn


def test_tasks_of_an_account_with_a_large_key(call: Caller, database: Connection) -> None:
    one = call("submit", account_id=3_000_000_000, topic="Tea")
    two, three = call("submit_many", [{"account_id": 3_000_000_000}, {"account_id": 3_000_000_000}])
    call.commit()

    stored = database.execute("SELECT account_id, task_id FROM content_generation_tasks ORDER BY id").fetchall()
    assert stored == [(3_000_000_000, task_id) for task_id in (one, two, three)]
    assert call("explain", one)
    assert call("cancel", one) == "failed"
