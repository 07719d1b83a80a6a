"""The test provider limits, fails and counts as configured, so measurements against it are valid."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support import provider as providers
from tests.support.provider_rules import Bucket, Limiter, Limits, Refusal, asked_to_wait

CALL = {"model": "large", "stream": True, "messages": [{"role": "user", "content": "Topic: Tea"}]}


def call(port: int, path: str, body: Any = None) -> Any:
    """Posts JSON, or gets without a body. Returns the answer; for a stream, its text."""
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", data, timeout=20) as answer:
        text = answer.read().decode()
    return json.loads(text) if answer.headers["content-type"] == "application/json" else text


@pytest.mark.parametrize("rate", [3, 20])
def test_bucket_lets_the_rate_through_and_names_the_time_of_the_next(rate: int) -> None:
    bucket, now, passed = Bucket(), 1000.0, 0
    while now < 1010:
        wait = bucket.wait(rate, 1, now)
        if not wait:
            bucket.take()
            passed += 1
        now += wait

    assert passed in (10 * rate, 10 * rate + 1)


def waits(limits: Limits, *times: float) -> list[float]:
    """The seconds that calls at these times are asked to wait; 0 for accepted calls."""
    limiter = Limiter()
    refusals = [limiter.refuse(limits, time) for time in times]
    return [refusal.wait if refusal else 0.0 for refusal in refusals]


def test_windows_let_the_rate_through_in_each_and_no_more_and_begin_with_the_first_call() -> None:
    limits = Limits(rate=2, window=1)

    assert waits(limits, 7.1, 7.2, 7.3, 7.85, 8.1, 9.0, 9.05) == pytest.approx([0, 0, 0.8, 0.25, 0, 0, 0.05])


def test_window_of_a_minute_lets_the_calls_of_a_minute_through_at_once() -> None:
    limits = Limits(rate=0.05, window=60)

    assert waits(limits, 5, 5, 5, 5, 64, 65) == pytest.approx([0, 0, 0, 60, 1, 0])


def test_burst_is_let_through_at_once() -> None:
    assert waits(Limits(rate=1, burst=3), *[5.0] * 4) == pytest.approx([0, 0, 0, 1])


def test_calls_at_once_are_limited() -> None:
    limiter, limits = Limiter(), Limits(in_flight=2)

    assert limiter.refuse(limits, 0.0, running=1) is None
    assert limiter.refuse(limits, 0.0, running=2) == Refusal("concurrency", 1.0)


def test_tokens_are_counted_and_refused_calls_take_none_of_either_bucket() -> None:
    limiter, limits = Limiter(), Limits(rate=1, burst=2, tokens=10, tokens_burst=100)

    assert limiter.refuse(limits, 0.0, tokens=90) is None
    assert limiter.refuse(limits, 0.0, tokens=30) == Refusal("tokens", 2.0)
    assert limiter.refuse(limits, 0.0, tokens=10) is None
    assert limiter.refuse(limits, 0.0, tokens=0) == Refusal("requests", 1.0)


def test_random_share_is_refused_and_the_same_calls_in_each_run() -> None:
    limits = Limits(share=0.05)
    runs = [waits(limits, *[0.0] * 1200) for _ in range(2)]

    assert runs[0] == runs[1]
    assert set(runs[0]) == {0.0, 2.0}
    assert 54 <= sum(wait > 0 for wait in runs[0]) <= 66


def test_headers_say_what_is_left_when_they_are_to() -> None:
    limiter, limits = Limiter(), Limits(rate=2, burst=4)
    for _ in range(4):
        assert limiter.refuse(limits, 0.0) is None

    assert limiter.remaining(limits) == {
        "x-ratelimit-limit-requests": "4",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "2.000s",
    }
    assert asked_to_wait("reset", Refusal("requests", 0.5)) == {
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "500ms",
    }


@pytest.fixture
def process() -> Iterator[int]:
    """The port of a provider that runs as a process."""
    command = [sys.executable, "-m", "tests.support.provider", "--seconds", "0.01"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as started:
        assert started.stdout is not None
        yield int(started.stdout.readline())
        started.terminate()
        assert started.wait(10) == 0


def test_process_is_told_and_asked_over_http(process: int) -> None:
    assert "data: [DONE]" in call(process, "/v1/chat/completions", CALL)
    call(process, "/limits", {"rate": 0.5})
    assert "data: [DONE]" in call(process, "/v1/chat/completions", CALL)
    with pytest.raises(urllib.error.HTTPError) as refused:
        call(process, "/v1/chat/completions", CALL)
    assert refused.value.code == 429
    assert 1000 < int(refused.value.headers["retry-after-ms"]) <= 2000
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
    assert stats["accepted"] == stats["completed"] == 3
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


def test_answers_differ_in_length_and_time_and_are_the_same_for_the_same_topic() -> None:
    def usage(topic: str, port: int) -> str:
        asked = {"model": "large", "stream": True, "stream_options": {"include_usage": True}}
        answer: str = call(
            port, "/v1/chat/completions", {**asked, "messages": [{"role": "user", "content": f"Topic: {topic}"}]}
        )
        return answer.partition('"completion_tokens": ')[2].partition(",")[0]

    with providers.running(words=(40, 4000)) as provider:
        numbers = [int(usage(topic, provider.port)) for topic in ("Tea", "Rain", "Bread", "Tea")]
        tokens = provider.stats()["tokens"]

    assert numbers[0] == numbers[3]
    assert len(set(numbers)) == 3
    assert tokens == sum(numbers) + 4 * 2


def test_calls_under_way_are_counted_over_time_and_calls_at_once_in_an_outage() -> None:
    with providers.running(seconds=0.2) as provider, ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: call(provider.port, "/v1/chat/completions", CALL), range(4)))
        answered = provider.stats()
        call(provider.port, "/outage", {"mode": "drop", "after": 0.5})
        errors = [pool.submit(call, provider.port, "/v1/chat/completions", CALL).exception for _ in range(3)]
        assert all(isinstance(error(10), ConnectionError) for error in errors)
        broken = provider.stats()

    assert answered["most_running"] == 4
    assert 4 * 0.2 <= answered["busy_seconds"] <= 4 * answered["seconds"]
    assert broken["unavailable"] == max(second.get("probes", 0) for second in broken["by_second"].values()) == 3
