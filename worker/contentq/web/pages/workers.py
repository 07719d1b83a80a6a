"""The workers: what they do, and what keeps them from doing more."""

from __future__ import annotations

from starlette.responses import Response

from contentq.queue import inspection
from contentq.web.database import read_part
from contentq.web.i18n import mark
from contentq.web.page import Page
from contentq.web.routing import get

PATH = "/workers"

NAME = mark("Workers")

MOST_SHOWN = 200


def show_workers(page: Page) -> Response:
    """All of them, the oldest first."""
    with page.database.reading() as connection:
        workers = read_part(connection, inspection.view, "worker_status", MOST_SHOWN)
    return page.render("workers.html", workers=workers, MOST_SHOWN=MOST_SHOWN)


ROUTES = [get(PATH, show_workers)]
