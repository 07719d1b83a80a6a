"""How fast tasks are put in: one INSERT a transaction from many clients, and many rows at once."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, closing
from pathlib import Path

import psycopg

from tests.bench.bed import Bed

CLIENTS = 8
LISTENERS = 10
INSERTS = 4_000
ROWS = 100_000

INSERT = "INSERT INTO content_generation_tasks (account_id, topic) VALUES (1, 'A topic');"


def with_wake_up(bed: Bed) -> float:
    """Inserts a second, each a transaction, while workers listen."""
    return _inserted(bed)


def without_wake_up(bed: Bed) -> float:
    """The same on the table without its wake-up trigger."""
    disable = "ALTER TABLE content_generation_tasks {} TRIGGER content_generation_tasks_wake"
    bed.connection.execute(disable.format("DISABLE").encode())
    try:
        return _inserted(bed)
    finally:
        bed.connection.execute(disable.format("ENABLE").encode())


def _inserted(bed: Bed) -> float:
    bed.fill(0)
    with ExitStack() as listening:
        for _ in range(LISTENERS):
            listener = listening.enter_context(closing(psycopg.connect(bed.dsn, autocommit=True)))
            listener.execute("LISTEN contentq_ready")
        begun = time.monotonic()
        bed.pgbench(INSERT, CLIENTS, INSERTS // CLIENTS)
        return INSERTS / (time.monotonic() - begun)


def submitted(bed: Bed) -> float:
    """Rows a second of `contentq submit` with a CSV file, its start included."""
    bed.fill(0)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "tasks.csv")
        file.write_text("topic,keywords,priority\n" + 'A topic of some length,"one, two, three",5\n' * ROWS)
        command = [sys.executable, "-m", "contentq", "--dsn", bed.dsn, "submit", str(file), "--account", "1"]
        begun = time.monotonic()
        subprocess.run(command, check=True, capture_output=True)
        return ROWS / (time.monotonic() - begun)


def copied(bed: Bed) -> float:
    """Rows a second of COPY into the table."""
    bed.fill(0)
    begun = time.monotonic()
    copy = "COPY content_generation_tasks (account_id, topic, keywords, priority) FROM STDIN (FORMAT csv)"
    with bed.connection.cursor().copy(copy) as stream:
        stream.write('1,A topic of some length,"one, two, three",5\n' * ROWS)
    return ROWS / (time.monotonic() - begun)
