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
    """The page of a queue.

    dsn: the database; without it DATABASE_URL, or the embedded server. operate: whether something can be changed
    and not only looked at, or a function that says so of a request. token: what one must know to see anything.
    user_header: the header in which a proxy names the user, without whom nothing is shown. user: a function that
    names the user of a request, for a host that mounts the page behind a login of its own. hosts: the names under
    which a browser may ask for it, beside localhost and addresses; None for any.

    Whoever mounts it closes its connections at the end: app.state.site.database.close().
    """
    for function in (operate, user):
        if iscoroutinefunction(function):
            raise TypeError(f"{function.__name__}() is a coroutine function; the page asks plain ones")
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
