"""backoff(): exponential, with full jitter and a cap."""

from __future__ import annotations

import psycopg
import pytest

from tests.support.queue import Queue

DRAWS = 300


def longest_and_shortest(queue: Queue, retry_count: int) -> tuple[float, float]:
    """Seconds, over many draws."""
    drawn = queue.values(
        "SELECT extract(epoch FROM contentq.backoff(%s))::float8 FROM generate_series(1, %s)", retry_count, DRAWS
    )
    return max(drawn), min(drawn)


@pytest.mark.parametrize(
    ("retry_count", "bound"),
    [(0, 2), (1, 4), (2, 8), (5, 64), (8, 512), (9, 600), (50, 600), (2_000_000_000, 600)],
)
def test_delay_is_drawn_between_zero_and_the_doubled_base_or_the_cap(
    queue: Queue, retry_count: int, bound: float
) -> None:
    longest, shortest = longest_and_shortest(queue, retry_count)

    assert 0 <= shortest < 0.2 * bound
    assert 0.8 * bound < longest <= bound


def test_settings_hold_at_once(queue: Queue) -> None:
    queue.run("UPDATE contentq.settings SET backoff_base = '10 seconds', backoff_max = '15 seconds'")

    assert longest_and_shortest(queue, 0)[0] <= 10
    assert 12 < longest_and_shortest(queue, 5)[0] <= 15


@pytest.mark.parametrize(
    "change",
    [
        "backoff_base = '0'",
        "backoff_base = '1 hour'",
        "backoff_max = '1 second'",
        "heartbeat_timeout = '4 seconds'",
        "retention = '0'",
        "only_row = false",
    ],
)
def test_setting_that_makes_no_sense_is_refused(queue: Queue, change: str) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        queue.run(f"UPDATE contentq.settings SET {change}")


def test_settings_are_one_row(queue: Queue) -> None:
    with pytest.raises(psycopg.errors.UniqueViolation):
        queue.run("INSERT INTO contentq.settings DEFAULT VALUES")
