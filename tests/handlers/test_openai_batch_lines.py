"""The lines of a file of answers, and where they are parsed."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator

import pytest
from contentq.handlers.openai.calling import LARGE
from contentq.handlers.openai_batch.caller import MISSING, TOO_LARGE, parsed
from contentq.handlers.openai_batch.lines import START, FileLine, Reply, lines_of, names_of, reply_of


def read(content: bytes, piece: int, largest: int) -> list[FileLine]:
    """The lines of a file that arrives in pieces of this size."""

    async def chunks() -> AsyncIterator[bytes]:
        for begin in range(0, len(content), piece):
            yield content[begin : begin + piece]

    async def main() -> list[FileLine]:
        return [line async for line in lines_of(chunks(), largest)]

    return asyncio.run(main())


@pytest.mark.parametrize("piece", [1, 7, 1_000, 100_000])
def test_lines_are_whole_up_to_the_limit_and_then_only_their_start_is_kept(piece: int) -> None:
    content = b"\n".join([b"a" * 5_000, b"", b"  ", b"b" * 5_001, b"c", b"d" * 9_000])

    assert read(content, piece, 5_000) == [
        FileLine(b"a" * 5_000),
        FileLine(b"b" * START, is_whole=False),
        FileLine(b"c"),
        FileLine(b"d" * START, is_whole=False),
    ]
    assert read(content + b"\n", piece, 5_000) == read(content, piece, 5_000)


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        ({"custom_id": "7-2", "response": {"status_code": 200, "body": {"a": 1}}}, Reply(7, 2, 200, {"a": 1})),
        ({"custom_id": "7-2", "response": {"status_code": 9, "body": {}}}, Reply(7, 2, MISSING, {})),
        ({"custom_id": "7-2", "error": {"code": "batch_expired"}}, None),
        ({"custom_id": "7-2", "error": {"code": "no"}}, Reply(7, 2, MISSING, {"error": {"code": "no"}})),
        ({"custom_id": "0-2", "response": {"status_code": 200, "body": {}}}, None),
        ({"custom_id": 72}, None),
        ([], None),
        (1, None),
    ],
)
def test_line_is_read(line: object, reply: Reply | None) -> None:
    read_line = FileLine(json.dumps(line).encode())

    assert reply_of(read_line) == reply
    if reply is not None:
        assert names_of(read_line) == (reply.id, reply.attempt)


@pytest.mark.parametrize(
    ("start", "names"),
    [
        (b'{"id": "x", "custom_id": "7-2", "response": {"status_code": 200, "bo', (7, 2)),
        (b'{"custom_id":"7-2","respo', (7, 2)),
        (b'{"custom_id": "7-99999999999", "respo', None),
        (b'{"custom_id": "9999999999999999999-1", "respo', None),
        (b'{"custom_id": "7-', None),
        (b"{", None),
    ],
)
def test_line_that_is_too_large_names_its_request(start: bytes, names: tuple[int, int] | None) -> None:
    line = FileLine(start, is_whole=False)

    assert names_of(line) == names
    assert reply_of(line) == (None if names is None else Reply(*names, TOO_LARGE, {}))


@pytest.mark.parametrize("line", [b"{", b"\xff", b"[" * 100_000, b""])
def test_line_that_is_no_json_is_ignored(line: bytes) -> None:
    assert reply_of(FileLine(line)) is None


def test_large_texts_are_parsed_one_at_a_time_beside_the_event_loop() -> None:
    running, most, threads = 0, 0, set()

    def parse() -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        threads.add(threading.current_thread())
        time.sleep(0.02)
        running -= 1
        return 1

    async def main() -> None:
        assert await parsed(LARGE, parse) == 1
        assert threads == {threading.main_thread()}
        threads.clear()
        assert await asyncio.gather(*(parsed(LARGE + 1, parse) for _ in range(5))) == 5 * [1]

    asyncio.run(main())

    assert (most, threading.main_thread() in threads) == (1, False)
