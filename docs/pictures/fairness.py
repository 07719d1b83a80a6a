"""Draws fairness.svg: what runs of three accounts over time, in strict and in fair order, from a real run of each.

    python docs/pictures/fairness.py

It starts a database of its own in a temporary folder and two workers of eight slots, whose tasks take about a
second. The accounts submit 200 tasks at the beginning, 60 after three seconds and 20 after six; the second one
has a share of two.
"""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from contentq import Context, Task
from embedded import server

WORKERS, SLOTS = 2, 8
ACCOUNTS = [("import", 1, 0.0, 200), ("shop, share 2", 2, 3.0, 60), ("newsroom", 1, 6.0, 20)]
"""Name, share, second of the run at which it submits, number of tasks."""
COLOURS = ["#9db8d9", "#e08a3c", "#3c8d5a"]

Sample = tuple[float, list[int]]
"""The second of a run, and how many tasks ran of each account."""


async def handler(_task: Task, _context: Context) -> None:
    """Takes about a second."""
    await asyncio.sleep(random.uniform(0.8, 1.2))


def main() -> None:
    """Runs both orders and writes the picture beside this program."""
    with server() as environment:
        runs = [(order, run(environment["DATABASE_URL"], order)) for order in ("strict", "fair")]
    path = Path(__file__).with_suffix(".svg")
    path.write_text(draw(runs), encoding="utf-8")
    sys.stdout.write(f"wrote {path}\n")


def run(dsn: str, order: str) -> list[Sample]:
    """Lets workers do the tasks of all accounts in this order of claims; returns what ran, ten times a second."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("UPDATE contentq.settings SET claim_order = %s", [order])
        ids = []
        for name, share, *_ in ACCOUNTS:
            row = connection.execute(
                "INSERT INTO accounts (name, share) VALUES (%s, %s) RETURNING id", [name, share]
            ).fetchone()
            assert row is not None
            ids.append(row[0])
        with _workers(dsn):
            _wait_for_workers(connection)
            return _sample(connection, ids)


@contextmanager
def _workers(dsn: str) -> Iterator[None]:
    command = [sys.executable, "-m", "contentq", "--dsn", dsn, "worker", "--concurrency", str(SLOTS)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    processes = [
        subprocess.Popen([*command, "--handler", "fairness:handler"], env=environment, stderr=subprocess.DEVNULL)
        for _ in range(WORKERS)
    ]
    try:
        yield
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()


def _wait_for_workers(connection: psycopg.Connection) -> None:
    while connection.execute("SELECT count(*) FROM contentq.workers").fetchone() != (WORKERS,):
        time.sleep(0.05)


def _sample(connection: psycopg.Connection, ids: list[int]) -> list[Sample]:
    samples: list[Sample] = []
    began = time.monotonic()
    due = [(after, id_, number) for id_, (_, _, after, number) in zip(ids, ACCOUNTS, strict=True)]
    while True:
        now = time.monotonic() - began
        while due and due[0][0] <= now:
            _, account, number = due.pop(0)
            connection.execute(
                "INSERT INTO content_generation_tasks (account_id) SELECT %s FROM generate_series(1, %s)",
                [account, number],
            )
        rows = connection.execute(
            "SELECT account_id, count(*) FILTER (WHERE status = 'processing') FROM content_generation_tasks "
            "WHERE account_id = ANY (%s) AND status IN ('pending', 'processing') GROUP BY 1",
            [ids],
        ).fetchall()
        running = dict(rows)
        samples.append((now, [running.get(id_, 0) for id_ in ids]))
        if not due and not rows:
            return samples
        time.sleep(0.1)


WIDTH, PANEL, LEFT, TOP, GAP = 760, 170, 60, 54, 62
"""Pixels: the width; the height of a panel; the margin on the left, above the first panel, and between panels."""


def draw(runs: list[tuple[str, list[Sample]]]) -> str:
    """The picture: a panel for each run, what runs of the accounts stacked upon each other."""
    seconds = max(samples[-1][0] for _, samples in runs)
    slots = WORKERS * SLOTS
    height = TOP + len(runs) * (PANEL + GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
        'font-size="13">',
        "<title>Running tasks of three accounts over time, in strict and in fair order</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
    ]
    for place, ((name, _, after, number), colour) in enumerate(zip(ACCOUNTS, COLOURS, strict=True)):
        x = LEFT + place * 230
        parts.append(f'<rect x="{x}" y="14" width="13" height="13" fill="{colour}"/>')
        parts.append(f'<text x="{x + 19}" y="25">{name}: {number} tasks at {after:g} s</text>')

    def x_of(second: float) -> float:
        return LEFT + (WIDTH - LEFT - 20) * second / seconds

    for place, (order, samples) in enumerate(runs):
        bottom = TOP + 14 + place * (PANEL + GAP) + PANEL

        def y_of(tasks: float, bottom: int = bottom) -> float:
            return bottom - PANEL * tasks / slots

        parts.append(f'<text x="{LEFT}" y="{bottom - PANEL - 8}" font-weight="bold">{order}</text>')
        below = [0] * len(samples)
        for account, colour in enumerate(COLOURS):
            above = [low + running[account] for low, (_, running) in zip(below, samples, strict=True)]
            upper = [f"{x_of(at):.1f},{y_of(top):.1f}" for (at, _), top in zip(samples, above, strict=True)]
            lower = [f"{x_of(at):.1f},{y_of(low):.1f}" for (at, _), low in zip(samples, below, strict=True)]
            parts.append(f'<polygon fill="{colour}" points="{" ".join(upper + lower[::-1])}"/>')
            below = above
        for tasks in (0, slots // 2, slots):
            parts.append(f'<text x="{LEFT - 8}" y="{y_of(tasks) + 4:.1f}" text-anchor="end">{tasks}</text>')
        parts.append(f'<path d="M{LEFT} {bottom - PANEL}V{bottom}H{WIDTH - 20}" fill="none" stroke="#444444"/>')
        for second in range(0, int(seconds) + 1, 2):
            parts.append(
                f'<text x="{x_of(second):.1f}" y="{bottom + 17}" text-anchor="middle">{second}'
                f"{' s' if second == 0 else ''}</text>"
            )
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    main()
