"""Duration of a claim of 100 tasks with a million blocked tasks, and in fair order of 1,000 accounts."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator

from tests.bench.bed import BATCH, Bed
from tests.bench.figures import Figure, Measurement, Reading, at_least, at_most

TASKS = 1_000_000

FREE = 10_000
"""Tasks that may start, inserted after those."""

CLAIMS = 30

ACCOUNTS = 1_000

DUE = 100_000


def _insert(on: Bed, tasks: int, columns: str, values: str) -> None:
    # Without triggers, no foreign key is checked and no worker is woken.
    on.connection.execute("SET session_replication_role = replica")
    select = f"SELECT {values} FROM generate_series(1, {tasks}) AS n"
    on.connection.execute(f"INSERT INTO content_generation_tasks ({columns}) {select}".encode())
    on.connection.execute("RESET session_replication_role")
    on.connection.execute("VACUUM (ANALYZE)")


def _load_free(on: Bed) -> None:
    _insert(on, FREE, "account_id, category", "1, 'rare'")


def _load_ahead(on: Bed, account: str = "1", category: str = "blog") -> None:
    earlier = "now() - interval '1 day' + n * interval '1 millisecond'"
    _insert(on, on.sized(TASKS), "account_id, category, submitted_at", f"{account}, '{category}', {earlier}")
    _load_free(on)


def _load_of_account(on: Bed, column: str, value: str) -> None:
    _load_ahead(on, str(on.value(f"INSERT INTO accounts (name, {column}) VALUES ('other', {value}) RETURNING id")))


def _load_paused(on: Bed) -> None:
    _load_of_account(on, "paused_until", "'infinity'")


def _load_capped(on: Bed) -> None:
    _load_of_account(on, "max_running", "0")


def _load_over_budget(on: Bed) -> None:
    _load_of_account(on, "monthly_budget", "0")


def _load_accounts(on: Bed) -> None:
    on.connection.execute(
        f"INSERT INTO accounts (name) SELECT 'other' FROM generate_series(2, {ACCOUNTS})".encode()
    )
    _load_ahead(on, f"1 + n % {ACCOUNTS}")


def _claim(on: Bed, categories: list[str] | None = None) -> float:
    """Milliseconds of a claim and of its commit, as medians."""
    worker = on.value("SELECT contentq.register_worker('bench', 1, 100, 'none', categories => %s)", categories)
    took = []
    for _ in range(CLAIMS):
        began = time.perf_counter()
        claimed = on.connection.execute("SELECT * FROM contentq.claim(%s, %s)", [worker, BATCH]).fetchall()
        took.append((time.perf_counter() - began) * 1000)
        if len(claimed) != BATCH:
            raise RuntimeError(f"{len(claimed)} of {BATCH} tasks were claimed")
        on.connection.execute(
            "UPDATE content_generation_tasks SET status = 'pending', worker_id = NULL WHERE worker_id = %s",
            [worker],
        )
    on.value("SELECT contentq.deregister_worker(%s)", worker)
    return statistics.median(took)


def _beside(figure: Figure, load: Callable[[Bed], None]) -> Callable[[Bed], Iterator[Reading]]:
    def measure(on: Bed) -> Iterator[Reading]:
        shape = on.beside(load.__name__.strip("_"), load)
        on.fill(0)
        _load_free(on)
        limit = _claim(on)
        yield Reading(figure, _claim(shape), limit)

    return measure


def _rare(on: Bed) -> Iterator[Reading]:
    shape = on.beside("load_ahead", _load_ahead)
    on.fill(0)
    _load_free(on)
    limit = _claim(on, ["rare"])
    yield Reading(RARE, _claim(shape, ["rare"]), limit)


def _fair(on: Bed) -> Iterator[Reading]:
    shape = on.beside("load_accounts", _load_accounts)
    limit = _claim(shape)
    shape.connection.execute("UPDATE contentq.settings SET claim_order = 'fair'")
    try:
        yield Reading(FAIR, _claim(shape), limit)
    finally:
        shape.connection.execute("UPDATE contentq.settings SET claim_order = 'strict'")


def _drain(on: Bed, scheduled_at: str) -> float:
    """Tasks claimed and completed per second in one session."""
    tasks = on.sized(DUE)
    on.fill(0)
    _insert(on, tasks, "account_id, priority, scheduled_at", f"1, 1 + n % 10, {scheduled_at}")
    on.connection.execute("CHECKPOINT")
    worker = on.value("SELECT contentq.register_worker('bench', 1, 100, 'none')")
    complete = "SELECT contentq.complete(%s, %s, %s)"
    began = time.perf_counter()
    while claimed := on.connection.execute(
        "SELECT id, attempt FROM contentq.claim(%s, %s)", [worker, BATCH]
    ).fetchall():
        on.connection.execute(complete, [worker, [row[0] for row in claimed], [row[1] for row in claimed]])
    return tasks / (time.perf_counter() - began)


def _due(on: Bed) -> Iterator[Reading]:
    limit = _drain(on, "NULL")
    yield Reading(AT_ONE_INSTANT, _drain(on, "now()"), limit)


PAUSED = Figure("claim of 100, 1 M of a paused account ahead", "ms", "without them", ratio=at_most(2))
CAPPED = Figure("claim of 100, 1 M of an account at its cap ahead", "ms", "without them", ratio=at_most(2))
OVER_BUDGET = Figure("claim of 100, 1 M of an account over budget ahead", "ms", "without them", ratio=at_most(2))
RARE = Figure("claim of 100 of a rare category, 1 M of another ahead", "ms", "without them", ratio=at_most(1.25))
FAIR = Figure("claim of 100 in fair order, 1,000 accounts, 1 M ready", "ms", "in strict order", ratio=at_most(2))
AT_ONE_INSTANT = Figure(
    "drain, 100,000 due at one instant", "tasks/s", "ready from the start", ratio=at_least(0.8)
)

MEASUREMENTS = [
    Measurement((PAUSED,), _beside(PAUSED, _load_paused)),
    Measurement((CAPPED,), _beside(CAPPED, _load_capped)),
    Measurement((OVER_BUDGET,), _beside(OVER_BUDGET, _load_over_budget)),
    Measurement((RARE,), _rare),
    Measurement((FAIR,), _fair),
    Measurement((AT_ONE_INSTANT,), _due),
]
