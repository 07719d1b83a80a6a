"""The queue of the test's own database, as in a user's test."""

from __future__ import annotations

import pytest

from tests.support.databases import Connection
from tests.support.queue import Queue


@pytest.fixture
def queue(database: Connection) -> Queue:
    """The queue in the test's database."""
    return Queue(database)
