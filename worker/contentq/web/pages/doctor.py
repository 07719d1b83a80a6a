"""The doctor page: problems of the queue, why they matter, and how to fix them."""

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
"""Transactions that are open longer than this are reported."""


def show_findings(page: Page) -> Response:
    """Shows what the database finds itself; contentq doctor also checks from outside."""
    with page.database.reading() as connection:
        found = read_part(connection, diagnosis.ask_the_database, OPEN_TRANSACTION)
    return page.render("doctor.html", found=found)


ROUTES = [get(PATH, show_findings)]
