"""Streams broken at random never yield an article, an unexpected exception, or a wait beyond the set silence.

The streams are those of tests/support/vendors.py. They arrive without a socket, on a loop with simulated time; a
few use a socket.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from contentq.errors import HandlerError, ProviderUnavailable, TemporaryError
from contentq.handlers.openai.calling import COUNT_TIMEOUT, Answer, Caller
from contentq.handlers.openai.client import Endpoint
from contentq.handlers.openai.prompt import Message
from contentq.handlers.openai.settings import OpenAISettings
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.handlers.conftest import KEY, Ask
from tests.support.provider import Provider
from tests.support.provider_rules import Rule
from tests.support.tasks import context, task
from tests.support.timeless import TimelessLoop, run
from tests.support.vendors import ARTICLE, PIECES, THOUGHT, VENDORS, Reply

SILENCE, TIMEOUT = 30.0, 200.0
SETTINGS = OpenAISettings(chunk_timeout=SILENCE, timeout=TIMEOUT, keep_reasoning=1000)
MESSAGES = [{"role": "user", "content": "Write about tea."}]

STREAMS = {
    f"{vendor}-{kind}": reply
    for vendor, replies in VENDORS.items()
    for kind, reply in replies.items()
    if reply.status == 200
}
ARTICLES = {name: reply for name, reply in STREAMS.items() if reply.becomes is None}

EXAMPLES, MANY = 150, 1_000
"""Mutations of each kind in `make test`, and in `make test-all`."""

EARLY = "others-end-in-each-piece"
"""If cut after its first piece, it is a complete answer."""

LATE = "others-filter-of-the-whole"
"""If cut before the error at its end, it is an article."""

HANG = None
"""Instead of a piece: nothing more arrives."""

Pieces = list[bytes | None]

HARMLESS = [
    ": a comment\n\n",
    "data:\n\n",
    "data: : a comment\n\n",
    "event: ping\ndata: {}\n\n",
    "id: 7\nretry: 100\n\n",
    'data: {"choices": []}\n\n',
    'data: {"choices": [{"index": 0, "content_filter_results": {}, "finish_reason": null}]}\n\n',
    'data: {"choices": [{"delta": null}]}\n\n',
    'data: {"choices": [{"delta": {"content": null}, "finish_reason": ""}], "usage": null}\n\n',
    'data: {"choices": null, "error": null}\n\n',
]

HARMFUL = [
    "data: not JSON\n\n",
    'data: {"choices": [{"delta": {"content": "half\n\n',
    "data: null\n\n",
    "data: 3\n\n",
    'data: {"choices": 3}\n\n',
    'data: {"choices": [{"delta": {"content": 3}}]}\n\n',
    'data: {"error": {"message": "No."}}\n\n',
    'data: {"error": "No."}\n\n',
    'data: {"object": "error", "message": "No.", "code": 500}\n\n',
    'event: error\ndata: {"message": "No."}\n\n',
    'error: {"code": 500, "message": "No."}\n\n',
    '{"error": "No."}\n',
    'data: {"choices": [{"delta": {"content": "<think>"}, "finish_reason": "error"}]}\n\n',
    "data: " + "[" * 100_000 + "\n\n",
    "data: \xff\n\n",
]


class Body:
    """A response with a body of these pieces."""

    def __init__(self, pieces: Pieces, headers: dict[str, str]) -> None:
        self.headers = {"content-type": "text/event-stream", **headers}
        self._pieces = pieces

    async def iter_bytes(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            await asyncio.sleep(0.01)
            if piece is HANG:
                await asyncio.sleep(10 * TIMEOUT)
            else:
                yield piece


class Canned(Caller):
    """Gets the same answer each time."""

    body: Body

    def _call(self, messages: list[Message], settings: OpenAISettings) -> Any:
        del messages, settings

        @asynccontextmanager
        async def answer() -> AsyncIterator[Body]:
            yield self.body

        return answer()


CALLER = Canned(Endpoint("http://127.0.0.1:1/v1", None), SETTINGS)


@pytest.fixture(scope="module")
def loop() -> Iterator[TimelessLoop]:
    made = TimelessLoop()
    yield made
    made.close()


def ask(loop: TimelessLoop, pieces: Pieces, reply: Reply | None = None) -> Answer | HandlerError:
    """The result of these pieces: always an answer or an error of the queue, in time."""
    CALLER.body = Body(pieces, reply.headers if reply else {})
    of = task("Tea")

    async def once() -> Answer | HandlerError:
        try:
            return await CALLER.ask(MESSAGES, SETTINGS, of, context(of))
        except HandlerError as error:
            return error

    made: Answer | HandlerError
    made, seconds = run(once(), loop)
    assert seconds <= SILENCE + COUNT_TIMEOUT + 0.02 * (len(pieces) + 1)
    assert isinstance(made, Answer) or str(made)
    if isinstance(made, Answer):
        assert made.body.strip()
        assert made.usage["prompt_tokens"] >= 0
        assert made.usage["completion_tokens"] >= 0
    return made


def cut_up(data: bytes, seed: int) -> Pieces:
    """The same bytes in pieces of random size."""
    chance, pieces = random.Random(seed), []
    most = chance.choice([1, 10, 100, 100, 1000, 10_000])
    while data:
        size = chance.randint(1, most)
        pieces.append(data[:size])
        data = data[size:]
    return [*pieces]


def is_article(made: Answer | HandlerError) -> bool:
    """Whether it is exactly the article."""
    return isinstance(made, Answer) and made.body == ARTICLE


def split_events(text: str) -> list[str]:
    """The events of a stream, each with its blank line."""
    return [f"{each}\n\n" for each in text.replace("\r\n", "\n").split("\n\n") if each]


NAMES, SEEDS = st.sampled_from(sorted(STREAMS)), st.integers(0, 2**32)


def check_pieces(loop: TimelessLoop, name: str, seed: int) -> None:
    reply = STREAMS[name]
    made = ask(loop, cut_up(reply.body.encode(), seed), reply)
    if reply.becomes is None:
        assert is_article(made), made
        assert isinstance(made, Answer)
        assert made.reasoning == reply.thought
    elif not reply.is_cut:
        assert type(made) is reply.becomes


def check_cut(loop: TimelessLoop, name: str, seed: int, end: bytes | None) -> None:
    if name.startswith(EARLY):
        return
    reply, chance = STREAMS[name], random.Random(seed)
    data = reply.body.encode()
    begin = data[: chance.randrange(len(data))] if data else b""
    made = ask(loop, [*cut_up(begin, seed), *([end] if end is HANG else [])], reply)
    if isinstance(made, Answer):
        assert reply.becomes is None or name == LATE
        assert made.body == ARTICLE, "half of it"
    elif end is HANG and begin.strip() and reply.becomes is None and b"error" not in begin:
        assert isinstance(made, ProviderUnavailable)


def check_inserted(loop: TimelessLoop, name: str, seed: int) -> None:
    reply, chance = ARTICLES[name], random.Random(seed)
    events = split_events(reply.body)
    if not events[0].lstrip().startswith(("data", ":", "event")) or name == EARLY:
        return
    place, is_harmful = chance.randrange(len(events)), chance.random() < 0.5
    inserted = chance.choice(HARMFUL if is_harmful else HARMLESS)
    changed = "".join([*events[:place], inserted, *events[place:]])
    made = ask(loop, cut_up(changed.encode("latin-1" if "\xff" in changed else "utf-8"), seed), reply)
    is_before_end = not any('finish_reason": "stop' in each for each in events[:place])
    if is_harmful and is_before_end and "[DONE]" not in "".join(events[:place]):
        assert not isinstance(made, Answer), inserted
    else:
        # An error after the end may still count, if the server reports that it ended the answer.
        assert is_article(made) or (is_harmful and isinstance(made, HandlerError)), inserted


def check_bytes(loop: TimelessLoop, name: str, seed: int) -> None:
    reply, chance = STREAMS[name], random.Random(seed)
    data = bytearray(reply.body.encode())
    for _ in range(chance.randint(1, 5)):
        place = chance.randrange(len(data) + 1)
        what = chance.choice(["flip", "insert", "remove", "repeat"])
        if what == "insert":
            data[place:place] = bytes(chance.choices(b'\r\n:{}[]"\\\x00\xff,aD', k=chance.randint(1, 4)))
        elif what == "flip" and place < len(data):
            data[place] = chance.randrange(256)
        elif what == "remove":
            del data[place : place + chance.randint(1, 30)]
        elif what == "repeat":
            data[place:place] = data[place : place + chance.randint(1, 200)]
    ask(loop, cut_up(bytes(data), seed), reply)


VALUES: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    3,
    2.5,
    10**30,
    "",
    "x",
    "stop",
    "length",
    "error",
    [],
    [None],
    [3],
    {},
    {"a": 1},
]
VALUES += [
    {"type": "text", "text": 3},
    [{"type": "thinking"}],
    [[[[[[[[[[["x"]]]]]]]]]]],
    "\ud800",
    "\0",
    "1" * 100,
]


def check_values(loop: TimelessLoop, name: str, seed: int) -> None:
    """Any value in the JSON of a stream may be replaced by any other."""
    reply, chance = STREAMS[name], random.Random(seed)
    lines = reply.body.split("\n")
    whole = [number for number, line in enumerate(lines) if line.removeprefix("data: ").startswith("{")]
    if not whole:
        return
    number = chance.choice(whole)
    said = json.loads(lines[number].removeprefix("data: "))
    places = list(_places(said))
    holder, key = chance.choice(places)
    value = chance.choice(VALUES)
    was, holder[key] = holder[key], value
    prefix = "data: " if lines[number].startswith("data: ") else ""
    lines[number] = prefix + json.dumps(said)
    made = ask(loop, ["\n".join(lines).encode()], reply)
    if isinstance(was, str) and was in PIECES and isinstance(value, bool | int | float) and value:
        assert type(made) is TemporaryError, "a piece that is no text"
    is_marked = any(mark in reply.body for mark in ("think>", "ink>", "<thought>", "<|channel|>"))
    if isinstance(made, Answer) and not is_marked:  # the rest of a damaged mark is text
        assert THOUGHT not in made.body


def _places(said: Any) -> Iterator[tuple[Any, Any]]:
    for key in list(said) if isinstance(said, dict) else range(len(said)) if isinstance(said, list) else ():
        yield said, key
        yield from _places(said[key])


CHECKS = {
    "pieces": check_pieces,
    "cut": lambda loop, name, seed: check_cut(loop, name, seed, b""),
    "hang": lambda loop, name, seed: check_cut(loop, name, seed, HANG),
    "bytes": check_bytes,
    "values": check_values,
}


@pytest.mark.slow
@pytest.mark.parametrize("check", CHECKS)
@given(name=NAMES, seed=SEEDS)
@settings(max_examples=EXAMPLES, deadline=None)
def test_broken_answer_is_none(loop: TimelessLoop, check: str, name: str, seed: int) -> None:
    CHECKS[check](loop, name, seed)


@pytest.mark.slow
@given(name=st.sampled_from(sorted(ARTICLES)), seed=SEEDS)
@settings(max_examples=EXAMPLES, deadline=None)
def test_what_is_inserted_is_left_out_or_breaks_the_answer(loop: TimelessLoop, name: str, seed: int) -> None:
    check_inserted(loop, name, seed)


@pytest.mark.slow
@pytest.mark.parametrize("check", CHECKS)
@given(name=NAMES, seed=SEEDS)
@settings(max_examples=MANY, deadline=None)
def test_many_broken_answers_are_none(loop: TimelessLoop, check: str, name: str, seed: int) -> None:
    CHECKS[check](loop, name, seed)


@pytest.mark.slow
@given(name=st.sampled_from(sorted(ARTICLES)), seed=SEEDS)
@settings(max_examples=MANY, deadline=None)
def test_many_insertions_are_left_out_or_break_the_answer(loop: TimelessLoop, name: str, seed: int) -> None:
    check_inserted(loop, name, seed)


@pytest.mark.parametrize("seed", range(3))
def test_stream_that_is_cut_on_its_way_is_no_article(provider: Provider, seed: int) -> None:
    chance = random.Random(seed)
    caller = Caller(Endpoint(provider.url, KEY), SETTINGS)

    async def cut() -> None:
        of = task("Tea")
        for name in chance.sample(sorted(ARTICLES), 8):
            body = ARTICLES[name].body
            end = chance.randrange(len(body))
            provider.answer(Rule(raw=body[:end], headers=ARTICLES[name].headers, spoiled_after=0))
            try:
                made = await caller.ask(MESSAGES, SETTINGS, of, context(of))
            except TemporaryError:
                continue
            assert made.body == ARTICLE
        await caller.close()

    asyncio.run(cut())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["openai-answer", "deepseek-answer"])
def test_stream_that_hangs_ends_with_the_silence_that_is_set(provider: Provider, ask: Ask, name: str) -> None:
    body = ARTICLES[name].body
    begun = body[: body.index("\n\n", len(body) // 2) + 2]
    provider.answer(Rule(raw=begun, spoiled_after=0, spoiled="repeat:: alive"))

    with pytest.raises(ProviderUnavailable, match="sent no text for 1 seconds"):
        ask("chunk_timeout = 1")
