"""A request for a page: the user, the language, and how to answer."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from contentq import escaping
from contentq.task import read_id
from contentq.web import i18n
from contentq.web.database import Database
from contentq.web.site import Site
from contentq.web.static import digest
from contentq.web.templating import environment

MESSAGE = "contentq_message"
"""The cookie with the result of a request, which the next page shows."""

LONGEST_MESSAGE = 1_400
"""Bytes. Browsers keep cookies of up to 4,096; JSON makes two bytes of a quote, and base64 four of three."""


PLAIN = "/:@!$&'()*+,="
"""Characters of a path that are not encoded, besides letters and digits; a semicolon would end a cookie's path."""


class Page:
    """What the functions in pages/ get: the request, the database, and ways to answer."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.site: Site = request.app.state.site
        self.language = i18n.language_of(request)
        root = str(request.scope.get("root_path", ""))
        # Encoded as browsers do, which compare the paths of cookies; headers allow no other characters.
        self._root = quote(root, safe=PLAIN)
        self._path = quote(str(request.scope["path"]).removeprefix(root), safe=PLAIN)
        self._translations = i18n.translations(self.language)

    @property
    def database(self) -> Database:
        """The database of the queue."""
        return self.site.database

    @property
    def user(self) -> str | None:
        """The name of the user; if None, the database records the login of the page."""
        return self.site.user_of(self.request)

    @property
    def may_change(self) -> bool:
        """Whether the user may change something; the rights of the page's database login also apply."""
        return self.site.may_operate(self.request)

    @property
    def may_operate(self) -> bool:
        """Whether the page offers the actions of operators."""
        return self.may_change and self.database.rights.operate

    @property
    def may_review(self) -> bool:
        """Whether the page offers the actions of reviewers."""
        return self.may_change and self.database.rights.review

    @property
    def path(self) -> str:
        """The path of this page without its mount point. It starts with one slash: a link that starts with two
        leads to another site.
        """
        return f"/{self._path.lstrip('/')}"

    @property
    def here(self) -> str:
        """The address of this page, with its query."""
        query = self.request.url.query
        return f"{self._root}{self.path}{f'?{query}' if query else ''}"

    @property
    def navigation(self) -> Sequence[tuple[str, str]]:
        """The pages in the navigation."""
        return self.site.navigation

    def query(self, name: str) -> str | None:
        """A query parameter of the address; None if missing or empty."""
        return self.request.query_params.get(name, "").strip() or None

    def id(self, name: str) -> int | None:
        """The row id in a query parameter; None if missing or invalid."""
        return read_id(self.query(name) or "")

    def url(self, path: str, **query: Any) -> str:
        """The address of another page; parameters that are None or empty are omitted."""
        given = {name: value for name, value in query.items() if value not in (None, "")}
        return f"{self._root}{path}{f'?{urlencode(given)}' if given else ''}"

    def with_language(self, language: str) -> str:
        """The address of this page in another language."""
        query = [
            (name, value) for name, value in self.request.query_params.multi_items() if name != i18n.PARAMETER
        ]
        return f"{self._root}{self.path}?{urlencode([*query, (i18n.PARAMETER, language)])}"

    def static(self, name: str) -> str:
        """The address of a static file."""
        return self.url(f"/static/{name}", v=digest(name))

    def gettext(self, message: str, **values: Any) -> str:
        """Translates a message to the language of the page. Templates call it as _, to mark messages."""
        return self._translations.gettext(message) % values if values else self._translations.gettext(message)

    def ngettext(self, singular: str, plural: str, n: int, **values: Any) -> str:
        """Translates a message with a number, which is %(n)s in the message."""
        return self._translations.ngettext(singular, plural, n) % {"n": i18n.number(n), **values}

    def render(self, template: str, status: int = 200, **values: Any) -> Response:
        """Renders a template with these values."""
        message = self._message()
        shown = environment(self.language).get_template(template)
        response = HTMLResponse(shown.render(page=self, message=message, **values), status)
        if message is not None:
            self.delete_cookie(response, MESSAGE)
        chosen = i18n.chosen(self.request)
        if chosen is not None:
            self.set_cookie(response, i18n.COOKIE, chosen, max_age=365 * 86_400)
        return response

    def redirect(self, path: str, message: str | None = None, *, failed: bool = False) -> Response:
        """Redirects to a page, which shows the message."""
        response = RedirectResponse(self.url(path), 303)
        if message is not None:
            short = escaping.escape(message).encode()[:LONGEST_MESSAGE].decode(errors="ignore")
            text = json.dumps([short, failed], ensure_ascii=False)
            self.set_cookie(response, MESSAGE, urlsafe_b64encode(text.encode()).decode(), max_age=60)
        return response

    def delete_cookie(self, response: Response, name: str) -> None:
        """Deletes a cookie in the browser."""
        response.delete_cookie(name, path=self._cookie_path)

    def set_cookie(self, response: Response, name: str, value: str, *, max_age: int | None = None) -> None:
        """Sets a cookie that scripts cannot read, and that forms of other sites are sent without."""
        response.set_cookie(
            name,
            value,
            max_age=max_age,
            path=self._cookie_path,
            secure=self.request.url.scheme == "https",
            httponly=True,
            samesite="lax",
        )

    @property
    def _cookie_path(self) -> str:
        return f"{self._root}/"

    def _message(self) -> Mapping[str, Any] | None:
        """The message of the request before this one."""
        with suppress(ValueError, TypeError, RecursionError):
            text, failed = json.loads(urlsafe_b64decode(self.request.cookies.get(MESSAGE, "")))
            if isinstance(text, str):
                return {"text": text, "failed": bool(failed)}
        return None
