"""The calls for files and batches of one provider. Of their answers, only what is needed is kept and checked."""

from __future__ import annotations

import json
import math
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import IO, Any, NamedTuple, TypeVar

import openai

from contentq.handlers.openai.stream import MalformedAnswer
from contentq.handlers.openai_batch.caller import BatchCaller, parsed
from contentq.handlers.openai_batch.lines import ENDPOINT, FileLine, lines_of

KEY = "contentq"
"""The metadata key of a batch by which contentq finds it again."""

LONGEST_ID = 500
"""Maximum length of the id of a batch or a file, in characters; contentq.note_batch() refuses longer ones."""

LONGEST_SEARCH = 100
"""Pages of the provider's batches that are searched; a page has 100."""

MOST_ERRORS = 50_000
"""Errors of a batch that are read: one for each request of the largest batch."""

LONGEST_ERROR = 2_000
"""Characters of the message of such an error that are kept."""


T = TypeVar("T")


class Fault(NamedTuple):
    """An error of a batch that the provider refused. line: the number of the faulty request in the file."""

    message: str | None
    code: str | None
    line: int | None


class State(NamedTuple):
    """A batch as the provider describes it; None, or an empty status, for what is missing or invalid."""

    id: str
    status: str
    completed: int | None
    failed: int | None
    expires_at: datetime | None
    input_file: str | None
    output_file: str | None
    error_file: str | None
    errors: list[Fault]


class _Page(NamedTuple):
    """A page of batches: the searched one, and where the next page begins; None if there is none."""

    found: State | None
    last_id: str | None
    last_created_at: float


class Provider:
    """Calls one provider. Raises the errors of the client, and MalformedAnswer or ValueError for other answers."""

    def __init__(self, caller: BatchCaller) -> None:
        self._caller = caller

    async def upload(self, name: str, file: IO[bytes]) -> str:
        """Uploads a file of requests; returns its id."""
        files = self._caller.client().files.with_raw_response
        return await _read(await files.create(file=(name, file), purpose="batch"), _file_id)

    async def delete(self, file: str) -> None:
        """Deletes a file, if it exists."""
        with suppress(openai.NotFoundError):
            await self._caller.client().files.with_raw_response.delete(file)

    async def create(self, input_file: str, window: str, key: str) -> State:
        """Creates a batch."""
        batches = self._caller.client().batches.with_raw_response
        answer = await batches.create(
            input_file_id=input_file,
            endpoint=ENDPOINT,
            completion_window=window,  # type: ignore[arg-type]  # other servers have more
            metadata={KEY: key},
        )
        return await _read(answer, _state)

    async def retrieve(self, batch: str) -> State:
        """The state of a batch. Raises openai.NotFoundError."""
        return await _read(await self._caller.client().batches.with_raw_response.retrieve(batch), _state)

    async def cancel(self, batch: str) -> State:
        """Cancels a batch."""
        return await _read(await self._caller.client().batches.with_raw_response.cancel(batch), _state)

    async def find(self, key: str, input_file: str, oldest: float) -> State | None:
        """The batch with this key or file; oldest: seconds for which earlier batches are searched."""
        batches = self._caller.client().batches.with_raw_response
        since = time.time() - oldest
        after: dict[str, Any] = {}
        for _ in range(LONGEST_SEARCH):
            page = await _read(await batches.list(limit=100, **after), partial(_page, key, input_file))
            if page.found is not None:
                return page.found
            if page.last_id is None or page.last_created_at < since:
                break
            after = {"after": page.last_id}
        return None

    async def lines(self, file: str, largest: int) -> AsyncIterator[FileLine]:
        """The lines of a file, as lines_of() returns them."""
        files = self._caller.download_client().files.with_streaming_response
        async with files.content(file) as response:
            async for line in lines_of(response.iter_bytes(), largest):
                yield line


async def _read(answer: Any, take: Callable[[Any], T]) -> T:
    body = answer.http_response.content
    return await parsed(len(body), lambda: take(json.loads(body)))


def _file_id(said: Any) -> str:
    return _id(_object(said).get("id"), "file")


def _state(said: Any) -> State:
    said = _object(said)
    counts, errors = said.get("request_counts"), said.get("errors")
    counts = counts if isinstance(counts, Mapping) else {}
    errors = errors.get("data") if isinstance(errors, Mapping) else None
    status = said.get("status")
    return State(
        id=_id(said.get("id"), "batch"),
        status=status.replace("\0", "") if isinstance(status, str) else "",
        completed=_count(counts.get("completed")),
        failed=_count(counts.get("failed")),
        expires_at=_time(said.get("expires_at")),
        input_file=_id_or_none(said.get("input_file_id")),
        output_file=_id_or_none(said.get("output_file_id")),
        error_file=_id_or_none(said.get("error_file_id")),
        errors=[_fault(each) for each in errors[:MOST_ERRORS]] if isinstance(errors, list) else [],
    )


def _page(key: str, input_file: str, said: Any) -> _Page:
    data = _object(said).get("data")
    batches = [each for each in data if isinstance(each, Mapping)] if isinstance(data, list) else []
    for each in batches:
        metadata = each.get("metadata")
        has_key = isinstance(metadata, Mapping) and metadata.get(KEY) == key
        if has_key or each.get("input_file_id") == input_file:
            return _Page(_state(each), None, math.inf)
    if not batches or said.get("has_more") is False:
        return _Page(None, None, math.inf)
    created_at = batches[-1].get("created_at")
    if not isinstance(created_at, int | float):
        created_at = math.inf
    return _Page(None, _id(batches[-1].get("id"), "batch"), created_at)


def _object(said: Any) -> Mapping[str, Any]:
    if not isinstance(said, Mapping):
        raise MalformedAnswer("it is not a JSON object")
    return said


def _fault(said: Any) -> Fault:
    said = said if isinstance(said, Mapping) else {}
    message, code, line = said.get("message"), said.get("code"), said.get("line")
    return Fault(
        message=message[:LONGEST_ERROR] if isinstance(message, str) else None,
        code=code[:LONGEST_ERROR] if isinstance(code, str) else None,
        line=line if type(line) is int else None,
    )


def _id_or_none(said: Any) -> str | None:
    return None if said is None or said == "" else _id(said, "file")


def _id(said: Any, kind: str) -> str:
    """The id of a batch or a file. Raises MalformedAnswer if it cannot be one."""
    if not isinstance(said, str) or not said or "\0" in said:
        raise MalformedAnswer(f"it has no id of a {kind}")
    if len(said) > LONGEST_ID:
        raise MalformedAnswer(f"the id of a {kind} has more than {LONGEST_ID} characters")
    return said


def _count(said: Any) -> int | None:
    """A provider's number of requests, or None if it is invalid."""
    return said if type(said) is int and 0 <= said < 2**31 else None


def _time(said: Any) -> datetime | None:
    """A provider's time in seconds since 1970, or None if it is invalid."""
    try:
        return datetime.fromtimestamp(said, UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return None
