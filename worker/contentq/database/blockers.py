"""Who holds the lock that a session waits for, found out beside it: once it has given up, no one can tell."""

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
"""How often a wait that is given up is looked at, at least; a longer one once a second."""

MOST_SHOWN = 3

_BLOCKING = """
    SELECT b.pid, a.usename::text AS user, a.application_name AS application, a.state,
           extract(epoch FROM clock_timestamp() - coalesce(a.xact_start, a.state_change))::bigint AS seconds
    FROM unnest(pg_blocking_pids(%s)) AS b (pid)
    LEFT JOIN pg_stat_activity AS a ON a.pid = b.pid
    GROUP BY 1, 2, 3, 4, 5
    ORDER BY seconds DESC NULLS LAST, b.pid"""


class Blockers:
    """What was seen: the sessions that another one waited for, as it was looked at last."""

    def __init__(self) -> None:
        self._seen: list[dict[str, Any]] = []

    def __str__(self) -> str:
        """Who they are; a session that no one knows when nothing was seen."""
        shown = [_describe(session) for session in self._seen[:MOST_SHOWN]]
        if len(self._seen) > MOST_SHOWN:
            shown.append(f"{len(self._seen) - MOST_SHOWN} more")
        return " and ".join(shown) or "another session"

    def look(self, connection: psycopg.Connection[Any], pid: int) -> None:
        """Sees whom the session of this process waits for; what was seen before stays when it waits for no one."""
        with connection.cursor(row_factory=dict_row) as cursor:
            self._seen = cursor.execute(_BLOCKING, [pid]).fetchall() or self._seen


@contextmanager
def watching(dsn: str, pid: int, lock_timeout: float) -> Iterator[Blockers]:
    """Looks, from a session of its own, whom the session of this process waits for. lock_timeout: seconds."""
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
    """One session; of another user's, PostgreSQL may say no more than whose it is."""
    if not session["pid"]:
        return "a prepared transaction (see pg_prepared_xacts)"
    application = "".join(each if each.isprintable() else "?" for each in session["application"] or "")
    parts = [
        application,
        f"user {session['user']}" if session["user"] else "",
        session["state"] or "",
        "" if session["seconds"] is None else f"for {session['seconds']} s",
    ]
    said = ", ".join(part for part in parts if part)
    return f"session {session['pid']}" + (f" ({said})" if said else "")
