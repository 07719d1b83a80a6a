"""The batches page: progress, cost and expected end."""

from __future__ import annotations

import time
from typing import Any

from starlette.responses import Response

from contentq.queue import inspection
from contentq.web.database import Part, read_part
from contentq.web.i18n import mark
from contentq.web.page import Page
from contentq.web.routing import get

PATH = "/batches"

NAME = mark("Batches")

MOST_SHOWN = 20

PATIENCE = 0.12
"""Seconds after which further batches are only named, because showing one reads all of its tasks."""


def show_batches(page: Page) -> Response:
    """Shows the latest batches, or the requested one."""
    asked = page.request.query_params.get("batch", "")
    with page.database.reading() as connection:
        names = Part([asked]) if asked.strip() else read_part(connection, inspection.latest_batches, MOST_SHOWN)
        began = time.monotonic()
        batches: list[dict[str, Any]] = []
        for name in names.value or []:
            if batches and time.monotonic() - began > PATIENCE:
                batches.append({"batch": name, "missing": "later"})
                continue
            progress = read_part(connection, inspection.batches, [name], 1)
            if progress.missing is not None:
                batches.append({"batch": name, "missing": progress.missing})
            elif progress.value:
                batches.append({**progress.value[0], "missing": None})
    return page.render("batches.html", names=names, batches=batches, asked=asked, MOST_SHOWN=MOST_SHOWN)


ROUTES = [get(PATH, show_batches)]
