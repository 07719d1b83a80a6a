"""`contentq web`: where it listens, when it requires a token, and how it ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from contentq.cli.main import execute

from tests.support.forked import CONTENTQ
from tests.web.conftest import Client

TOKEN = "correct horse battery staple"

Start = Callable[..., tuple[subprocess.Popen[bytes], Client]]


@pytest.fixture
def start(dsn: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts the program on any free port; returns it and a client."""
    monkeypatch.setenv("DATABASE_URL", dsn)
    started: list[subprocess.Popen[bytes]] = []

    def start(*options: str) -> tuple[subprocess.Popen[bytes], Client]:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}
        process = CONTENTQ.start("web", "--port", "0", *options, **pipes, env={**os.environ})
        started.append(process)
        assert process.stdout is not None
        address = urlsplit(process.stdout.readline().decode().strip())
        assert address.port is not None
        return process, Client(address.port)

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_page_is_served_until_a_signal(start: Start, sent: signal.Signals) -> None:
    process, client = start()
    answer = client.get("/")
    assert (answer.status, answer.headers["Server"]) == (200, None)
    assert client.get("/", Host="evil.example").status == 421
    assert client.post("/gates/close", {"key": "a"}).status == 403
    process.send_signal(sent)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (0, b"", b"")


@pytest.mark.slow
def test_page_with_a_token_may_be_reached_from_elsewhere(start: Start, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    _, client = start("--host", "0.0.0.0", "--operate", "--token-file", str(tmp_path / "token"))
    assert client.get("/").status == 303
    assert client.get("/", Authorization=f"Bearer {TOKEN}", Host="queue.example.com").status == 200
    assert client.post("/login", {"token": TOKEN}).status == 303
    assert client.post("/gates/close", {"key": "a"}).headers["Location"] == "/gates"


def test_page_behind_a_proxy_asks_for_the_user(start: Start) -> None:
    _, client = start("--host", "0.0.0.0", "--user-header", "X-Remote-User", "--public-host", "queue.example.com")
    assert client.get("/", Host="queue.example.com").status == 401
    assert "anna" in client.get("/", Host="queue.example.com", X_Remote_User="anna").text
    assert client.get("/", Host="evil.example", X_Remote_User="anna").status == 421


@pytest.mark.parametrize(
    ("options", "token", "said"),
    [
        (["--host", "0.0.0.0"], None, "others can reach the page"),
        (["--host", "::"], None, "others can reach the page"),
        (["--host", "queue.example.com"], None, "others can reach the page"),
        (["--host", "0.0.0.0"], "short", "shorter than 16 characters"),
        ([], "", "shorter than 16 characters"),
        (["--token-file", "missing"], None, "does not exist"),
        (["--port", "70000"], None, "70000"),
    ],
)
def test_what_lets_others_in_is_refused(
    dsn: str,
    options: list[str],
    token: str | None,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DATABASE_URL", dsn)
    if token is not None:
        monkeypatch.setenv("CONTENTQ_WEB_TOKEN", token)
    assert execute(["web", *options]) == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_port_that_is_taken_is_said(
    dsn: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", dsn)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert execute(["web", "--port", str(port)]) == 1
    error = capsys.readouterr().err
    assert f"Error: cannot listen on 127.0.0.1 port {port}: " in error
    assert "--port" in error


def test_database_that_is_not_migrated_is_said(
    empty_dsn: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", empty_dsn)
    assert execute(["web"]) == 4
    assert "run: contentq migrate" in capsys.readouterr().err


@pytest.mark.parametrize("missing", ["starlette", "uvicorn", "markdown_it"])
def test_missing_extra_is_named(
    missing: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for module in [name for name in sys.modules if name.partition(".")[0] == missing or "contentq.web" in name]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, missing, None)
    assert execute(["web"]) == 1
    assert "pip install 'contentq[web]'" in capsys.readouterr().err
