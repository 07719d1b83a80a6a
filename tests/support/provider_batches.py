"""A server that behaves like a provider of batches: it accepts files, makes batches of them, and answers later.

In a test, `with running() as provider:` runs it in a thread. It also answers direct calls, streamed in one piece.
Each request is answered once per batch that contains it, and counted: `provider.done` records the work paid for. A
batch goes from validating to in_progress when it is retrieved. It ends when the test calls complete() or fail(),
or with at_once as soon as it is retrieved.
"""

from __future__ import annotations

import json
import threading
import time
import urllib.parse
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ENDED = ("completed", "expired", "cancelled", "failed")

Line = dict[str, Any]

Answer = Callable[[Line], tuple[int, dict[str, Any]]]
"""Returns the status and the body of the answer to a request."""


def article(line: Line) -> tuple[int, dict[str, Any]]:
    """Answers with an article on the topic, the same each time."""
    asked = line["body"]["messages"][-1]["content"]
    topic = next((word for word in asked.split() if word.startswith("topic-")), "a topic")
    return 200, completion(f"# On {topic}\n\nThree words here.\n")


def titled(line: Line) -> tuple[int, dict[str, Any]]:
    """An article with the topic from the shipped prompts as its title."""
    asked = "\n".join(str(message["content"]) for message in line["body"]["messages"])
    topic = next(part.partition(":")[2].strip() for part in asked.splitlines() if part.startswith("Topic:"))
    return 200, completion(f"# {topic}\n\nThree words here.\n")


def completion(text: str | None, reason: str = "stop", **message: Any) -> dict[str, Any]:
    """A chat completion with this text."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "small-1",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": text, **message}, "finish_reason": reason}
        ],
        "usage": {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150},
    }


@dataclass
class Made:
    """A batch at the provider."""

    id: str
    file: str
    metadata: dict[str, str]
    lines: list[Line]
    status: str = "validating"
    output: str | None = None
    errors_file: str | None = None
    errors: list[dict[str, Any]] | None = None
    done: int = 0
    failed: int = 0
    created_at: int = field(default_factory=lambda: int(time.time()))
    strange: dict[str, Any] = field(default_factory=dict)

    @property
    def json(self) -> dict[str, Any]:
        """The batch as the API shows it."""
        return {
            "id": self.id,
            "object": "batch",
            "endpoint": "/v1/chat/completions",
            "completion_window": "24h",
            "input_file_id": self.file,
            "status": self.status,
            "output_file_id": self.output,
            "error_file_id": self.errors_file,
            "errors": None if self.errors is None else {"object": "list", "data": self.errors},
            "created_at": self.created_at,
            "expires_at": self.created_at + 86400,
            "metadata": self.metadata,
            "request_counts": {"total": len(self.lines), "completed": self.done, "failed": self.failed},
            **self.strange,
        }


class Refused(Exception):
    """A call that the provider refuses."""

    def __init__(self, status: int, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"error": {"message": message, "type": "invalid_request_error", "code": code}}


class BatchProvider:
    """The server. Its behaviour may be changed from another thread at any time.

    at_once: batches complete as soon as they are retrieved. answer: makes the answers. before and after: called
    before and after each call of these names takes effect (upload, create, list, retrieve, cancel, content,
    delete, chat). An exception that they raise becomes the answer; Refused with status 0 closes the connection
    without an answer. strange: fields that replace those of new batches. half_way: called after half of a file was
    sent; then the connection ends.
    """

    def __init__(self, answer: Answer = article) -> None:
        self.answer = answer
        self.at_once = False
        self.before: dict[str, Callable[[], None]] = {}
        self.after: dict[str, Callable[[], None]] = {}
        self.strange: dict[str, Any] = {}
        self.half_way: Callable[[], None] | None = None
        self.calls: Counter[str] = Counter()
        self.done: Counter[str] = Counter()
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, Made] = {}
        self.cancelled: list[str] = []
        self._number = 0
        self._lock = threading.RLock()
        handler = type("Handler", (_Handler,), {"provider": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )

    @property
    def url(self) -> str:
        """The address of the API."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    @property
    def sent(self) -> Counter[str]:
        """How often each request is in a batch."""
        with self._lock:
            return Counter(line["custom_id"] for made in self.batches.values() for line in made.lines)

    def start(self) -> None:
        """Starts to serve."""
        self._thread.start()

    def stop(self) -> None:
        """Stops."""
        self._server.shutdown()
        self._server.server_close()

    def complete(self, status: str = "completed", share: float = 1.0, leave_out: float = 0.0) -> None:
        """Completes all running batches.

        share: the share of their requests that is done. leave_out: the share of the completed requests that have
        no line in any file.
        """
        with self._lock:
            for made in self.batches.values():
                if made.status not in ENDED:
                    self._end(made, status, share, leave_out)

    def fail(self, *errors: dict[str, Any]) -> None:
        """Fails all running batches with these errors and without results."""
        with self._lock:
            for made in self.batches.values():
                if made.status not in ENDED:
                    made.status, made.errors = "failed", list(errors)

    def _end(self, made: Made, status: str, share: float, leave_out: float = 0.0) -> None:
        number = round(share * len(made.lines))
        good: list[Line] = []
        bad: list[Line] = []
        for place, line in enumerate(made.lines):
            if place >= number:
                error = {"code": "batch_cancelled" if status == "cancelled" else "batch_expired", "message": "no"}
                bad.append({"custom_id": line["custom_id"], "response": None, "error": error})
                continue
            self.done[line["custom_id"]] += 1
            if place < leave_out * number:
                continue
            status_code, body = self.answer(line)
            made.done, made.failed = made.done + (status_code == 200), made.failed + (status_code != 200)
            response = {"status_code": status_code, "request_id": "req-1", "body": body}
            answered = {"id": "r", "custom_id": line["custom_id"], "response": response, "error": None}
            (good if status_code == 200 else bad).append(answered)
        made.status = status
        if good:
            made.output = self._add_file(_jsonl(good[::-1]))  # random order
        if bad:
            made.errors_file = self._add_file(_jsonl(bad))

    def _add_file(self, content: bytes) -> str:
        self._number += 1
        name = f"file-{self._number}"
        self.files[name] = content
        return name

    # Calls

    def handle(self, method: str, path: str, query: dict[str, str], body: bytes, kind: str) -> tuple[str, bytes]:
        """The content type and the body of the answer to a call. Raises Refused."""
        call, run = self._route(method, path, query, body, kind)
        self.calls[call] += 1
        if call in self.before:
            self.before[call]()
        with self._lock:
            found = run()
        if call in self.after:
            self.after[call]()
        return found

    def _route(
        self, method: str, path: str, query: dict[str, str], body: bytes, kind: str
    ) -> tuple[str, Callable[[], tuple[str, bytes]]]:
        parts = path.removeprefix("/v1/").split("/")
        match method, parts:
            case "POST", ["files"]:
                return "upload", lambda: self._upload(body, kind)
            case "DELETE", ["files", file]:
                return "delete", lambda: self._delete(file)
            case "GET", ["files", file, "content"]:
                return "content", lambda: ("application/octet-stream", self._file(file))
            case "POST", ["batches"]:
                return "create", lambda: self._create(json.loads(body))
            case "GET", ["batches"]:
                return "list", lambda: self._list(query)
            case "GET", ["batches", batch]:
                return "retrieve", lambda: self._retrieve(batch)
            case "POST", ["batches", batch, "cancel"]:
                return "cancel", lambda: self._cancel(batch)
            case "POST", ["chat", "completions"]:
                return "chat", lambda: self._chat(json.loads(body))
        raise Refused(404, f"there is no {method} {path}")

    def _upload(self, body: bytes, kind: str) -> tuple[str, bytes]:
        boundary = b"--" + kind.partition("boundary=")[2].encode()
        parts = [part.partition(b"\r\n\r\n") for part in body.split(boundary)]
        [content] = [rest for head, _, rest in parts if b'name="file"' in head]
        [purpose] = [rest for head, _, rest in parts if b'name="purpose"' in head]
        assert purpose.strip() == b"batch"
        name = self._add_file(content.removesuffix(b"\r\n"))
        found = {"id": name, "object": "file", "bytes": len(content), "created_at": int(time.time())}
        return _json({**found, "filename": "f", "purpose": "batch", "status": "processed"})

    def _file(self, file: str) -> bytes:
        if file not in self.files:
            raise Refused(404, f"no such file {file}")
        return self.files[file]

    def _delete(self, file: str) -> tuple[str, bytes]:
        self._file(file)
        del self.files[file]
        return _json({"id": file, "object": "file", "deleted": True})

    def _create(self, given: dict[str, Any]) -> tuple[str, bytes]:
        if given["input_file_id"] not in self.files:
            raise Refused(400, f"no such file {given['input_file_id']}")
        lines = [json.loads(line) for line in self.files[given["input_file_id"]].splitlines()]
        assert len({line["custom_id"] for line in lines}) == len(lines) <= 50_000
        assert len({line["body"]["model"] for line in lines}) == 1, "a batch is for one model"
        assert all(line["url"] == given["endpoint"] and line["method"] == "POST" for line in lines)
        made = Made(f"batch_{len(self.batches) + 1}", given["input_file_id"], given.get("metadata") or {}, lines)
        made.strange = self.strange
        self.batches[made.id] = made
        return _json(made.json)

    def _list(self, query: dict[str, str]) -> tuple[str, bytes]:
        newest = list(self.batches.values())[::-1]
        if "after" in query:
            newest = newest[[made.id for made in newest].index(query["after"]) + 1 :]
        shown = newest[: min(int(query.get("limit", 20)), 100)]
        data = [made.json for made in shown]
        ends = {"first_id": data[0]["id"], "last_id": data[-1]["id"]} if data else {}
        return _json({"object": "list", "data": data, "has_more": len(shown) < len(newest), **ends})

    def _made(self, batch: str) -> Made:
        if batch not in self.batches:
            raise Refused(404, f"no such batch {batch}")
        return self.batches[batch]

    def _retrieve(self, batch: str) -> tuple[str, bytes]:
        made = self._made(batch)
        if made.status == "validating":
            made.status = "in_progress"
        elif made.status == "cancelling":
            self._end(made, "cancelled", 0.0)
        if self.at_once and made.status == "in_progress":
            self._end(made, "completed", 1.0)
        return _json(made.json)

    def _cancel(self, batch: str) -> tuple[str, bytes]:
        made = self._made(batch)
        if made.status in ENDED:
            raise Refused(409, f"cannot cancel a batch that is {made.status}")
        made.status = "cancelling"
        self.cancelled.append(batch)
        return _json(made.json)

    def _chat(self, given: dict[str, Any]) -> tuple[str, bytes]:
        status, body = self.answer({"body": given})
        if status != 200:
            raise Refused(status, body["error"]["message"], body["error"].get("code"))
        choice = body["choices"][0]
        chunk = {
            **body,
            "choices": [{"index": 0, "delta": choice["message"], "finish_reason": choice["finish_reason"]}],
        }
        return "text/event-stream", f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n".encode()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A caller was killed."""


class _Handler(BaseHTTPRequestHandler):
    provider: BatchProvider
    protocol_version = "HTTP/1.1"

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(parts.query))
        try:
            kind, answer = self.provider.handle(
                self.command, parts.path, query, body, self.headers.get("Content-Type", "")
            )
            status = 200
        except Refused as refused:
            if not refused.status:
                self.close_connection = True
                return
            status, kind, answer = refused.status, "application/json", json.dumps(refused.body).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        if parts.path.endswith("/content") and self.provider.half_way is not None:
            self.wfile.write(answer[: len(answer) // 2])
            self.wfile.flush()
            self.provider.half_way()
            self.close_connection = True
            return
        self.wfile.write(answer)

    do_GET = do_POST = do_DELETE = _serve

    def log_message(self, *_: object) -> None:
        """Logs nothing."""


def _json(value: object) -> tuple[str, bytes]:
    return "application/json", json.dumps(value).encode()


def _jsonl(lines: list[Any]) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


@contextmanager
def running(answer: Answer = article) -> Iterator[BatchProvider]:
    """A provider that serves until the end of the block."""
    provider = BatchProvider(answer)
    provider.start()
    try:
        yield provider
    finally:
        provider.stop()
