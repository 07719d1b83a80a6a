"""Finds the sessions that block a migration while it waits; afterwards they are no longer known."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from psycopg.rows import dict_row

from contentq.database.connect import connect
from contentq.errors import ContentQueueError

APPLICATION = "contentq migrate (watches for locks)"

LOOKS = 4
"""Minimum number of checks during a wait; in longer waits there is one per second."""

MOST_SHOWN = 3

_BLOCKING = """
    SELECT b.pid, a.usename::text AS user, a.application_name AS application, a.state,
           extract(epoch FROM clock_timestamp() - coalesce(a.xact_start, a.state_change))::bigint AS seconds
    FROM unnest(pg_blocking_pids(%s)) AS b (pid)
    LEFT JOIN pg_stat_activity AS a ON a.pid = b.pid
    GROUP BY 1, 2, 3, 4, 5
    ORDER BY seconds DESC NULLS LAST, b.pid"""


class Blockers:
    """The blocking sessions at the last check."""

    def __init__(self) -> None:
        self._seen: list[dict[str, Any]] = []

    def __str__(self) -> str:
        """Names the sessions; `another session` if none was seen."""
        shown = [_describe(session) for session in self._seen[:MOST_SHOWN]]
        if len(self._seen) > MOST_SHOWN:
            shown.append(f"{len(self._seen) - MOST_SHOWN} more")
        return " and ".join(shown) or "another session"

    def look(self, connection: psycopg.Connection[Any], pid: int) -> None:
        """Records which sessions block the session with this pid; keeps the last ones if none does now."""
        with connection.cursor(row_factory=dict_row) as cursor:
            self._seen = cursor.execute(_BLOCKING, [pid]).fetchall() or self._seen


@contextmanager
def watching(dsn: str, pid: int, lock_timeout: float) -> Iterator[Blockers]:
    """Checks from another session which sessions block the one with this pid. lock_timeout: seconds."""
    blockers, ended = Blockers(), threading.Event()
    interval = min(1.0, lock_timeout / LOOKS)

    def watch() -> None:
        if ended.wait(interval):
            return
        with suppress(ContentQueueError, psycopg.Error), connect(dsn, APPLICATION) as connection:
            while True:
                blockers.look(connection, pid)
                if ended.wait(interval):
                    return

    thread = threading.Thread(target=watch, name="contentq-blockers", daemon=True)
    thread.start()
    try:
        yield blockers
    finally:
        ended.set()
        thread.join(interval)


def _describe(session: Mapping[str, Any]) -> str:
    """Describes a session; PostgreSQL hides the details of other users' sessions."""
    if not session["pid"]:
        return "a prepared transaction (see pg_prepared_xacts)"
    application = "".join(each if each.isprintable() else "?" for each in session["application"] or "")
    parts = [
        application,
        f"user {session['user']}" if session["user"] else "",
        session["state"] or "",
        "" if session["seconds"] is None else f"for {session['seconds']} s",
    ]
    details = ", ".join(part for part in parts if part)
    return f"session {session['pid']}" + (f" ({details})" if details else "")
