"""A proxy that refuses or is down is named; it counts neither as an outage of the provider nor as the task's
fault.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest
from contentq import TemporaryError
from contentq.handlers.openai.proxies import choose, proxy_of

from tests.handlers.conftest import Ask


class Refusing(BaseHTTPRequestHandler):
    """A proxy that refuses every request."""

    def do_POST(self) -> None:
        self._refuse()

    def do_CONNECT(self) -> None:
        self._refuse()

    def _refuse(self) -> None:
        self.send_response(407, "Proxy Authentication Required")
        self.send_header("Content-Length", "0")
        self.send_header("Connection", "close")
        self.end_headers()

    def log_message(self, format: str, *arguments: Any) -> None: ...


@contextmanager
def refusing() -> Iterator[int]:
    """Its port."""
    with HTTPServer(("127.0.0.1", 0), Refusing) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join(10)


def failure(ask: Ask, scheme: str) -> TemporaryError:
    with pytest.raises(TemporaryError) as caught:
        ask(f"base_url = '{scheme}://models.invalid/v1'")
    return caught.value


@pytest.mark.usefixtures("provider")
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_proxy_that_refuses_is_named(ask: Ask, monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    with refusing() as port:
        monkeypatch.setenv(f"{scheme}_proxy", f"http://me:qsecret@127.0.0.1:{port}")

        caught = failure(ask, scheme)

    assert type(caught) is TemporaryError
    assert f"the proxy 127.0.0.1:{port}, on the way to models.invalid, " in str(caught)
    assert "407" in str(caught)
    assert "HTTPS_PROXY, HTTP_PROXY or ALL_PROXY" in str(caught)
    assert "qsecret" not in str(caught)


@pytest.mark.usefixtures("provider")
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_proxy_that_is_down_is_named(ask: Ask, monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        monkeypatch.setenv("ALL_PROXY", f"http://me:qsecret@127.0.0.1:{port}")

        caught = failure(ask, scheme)

    assert type(caught) is TemporaryError
    assert str(caught) == (
        f"the proxy 127.0.0.1:{port}, on the way to models.invalid, failed: Connection refused; "
        "check HTTPS_PROXY, HTTP_PROXY or ALL_PROXY"
    )


@pytest.mark.parametrize(
    ("base_url", "proxies", "proxy"),
    [
        ("https://api.openai.com/v1", {}, None),
        ("https://api.openai.com/v1", {"https": "http://me:secret@proxy.example:3128"}, "proxy.example:3128"),
        ("https://api.openai.com/v1", {"http": "http://proxy.example:3128"}, None),
        ("http://localhost:8000/v1", {"http": "proxy.example"}, "proxy.example"),
        ("https://api.openai.com/v1", {"all": "socks5://proxy.example:1080"}, "proxy.example:1080"),
        ("https://api.openai.com/v1", {"https": "http://[secret"}, "in the environment"),
    ],
)
def test_proxy_is_named_without_its_password(base_url: str, proxies: dict[str, str], proxy: str | None) -> None:
    assert choose(base_url, proxies, is_bypassed=False) == proxy
    assert choose(base_url, proxies, is_bypassed=True) is None


@pytest.mark.usefixtures("provider")
def test_host_that_needs_no_proxy_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("no_proxy", ".example.com,localhost")

    assert proxy_of("https://llm.example.com/v1") is None
    assert proxy_of("https://example.org/v1") == "proxy.example:3128"
