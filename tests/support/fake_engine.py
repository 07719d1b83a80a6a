"""A Docker engine without images that refuses to pull: only as much of the API as the tests call."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer

REFUSAL = "toomanyrequests: You have reached your pull rate limit."


class _Engine(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True
    asked: list[str]


class _Answers(BaseHTTPRequestHandler):
    server: _Engine

    def do_GET(self) -> None:
        self.server.asked.append(f"GET {self.path}")
        if self.path == "/_ping":
            self._answer(200, "OK")
        elif self.path.endswith("/version"):
            self._answer(200, {"ApiVersion": "1.47", "MinAPIVersion": "1.24"})
        else:
            self._answer(404, {"message": "No such image"})

    def do_POST(self) -> None:
        self.server.asked.append(f"POST {self.path}")
        self._answer(500, {"message": REFUSAL})

    def address_string(self) -> str:
        return "a test"

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _answer(self, status: int, body: object) -> None:
        content = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@contextmanager
def refusing(path: Path) -> Iterator[list[str]]:
    """Serves the engine on this socket; yields the growing list of its requests."""
    with _Engine(str(path), _Answers) as server:
        server.asked = []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.asked
        server.shutdown()
        thread.join()
