"""The errors page: errors by kind, with links to their tasks and to requeue them."""

from __future__ import annotations

from datetime import timedelta

from starlette.responses import Response

from contentq.queue import inspection
from contentq.web.database import read_part
from contentq.web.i18n import mark
from contentq.web.page import Page
from contentq.web.routing import get

PATH = "/errors"

NAME = mark("Errors")

MOST_SHOWN = 100

NEWEST = 10_000
"""Number of tasks with an error that are read, newest first."""

SINCE = {
    "1h": (timedelta(hours=1), mark("the last hour")),
    "1d": (timedelta(days=1), mark("the last day")),
    "7d": (timedelta(days=7), mark("the last seven days")),
    "all": (None, mark("all")),
}
"""The periods to choose from, with their names."""

DEFAULT = "1d"


def show_errors(page: Page) -> Response:
    """Shows the kinds of errors, most frequent first."""
    asked = page.query("since")
    chosen = asked if asked in SINCE else DEFAULT
    ago, _ = SINCE[chosen]
    with page.database.reading() as connection:
        since = None if ago is None else inspection.now(connection) - ago
        groups = read_part(connection, inspection.error_groups, since, MOST_SHOWN, NEWEST)
    return page.render(
        "errors.html",
        groups=groups,
        chosen=chosen,
        SINCE=SINCE,
        MOST_SHOWN=MOST_SHOWN,
        NEWEST=NEWEST,
    )


ROUTES = [get(PATH, show_errors)]
