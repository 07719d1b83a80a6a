"""Who may access the page, and what a browser may do with the answer.

A page of another site can make a browser send requests to this one, but cannot read the answers. It cannot change
anything either: requests that change something contain their origin in Sec-Fetch-Site or Origin, which no script
can set (https://developer.mozilla.org/docs/Web/HTTP/Reference/Headers/Sec-Fetch-Site; the rule is that of Go's
http.CrossOriginProtection). If the name of another site leads here (DNS rebinding), the header Host gives it away.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections.abc import Sequence
from urllib.parse import urlencode, urlsplit

from starlette.datastructures import Headers as RequestHeaders
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)

HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # With no-referrer, forms would be sent with Origin: null.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}
"""The headers of every answer that does not set them itself."""

USER = "contentq.user"
"""The key of the user's name in the scope of a request, if a proxy named the user."""

COOKIE = "contentq_session"

LONGEST_USER = 200

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")

PUBLIC = ("/login", "/static/")
"""Paths that need no login; those that end with a slash include all paths below them."""


class Login:
    """The token that grants access; the browser stores a digest of it in a cookie."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()

    @property
    def cookie(self) -> str:
        """The value of the cookie. A new token changes it, which logs out all browsers."""
        return hmac.new(self._token, b"contentq web session", hashlib.sha256).hexdigest()

    def is_token(self, given: str) -> bool:
        """Whether this is the token."""
        return hmac.compare_digest(given.encode(errors="replace"), self._token)

    def is_known(self, connection: HTTPConnection) -> bool:
        """Whether a request has the cookie, or the token as a bearer token."""
        scheme, _, bearer = connection.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self.is_token(_utf_8(bearer))
        cookie = connection.cookies.get(COOKIE, "")
        return hmac.compare_digest(cookie.encode(errors="replace"), self.cookie.encode())


class Headers:
    """ASGI middleware that adds HEADERS to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI interface."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers)


class Guard:
    """ASGI middleware that refuses requests from other sites, and from users without access."""

    def __init__(
        self, app: ASGIApp, login: Login | None, user_header: str | None, hosts: Sequence[str] | None
    ) -> None:
        self._app = app
        self._login = login
        self._user_header = user_header
        self._hosts = None if hosts is None else [host.lower() for host in hosts]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI interface."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refuse(scope)
        await (refusal or self._app)(scope, receive, send)

    def _refuse(self, scope: Scope) -> Response | None:
        """Returns the answer to a refused request; None if it is accepted."""
        connection = HTTPConnection(scope)
        headers = connection.headers
        if self._hosts is not None and not is_named(headers.get("Host", ""), self._hosts):
            return PlainTextResponse(
                "This host name is not allowed. To allow it, start: contentq web --public-host NAME\n", 421
            )
        if scope["method"] not in SAFE_METHODS and not is_from_here(headers):
            return PlainTextResponse("The request came from a page of another site and was refused.\n", 403)
        if self._user_header is not None:
            named = [_utf_8(value) for value in headers.getlist(self._user_header)]
            user = named[0] if len(named) == 1 else ""  # with several, one may come from the browser
            if not user or len(user) > LONGEST_USER:
                return PlainTextResponse("The proxy did not name the user.\n", 401)
            scope[USER] = user
        if self._login is not None and not _is_public(scope) and not self._login.is_known(connection):
            if scope["method"] == "GET":
                return RedirectResponse(
                    f"{scope.get('root_path', '')}/login?{urlencode({'next': _asked(scope)})}", 303
                )
            return PlainTextResponse("Log in first.\n", 401)
        return None


def is_named(host: str, names: Sequence[str]) -> bool:
    """Whether a Host header names only this page: an IP address, localhost, or one of the names.

    DNS rebinding needs a name; it cannot use an address.
    """
    try:
        name = (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return False
    if name == "localhost" or name in names:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def is_from_here(headers: RequestHeaders) -> bool:
    """Whether a request that changes something comes from a page of this site, or not from a browser."""
    site = headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in ("same-origin", "none")
    # Browsers omit Sec-Fetch-Site over plain HTTP, except to localhost.
    origin = headers.get("Origin")
    if origin is None:
        return True
    try:
        return urlsplit(origin).netloc.lower() == headers.get("Host", "").lower() != ""
    except ValueError:
        return False


def _is_public(scope: Scope) -> bool:
    path = str(scope["path"]).removeprefix(str(scope.get("root_path", "")))
    return any(path == each or (each.endswith("/") and path.startswith(each)) for each in PUBLIC)


def _asked(scope: Scope) -> str:
    """The requested page, with its query."""
    query = scope["query_string"].decode("latin-1")
    return f"{str(scope['path']).removeprefix(str(scope.get('root_path', '')))}{f'?{query}' if query else ''}"


def _utf_8(value: str) -> str:
    """Decodes a header value, in which Starlette decodes each byte as a character."""
    return value.encode("latin-1").decode(errors="replace").strip()
