"""contentq bench attributes the time of a drain to its real cause, on a slow network or a slow disk."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from contentq.bench.figures import CLEARLY

from tests.cli.conftest import Run
from tests.faults.proxy import Proxy
from tests.support.cluster import DURABLE, Cluster
from tests.support.programs import installed

pytestmark = pytest.mark.slow

ROUND_TRIP = 0.005
"""Seconds of latency, as to another zone: a drain takes a quarter longer."""

FAR = 0.1
"""Seconds of latency, as to another continent: most of a drain, unless the machine is very busy."""


@pytest.fixture(scope="module")
def durable() -> Iterator[Cluster]:
    """A durable server that listens on TCP."""
    with Cluster(next(iter(installed().values())).folder, settings=DURABLE, tcp=True) as cluster:
        yield cluster


def _measured(contentq: Run, dsn: str) -> dict[str, Any]:
    options = ("--tasks", "8000", "--samples", "1", "--seconds", "20")
    found: dict[str, Any] = contentq("--dsn", dsn, "bench", *options, "--json").json
    return found


def _longer(found: dict[str, Any], than: list[dict[str, Any]]) -> float:
    """The relative excess of one drain's duration over the fastest of others."""
    return float(1 - min(other["drain"]["seconds"] for other in than) / found["drain"]["seconds"])


def test_network_is_blamed_for_what_it_takes_and_for_no_more(contentq: Run, durable: Cluster) -> None:
    direct = durable.dsn(host="127.0.0.1")
    with Proxy(durable.port) as near, Proxy(durable.port, delay=ROUND_TRIP / 2) as near_enough:
        alone = [_measured(contentq, near.dsn(direct))]
        delayed = _measured(contentq, near_enough.dsn(direct))
        alone.append(_measured(contentq, near.dsn(direct)))
    with Proxy(durable.port, delay=FAR / 2) as far:
        far_away = _measured(contentq, far.dsn(direct))

    assert delayed["round_trip_ms"] >= 1000 * ROUND_TRIP
    said, real = delayed["drain"]["waiting_at_most"]["network"], _longer(delayed, alone)
    assert delayed["limited_by"] != "network", (said, real)
    said, real = far_away["drain"]["waiting_at_most"]["network"], _longer(far_away, alone)
    assert (far_away["limited_by"] == "network") is (said >= CLEARLY)
    assert said == pytest.approx(real, abs=0.3)


def test_disk_is_blamed_for_what_it_takes_and_for_no_more(contentq: Run, durable: Cluster) -> None:
    dsn = durable.dsn()
    alone = [_measured(contentq, dsn)]
    found = {}
    try:
        for milliseconds in (4, 100):
            durable.configure({"commit_delay": f"{1000 * milliseconds}", "commit_siblings": "0"})
            durable.reload()
            found[milliseconds] = _measured(contentq, dsn)
    finally:
        durable.configure({"commit_delay": "0"})
        durable.reload()
    alone.append(_measured(contentq, dsn))

    said, real = found[4]["drain"]["waiting_at_most"]["disk"], _longer(found[4], alone)
    assert found[4]["commit_ms"] >= 4
    assert found[4]["limited_by"] != "disk", (said, real)
    said, real = found[100]["drain"]["waiting_at_most"]["disk"], _longer(found[100], alone)
    assert (found[100]["limited_by"] == "disk") is (said >= CLEARLY)
    assert said == pytest.approx(real, abs=0.3)
