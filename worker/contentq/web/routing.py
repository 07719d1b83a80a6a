"""Routes of pages, and error pages."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import psycopg
from psycopg import errors
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from contentq.errors import ContentQueueError, DatabaseUnreachable, SchemaMismatch
from contentq.failures import explain_error
from contentq.web.database import Busy
from contentq.web.forms import Form, FormRefused, read_form
from contentq.web.page import Page

_log = logging.getLogger("contentq.web")

Show = Callable[[Page], Response]
"""Shows a page. Runs in a thread, so that it may wait for the database."""

Change = Callable[[Page, Form], Response]
"""Performs what a form requests, then redirects to a page."""


def get(path: str, show: Show) -> BaseRoute:
    """Returns the route of a page."""

    async def endpoint(request: Request) -> Response:
        return await _answer(request, lambda page: run_in_threadpool(show, page))

    return Route(path, endpoint, methods=["GET"], name=show.__name__)


def post(path: str, change: Change, *, back: str, changes: bool = True) -> BaseRoute:
    """Returns the route of a form.

    back: the page that shows an error. changes: whether the user must be allowed to change something.
    """

    async def endpoint(request: Request) -> Response:
        async def answer(page: Page) -> Response:
            if changes and not page.may_change:
                raise HTTPException(403, page.gettext("This page is read-only."))
            try:
                return await run_in_threadpool(change, page, await read_form(request))
            except (ContentQueueError, psycopg.Error) as error:
                if isinstance(error, DatabaseUnreachable | SchemaMismatch):
                    raise
                return page.redirect(back, describe_error(page, error), failed=True)

        return await _answer(request, answer)

    return Route(path, endpoint, methods=["POST"], name=change.__name__)


async def _answer(request: Request, answer: Callable[[Page], Awaitable[Response]]) -> Response:
    page = Page(request)
    try:
        return await answer(page)
    except HTTPException as error:
        return page.render("error.html", error.status_code, what=error.detail)
    except (ContentQueueError, psycopg.Error) as error:
        return page.render("error.html", _status(error), what=describe_error(page, error))
    except Exception:
        _log.exception("page failed path=%s", page.path)
        return page.render("error.html", 500, what=page.gettext("Internal error; see the log for details."))


def error_handlers() -> Mapping[Any, Any]:
    """The handlers for unknown addresses."""

    async def show(request: Request, error: Exception) -> Response:
        page = Page(request)
        status = error.status_code if isinstance(error, HTTPException) else 500
        what = page.gettext("Page not found.") if status == 404 else page.gettext("This request is not possible.")
        return page.render("error.html", status, what=what)

    return {HTTPException: show}


def _status(error: Exception) -> int:
    match error:
        case errors.InsufficientPrivilege():
            return 403
        case FormRefused() | psycopg.DataError():
            return 400
        case Busy() | DatabaseUnreachable() | SchemaMismatch() | psycopg.Error():
            return 503
    return 422


def describe_error(page: Page, error: Exception) -> str:
    """Describes an error in a sentence; messages of the database are in English."""
    if isinstance(error, errors.InsufficientPrivilege):
        return page.gettext(
            "The database login of this page has no right to do this: %(said)s", said=error.diag.message_primary
        )
    if isinstance(error, errors.QueryCanceled):
        return page.gettext("The database took too long to answer.")
    found = explain_error(error)
    return str(error) if found is None else found[0]
