"""What the doctor finds: what is wrong with the queue or soon will be, why it matters, and what mends it."""

from __future__ import annotations

from datetime import timedelta

from starlette.responses import Response

from contentq.queue import diagnosis
from contentq.web.database import read_part
from contentq.web.i18n import mark
from contentq.web.page import Page
from contentq.web.routing import get

PATH = "/doctor"

NAME = mark("Doctor")

OPEN_TRANSACTION = timedelta(minutes=10)
"""How long a transaction may be open before it is told."""


def show_findings(page: Page) -> Response:
    """What is found from within the database; contentq doctor also looks at it from without."""
    with page.database.reading() as connection:
        found = read_part(connection, diagnosis.ask_the_database, OPEN_TRANSACTION)
    return page.render("doctor.html", found=found)


ROUTES = [get(PATH, show_findings)]
