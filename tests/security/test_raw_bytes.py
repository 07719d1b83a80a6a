"""The size of a provider's answer is bounded in bytes, whatever its shape, so no answer exhausts a worker's
memory.
"""

from __future__ import annotations

import bz2
import gzip
import json
import os
import subprocess
import sys
import zlib
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.support import provider as providers
from tests.support.hostile import sending

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]

MOST = 100_000_000
"""Maximum additional bytes of a call, compared with an ordinary one."""

ZEROS = 200_000_000
"""Bytes in a small compressed body."""


def head(status: str = "200 OK", **headers: str) -> bytes:
    """The head of an answer that ends with the connection."""
    sent = {"content_type": "text/event-stream", **headers}
    lines = [f"HTTP/1.1 {status}", *(f"{name.replace('_', '-')}: {is_}" for name, is_ in sent.items()), "", ""]
    return "\r\n".join(lines).encode()


def event(delta: dict[str, Any]) -> bytes:
    """A piece of an answer."""
    return f"data: {json.dumps({'choices': [{'index': 0, 'delta': delta}]})}\n\n".encode()


@cache
def bomb(encoding: str) -> bytes:
    """A small body that decompresses to ZEROS."""
    if encoding == "bz2":
        return bz2.compress(bytes(ZEROS))
    return gzip.compress(bytes(ZEROS), 1) if encoding == "gzip" else zlib.compress(bytes(ZEROS), 1)


FAIL = "500 Internal Server Error"

ENDLESS: dict[str, tuple[bytes, bytes, str, str]] = {
    "line": (head() + b"data: ", b"x", "TemporaryError", "a piece of it has more than 2,100,000 bytes"),
    "event": (head(), b"data: x\n", "TemporaryError", "a piece of it has more than 2,100,000 bytes"),
    "JSON": (
        head(content_type="application/json") + b'{"choices": [',
        b"{}, ",
        "TemporaryError",
        "a piece of it has more than 2,100,000 bytes",
    ),
    "choices in one piece": (
        head(),
        b'data: {"choices": [' + b"{}," * 600_000 + b"{}]}\n\n",
        "TemporaryError",
        "bytes, and no end",
    ),
    "tool calls in one piece": (
        head(),
        b'data: {"choices": [{"delta": {"tool_calls": [' + b"{}," * 600_000 + b"{}]}}]}\n\n",
        "TemporaryError",
        "bytes, and no end",
    ),
    "comments": (head(), b": go on\n\n", "TemporaryError", "more than 64,250,000 bytes, and no end"),
    "blank lines": (head(), b"\n", "TemporaryError", "more than 64,250,000 bytes, and no end"),
    "reasoning": (
        head(),
        event({"reasoning_content": "hm " * 100}),
        "TemporaryError",
        "more than 64,250,000 bytes, and no end",
    ),
    "refusal": (
        head(),
        event({"refusal": "no " * 100}),
        "TemporaryError",
        "more than 64,250,000 bytes, and no end",
    ),
    "tool calls": (
        head(),
        event({"tool_calls": [{"index": 0, "function": {"arguments": "x" * 300}}]}),
        "TemporaryError",
        "more than 64,250,000 bytes, and no end",
    ),
    "text": (head(), event({"content": "\u8336" * 50}), "PermanentError", "more than 1,000 characters"),
    "usage": (
        head(),
        b'data: {"choices": [], "usage": {"prompt_tokens": ' + b"9" * 4_000 + b"}}\n\n",
        "TemporaryError",
        "bytes, and no end",
    ),
    "error": (head(FAIL), b"x", "ProviderUnavailable", "answered 500: xxx"),
    "error in HTML": (head(FAIL, content_type="text/html"), b"<", "ProviderUnavailable", "answered 500: <<<"),
    "error in JSON": (
        head(FAIL, content_type="application/json") + b'{"error": ',
        b"[",
        "ProviderUnavailable",
        "answered 500: {",
    ),
    "redirect": (head("302 Found", location="/x"), b"x", "PermanentError", "answered 302: it redirects to /x"),
    "header": (b"HTTP/1.1 200 OK\r\nx: ", b"y", "ProviderUnavailable", ""),
    "headers": (b"HTTP/1.1 200 OK\r\n", b"x: y\r\n", "ProviderUnavailable", ""),
    "status line": (b"HTTP/1.1 200 ", b"y", "ProviderUnavailable", ""),
    "interim answers": (b"", b"HTTP/1.1 100 Continue\r\n\r\n", "ProviderUnavailable", "within 5 seconds"),
    "chunk's size": (head(transfer_encoding="chunked"), b"0", "ProviderUnavailable", ""),
    "chunk's extension": (head(transfer_encoding="chunked") + b"1;", b"y", "ProviderUnavailable", ""),
    "trailers": (head(transfer_encoding="chunked") + b"0\r\n", b"x: y\r\n", "ProviderUnavailable", ""),
    "tiny chunks": (
        head(transfer_encoding="chunked"),
        b"1\r\n\n\r\n",
        "TemporaryError",
        "more than 64,250,000 bytes, and no end",
    ),
}

SMALL = {"line", "event", "JSON", "error"}
"""Answers that reach a limit at once with the default settings."""


def grown(tmp_path: Path, first: bytes, again: bytes, settings: str) -> dict[str, Any]:
    """The result of a call with this answer, in a separate process."""
    (tmp_path / "openai.toml").write_text(settings, encoding="utf-8")
    environment = {name: is_ for name, is_ in os.environ.items() if not name.lower().endswith("_proxy")}
    with providers.running() as good, sending(first, again) as bad:
        command = [sys.executable, "-m", "tests.support.one_call", good.url, bad, str(tmp_path / "openai.toml")]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr.decode()
    said: dict[str, Any] = json.loads(done.stdout)
    return said


@pytest.mark.parametrize("shape", ENDLESS)
def test_answer_without_end_costs_no_memory_and_is_tried_again(tmp_path: Path, shape: str) -> None:
    first, again, error, message = ENDLESS[shape]
    settings = "" if shape in SMALL else "max_characters = 1_000\n"
    if shape in ("choices in one piece", "tool calls in one piece"):
        settings = "max_characters = 900_000\n"
    if shape == "interim answers":
        settings = "timeout = 5\n"

    said = grown(tmp_path, first, again, settings)

    assert (said["error"], message in said["message"]) == (error, True), said
    assert said["grown"] < MOST
    assert len(said["message"]) < 1_000


@pytest.mark.parametrize(
    ("status", "encoding"),
    [
        ("200 OK", "gzip"),
        (FAIL, "deflate"),
        ("200 OK", "deflate"),
        (FAIL, "gzip"),
    ],
)
def test_compressed_answer_is_not_unpacked(tmp_path: Path, encoding: str, status: str) -> None:
    said = grown(tmp_path, head(status, content_encoding=encoding) + bomb(encoding), b"", "")

    assert said["error"] == ("ProviderUnavailable" if status == FAIL else "TemporaryError")
    assert f"compressed ({encoding})" in said["message"]
    assert said["grown"] < MOST


@pytest.mark.parametrize("status", ["200 OK", FAIL])
def test_charset_that_unpacks_is_not_believed(tmp_path: Path, status: str) -> None:
    said = grown(tmp_path, head(status, content_type="text/plain; charset=bz2") + bomb("bz2"), b"", "")

    assert said["error"] == ("ProviderUnavailable" if status == FAIL else "TemporaryError")
    assert said["grown"] < MOST


JSON = head(content_type="application/json")
FILE = head(content_type="application/octet-stream")
ANSWERED = b'{"custom_id": "%d-1", "response": {"status_code": 200, "body": {"choices": ['
LINE_END = b"0]}}}\n"
NESTED = b'{"":' * 400 + b"0" + b"}" * 400 + b","
LARGEST_LINE = 2_100_000
"""Maximum bytes of a line of answers, with the default settings."""


def line_of(number: int, item: bytes, size: int) -> bytes:
    """A line of a file of answers, of up to this size, that consists of these items."""
    start = ANSWERED % number
    return start + item * ((size - len(start) - len(LINE_END)) // len(item)) + LINE_END


BATCHES: dict[str, tuple[str, bytes, bytes, bytes, tuple[str, str, int]]] = {
    "lines": (
        "file",
        FILE + line_of(1, b"{},", 1_000),
        FILE + line_of(1, NESTED, LARGEST_LINE) + line_of(2, b'{"":{}},', LARGEST_LINE) + line_of(3, b"0,", 1_000),
        b"",
        ("NoneType", "None", 3),
    ),
    "line that is too large": (
        "file",
        FILE + line_of(1, b"{},", 1_000),
        FILE + line_of(1, b"[[]],", 16_000_000) + line_of(2, b"0,", 1_000),
        b"",
        ("NoneType", "None", 2),
    ),
    "batch": (
        "retrieve",
        JSON + b'{"id": "b"}',
        JSON + b'{"id": "b", "errors": {"data": [',
        b"{},",
        ("StreamTooLarge", "more than 1,000,000 bytes, and no end", 0),
    ),
    "errors of a batch": (
        "retrieve",
        JSON + b'{"id": "b"}',
        JSON + b'{"id": "b", "errors": {"data": [' + b"{}," * 330_000 + b"{}]}}",
        b"",
        ("NoneType", "None", 0),
    ),
    "page": (
        "find",
        JSON + b'{"data": []}',
        JSON + b'{"data": [' + b"{}," * 330_000 + b'{"id": "b", "created_at": 1}]}',
        b"",
        ("NoneType", "None", 0),
    ),
    "uploaded file": (
        "upload",
        JSON + b'{"id": "f"}',
        JSON + b'{"id": "f", "filename": "',
        b"x",
        ("StreamTooLarge", "more than 1,000,000 bytes, and no end", 0),
    ),
}


@pytest.mark.parametrize("shape", BATCHES)
def test_answer_about_a_batch_costs_little_memory(shape: str) -> None:
    call, ordinary, first, again, expected = BATCHES[shape]
    environment = {name: is_ for name, is_ in os.environ.items() if not name.lower().endswith("_proxy")}

    with sending(ordinary) as good, sending(first, again) as bad:
        command = [sys.executable, "-m", "tests.support.one_batch", good, bad, call]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, timeout=110, check=False)

    assert done.returncode == 0, done.stderr.decode()
    said = json.loads(done.stdout)
    assert (said["error"], said["message"], said["stored"]) == expected, said
    assert said["grown"] < MOST


def memory_of_a_trial(settings: Path, url: str) -> tuple[int, str, int]:
    """Exit code and standard error of `contentq try`, and its peak memory in bytes."""
    settings.write_text(f"base_url = '{url}'\nmax_characters = 1_000\n", encoding="utf-8")
    command = [sys.executable, "-m", "contentq", "try", "--handler", "openai", "--settings", str(settings)]
    environment = {name: is_ for name, is_ in os.environ.items() if not name.lower().endswith("_proxy")}
    with (settings.parent / "stderr").open("w+b") as stderr:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=stderr)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        stderr.seek(0)
        return process.returncode, stderr.read().decode(), used.ru_maxrss * 1024


@pytest.mark.skipif(sys.platform != "linux", reason="memory is in other units elsewhere")
@pytest.mark.parametrize(
    "again",
    [b"x", event({"refusal": "no " * 100})],
    ids=["line", "refusal"],
)
def test_trial_is_bounded_as_a_worker_is(tmp_path: Path, again: bytes) -> None:
    with providers.running() as good, sending(head() + (b"data: " if again == b"x" else b""), again) as bad:
        fine, _, before = memory_of_a_trial(tmp_path / "openai.toml", good.url)
        failed, said, after = memory_of_a_trial(tmp_path / "openai.toml", bad)

    assert (fine, failed) == (0, 1)
    assert "bytes, and no end" in said
    assert after - before < MOST


def test_status_of_an_error_counts_although_its_body_is_compressed(tmp_path: Path) -> None:
    answer = head("429 Too Many Requests", content_encoding="gzip", retry_after="7") + bomb("gzip")

    said = grown(tmp_path, answer, b"", "")

    assert (said["error"], said["grown"] < MOST) == ("RateLimited", True)
