"""The page on the test's own database: over HTTP, and in a real browser if one is installed."""

from __future__ import annotations

import http.client
import json
import re
import socket
import threading
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from html import unescape
from importlib.resources import files
from typing import Any
from urllib.parse import urlencode

import pytest
import uvicorn
from contentq.web import create_app
from contentq.web.database import Database
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright, sync_playwright
from starlette.applications import Starlette
from starlette.types import ASGIApp

from tests.support.browser import chromium, launch
from tests.support.databases import Connection
from tests.support.queue import Queue
from tests.support.waiting import eventually

_AXE = files("axe_playwright_python").joinpath("axe.min.js")

SERIOUS = ("serious", "critical")

_SAY_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) => console.error(
    `refused by the policy: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
"""


@dataclass(frozen=True)
class Answer:
    """A response of the server."""

    status: int
    headers: http.client.HTTPMessage
    body: str

    @property
    def text(self) -> str:
        """The text of the page, without markup."""
        return " ".join(unescape(re.sub(r"<[^>]*>", " ", self.body)).split())


@dataclass
class Client:
    """Requests pages as a program without a browser does. It keeps cookies."""

    port: int
    root: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    cookies: dict[str, str] = field(default_factory=dict)
    app: Starlette = field(default_factory=Starlette)

    @property
    def database(self) -> Database:
        """The connections of the page."""
        found: Database = self.app.state.site.database
        return found

    def get(self, path: str, **headers: str) -> Answer:
        """Requests a page. Header names use underscores."""
        return self._ask("GET", path, None, headers)

    def post(self, path: str, form: Mapping[str, Any] | None = None, **headers: str) -> Answer:
        """Submits a form."""
        return self._ask("POST", path, urlencode(form or {}), headers)

    def message(self) -> tuple[str, bool]:
        """The message on the next page about the last form, and whether it reports a failure."""
        text, failed = json.loads(urlsafe_b64decode(self.cookies["contentq_message"]))
        return str(text), bool(failed)

    def _ask(self, method: str, path: str, body: str | None, headers: dict[str, str]) -> Answer:
        sent = {**self.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        if body is not None:
            sent.setdefault("Content-Type", "application/x-www-form-urlencoded")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, self.root + path, body, sent)
            response = connection.getresponse()
            answer = Answer(response.status, response.headers, response.read().decode())
        finally:
            connection.close()
        for cookie in answer.headers.get_all("Set-Cookie", []):
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value.strip('"')
        return answer


@contextmanager
def serving(app: ASGIApp) -> Iterator[int]:
    """Serves an application while the test runs; yields the port."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        eventually(lambda: server.started)
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


Serve = Callable[..., Client]


@pytest.fixture
def queue(database: Connection) -> Queue:
    """The queue in the test's database."""
    return Queue(database)


@pytest.fixture
def serve(dsn: str) -> Iterator[Serve]:
    """Serves the page of the test's database with options of create_app; returns a client."""
    with ExitStack() as opened:

        def start(**options: Any) -> Client:
            app = create_app(options.pop("dsn", dsn), **options)
            return Client(opened.enter_context(serving(app)), app=app)

        yield start


@pytest.fixture
def client(serve: Serve) -> Client:
    """A client of a read-only page."""
    return serve()


@pytest.fixture
def operating(serve: Serve) -> Client:
    """A client of a page that allows changes."""
    return serve(operate=True)


@pytest.fixture(scope="package")
def playwright() -> Iterator[Playwright]:
    """Ends with this folder's tests: until then, its event loop would be in the way of others."""
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="package")
def browser(request: pytest.FixtureRequest) -> Iterator[Browser]:
    """The system's Chromium."""
    path = chromium()
    playwright: Playwright = request.getfixturevalue("playwright")
    started = launch(playwright, path)
    yield started
    started.close()


@dataclass
class Visitor:
    """A user with a browser, who views the page of the test's database."""

    context: BrowserContext
    page: Page
    address: str
    errors: list[str]
    """The browser's complaints: about scripts, the policy, missing files."""

    def open(self, path: str) -> Page:
        """Opens a page."""
        self.page.goto(self.address + path)
        return self.page

    def press(self, name: str) -> Page:
        """Presses the first button of this name, and waits for the next page."""
        with self.page.expect_navigation():
            self.page.get_by_role("button", name=name, exact=True).first.click()
        return self.page

    def text(self) -> str:
        """The text of the page."""
        return self.page.locator("main").inner_text()

    def findings(self, *rules: str) -> list[str]:
        """Serious problems that axe-core finds for users who need a screen reader, a keyboard or contrast.

        rules: only these rules.
        """
        self.page.evaluate(_AXE.read_text(encoding="utf-8"))
        only = {"runOnly": list(rules)} if rules else {}
        found: dict[str, Any] = self.page.evaluate("(only) => axe.run(only)", only)
        return [
            f"{each['id']}: {node['html']}"
            for each in found["violations"]
            if each["impact"] in SERIOUS
            for node in each["nodes"]
        ]

    def is_as_wide_as_the_screen(self) -> bool:
        """Whether the page as a whole does not scroll sideways."""
        return bool(
            self.page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        )


Visit = Callable[..., Visitor]


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    """Opens a client's page in a browser, with options of playwright's new_context()."""
    with ExitStack() as opened:

        def start(client: Client, **options: Any) -> Visitor:
            context = browser.new_context(**options)
            opened.callback(context.close)
            page = context.new_page()
            page.set_default_timeout(10_000)
            errors: list[str] = []

            def note(message: ConsoleMessage) -> None:
                if message.type in ("error", "warning"):
                    errors.append(message.text)

            page.on("console", note)
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.add_init_script(_SAY_VIOLATIONS)
            return Visitor(context, page, f"http://127.0.0.1:{client.port}{client.root}", errors)

        yield start


def message_of(client: Client) -> str:
    """The message of the page after a form."""
    return client.message()[0]
