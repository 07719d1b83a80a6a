"""The provider of the tests limits, fails and counts as it is told: what is measured against it is true."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import provider as providers
from tests.support.provider_rules import Bucket, Limits

CALL = {"model": "large", "stream": True, "messages": [{"role": "user", "content": "Topic: Tea"}]}


def call(port: int, path: str, body: Any = None) -> Any:
    """Posts JSON, or gets without a body; the answer, of a stream its text."""
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", data, timeout=20) as answer:
        text = answer.read().decode()
    return json.loads(text) if answer.headers["content-type"] == "application/json" else text


@pytest.mark.parametrize("rate", [3, 20])
def test_bucket_lets_the_rate_through_and_names_the_time_of_the_next(rate: int) -> None:
    bucket, limits, now, passed = Bucket(), Limits(rate=rate), 1000.0, 0
    while now < 1010:
        wait = bucket.wait(limits, now)
        passed += not wait
        now += wait

    assert passed in (10 * rate, 10 * rate + 1)


def test_windows_let_the_rate_through_in_each_second_and_no_more() -> None:
    bucket, limits = Bucket(), Limits(rate=2, windows=True)

    waits = [bucket.wait(limits, now) for now in (7.1, 7.2, 7.3, 7.75, 8.0, 8.9, 8.95)]

    assert waits == pytest.approx([0, 0, 0.7, 0.25, 0, 0, 0.05])


def test_burst_is_let_through_at_once() -> None:
    bucket, limits = Bucket(), Limits(rate=1, burst=3)

    assert [bucket.wait(limits, 5.0) for _ in range(4)] == pytest.approx([0, 0, 0, 1])


@pytest.fixture
def process() -> Iterator[int]:
    """The port of one that runs as a process."""
    command = [sys.executable, "-m", "tests.support.provider", "--rate", "1", "--windows", "--seconds", "0.01"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as started:
        assert started.stdout is not None
        yield int(started.stdout.readline())
        started.terminate()
        assert started.wait(10) == 0


def test_process_is_told_and_asked_over_http(process: int) -> None:
    assert "data: [DONE]" in call(process, "/v1/chat/completions", CALL)
    call(process, "/limits", {"rate": 0})
    with pytest.raises(urllib.error.HTTPError) as refused:
        call(process, "/v1/chat/completions", CALL)
    assert refused.value.code == 429
    assert 0 < int(refused.value.headers["retry-after-ms"]) <= 1000
    refused.value.close()

    call(process, "/limits", {"rate": None})
    call(process, "/outage", {"mode": "503", "seconds": 60})
    with pytest.raises(urllib.error.HTTPError) as unavailable:
        call(process, "/v1/chat/completions", CALL)
    assert unavailable.value.code == 503
    unavailable.value.close()
    call(process, "/outage", {"mode": "drop"})
    with pytest.raises(ConnectionError):
        call(process, "/v1/chat/completions", CALL)
    call(process, "/outage", {"mode": None})
    assert "data: [DONE]" in call(process, "/v1/chat/completions", CALL)

    stats = call(process, "/stats")
    assert stats["accepted"] == stats["completed"] == 2
    assert (stats["refused"], stats["unavailable"], stats["running"]) == (1, 2, 0)
    assert sum(second.get("accepted", 0) for second in stats["by_second"].values()) == stats["accepted"]
    call(process, "/stats", {})
    assert call(process, "/stats")["accepted"] == 0


def test_outage_ends_by_itself() -> None:
    with providers.running() as provider:
        call(provider.port, "/outage", {"mode": "drop", "seconds": 0.05})
        give_up = time.monotonic() + 10
        answer = ""
        while not answer and time.monotonic() < give_up:
            try:
                answer = call(provider.port, "/v1/chat/completions", CALL)
            except ConnectionError:
                continue
        assert "data: [DONE]" in answer
