"""Takes the pictures of docs/how-to/use-the-page.md: the page of a queue that is busy, in the system's Chromium.

    python docs/pictures/web.py

It starts a database of its own in a temporary folder and fills it. Chinese needs a font that has it (Debian:
fonts-noto-cjk or fonts-wqy-zenhei).
"""

from __future__ import annotations

import os
import random
import shutil
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import uvicorn
from contentq.web import create_app
from embedded import server
from playwright.sync_api import sync_playwright

HERE = Path(__file__).parent

DESKTOP: dict[str, Any] = {"viewport": {"width": 1200, "height": 860}}
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 780}, "device_scale_factor": 2}

PICTURES: dict[str, tuple[str, dict[str, Any]]] = {
    "web-overview": ("/", DESKTOP),
    "web-review": ("/review", DESKTOP),
    "web-gates": ("/gates", {**DESKTOP, "viewport": {"width": 1200, "height": 520}, "color_scheme": "dark"}),
    "web-accounts": ("/accounts", {**DESKTOP, "viewport": {"width": 1200, "height": 640}}),
    "web-phone": ("/", {**PHONE, "locale": "zh-CN"}),
}
"""Each with its page, and how the browser is."""

ACCOUNTS = [
    "Harbour & Finch",
    "青禾文化",
    "Northwind Reviews",
    "Kestrel Travel",
    "Old Mill Press",
    "Studio Lumière",
]


def main() -> None:
    """Takes all of them."""
    with server() as environment:
        dsn = environment["DATABASE_URL"]
        with psycopg.connect(dsn, autocommit=True) as connection:
            fill(connection)
        with _serving(dsn) as port, sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox"] if os.geteuid() == 0 else []
            )
            for name, (path, options) in PICTURES.items():
                page = browser.new_page(**options)
                page.goto(f"http://127.0.0.1:{port}{path}")
                page.screenshot(path=HERE / f"{name}.png")
                sys.stdout.write(f"wrote {HERE / name}.png\n")
            browser.close()


@contextmanager
def _serving(dsn: str) -> Iterator[int]:
    """The page, which may change things."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(create_app(dsn, operate=True), log_config=None))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        while not server.started:
            time.sleep(0.05)
        yield int(listening.getsockname()[1])
        server.should_exit = True
        thread.join()


def fill(connection: psycopg.Connection) -> None:
    """A queue in the middle of its work."""
    random.seed(7)
    accounts = []
    for name in ACCOUNTS:
        row = connection.execute("INSERT INTO accounts (name) VALUES (%s) RETURNING id", [name]).fetchone()
        assert row is not None
        accounts.append(row[0])
    connection.execute("UPDATE accounts SET share = 3, monthly_budget = 900 WHERE id = %s", [accounts[0]])
    connection.execute("UPDATE accounts SET monthly_budget = 300, max_running = 8 WHERE id = %s", [accounts[1]])
    connection.execute(
        "UPDATE accounts SET paused_until = now() + interval '3 hours' WHERE id = %s", [accounts[4]]
    )
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO content_generation_tasks "
            "(account_id, topic, priority, status, submitted_at, started_at, completed_at) "
            "SELECT %s, 'A topic', 5, 'completed', a.at - %s * interval '1 second', a.at, "
            "a.at + interval '4 seconds' FROM (SELECT now() - %s * interval '1 second' AS at) AS a",
            [
                (random.choice(accounts), random.expovariate(1 / (2 + 10 * (1500 < ago < 2200))), ago)
                for ago in random.choices(
                    range(5, 3600), [2 + (ago % 1700) / 500 for ago in range(5, 3600)], k=4000
                )
            ],
        )
        cursor.executemany(
            "INSERT INTO content_generation_tasks (account_id, topic, priority) VALUES (%s, 'A topic', %s)",
            [
                (random.choices(accounts, [9, 5, 4, 2, 1, 1])[0], random.choices([9, 5, 2], [1, 8, 3])[0])
                for _ in range(640)
            ],
        )
        cursor.executemany(
            "INSERT INTO contentq.usage "
            "(account_id, day, model, category, attempts, prompt_tokens, completion_tokens, cost) "
            "SELECT %s, (now() AT TIME ZONE 'UTC')::date - %s, 'large', 'blog', 90, 90000, 180000, %s",
            [
                (account, ago, round(random.uniform(2, 9) * (1 + 2 / place), 2))
                for place, account in enumerate(accounts, 1)
                for ago in range(30)
            ],
        )
    connection.execute("SELECT contentq.set_budget(5, NULL, 'news', 'day')")
    workers = [
        connection.execute(
            "SELECT contentq.register_worker(%s, %s, 24, 'openai', %s, version => '1.0.0')",
            [f"writer-{number}", 4000 + number, gate],
        ).fetchone()
        for number, gate in enumerate(["api.example.com", "api.example.com", "llm.internal:8000"], 1)
    ]
    for worker, tasks in zip(workers, (24, 17, 0), strict=True):
        assert worker is not None
        if tasks:
            connection.execute("SELECT count(*) FROM contentq.claim(%s, %s)", [worker[0], tasks])
    write(connection)
    connection.execute("UPDATE contentq.workers SET heartbeat_at = now() + interval '1 hour'")  # they are heard
    connection.execute("SELECT contentq.set_gate('api.example.com', 600, 250000, 60)")
    connection.execute(
        "SELECT contentq.close_gate('llm.internal:8000', now() + interval '12 minutes', '503 model is loading')"
    )
    connection.execute(
        "UPDATE content_generation_tasks SET status = 'failed', error_message = 'refused' WHERE id IN "
        "(SELECT id FROM content_generation_tasks WHERE status = 'pending' ORDER BY id DESC LIMIT 9)"
    )


TITLE = "How to read a weather map"

DRAFT = """\
# How to read a weather map

A weather map shows what the air is doing. The lines join places of {equal}.

## Fronts

A blue line with teeth is a cold front, a red one with half-moons a warm front.{more}

| symbol | meaning |
|---|---|
| H | high pressure, calm |
| L | low pressure, wind and rain |
"""


def write(connection: psycopg.Connection) -> None:
    """An article that waits for a review, after its first version was sent back."""
    first = DRAFT.format(equal="the same temperature", more="")
    second = DRAFT.format(equal="equal pressure", more=" Where they meet, the front is occluded.")
    row = connection.execute(
        "UPDATE content_generation_tasks SET topic = %(title)s, category = 'science', attempt = 2 "
        "WHERE id = (SELECT min(id) FROM content_generation_tasks WHERE status = 'completed') "
        "RETURNING id, account_id",
        {"title": TITLE},
    ).fetchone()
    assert row is not None
    note = "Isobars are lines of equal pressure. Say what an occlusion is."
    for body, words, review in ((first, 51, ("rejected", "anna", note)), (second, 57, ("pending", None, None))):
        connection.execute(
            "WITH made AS (INSERT INTO contents (account_id, generation_task_id, title, body, word_count, "
            "review_status, reviewed_by, review_note) VALUES (%s, %s, %s, %s, %s, %s, %s, %s) RETURNING id) "
            "UPDATE content_generation_tasks SET content_id = made.id FROM made "
            "WHERE content_generation_tasks.id = %s",
            [row[1], row[0], TITLE, body, words, *review, row[0]],
        )
    connection.execute("UPDATE contents SET reviewed_at = now() WHERE reviewed_by IS NOT NULL")


if __name__ == "__main__":
    main()
