"""How fast tasks are inserted: one INSERT per transaction from many clients, and many rows at once."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg

from tests.bench.bed import Bed
from tests.bench.figures import Figure, Measurement, Reading, at_least

CLIENTS = 8
LISTENERS = 10
SECONDS = 2
ROWS = 100_000

INSERT = "INSERT INTO content_generation_tasks (account_id, topic) VALUES (1, 'A topic');"

READ_EVERY = 0.05
"""Seconds between reads of the listeners' notifications: rarely, because their work is not measured."""


def _inserts(on: Bed) -> Iterator[Reading]:
    trigger = "ALTER TABLE content_generation_tasks {} TRIGGER content_generation_tasks_wake"
    rates: dict[str, list[float]] = {"ENABLE": [], "DISABLE": []}
    # A machine that slows down affects both.
    for state in ("DISABLE", "ENABLE", "ENABLE", "DISABLE"):
        on.connection.execute(trigger.format(state).encode())
        try:
            rates[state].append(_inserted(on))
        finally:
            on.connection.execute(trigger.format("ENABLE").encode())
    yield Reading(INSERTS, statistics.mean(rates["ENABLE"]), statistics.mean(rates["DISABLE"]))


def _inserted(on: Bed) -> float:
    """Inserts per second, each in a transaction, while workers listen."""
    on.fill(0)
    with _listeners(on):
        return on.pgbench(INSERT, CLIENTS, "-T", str(SECONDS))


@contextmanager
def _listeners(on: Bed) -> Iterator[None]:
    """Sessions that listen and discard notifications. Unread notifications would eventually block the server."""
    listeners = [psycopg.connect(on.dsn, autocommit=True) for _ in range(LISTENERS)]
    for listener in listeners:
        listener.execute("LISTEN contentq_ready")
    ended = threading.Event()

    def read() -> None:
        while not ended.wait(READ_EVERY):
            for listener in listeners:
                with suppress(BlockingIOError):
                    while os.read(listener.fileno(), 65_536):
                        pass

    reading = threading.Thread(target=read)
    reading.start()
    try:
        yield
    finally:
        ended.set()
        reading.join()
        for listener in listeners:
            listener.close()


def _submit(on: Bed) -> Iterator[Reading]:
    """Both as a user would run them: a process, from start to end."""
    rows = on.sized(ROWS)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "tasks.csv")
        file.write_text(
            "account_id,topic,keywords,priority\n" + '1,A topic of some length,"one, two, three",5\n' * rows
        )
        columns = "(account_id, topic, keywords, priority)"
        copy = f"\\copy content_generation_tasks {columns} FROM '{file}' (FORMAT csv, HEADER)"
        psql = str(on.cluster.programs / "psql")
        copied = _rows_a_second(on, rows, [psql, "-X", "-v", "ON_ERROR_STOP=1", "-d", on.dsn, "-c", copy])
        contentq = [sys.executable, "-m", "contentq", "--dsn", on.dsn, "submit", str(file)]
        yield Reading(SUBMIT, _rows_a_second(on, rows, contentq), copied)


def _rows_a_second(on: Bed, rows: int, command: list[str]) -> float:
    on.fill(0)
    begun = time.monotonic()
    subprocess.run(command, check=True, capture_output=True)
    taken = time.monotonic() - begun
    if on.value("SELECT count(*) FROM content_generation_tasks") != rows:
        raise RuntimeError(f"not all rows are there after {command}")
    return rows / taken


INSERTS = Figure("INSERT, 8 clients, 10 listeners", "rows/s", "no wake-up", ratio=at_least(0.9))
SUBMIT = Figure("submit, 100,000 rows", "rows/s", "psql \\copy", ratio=at_least(0.8))

MEASUREMENTS = [Measurement((INSERTS,), _inserts), Measurement((SUBMIT,), _submit)]
