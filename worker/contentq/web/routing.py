"""Routes of pages, and what is shown when a page cannot be."""

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
"""Shows a page. It runs in a thread of its own, so that it may wait for the database."""

Change = Callable[[Page, Form], Response]
"""Does what a form asks for, and then leads to a page."""


def get(path: str, show: Show) -> BaseRoute:
    """The route of a page."""

    async def endpoint(request: Request) -> Response:
        return await _answer(request, lambda page: run_in_threadpool(show, page))

    return Route(path, endpoint, methods=["GET"], name=show.__name__)


def post(path: str, change: Change, *, back: str, changes: bool = True) -> BaseRoute:
    """The route of a form.

    back: the page that shows why it was refused. changes: whether only an operator may.
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
                return page.redirect(back, say(page, error), failed=True)

        return await _answer(request, answer)

    return Route(path, endpoint, methods=["POST"], name=change.__name__)


async def _answer(request: Request, answer: Callable[[Page], Awaitable[Response]]) -> Response:
    page = Page(request)
    try:
        return await answer(page)
    except HTTPException as error:
        return page.render("error.html", error.status_code, what=error.detail)
    except (ContentQueueError, psycopg.Error) as error:
        return page.render("error.html", _status(error), what=say(page, error))
    except Exception:
        _log.exception("page failed path=%s", page.path)
        return page.render("error.html", 500, what=page.gettext("This page has failed; the log says why."))


def error_handlers() -> Mapping[Any, Any]:
    """What is shown for an address that leads nowhere."""

    async def show(request: Request, error: Exception) -> Response:
        page = Page(request)
        status = error.status_code if isinstance(error, HTTPException) else 500
        what = page.gettext("There is no such page.") if status == 404 else page.gettext("This cannot be done.")
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


def say(page: Page, error: Exception) -> str:
    """What has gone wrong, in a sentence; what the database says of it is English."""
    if isinstance(error, errors.InsufficientPrivilege):
        return page.gettext("The login of this page may not do that: %(said)s", said=error.diag.message_primary)
    if isinstance(error, errors.QueryCanceled):
        return page.gettext("The database took too long to answer.")
    found = explain_error(error)
    return str(error) if found is None else found[0]
