"""The pages: /metrics, /healthz and /readyz, of the exporter and of a worker."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from contentq.cli.main import execute
from contentq.engine.health import DEAD_AFTER, Health
from contentq.engine.tally import Counts
from contentq.engine.timings import Timings
from contentq.errors import ContentQueueError
from contentq.metrics.exposition import Exposition
from contentq.metrics.families import FLEET, WORKER
from contentq.metrics.fleet import Fleet
from contentq.metrics.samples import Samples
from contentq.metrics.server import MOST_REQUESTS, Pages, serving
from prometheus_client.parser import text_string_to_metric_families

from tests.support.forked import CONTENTQ
from tests.support.queue import Queue
from tests.support.waiting import eventually

HANDLERS = """
import asyncio

async def handler(task, context):
    if task.topic == "bug":
        raise ValueError("no")
    if task.topic == "long":
        await asyncio.sleep(600)
"""

StartServing = Callable[..., tuple[subprocess.Popen[bytes], str]]


def get(address: str, path: str, **headers: str) -> tuple[int, str, str]:
    """(status, content type, text)."""
    request = urllib.request.Request(f"{address}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers["Content-Type"], error.read().decode()


def samples_of(text: str) -> dict[tuple[str, tuple[str, ...]], float]:
    """By name and label values."""
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture
def wrong() -> dict[str, str]:
    """The problem, by page."""
    return {}


@pytest.fixture
def address(wrong: dict[str, str], fleet: Fleet) -> Iterator[str]:
    """The addresses of an exporter's pages."""
    pages = Pages(Exposition(fleet.read), lambda: wrong.get("alive"), lambda: wrong.get("ready"))
    with serving(pages, "127.0.0.1", 0) as (host, port):
        yield f"http://{host}:{port}"


def test_metrics_are_text_that_prometheus_reads(address: str, queue: Queue) -> None:
    queue.add(priority=7)

    status, content_type, text = get(address, "/metrics")

    assert (status, content_type.partition(";")[0]) == (200, "text/plain")
    found = samples_of(text)
    assert found["contentq_ready_tasks", ("7",)] == 1
    assert found["contentq_task_waiting_seconds_bucket", ("+Inf",)] == 0
    assert "process_cpu_seconds_total" in {name for name, _ in found}


def test_open_metrics_are_given_to_who_asks_for_them(address: str) -> None:
    status, content_type, text = get(address, "/metrics", Accept="application/openmetrics-text; version=1.0.0")

    assert (status, content_type.partition(";")[0]) == (200, "application/openmetrics-text")
    assert text.endswith("# EOF\n")


def test_checks_answer_with_what_is_wrong(address: str, wrong: dict[str, str]) -> None:
    assert get(address, "/healthz")[::2] == (200, "ok\n")
    assert get(address, "/readyz?verbose")[::2] == (200, "ok\n")
    wrong["ready"] = "the database is away"
    assert get(address, "/readyz")[::2] == (503, "the database is away\n")
    assert get(address, "/healthz")[0] == 200


def test_other_paths_and_methods_are_refused(address: str) -> None:
    assert get(address, "/")[0] == 404
    assert get(address, "/metrics/x")[0] == 404
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(urllib.request.Request(f"{address}/metrics", method="POST", data=b"x"), timeout=20)
    assert refused.value.code == 501
    refused.value.close()


@pytest.mark.slow
def test_clients_that_send_nothing_keep_no_other_from_its_answer(address: str) -> None:
    host, _, port = address.removeprefix("http://").partition(":")
    silent = [socket.create_connection((host, int(port))) for _ in range(MOST_REQUESTS - 1)]
    try:
        assert get(address, "/healthz")[0] == 200
    finally:
        for each in silent:
            each.close()


def test_address_that_is_taken_is_told(fleet: Fleet) -> None:
    pages = Pages(Exposition(fleet.read), lambda: None, lambda: None)
    with ExitStack() as opened:
        _, port = opened.enter_context(serving(pages, "127.0.0.1", 0))
        for host in ("127.0.0.1", "no such host"):
            said = re.escape(f"cannot listen on {host} port {port}: ")
            with pytest.raises(ContentQueueError, match=said):
                opened.enter_context(serving(pages, host, port))


def test_ipv6_is_served(fleet: Fleet) -> None:
    pages = Pages(Exposition(fleet.read), lambda: None, lambda: None)
    try:
        with serving(pages, "::1", 0) as (_, port):
            assert get(f"http://[::1]:{port}", "/healthz")[0] == 200
    except ContentQueueError as error:
        pytest.skip(f"this machine has no IPv6: {error}")


def test_samples_that_are_not_declared_are_refused() -> None:
    with pytest.raises(KeyError):
        Samples(FLEET).set("contentq_surprise", 1)
    with pytest.raises(ValueError, match="labels"):
        Samples(FLEET).set("contentq_tasks", 1)


@pytest.fixture
def start(dsn: str, tmp_path: Path) -> Iterator[StartServing]:
    """Starts a serving program; returns the process and the address in its log."""
    (tmp_path / "own.py").write_text(HANDLERS)
    started: list[subprocess.Popen[bytes]] = []

    def start_one(*arguments: str) -> tuple[subprocess.Popen[bytes], str]:
        log = tmp_path / f"log{len(started)}"
        with log.open("wb") as file:
            process = CONTENTQ.start("--dsn", dsn, *arguments, stderr=file, stdout=file, cwd=tmp_path)
        started.append(process)
        found = eventually(lambda: re.search(r"metrics served host=(\S+) port=(\d+)", log.read_text()), within=30)
        return process, f"http://{found[1]}:{found[2]}"

    yield start_one
    for process in started:
        process.kill()
        process.wait()


def test_exporter_serves_until_it_is_told_to_stop(
    start: StartServing,
) -> None:
    process, address = start("metrics", "--port", "0")

    assert samples_of(get(address, "/metrics")[2])["contentq_up", ()] == 1
    assert get(address, "/readyz")[0] == 200
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0


def test_worker_serves_its_own_metrics(start: StartServing, queue: Queue) -> None:
    process, address = start(
        *("worker", "--handler", "own:handler", "--metrics-port", "0", "--concurrency", "7", "--grace", "600")
    )
    eventually(lambda: get(address, "/readyz")[0] == 200, within=30)
    for topic in ("good", "bug", "long"):
        queue.add(topic=topic, max_retries=0)

    def found() -> dict[tuple[str, tuple[str, ...]], float]:
        return samples_of(get(address, "/metrics")[2])

    eventually(lambda: found()["contentq_worker_attempts_total", ("completed",)] == 1, within=30)
    eventually(lambda: found().get(("contentq_worker_failed_attempts_total", ("ValueError",))) == 1, within=30)
    now = found()
    assert now["contentq_worker_attempts_total", ("failed",)] == 1
    assert now["contentq_worker_claimed_total", ()] == 3
    assert (now["contentq_worker_running", ()], now["contentq_worker_slots", ()]) == (1, 7)
    assert now["contentq_worker_registered", ()] == 1
    assert now["contentq_worker_heartbeat_age_seconds", ()] < 10
    exported = {name for name, _ in now if name.startswith("contentq_")}
    assert exported == {name for family in WORKER for name in family.sample_names}

    process.send_signal(signal.SIGTERM)
    eventually(lambda: get(address, "/readyz") == (503, "text/plain; charset=utf-8", "it was told to stop\n"))
    assert get(address, "/healthz")[0] == 200
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 6


def health(**given: object) -> Health:
    values = {
        "counts": Counts(),
        "running": 0,
        "is_registered": True,
        "heartbeat_age": 1.0,
        "loop_silence": 0.1,
        "is_beating": True,
        "is_stopping": False,
        **given,
    }
    return Health(**values)  # type: ignore[arg-type]


def test_worker_is_dead_only_when_a_restart_would_help() -> None:
    away = health(is_registered=False, heartbeat_age=3600.0)

    assert away.dead_because() is None
    assert away.unready_because(Timings()) == "it is not registered with the database"
    assert health().unready_because(Timings()) is None
    assert "blocked" in (health(loop_silence=DEAD_AFTER + 1).dead_because() or "")
    assert "heartbeat" in (health(is_beating=False).dead_because() or "")
    assert "heartbeats" in (health(heartbeat_age=30.0).unready_because(Timings()) or "")
    assert health(is_stopping=True).unready_because(Timings()) == "it was told to stop"


@pytest.mark.parametrize("command", [["metrics", "--once"], ["worker", "--metrics-port", "0"]])
def test_without_the_extra_it_says_what_to_install(
    dsn: str, command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)

    assert execute(["--dsn", dsn, *command]) == 1

    assert capsys.readouterr().err == (
        "Error: the package prometheus-client is not installed; install it with: pip install 'contentq[metrics]'\n"
    )
