"""The gates page: pace, limits, and why a gate is closed."""

from __future__ import annotations

from starlette.responses import Response

from contentq.queue import gates
from contentq.web.database import read_part
from contentq.web.forms import Form
from contentq.web.i18n import mark
from contentq.web.page import Page
from contentq.web.routing import get, post

PATH = "/gates"

NAME = mark("Gates")

MOST_SHOWN = 200

EVERYONE = "*"
"""The key of the gate of every worker."""

LARGEST = 1_000_000_000

LONGEST_REASON = 500
"""In characters."""


def show_gates(page: Page) -> Response:
    """Shows the gates; those that keep tasks waiting come first."""
    with page.database.reading() as connection:
        found = read_part(connection, gates.gates_with_limits, MOST_SHOWN)
    everyone = next((gate for gate in found.value or () if gate["key"] == EVERYONE), None)
    return page.render("gates.html", gates=found, everyone=everyone, MOST_SHOWN=MOST_SHOWN, EVERYONE=EVERYONE)


def close_gate(page: Page, form: Form) -> Response:
    """Closes a gate, for a time or until it is opened."""
    key, reason = form.exact("key"), form.text("reason")
    with page.database.changing() as connection:
        gates.close_gate(connection, key, form.duration("for"), reason and reason[:LONGEST_REASON])
    return page.redirect(PATH, page.gettext("Gate %(key)s is closed.", key=key))


def open_gate(page: Page, form: Form) -> Response:
    """Opens a gate."""
    key = form.exact("key")
    with page.database.changing() as connection:
        was_closed = gates.open_gate(connection, key)
    message = (
        page.gettext("Gate %(key)s is open again.") if was_closed else page.gettext("Gate %(key)s was not closed.")
    )
    return page.redirect(PATH, message % {"key": key})


def set_gate(page: Page, form: Form) -> Response:
    """Sets the limits of a gate; an empty field means no limit."""
    key = form.exact("key")
    limits = {
        "requests_per_minute": form.limit("requests_per_minute", LARGEST, least=1, whole=False),
        "tokens_per_minute": form.limit("tokens_per_minute", LARGEST, least=1, whole=False),
        "max_running": form.limit("max_running", 2_147_483_647, least=1),
    }
    with page.database.changing() as connection:
        gates.set_limits(connection, key, limits)
    return page.redirect(PATH, page.gettext("The limits of gate %(key)s are set.", key=key))


ROUTES = [
    get(PATH, show_gates),
    post("/gates/close", close_gate, back=PATH),
    post("/gates/open", open_gate, back=PATH),
    post("/gates/set", set_gate, back=PATH),
]
