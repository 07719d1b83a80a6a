"""A server that behaves like a provider of models: it streams chat completions, and all that can goes wrong.

In a test, `with running() as provider:` runs one in a thread; as a process of its own, for a fleet of workers:

    python -m tests.support.provider --rate 20 --seconds 1

It prints its port on the first line and serves until it is terminated. Over HTTP, beside /v1/chat/completions:

    GET  /stats      what it has counted
    POST /stats      {} counts from 0 again
    POST /outage     {"mode": "503"} answers so from now on; "drop": ends connections without a word; null: works
                     again; {"mode": "503", "seconds": 20} ends by itself
    POST /rules      a list of rules (the fields of Rule) in place of those there are
    POST /limits     {"rate": 20} changes any of the fields of Limits
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import signal
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from email.utils import formatdate
from typing import Any

LARGEST_REQUEST = 10_000_000
"""Bytes."""


@dataclass
class Rule:
    """How certain calls are answered; the first rule that fits counts."""

    contains: str = ""
    """Only calls whose messages have this text in them."""

    times: int | None = None
    """How often it is used, None for always."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    """Of another status than 200: JSON, or a text that is sent as it is."""

    text: str | None = None
    """What the model writes; without it, a short article on the topic."""

    pieces: int = 8
    """In how many pieces."""

    seconds: float | None = None
    """How long that takes; None: what the server was told."""

    finish_reason: str | None = "stop"
    refusal: str | None = None
    counts_tokens: bool = True

    spoiled_after: int | None = None
    """Pieces after which something else comes: what `spoiled` says."""

    spoiled: str = "cut"
    """cut: the connection is dropped. end: the stream ends in good order. hang: nothing more comes. Anything else
    is sent as the data of an event, after which the stream ends."""


@dataclass
class Limits:
    """How many calls it takes, and what it says beyond."""

    rate: float | None = None
    """Calls a second; None for any number."""

    burst: float = 1.0
    """Calls that may come at once after a pause, when they are counted by a token bucket."""

    windows: bool = False
    """Whether they are counted in windows of one second each instead, strictly."""

    form: str = "milliseconds"
    """How a refusal names the time: milliseconds (retry-after-ms, beside retry-after in whole seconds), seconds
    (retry-after alone, in whole seconds), reset (x-ratelimit-reset-requests), or nothing."""


class Bucket:
    """Lets `rate` calls a second through."""

    def __init__(self) -> None:
        self._tokens = 0.0
        self._filled_at: float | None = None
        self._window, self._in_window = -1, 0

    def wait(self, limits: Limits, now: float) -> float:
        """0 when a call may pass, which is then counted; else the seconds until one may."""
        if limits.rate is None:
            return 0.0
        if limits.windows:
            window = int(now)
            if window != self._window:
                self._window, self._in_window = window, 0
            if self._in_window < limits.rate:
                self._in_window += 1
                return 0.0
            return window + 1 - now
        since = limits.burst / limits.rate if self._filled_at is None else now - self._filled_at
        self._tokens = min(limits.burst, self._tokens + since * limits.rate)
        self._filled_at = now
        if self._tokens >= 1 - 1e-9:
            self._tokens -= 1
            return 0.0
        return (1 - self._tokens) / limits.rate


@dataclass
class Request:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """Its body; None without one."""
        return json.loads(self.body) if self.body else None


class Provider:
    """The server. What it is told may be changed from another thread at any time."""

    def __init__(
        self,
        *,
        key: str | None = None,
        models: tuple[str, ...] = (),
        seconds: float = 0.0,
        limits: Limits | None = None,
        rules: list[Rule] | None = None,
    ) -> None:
        self.key = key
        self.models = models
        self.seconds = seconds
        self.limits = limits or Limits()
        self.rules = rules or []
        self.calls: list[dict[str, Any]] = []
        self.keys: Counter[str] = Counter()
        self.outage: str | None = None
        self.outage_ends = math.inf
        self.connections = 0
        self.running = 0
        self.port = 0
        self._bucket = Bucket()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.forget()

    def forget(self) -> None:
        """Counts from 0 again."""
        self.counts: Counter[str] = Counter()
        self.by_second: dict[int, Counter[str]] = {}
        self.most_running = 0
        self.calls.clear()

    @property
    def url(self) -> str:
        """The base URL of the API."""
        return f"http://127.0.0.1:{self.port}/v1"

    def answer(self, *rules: Rule) -> None:
        """Answers by these rules from now on."""
        self.rules = list(rules)

    def stats(self) -> dict[str, Any]:
        """accepted: calls that were answered; refused: by the rate limit; unavailable: in an outage; failed: by a
        rule; abandoned: the caller has closed the connection before the answer was complete."""
        names = ("accepted", "refused", "unavailable", "failed", "abandoned", "completed")
        return {
            **{name: self.counts[name] for name in names},
            "by_second": {second: dict(counted) for second, counted in sorted(self.by_second.items())},
            "connections": self.connections,
            "running": self.running,
            "most_running": self.most_running,
        }

    async def start(self, port: int = 0) -> None:
        """Begins to serve on the loopback interface."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Ends, and with it all connections."""
        assert self._server is not None
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                while request := await _read(reader):
                    await self._handle(request, reader, writer)
                    await writer.drain()
        finally:
            self.connections -= 1
            self._writers.discard(writer)
            writer.transport.abort()

    async def _handle(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        routes: dict[tuple[str, str], Callable[[Any], Any]] = {
            ("GET", "/stats"): lambda given: self.stats(),
            ("POST", "/stats"): self._reset,
            ("POST", "/outage"): self._set_outage,
            ("POST", "/rules"): self._set_rules,
            ("POST", "/limits"): self._set_limits,
        }
        route = routes.get((request.method, request.path))
        if route is not None:
            _send(writer, 200, route(request.json))
        elif request.method == "POST" and request.path.endswith("/chat/completions"):
            await self._chat(request, reader, writer)
        else:
            _send(writer, 404, {"detail": "Not Found"})

    def _reset(self, given: Any) -> dict[str, Any]:
        self.forget()
        return {}

    def _set_rules(self, given: list[dict[str, Any]]) -> dict[str, Any]:
        self.answer(*(Rule(**each) for each in given))
        return {}

    def _set_outage(self, given: dict[str, Any]) -> dict[str, Any]:
        self.outage = given["mode"]
        self.outage_ends = time.monotonic() + given.get("seconds", math.inf)
        return {}

    def _set_limits(self, given: dict[str, Any]) -> dict[str, Any]:
        self.limits = Limits(**{**asdict(self.limits), **given})
        return {}

    def _count(self, what: str) -> None:
        self.counts[what] += 1
        self.by_second.setdefault(int(time.time()), Counter())[what] += 1

    async def _chat(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        call = request.json
        self.calls.append(call)
        key = request.headers.get("authorization", "").removeprefix("Bearer ")
        self.keys[key] += 1
        if time.monotonic() >= self.outage_ends:
            self.outage = None
        if self.outage is not None:
            self._count("unavailable")
            if self.outage == "drop":
                raise ConnectionAbortedError
            return _send(writer, 503, _error("The server is overloaded or not ready yet.", "server_error"))
        if self.key is not None and key != self.key:
            self._count("failed")
            message = f"Incorrect API key provided: {key}. You can find your API key at https://example.com."
            return _send(writer, 401, _error(message, "invalid_request_error", "invalid_api_key"))
        if self.models and call["model"] not in self.models:
            self._count("failed")
            message = f"The model `{call['model']}` does not exist or you do not have access to it."
            return _send(writer, 404, _error(message, "invalid_request_error", "model_not_found"))
        wait = self._bucket.wait(self.limits, time.time())
        if wait:
            self._count("refused")
            message = f"Rate limit reached for {call['model']}. Please try again in {wait * 1000:.0f}ms."
            headers = _asked_to_wait(self.limits.form, wait)
            return _send(writer, 429, _error(message, "requests", "rate_limit_exceeded"), headers)
        rule = self._rule(call)
        if rule.status != 200:
            self._count("failed")
            return _send(writer, rule.status, rule.body, rule.headers)
        self._count("accepted")
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            await _unless_closed(reader, self._stream(call, rule, writer))
            self._count("completed")
        except Abandoned:
            self._count("abandoned")
            raise
        finally:
            self.running -= 1
        return None

    def _rule(self, call: dict[str, Any]) -> Rule:
        said = "\n".join(message["content"] for message in call["messages"])
        for rule in self.rules:
            if rule.contains in said and rule.times != 0:
                if rule.times is not None:
                    rule.times -= 1
                return rule
        return Rule()

    async def _stream(self, call: dict[str, Any], rule: Rule, writer: asyncio.StreamWriter) -> None:
        text = _article(call) if rule.text is None else rule.text
        seconds = self.seconds if rule.seconds is None else rule.seconds
        pieces = _pieces(text, rule.pieces)
        chunks = _Chunks(writer, call["model"])
        chunks.begin(rule.headers)
        for number, piece in enumerate(pieces):
            if number == rule.spoiled_after:
                return await chunks.spoil(rule.spoiled)
            if seconds:
                await asyncio.sleep(seconds / len(pieces))
            chunks.say({"content": piece})
            await writer.drain()
        if rule.spoiled_after is not None:
            return await chunks.spoil(rule.spoiled)
        if rule.refusal is not None:
            chunks.say({"refusal": rule.refusal})
        chunks.say({}, rule.finish_reason)
        if rule.counts_tokens and (call.get("stream_options") or {}).get("include_usage"):
            prompt = sum(len(message["content"].split()) for message in call["messages"])
            chunks.count(prompt, len(text.split()))
        chunks.end()
        return None


class Abandoned(ConnectionError):
    """The caller has gone away."""


class _Chunks:
    """Writes the chunks of one answer."""

    def __init__(self, writer: asyncio.StreamWriter, model: str) -> None:
        self._writer = writer
        self._model = model

    def begin(self, headers: dict[str, str]) -> None:
        """The head, and the piece that names the role."""
        sent = {"content-type": "text/event-stream", "transfer-encoding": "chunked", **headers}
        self._writer.write(_head(200, sent))
        self.say({"role": "assistant", "content": ""})

    def say(self, delta: dict[str, Any], finish_reason: str | None = None) -> None:
        """A piece of the answer."""
        self._event([{"index": 0, "delta": delta, "finish_reason": finish_reason}])

    def count(self, prompt: int, completion: int) -> None:
        """The last piece, with the tokens."""
        total = prompt + completion
        usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": total}
        self._event([], usage)

    def end(self) -> None:
        """The end of the stream."""
        self._data("[DONE]")
        self._writer.write(b"0\r\n\r\n")

    async def spoil(self, how: str) -> None:
        """Goes on as Rule.spoiled says."""
        if how == "cut":
            await self._writer.drain()
            raise ConnectionAbortedError
        if how == "hang":
            await asyncio.Event().wait()
        if how != "end":
            self._data(how)
        self._writer.write(b"0\r\n\r\n")

    def _event(self, choices: list[dict[str, Any]], usage: dict[str, int] | None = None) -> None:
        chunk = {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": self._model,
            "choices": choices,
            "usage": usage,
        }
        self._data(json.dumps(chunk))

    def _data(self, text: str) -> None:
        event = f"data: {text}\n\n".encode()
        self._writer.write(b"%x\r\n%s\r\n" % (len(event), event))


async def _read(reader: asyncio.StreamReader) -> Request | None:
    """The next request of a connection; None when there is none."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.split("\r\n")
    method, path, _ = first.split(" ", 2)
    named = (line.partition(":") for line in lines if line)
    headers = {name.lower(): value.strip() for name, _, value in named}
    length = int(headers.get("content-length", "0"))
    assert length <= LARGEST_REQUEST
    return Request(method, path, headers, await reader.readexactly(length))


async def _unless_closed(reader: asyncio.StreamReader, answering: Awaitable[None]) -> None:
    """Awaits this. Raises Abandoned when the caller goes away before it has ended."""
    answer = asyncio.ensure_future(answering)
    # Callers send nothing before they have their answer: all that can come is the end.
    gone = asyncio.ensure_future(reader.read(1))
    await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
    if not answer.done():
        answer.cancel()
        with suppress(asyncio.CancelledError, ConnectionError):
            await answer
        raise Abandoned
    gone.cancel()
    with suppress(asyncio.CancelledError, ConnectionError):
        await gone
    await answer


def _send(writer: asyncio.StreamWriter, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
    content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    kind = "text/html" if isinstance(body, str) else "application/json"
    length = str(len(content))
    writer.write(_head(status, {"content-type": kind, "content-length": length, **(headers or {})}) + content)


def _head(status: int, headers: dict[str, str]) -> bytes:
    lines = {"date": formatdate(usegmt=True), **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {status} Said\r\n{head}\r\n".encode("latin-1")


def _error(message: str, kind: str, code: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def _asked_to_wait(form: str, seconds: float) -> dict[str, str]:
    """The headers that name this time, rounded up."""
    milliseconds, whole = str(math.ceil(seconds * 1000)), str(math.ceil(seconds))
    return {
        "milliseconds": {"retry-after-ms": milliseconds, "retry-after": whole},
        "seconds": {"retry-after": whole},
        "reset": {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": f"{milliseconds}ms"},
    }.get(form, {})


def _pieces(text: str, number: int) -> list[str]:
    size = max(1, math.ceil(len(text) / number))
    return [text[start : start + size] for start in range(0, len(text), size)]


def _article(call: dict[str, Any]) -> str:
    """A short article on what the prompt names as its topic."""
    prompt = call["messages"][-1]["content"]
    topics = [line.partition(":")[2].strip() for line in prompt.splitlines() if line.startswith("Topic:")]
    topic = topics[0] if topics else prompt.strip().splitlines()[-1]
    return (
        f"# {topic}\n\nMuch has been said about it, and little of that was short. Here is what matters.\n\n"
        "## In practice\n\nBegin with the simplest case, look at what comes out, and go on from there.\n"
    )


@contextmanager
def running(**options: Any) -> Iterator[Provider]:
    """A provider in a thread of its own; the options are those of Provider."""
    provider = Provider(**options)
    loop = asyncio.new_event_loop()
    loop.run_until_complete(provider.start())
    thread = threading.Thread(target=loop.run_forever, name="provider")
    thread.start()
    try:
        yield provider
    finally:
        asyncio.run_coroutine_threadsafe(_end(provider), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def _end(provider: Provider) -> None:
    await provider.stop()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


async def _main() -> None:
    parser = argparse.ArgumentParser(description="A server that behaves like a provider of models.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--key", help="the only key that is taken")
    parser.add_argument("--model", action="append", default=[], help="a model that there is; without any: all")
    parser.add_argument("--seconds", type=float, default=0.0, help="how long an answer takes")
    parser.add_argument("--rate", type=float, help="calls a second")
    parser.add_argument("--burst", type=float, default=1.0)
    parser.add_argument("--windows", action="store_true", help="count them in windows of a second")
    parser.add_argument("--form", choices=("milliseconds", "seconds", "reset", "nothing"), default="milliseconds")
    given = parser.parse_args()
    limits = Limits(given.rate, given.burst, given.windows, given.form)
    provider = Provider(key=given.key, models=tuple(given.model), seconds=given.seconds, limits=limits)
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    await provider.start(given.port)
    print(provider.port, flush=True)
    await ended.wait()
    await _end(provider)


if __name__ == "__main__":
    asyncio.run(_main())
