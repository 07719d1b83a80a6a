"""The tasks page: searches tasks, and changes all selected tasks."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, get_args

import psycopg
from starlette.responses import RedirectResponse, Response

from contentq.errors import ContentQueueError
from contentq.queue import browsing, inspection, operations, selectors
from contentq.queue.selectors import Operation
from contentq.task import STATUSES
from contentq.web.database import read_part
from contentq.web.forms import Form, FormRefused
from contentq.web.i18n import mark
from contentq.web.page import Page
from contentq.web.routing import describe_error, get, post
from contentq.web.selection import Selection, as_fields, asked, sent

PATH = "/tasks"

NAME = mark("Tasks")

ON_A_PAGE = 50

MOST_COUNTED = 10_000
"""Tasks are counted up to this number before a change."""

EXAMPLES = 5
"""Number of tasks that are shown before a change."""

WORK = 2.0
"""Seconds after which a step of a change ends; the browser then requests the next step."""

OPERATIONS: tuple[Operation, ...] = get_args(Operation)

APPLIES_TO: Mapping[Operation, tuple[str, ...]] = {
    "requeue": ("failed", "timeout", "completed"),
    "cancel": ("pending", "processing"),
    "delete": ("pending", "completed", "failed", "timeout"),
}
"""The statuses that each operation can change (sql/functions/selected_statuses.sql)."""


def show_tasks(page: Page) -> Response:
    """Shows the selected tasks, newest first; redirects to a task if its task_id is searched."""
    selection, text = asked(page), page.query("q")
    with page.database.reading() as connection:
        if text is not None and operations.status_of(connection, text) is not None:
            return RedirectResponse(page.url("/task", id=text), 303)
        selector = selection.resolve(connection)
        found = read_part(connection, browsing.browse, selector, text, page.id("before"), ON_A_PAGE)
    status = selector.status
    possible = [each for each in OPERATIONS if status is None or status in APPLIES_TO[each]]
    return page.render(
        "tasks.html",
        found=found,
        q=text,
        given=selection.all,
        is_selected=bool(selection.given or text),
        statuses=STATUSES,
        operations=[] if text is not None or selector.is_empty else possible,
        before=page.query("before"),
    )


def confirm(page: Page) -> Response:
    """Shows what an operation on all selected tasks would change."""
    asking = _ask(page, _operation(page.query("operation")), asked(page))
    assert asking is not None
    return asking


def _ask(
    page: Page, operation: Operation, selection: Selection, note: str | None = None, confirmed: int | None = None
) -> Response | None:
    """Asks to confirm a change of all selected tasks that exist now; later submissions are excluded.

    confirmed: the number of tasks when this was asked before; returns None unless there are more now.
    """
    with page.database.reading() as connection:
        selector = selection.resolve(connection)
        if selector.is_empty:
            raise FormRefused(page.gettext("No tasks selected: fill in at least one field."))
        selectors.check(connection, operation, selector)
        now = inspection.now(connection)
        selector = replace(selector, until=now if selector.until is None else min(selector.until, now))
        counted = read_part(connection, selectors.count_up_to, selector, operation, MOST_COUNTED + 1)
        counts, ids = counted.value or ({}, [])
        if confirmed is not None and counted.missing is None and len(ids) <= confirmed:
            return None
        examples = browsing.rows(connection, ids[:EXAMPLES])
    return page.render(
        "confirm.html",
        status=200 if confirmed is None else 409,
        operation=operation,
        fields=as_fields(selector),
        given=selection.all,
        counted=counted,
        counts=counts,
        total=len(ids),
        examples=examples,
        MOST_COUNTED=MOST_COUNTED,
        confirmed=confirmed,
        note=note,
    )


def change(page: Page, form: Form) -> Response:
    """Changes the next selected tasks for a while; the page then continues with the others."""
    operation, selection = _operation(form.text("operation")), sent(form)
    note = form.text("note") if operation == "requeue" else None
    after = form.id("after") if form.text("after") else None
    changed, locked = _number(form, "changed"), _number(form, "locked")
    failure = None
    fields = dict(selection.given)
    try:
        if form.text("confirmed"):
            asking = _ask(page, operation, selection, note, form.id("confirmed"))
            if asking is not None:
                return asking
        began = time.monotonic()
        with page.database.reading() as connection:
            selector = selection.resolve(connection)
        fields = as_fields(selector)
        while True:
            with page.database.changing() as connection:
                done, after = selectors.change_next(connection, operation, selector, note, after)
            changed, locked = changed + done.tasks, locked + done.locked
            if after is None or time.monotonic() - began > WORK:
                break
    except (ContentQueueError, psycopg.Error) as error:
        failure = describe_error(page, error)
    return page.render(
        "change.html",
        operation=operation,
        fields=fields,
        note=note,
        after=after,
        changed=changed,
        locked=locked,
        failure=failure,
    )


def _operation(text: str | None) -> Operation:
    for each in OPERATIONS:
        if each == text:
            return each
    raise FormRefused(f"operation: {text!r} is not an operation; use one of: {', '.join(OPERATIONS)}")


def _number(form: Form, name: str) -> int:
    return form.id(name) if form.text(name) else 0


ROUTES: list[Any] = [
    get(PATH, show_tasks),
    get("/tasks/confirm", confirm),
    post("/selection/change", change, back=PATH),
]
