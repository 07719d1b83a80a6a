"""A server that behaves like a model provider: it streams chat completions and can fail in every way.

In a test, `with running() as provider:` runs it in a thread. For a fleet of workers, run it as a process:

    python -m tests.support.provider --limits '{"rate": 20, "burst": 20}' --seconds 1

It prints its port on the first line and serves until terminated. In addition to /v1/chat/completions:

    GET  /begun      answers once the first call has arrived
    GET  /stats      returns its counts
    POST /stats      {} resets the counts
    POST /outage     {"mode": "503"} answers with this status; "drop": closes connections without an answer; null:
                     ends the outage; {"mode": "503", "seconds": 20, "after": 0.5} ends automatically and delays
                     each answer
    POST /rules      replaces the list of rules (the fields of Rule)
    POST /limits     {"rate": 20} changes any of the fields of Limits
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Any

from tests.support.provider_rules import Limiter, Limits, Rule, asked_to_wait
from tests.support.provider_stream import REPEAT, Chunks, head, repeat

LARGEST_REQUEST = 10_000_000
"""Bytes."""


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
    """The server. Its behaviour may be changed from another thread at any time.

    seconds: the duration of an answer. spread: the share by which answers are faster or slower. words: minimum and
    maximum length of an answer. The same topic always gets the same answer.
    """

    def __init__(
        self,
        *,
        key: str | None = None,
        models: tuple[str, ...] = (),
        seconds: float = 0.0,
        spread: float = 0.0,
        words: tuple[int, int] | None = None,
        limits: Limits | None = None,
        rules: list[Rule] | None = None,
    ) -> None:
        self.key = key
        self.models = models
        self.seconds = seconds
        self.spread = spread
        self.words = words
        self.limits = limits or Limits()
        self.rules = rules or []
        self.calls: list[dict[str, Any]] = []
        self.keys: Counter[str] = Counter()
        self.outage: str | None = None
        self.outage_ends = math.inf
        self.outage_answers_after = 0.0
        self.connections = 0
        self.opened = 0
        self.running = 0
        self.probes = 0
        self.port = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._going_on = asyncio.Event()
        self._going_on.set()
        self._begun = asyncio.Event()
        self._limiter = Limiter()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.forget()

    def forget(self) -> None:
        """Resets the counts."""
        self.counts: Counter[str] = Counter()
        self.by_second: dict[int, Counter[str]] = {}
        self.most_running = self.running
        self.busy_seconds = 0.0
        self._began: float | None = None
        self._changed_at = time.monotonic()
        self.calls.clear()

    @property
    def url(self) -> str:
        """The base URL of the API."""
        return f"http://127.0.0.1:{self.port}/v1"

    def answer(self, *rules: Rule) -> None:
        """Answers by these rules from now on."""
        self.rules = list(rules)

    def hold(self) -> None:
        """Blocks the end of each answer until go_on()."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._going_on.clear)

    def go_on(self) -> None:
        """Releases the answers that hold() has blocked."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._going_on.set)

    def stats(self) -> dict[str, Any]:
        """Returns the counts.

        accepted: answered calls; refused: by a limit; unavailable: in an outage; failed: by a rule; abandoned: the
        caller closed the connection before the answer was complete; tokens: of accepted calls. seconds: since the
        first call. by_second: the same counts by seconds since then, and `probes`, the maximum number of
        concurrent calls during an outage. busy_seconds: total duration of the accepted calls; per second, this is
        the average number of concurrent calls.
        """
        names = ("accepted", "refused", "unavailable", "failed", "abandoned", "completed", "tokens")
        self._run(0)
        return {
            **{name: self.counts[name] for name in names},
            "seconds": self._seconds(),
            "by_second": {second: dict(counted) for second, counted in sorted(self.by_second.items())},
            "busy_seconds": self.busy_seconds,
            "connections": self.connections,
            "running": self.running,
            "most_running": self.most_running,
        }

    async def start(self, port: int = 0) -> None:
        """Starts to serve on the loopback interface."""
        self._loop = asyncio.get_running_loop()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stops and closes all connections."""
        assert self._server is not None
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.opened += 1
        self._writers.add(writer)
        try:
            # Cancellation is how a connection ends when the server stops.
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while request := await _read(reader):
                    await self._handle(request, reader, writer)
                    await writer.drain()
        finally:
            self.connections -= 1
            self._writers.discard(writer)
            writer.transport.abort()

    async def _handle(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        routes: dict[tuple[str, str], Callable[[Any], Any]] = {
            ("GET", "/begun"): lambda given: {},
            ("GET", "/stats"): lambda given: self.stats(),
            ("POST", "/stats"): self._reset,
            ("POST", "/outage"): self._set_outage,
            ("POST", "/rules"): self._set_rules,
            ("POST", "/limits"): self._set_limits,
        }
        route = routes.get((request.method, request.path))
        if request.path == "/begun":
            await self._begun.wait()
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
        self.outage_answers_after = given.get("after", 0.0)
        return {}

    def _set_limits(self, given: dict[str, Any]) -> dict[str, Any]:
        self.limits = Limits(**{**asdict(self.limits), **given})
        return {}

    def _seconds(self) -> float:
        return 0.0 if self._began is None else time.monotonic() - self._began

    def _of_this_second(self) -> Counter[str]:
        return self.by_second.setdefault(int(self._seconds()), Counter())

    def _count(self, what: str, number: int = 1) -> None:
        self.counts[what] += number
        self._of_this_second()[what] += number

    def _run(self, change: int) -> None:
        """Counts this many more running calls."""
        now = time.monotonic()
        self.busy_seconds += self.running * (now - self._changed_at)
        self._changed_at = now
        self.running += change
        self.most_running = max(self.most_running, self.running)

    async def _chat(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        call = request.json
        self.calls.append(call)
        self._began = time.monotonic() if self._began is None else self._began
        self._begun.set()
        key = request.headers.get("authorization", "").removeprefix("Bearer ")
        self.keys[key] += 1
        if time.monotonic() >= self.outage_ends:
            self.outage = None
        if self.outage is not None:
            return await self._break(self.outage, writer)
        if self.key is not None and key != self.key:
            self._count("failed")
            message = f"Incorrect API key provided: {key}. You can find your API key at https://example.com."
            return _send(writer, 401, _error(message, "invalid_request_error", "invalid_api_key"))
        if self.models and call["model"] not in self.models:
            self._count("failed")
            message = f"The model `{call['model']}` does not exist or you do not have access to it."
            return _send(writer, 404, _error(message, "invalid_request_error", "model_not_found"))
        tokens = _prompt_tokens(call) + len(self._text(call).split())
        refusal = self._limiter.refuse(self.limits, time.monotonic(), self.running, tokens)
        remaining = self._limiter.remaining(self.limits) if self.limits.says_remaining else {}
        if refusal is not None:
            self._count("refused")
            message = f"Rate limit reached for {call['model']}. Please try again in {refusal.wait * 1000:.0f}ms."
            headers = remaining | asked_to_wait(self.limits.form, refusal)
            return _send(writer, 429, _error(message, refusal.why, "rate_limit_exceeded"), headers)
        rule = self._rule(call)
        if rule.status != 200:
            self._count("failed")
            return _send(writer, rule.status, rule.body, rule.headers)
        self._count("accepted")
        self._count("tokens", tokens)
        self._run(1)
        try:
            await _unless_closed(reader, self._stream(call, rule, writer, remaining))
            self._count("completed")
        except Abandoned:
            self._count("abandoned")
            raise
        finally:
            self._run(-1)
        return None

    async def _break(self, mode: str, writer: asyncio.StreamWriter) -> None:
        """Answers a call during an outage."""
        self._count("unavailable")
        self.probes += 1
        counted = self._of_this_second()
        counted["probes"] = max(counted["probes"], self.probes)
        try:
            await asyncio.sleep(self.outage_answers_after)
        finally:
            self.probes -= 1
        if mode == "drop":
            raise ConnectionAbortedError
        _send(writer, 503, _error("The server is overloaded or not ready yet.", "server_error"))

    def _text(self, call: dict[str, Any]) -> str:
        """The answer, unless a rule changes it."""
        text = _article(_topic(call))
        if self.words is None:
            return text
        least, most = self.words
        number = int(least * (most / least) ** random.Random(_topic(call)).random())
        return " ".join([text, *["indeed"] * (number - len(text.split()))])

    def _rule(self, call: dict[str, Any]) -> Rule:
        said = "\n".join(message["content"] for message in call["messages"])
        for rule in self.rules:
            if rule.contains in said and rule.times != 0:
                if rule.times is not None:
                    rule.times -= 1
                return rule
        return Rule()

    async def _stream(
        self, call: dict[str, Any], rule: Rule, writer: asyncio.StreamWriter, headers: dict[str, str]
    ) -> None:
        if rule.raw is not None:
            return await _send_raw(writer, rule)
        text = self._text(call) if rule.text is None else rule.text
        spread = self.spread * random.Random(_topic(call)).uniform(-1, 1)
        seconds = self.seconds * (1 + spread) if rule.seconds is None else rule.seconds
        pieces = _pieces(text, rule.pieces)
        chunks = Chunks(writer, call["model"])
        chunks.begin(headers | rule.headers)
        for number, piece in enumerate(pieces):
            if number == rule.spoiled_after:
                return await chunks.spoil(rule.spoiled)
            if seconds:
                await asyncio.sleep(seconds / len(pieces))
            chunks.say({"content": piece})
            await writer.drain()
        if rule.spoiled_after is not None:
            return await chunks.spoil(rule.spoiled)
        await self._going_on.wait()
        if rule.refusal is not None:
            chunks.say({"refusal": rule.refusal})
        chunks.say({}, rule.finish_reason)
        if rule.spoiled_count:
            return await chunks.spoil(rule.spoiled)
        if rule.counts_tokens and (call.get("stream_options") or {}).get("include_usage"):
            chunks.count(_prompt_tokens(call), len(text.split()))
        chunks.end()
        return None


class Abandoned(ConnectionError):
    """The caller closed the connection."""


async def _read(reader: asyncio.StreamReader) -> Request | None:
    """The next request of a connection, or None at its end."""
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
    """Awaits this. Raises Abandoned if the caller closes the connection first."""
    answer = asyncio.ensure_future(answering)
    # Callers send nothing before they have the answer, so the only possible input is the end.
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
    writer.write(head(status, {"content-type": kind, "content-length": length, **(headers or {})}) + content)


async def _send_raw(writer: asyncio.StreamWriter, rule: Rule) -> None:
    assert rule.raw is not None
    headers = {"content-type": "text/event-stream", "transfer-encoding": "chunked", **rule.headers}
    body = rule.raw.encode()
    writer.write(head(200, headers) + (b"%x\r\n%s\r\n" % (len(body), body) if body else b""))
    await writer.drain()
    if rule.spoiled_after is not None and rule.spoiled.startswith(REPEAT):
        await repeat(writer, rule.spoiled)
    if rule.spoiled_after is not None:
        raise ConnectionAbortedError
    writer.write(b"0\r\n\r\n")


def _error(message: str, kind: str, code: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def _pieces(text: str, number: int) -> list[str]:
    size = max(1, math.ceil(len(text) / number))
    return [text[start : start + size] for start in range(0, len(text), size)]


def _prompt_tokens(call: dict[str, Any]) -> int:
    """Counts each word as a token."""
    return sum(len(message["content"].split()) for message in call["messages"])


def _topic(call: dict[str, Any]) -> str:
    """The topic in the prompt."""
    prompt: str = call["messages"][-1]["content"]
    topics = [line.partition(":")[2].strip() for line in prompt.splitlines() if line.startswith("Topic:")]
    return topics[0] if topics else prompt.strip().splitlines()[-1]


def _article(topic: str) -> str:
    """A short article on the topic."""
    return (
        f"# {topic}\n\nMuch has been said about it, and little of that was short. Here is what matters.\n\n"
        "## In practice\n\nBegin with the simplest case, look at what comes out, and go on from there.\n"
    )


@contextmanager
def running(**options: Any) -> Iterator[Provider]:
    """Runs a provider in a thread; the options are those of Provider."""
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
    parser.add_argument("--spread", type=float, default=0.0, help="by which part of that it varies")
    parser.add_argument("--words", type=int, nargs=2, help="the least and the most of an answer")
    parser.add_argument("--limits", type=json.loads, default={}, help="the fields of Limits, as JSON")
    given = parser.parse_args()
    provider = Provider(
        key=given.key,
        models=tuple(given.model),
        seconds=given.seconds,
        spread=given.spread,
        words=tuple(given.words) if given.words else None,
        limits=Limits(**given.limits),
    )
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    await provider.start(given.port)
    print(provider.port, flush=True)
    await ended.wait()
    await _end(provider)


if __name__ == "__main__":
    asyncio.run(_main())
