"""Example workers as processes, with a database that they reach over TCP, and a provider."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from tests.support import programs
from tests.support.cluster import Cluster
from tests.support.databases import Connection, Databases
from tests.support.queue import Queue

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples"


class Provider:
    """Answers with a text.

    The first calls with the topic "busy" are refused, and those with "down" get no answer.
    """

    def __init__(self) -> None:
        provider = self
        self.calls: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        """Maximum concurrent calls about a topic."""
        self._running: Counter[str] = Counter()
        self._lock = threading.Lock()
        self.held = threading.Event()
        """Answers to topics that begin with "slow" wait for it."""

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                topic = parse_qs(body).get("topic", [""])[0]
                with provider._lock:
                    provider.calls[topic] += 1
                    provider._running[topic] += 1
                    provider.most |= provider._running
                try:
                    self._answer(topic, provider.calls[topic])
                finally:
                    with provider._lock:
                        provider._running[topic] -= 1

            def _answer(self, topic: str, call: int) -> None:
                if topic.startswith("slow"):
                    provider.held.wait(30)
                if topic == "down" and call == 1:
                    self.close_connection = True
                    return
                status = 429 if topic == "busy" and call == 1 else 400 if topic == "bad" else 200
                text = f"# {topic}\n\nIt's written.\n".encode()
                with suppress(BrokenPipeError):
                    self.send_response(status)
                    if status == 429:
                        self.send_header("Retry-After", "0.1")
                    self.send_header("Content-Length", str(len(text)))
                    self.end_headers()
                    self.wfile.write(text)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        self.gate = f"127.0.0.1:{self._server.server_port}"

    def running(self, topic: str) -> int:
        with self._lock:
            return self._running[topic]

    def close(self) -> None:
        self.held.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def provider() -> Iterator[Provider]:
    running = Provider()
    yield running
    running.close()


@pytest.fixture(scope="session")
def databases_over_tcp() -> Iterator[Databases]:
    newest = next(iter(programs.installed().values()))
    with Cluster(newest.folder, tcp=True) as cluster:
        databases = Databases(cluster.dsn(host="127.0.0.1"))
        yield databases
        databases.close()


@pytest.fixture
def dsn(databases_over_tcp: Databases) -> Iterator[str]:
    with databases_over_tcp.migrated() as name:
        yield name


@pytest.fixture
def queue(database: Connection) -> Queue:
    return Queue(database)


class Example:
    """Starts an example as a process, and stops it with SIGTERM."""

    def __init__(self, command: list[str], environment: dict[str, str], folder: Path) -> None:
        self._command, self._environment, self._folder = command, environment, folder
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self, *categories: str) -> subprocess.Popen[bytes]:
        log = self._folder / f"{len(self._started)}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*self._command, *categories],
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._started.append(process)

        def has_registered() -> bool:
            text = log.read_text(errors="replace")
            assert process.poll() is None, text
            return "registered worker=" in text

        deadline = time.monotonic() + 20
        while not has_registered():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return process

    def stop(self) -> None:
        """Stops the running processes; their output on failure fails the test."""
        for process in self._started:
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGTERM)
        codes = []
        for process in self._started:
            try:
                codes.append(process.wait(20))
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        printed = [(self._folder / f"{place}.log").read_text(errors="replace") for place in range(len(codes))]
        assert codes == [0] * len(codes), printed


@pytest.fixture(params=["bash", "node"])
def example(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    provider: Provider,
    database: Connection,
    node_modules: Callable[[], Path],
) -> Iterator[Example]:
    """The worker in Bash, and the one in Node.js, which downloads its driver."""
    for program in {"bash": ("bash", "curl"), "node": ("node", "npm")}[request.param]:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    info = database.info
    environment = {
        "PATH": os.pathsep.join([str(programs.client("psql").parent), os.environ["PATH"]]),
        "DATABASE_URL": f"postgresql://postgres@127.0.0.1:{info.port}/{info.dbname}?sslmode=disable",
        "PROVIDER_URL": f"http://{provider.gate}/draft",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }
    if request.param == "bash":
        running = Example(["bash", str(EXAMPLES / "worker.sh")], environment, tmp_path)
    else:
        # Node.js looks for modules next to the program.
        shutil.copy(EXAMPLES / "worker.mjs", tmp_path)
        (tmp_path / "node_modules").symlink_to(node_modules())
        running = Example(["node", "worker.mjs"], environment, tmp_path)
    yield running
    provider.held.set()
    running.stop()


@pytest.fixture(scope="session")
def node_modules(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """Returns a folder node_modules with the driver pg, installed on first use."""
    folder = tmp_path_factory.mktemp("node")

    def installed() -> Path:
        modules = folder / "node_modules"
        if not modules.is_dir():
            command = ["npm", "install", "--no-save", "--no-audit", "--no-fund", "pg"]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                pytest.skip(f"the Node.js driver pg could not be installed: {done.stderr.strip()[-300:]}")
        return modules

    return installed
