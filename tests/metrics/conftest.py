"""Metrics of the test's own database."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import pytest
from contentq.database.database import Database
from contentq.metrics.fleet import Fleet
from contentq.metrics.samples import Histogram, Samples

from tests.support.databases import Connection
from tests.support.queue import Queue

Found = Mapping[str, Any]


@pytest.fixture
def queue(database: Connection) -> Queue:
    """The queue in the test's database."""
    return Queue(database)


@pytest.fixture
def connect_queue(connect: Callable[[], Connection]) -> Callable[[], Queue]:
    """Opens the queue once more, in a separate session."""
    return lambda: Queue(connect())


class MakeFleet(Protocol):
    def __call__(self, other_dsn: str | None = None, **options: Any) -> Fleet: ...


@pytest.fixture
def make_fleet(dsn: str) -> MakeFleet:
    """An exporter that reads the database at each request."""

    def make(other_dsn: str | None = None, **options: Any) -> Fleet:
        return Fleet(Database(other_dsn or dsn), **{"kept": -1.0, **options})

    return make


@pytest.fixture
def fleet(make_fleet: MakeFleet) -> Fleet:
    """An exporter that has read once, so that it counts from now on."""
    made = make_fleet()
    made.read()
    return made


def values(samples: Samples) -> Found:
    """All values by name, with labels as name{value,value}; (number, sum) for a histogram."""
    found: dict[str, Any] = {}
    for family, given in samples:
        for labels, value in given.items():
            name = f"{family.name}{{{','.join(labels)}}}" if labels else family.name
            found[name] = (sum(value.counts), value.total) if isinstance(value, Histogram) else value
    return found
