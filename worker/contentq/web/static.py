"""The static files of the page: a stylesheet, scripts and an icon."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

KINDS = {
    "style.css": "text/css; charset=utf-8",
    "app.js": "text/javascript; charset=utf-8",
    "review.js": "text/javascript; charset=utf-8",
    "htmx.min.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
"""The files with their media types."""

HTMX_SHA256 = "d6fdc75f204e6bdefa99b69bf1e6d4ac69b8a364f77929f45c13476b4000f717"
"""The digest of htmx.min.js: dist/htmx.min.js of htmx.org 2.0.11 on npm, unchanged; its licence is next to it."""


@cache
def content(name: str) -> bytes:
    """The content of a file."""
    return files("contentq.web").joinpath("static", name).read_bytes()


@cache
def digest(name: str) -> str:
    """A digest of a file, which changes with its content."""
    return hashlib.sha256(content(name)).hexdigest()[:16]


async def _serve(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in KINDS:
        return Response(status_code=404)
    # The address contains the digest, so that a changed file has a new address.
    kept = "public, max-age=31536000, immutable"
    return Response(content(name), media_type=KINDS[name], headers={"Cache-Control": kept})


def static_routes() -> list[BaseRoute]:
    """The routes of the static files."""
    return [Route("/static/{name}", _serve, name="static")]
