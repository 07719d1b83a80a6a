"""A small HTTP server in a thread: /metrics, /healthz (is it alive) and /readyz (can it work)."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any

from contentq.errors import ContentQueueError
from contentq.metrics.exposition import Exposition

log = logging.getLogger("contentq.metrics")

TEXT = "text/plain; charset=utf-8"

PATIENCE = 10.0
"""Seconds that a client has to send its request and to read the answer."""

MOST_REQUESTS = 20
"""Maximum number of concurrent requests; further ones are refused."""

Check = Callable[[], str | None]
"""Returns the problem, or None."""


@dataclass(frozen=True)
class Pages:
    """The pages to serve."""

    metrics: Exposition
    alive: Check
    ready: Check


@contextmanager
def serving(pages: Pages, host: str, port: int) -> Iterator[tuple[str, int]]:
    """Serves from a thread; yields the address. port: 0 for any free port.

    Raises ContentQueueError if it cannot listen on the address.
    """
    try:
        server = _Server(pages, host, port)
    except (OSError, OverflowError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise ContentQueueError(f"cannot listen on {host} port {port}: {reason}") from None
    thread = threading.Thread(target=server.serve_forever, args=[0.1], name="contentq-metrics", daemon=True)
    thread.start()
    address, bound = server.server_address[:2]
    log.info("metrics served host=%s port=%d", address, bound)
    try:
        yield str(address), bound
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, pages: Pages, host: str, port: int) -> None:
        self.pages = pages
        self.free = threading.BoundedSemaphore(MOST_REQUESTS)
        self.address_family, *_, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        super().__init__((str(address[0]), port), _Request)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Handles the request in its own thread, unless there are too many."""
        if not self.free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # no more threads
            self.free.release()
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Handles the request."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        """Logs the error only at level debug: a client may disconnect at any time."""
        log.debug("request not answered", exc_info=True)

    def server_bind(self) -> None:
        """Binds without looking up the host name, which may take long."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = "contentq", self.server_address[1]


class _Request(BaseHTTPRequestHandler):
    server: _Server
    timeout = PATIENCE
    server_version = "contentq"
    sys_version = ""

    def do_GET(self) -> None:
        """Handles GET."""
        pages = self.server.pages
        path = self.path.partition("?")[0]
        try:
            if path == "/metrics":
                self._answer(HTTPStatus.OK, *pages.metrics.text(self.headers.get("Accept")))
            elif path == "/healthz":
                self._answer_check(pages.alive())
            elif path == "/readyz":
                self._answer_check(pages.ready())
            else:
                self._answer(HTTPStatus.NOT_FOUND, TEXT, b"the pages are /metrics, /healthz and /readyz\n")
        except OSError:
            raise
        except Exception:
            log.exception("request failed path=%s", path)
            self._answer(HTTPStatus.INTERNAL_SERVER_ERROR, TEXT, b"internal error; see the log\n")

    def do_HEAD(self) -> None:
        """Handles HEAD: like GET, without a body."""
        self.do_GET()

    def log_message(self, format: str, *args: Any) -> None:
        """Suppresses the request log."""

    def _answer_check(self, wrong: str | None) -> None:
        if wrong is None:
            self._answer(HTTPStatus.OK, TEXT, b"ok\n")
        else:
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, TEXT, f"{wrong}\n".encode("utf-8", "replace"))

    def _answer(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
