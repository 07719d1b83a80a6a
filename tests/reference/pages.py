"""The generated parts of each page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from contentq.metrics.families import FLEET, WORKER

from tests.reference import cli, exit_codes, log_events, metrics, python, sql
from tests.reference.page import FOLDER, by_hand
from tests.support.databases import Connection


def parts(database: Connection) -> Iterator[tuple[Path, Mapping[str, str]]]:
    """Each page with generated parts, with these parts."""
    yield FOLDER / "cli.md", {"commands": cli.commands()}
    codes = FOLDER / "exit-codes.md"
    yield codes, {"codes": exit_codes.codes(by_hand(codes, "codes"))}
    yield (
        FOLDER / "sql.md",
        {
            "tables": sql.tables(database),
            "views": sql.views(database),
            "functions": sql.functions(database),
        },
    )
    settings = FOLDER / "settings.md"
    yield settings, {"settings": sql.settings(database, by_hand(settings, "settings"))}
    yield FOLDER / "metrics.md", {"queue": metrics.families(FLEET), "worker": metrics.families(WORKER)}
    yield (
        FOLDER / "python.md",
        {
            "functions": python.functions(),
            "new-task": python.new_task(),
            "handlers": python.for_handlers(),
            "errors": python.errors(),
        },
    )
    log = FOLDER / "log-events.md"
    yield (
        log,
        {
            "fields": log_events.fields(by_hand(log, "fields")),
            "events": log_events.events(by_hand(log, "events")),
        },
    )
