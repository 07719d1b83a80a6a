"""The review page: content that waits for a review, one by one, and its approval or rejection."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, cast
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.responses import Response

from contentq.errors import ReviewRefused
from contentq.queue import review
from contentq.queue.reading import Connection
from contentq.task import ReviewStatus
from contentq.titles import heading_of
from contentq.web.database import Part, read_part
from contentq.web.forms import Form, FormRefused
from contentq.web.i18n import mark
from contentq.web.page import Page
from contentq.web.pages.task import changes
from contentq.web.routing import get, post
from contentq.web.selection import Selection, asked, sent

PATH = "/review"

NAME = mark("Review")

SELECTORS = ("account", "category", "batch")

MOST_COUNTED = 1_000

COMING = 10
"""Number of contents in the list of the next ones."""

LONGEST_NOTE = 8_000
"""In characters, as in sql/functions/mark_reviewed.sql."""

VERDICTS = ("approve", "reject", "revise")

REVIEW_STATUSES = ("pending", "approved", "rejected")


def show_review(page: Page) -> Response:
    """Shows the requested content, else the oldest waiting one after the last that was seen."""
    selection = asked(page, *SELECTORS)
    asked_for, after = page.id("content"), page.id("after")
    with page.database.reading() as connection:
        selectors = _resolve(connection, selection)
        beyond = after or 0 if asked_for is None else asked_for
        coming = read_part(connection, review.waiting, selectors, beyond, COMING + 1)
        listed = coming.value or []
        shown = asked_for
        if asked_for is None and listed:
            shown, listed = listed[0]["content_id"], listed[1:]
        content: Part[dict[str, Any] | None] = Part(None)
        before: dict[str, Any] | None = None
        if shown is not None:
            content = read_part(connection, review.content, shown)
            if content.value is None and content.missing is None:
                raise HTTPException(404, page.gettext("There is no content with this id."))
            before = read_part(connection, review.version_before, shown).value
        # If nothing matches, the search reads all waiting content; do not repeat it.
        if beyond == 0 and coming.value is not None and not coming.value:
            count, previous = Part(0), Part[int | None](None)
        else:
            count = read_part(connection, review.count, selectors, MOST_COUNTED + 1)
            earlier = shown if shown is not None else beyond + 1
            previous = read_part(connection, review.waiting_before, selectors, earlier)
    return page.render(
        "review.html",
        content=content,
        coming=Part(listed[:COMING], coming.missing),
        next=listed[0]["content_id"] if listed else None,
        before=before,
        changes=changes(before, content.value),
        heading=content.value and heading_of(content.value["body"]),
        given=selection.given,
        account=selection.get("account"),
        category=selection.get("category"),
        batch=selection.get("batch"),
        after=after,
        MOST_COUNTED=MOST_COUNTED,
        LONGEST_NOTE=LONGEST_NOTE,
        count=count,
        previous=previous.value,
    )


def decide(page: Page, form: Form) -> Response:
    """Approves or rejects content, or requests a revision; reports if another reviewer has decided meanwhile."""
    content_id, verdict, seen = form.id("content"), form.text("verdict"), form.text("seen")
    if verdict not in VERDICTS or seen not in REVIEW_STATUSES:
        raise FormRefused(page.gettext("No decision given: approve, reject or request a revision."))
    note, was = form.text("note"), cast("ReviewStatus", seen)
    given = dict(sent(form, *SELECTORS).given)
    try:
        with page.database.changing() as connection:
            if verdict == "approve":
                review.approve(connection, content_id, page.user, note, was)
            else:
                review.reject(connection, content_id, page.user, note, verdict == "revise", was)
    except ReviewRefused as refused:
        return page.redirect(_place(content=content_id, **given), str(refused), failed=True)
    message = {
        "approve": page.gettext("Content %(id)s is approved.", id=content_id),
        "reject": page.gettext("Content %(id)s is rejected.", id=content_id),
        "revise": page.gettext("Content %(id)s is rejected, and its task is pending again.", id=content_id),
    }[verdict]
    place = _place(after=content_id, **given) if was == "pending" else _place(content=content_id, **given)
    return page.redirect(place, message)


def _resolve(connection: Connection, selection: Selection) -> dict[str, Any]:
    return {
        name: value for name, value in asdict(selection.resolve(connection)).items() if name in review.SELECTORS
    }


def _place(**query: Any) -> str:
    return f"{PATH}?{urlencode(query)}"


ROUTES = [get(PATH, show_review), post("/review/decide", decide, back=PATH)]
