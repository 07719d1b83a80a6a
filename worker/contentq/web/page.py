"""One request for a page: who asks, in which language, and how the answer is made."""

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
"""The cookie with what was done, which the next page shows."""

LONGEST_MESSAGE = 1_400
"""Bytes. Browsers keep cookies of 4,096; JSON makes two bytes of a quote, and base64 four of three."""


PLAIN = "/:@!$&'()*+,="
"""What stays as it is in a path, beside letters and digits; a semicolon would end the path of a cookie."""


class Page:
    """What the functions in pages/ get: the request, the database, and ways to answer."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.site: Site = request.app.state.site
        self.language = i18n.language_of(request)
        root = str(request.scope.get("root_path", ""))
        # As browsers write them, which compare cookies' paths with that; a header has no other characters.
        self._root = quote(root, safe=PLAIN)
        self._path = quote(str(request.scope["path"]).removeprefix(root), safe=PLAIN)
        self._translations = i18n.translations(self.language)

    @property
    def database(self) -> Database:
        """Where the queue is."""
        return self.site.database

    @property
    def user(self) -> str | None:
        """The name of whoever asks; None when nobody says: the database then knows the login only."""
        return self.site.user_of(self.request)

    @property
    def may_change(self) -> bool:
        """Whether whoever asks may change something, as far as the database allows it to the page's login."""
        return self.site.may_operate(self.request)

    @property
    def may_operate(self) -> bool:
        """Whether the page offers what operators do."""
        return self.may_change and self.database.rights.operate

    @property
    def may_review(self) -> bool:
        """Whether the page offers what reviewers do."""
        return self.may_change and self.database.rights.review

    @property
    def path(self) -> str:
        """The path of this page, without where it is mounted. It has one slash at its beginning: with two, a link
        to it would lead to another site.
        """
        return f"/{self._path.lstrip('/')}"

    @property
    def here(self) -> str:
        """The address of this page, with its query."""
        query = self.request.url.query
        return f"{self._root}{self.path}{f'?{query}' if query else ''}"

    @property
    def navigation(self) -> Sequence[tuple[str, str]]:
        """The pages that every page leads to."""
        return self.site.navigation

    def query(self, name: str) -> str | None:
        """What the address says; None when it says nothing."""
        return self.request.query_params.get(name, "").strip() or None

    def id(self, name: str) -> int | None:
        """The id of a row that the address says; None when it says none."""
        return read_id(self.query(name) or "")

    def url(self, path: str, **query: Any) -> str:
        """The address of another page; what is None or empty is left out of its query."""
        given = {name: value for name, value in query.items() if value not in (None, "")}
        return f"{self._root}{path}{f'?{urlencode(given)}' if given else ''}"

    def with_language(self, language: str) -> str:
        """The address of this page in another language."""
        query = [
            (name, value) for name, value in self.request.query_params.multi_items() if name != i18n.PARAMETER
        ]
        return f"{self._root}{self.path}?{urlencode([*query, (i18n.PARAMETER, language)])}"

    def static(self, name: str) -> str:
        """The address of a file."""
        return self.url(f"/static/{name}", v=digest(name))

    def gettext(self, message: str, **values: Any) -> str:
        """A message in the language of whoever asks. Call it as _, so that the messages can be found."""
        return self._translations.gettext(message) % values if values else self._translations.gettext(message)

    def ngettext(self, singular: str, plural: str, n: int, **values: Any) -> str:
        """The same of a number of things, which is %(n)s in the message."""
        return self._translations.ngettext(singular, plural, n) % {"n": i18n.number(n), **values}

    def render(self, template: str, status: int = 200, **values: Any) -> Response:
        """The page that a template makes of these values."""
        message = self._message()
        shown = environment(self.language).get_template(template)
        response = HTMLResponse(shown.render(page=self, message=message, **values), status)
        if message is not None:
            self.delete_cookie(response, MESSAGE)
        chosen = i18n.chosen(self.request)
        if chosen is not None:
            self.set_cookie(response, i18n.COOKIE, chosen, max_age=365 * 86_400)
        return response

    def redirect(self, path: str, said: str | None = None, *, failed: bool = False) -> Response:
        """To the page that shows what has become of it, with a message."""
        response = RedirectResponse(self.url(path), 303)
        if said is not None:
            short = escaping.escape(said).encode()[:LONGEST_MESSAGE].decode(errors="ignore")
            text = json.dumps([short, failed], ensure_ascii=False)
            self.set_cookie(response, MESSAGE, urlsafe_b64encode(text.encode()).decode(), max_age=60)
        return response

    def delete_cookie(self, response: Response, name: str) -> None:
        """Lets the browser forget a cookie."""
        response.delete_cookie(name, path=self._cookie_path)

    def set_cookie(self, response: Response, name: str, value: str, *, max_age: int | None = None) -> None:
        """Sets a cookie that no script can read: it comes with links of other sites, but not with their forms."""
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
        """What the request before this one has said."""
        with suppress(ValueError, TypeError, RecursionError):
            text, failed = json.loads(urlsafe_b64decode(self.request.cookies.get(MESSAGE, "")))
            if isinstance(text, str):
                return {"text": text, "failed": bool(failed)}
        return None
