"""Logs in with the token, and out."""

from __future__ import annotations

import re

from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from contentq.web.forms import Form
from contentq.web.page import Page
from contentq.web.routing import get, post
from contentq.web.security import COOKIE, Login

_OF_THIS_SITE = re.compile(r"/(?![/\\])[\x21-\x7e]*")
"""Addresses that browsers treat as part of this site; //evil.example is not one of them."""


def show_login(page: Page) -> Response:
    """Shows the form."""
    _login_of(page)
    return page.render("login.html", next=page.query("next") or "/")


def log_in(page: Page, form: Form) -> Response:
    """Logs in a user who knows the token."""
    login = _login_of(page)
    if not login.is_token(form.text("token") or ""):
        return page.redirect("/login", page.gettext("Wrong token."), failed=True)
    wanted = form.text("next") or "/"
    response = RedirectResponse(page.url(wanted if _OF_THIS_SITE.fullmatch(wanted) else "/"), 303)
    page.set_cookie(response, COOKIE, login.cookie)
    return response


def log_out(page: Page, _form: Form) -> Response:
    """Deletes the cookie."""
    response = RedirectResponse(page.url("/login"), 303)
    page.delete_cookie(response, COOKIE)
    return response


def _login_of(page: Page) -> Login:
    """Returns the login. Raises HTTPException if no token is required."""
    if page.site.login is None:
        raise HTTPException(404, page.gettext("Page not found."))
    return page.site.login


ROUTES = [
    get("/login", show_login),
    post("/login", log_in, back="/login", changes=False),
    post("/logout", log_out, back="/login", changes=False),
]
