"""The workers page: what each worker does, and what it waits for."""

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
    """Shows all workers, oldest first."""
    with page.database.reading() as connection:
        workers = read_part(connection, inspection.view, "worker_status", MOST_SHOWN)
    return page.render("workers.html", workers=workers, MOST_SHOWN=MOST_SHOWN)


ROUTES = [get(PATH, show_workers)]
