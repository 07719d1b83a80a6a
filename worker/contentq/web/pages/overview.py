"""The queue at a glance."""

from __future__ import annotations

from starlette.responses import Response

from contentq.web.i18n import mark
from contentq.web.page import Page
from contentq.web.routing import get

PATH = "/"

NAME = mark("Overview")


def show_overview(page: Page) -> Response:
    """Everything that one looks at first."""
    return page.render("overview.html")


ROUTES = [get(PATH, show_overview)]
