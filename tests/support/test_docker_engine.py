"""Whether a Docker engine answers is found out in less than a second."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.support import docker_engine


@contextmanager
def listening(path: Path) -> Iterator[socket.socket]:
    with closing(socket.socket(socket.AF_UNIX)) as server:
        server.bind(str(path))
        server.listen()
        yield server


def asked(monkeypatch: pytest.MonkeyPatch, address: str) -> bool:
    """The answer, which must come in time."""
    monkeypatch.setenv("DOCKER_HOST", address)
    began = time.monotonic()
    answer = docker_engine.answers()
    assert time.monotonic() - began < 1
    return answer


def test_engine_that_answers_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with listening(tmp_path / "s") as server:

        def engine() -> None:
            connection, _ = server.accept()
            with connection:
                assert connection.recv(100).startswith(b"GET /_ping ")
                connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nOK")

        thread = threading.Thread(target=engine)
        thread.start()
        assert asked(monkeypatch, f"unix://{tmp_path}/s")
        thread.join()


def test_engine_that_accepts_and_says_nothing_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with listening(tmp_path / "s"):
        assert not asked(monkeypatch, f"unix://{tmp_path}/s")


@pytest.mark.parametrize("address", ["unix:///nowhere/docker.sock", "tcp://127.0.0.1:1", "ssh://host", "nonsense"])
def test_client_without_an_engine_is_none(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    assert not asked(monkeypatch, address)
