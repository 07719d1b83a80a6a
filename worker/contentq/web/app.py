"""The page as an ASGI application."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from inspect import iscoroutinefunction

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request

from contentq.database import dsn as dsns
from contentq.web import pages
from contentq.web.database import Database
from contentq.web.routing import error_handlers
from contentq.web.security import Guard, Headers, Login
from contentq.web.site import Site
from contentq.web.static import static_routes


def create_app(
    dsn: str | None = None,
    *,
    operate: bool | Callable[[Request], bool] = False,
    token: str | None = None,
    user_header: str | None = None,
    user: Callable[[Request], str | None] | None = None,
    hosts: Sequence[str] | None = None,
) -> Starlette:
    """Creates the page of a queue.

    dsn: the database; default: DATABASE_URL, then the embedded server. operate: whether users may change
    something; or a function of the request that returns this. token: the token that users must enter; default:
    none. user_header: the header in which a proxy names the user; without it, requests are refused. user: a
    function that returns the user of a request, for a host that mounts the page behind its own login. hosts: host
    names that browsers may use, in addition to localhost and addresses; None allows any.

    A host that mounts the page must close its connections at the end: app.state.site.database.close().
    """
    for function in (operate, user):
        if iscoroutinefunction(function):
            raise TypeError(f"{function.__name__}() is a coroutine function; use a plain function")
    login = None if token is None else Login(token)
    site = Site(Database(dsns.resolve(dsn)), operate, login, user_header, user, pages.NAVIGATION)

    @asynccontextmanager
    async def closing(_app: Starlette) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await run_in_threadpool(site.database.close)

    app = Starlette(
        routes=[*static_routes(), *pages.ROUTES],
        middleware=[Middleware(Headers), Middleware(Guard, login=login, user_header=user_header, hosts=hosts)],
        exception_handlers=error_handlers(),
        lifespan=closing,
    )
    app.state.site = site
    return app
