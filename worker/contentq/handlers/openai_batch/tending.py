"""Sends, polls and collects batches in the background, including those of dead workers of the same login.

Nothing is sent twice. The requests of a batch are stored in the database before anything is sent. The uploaded
file is recorded before the batch is created at the provider, and the metadata of the batch holds its key.

If a worker takes over a batch that may or may not have been created, it searches for the key. If it does not find
the key, it deletes the file, so that no batch can be created from it any more, and searches again. The lease
fences every step (contentq.hold_batch()).
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import IO, Any, NamedTuple

import openai
import psycopg

from contentq.engine.database_errors import is_outage
from contentq.engine.handler_calls import HandlerCalls
from contentq.errors import DatabaseUnreachable, PermanentError, RateLimited, TemporaryError
from contentq.handlers.openai.calling import LARGE
from contentq.handlers.openai.settings import OpenAISettings
from contentq.handlers.openai.stream import Received
from contentq.handlers.openai_batch.caller import MISSING, BatchCaller, at_batch_price, parsed
from contentq.handlers.openai_batch.lines import FileLine, Reply, line_limit, names_of, reply_of, request_line
from contentq.handlers.openai_batch.provider import Provider, State
from contentq.queue import batches
from contentq.queue.batches import Answered, Batch, LeaseLost, Line, News
from contentq.storable import as_text

log = logging.getLogger("contentq.handlers.openai")

LARGEST_INPUT = 190_000_000
"""Maximum size of a file of requests, in bytes; the provider accepts 200 MB."""

KEPT_IN_MEMORY = 8_000_000
"""Bytes of such a file that stay in memory before it goes to the disk."""

RENEWAL = 15.0
"""Seconds between renewals of a lease, which lasts a minute."""

LOOK = 5.0
"""Maximum seconds between checks for batches to send or to tend."""

SWEEP = 10.0
"""Seconds between checks for expired batches."""

LONGEST_PAUSE = 600.0
"""Maximum seconds until a failed step at the provider is retried."""

ANSWERS, ANSWER_BYTES = 200, 2_000_000
"""Number of answers stored at a time, and their approximate total size."""

SEARCH_MARGIN = 3600.0
"""Seconds by which the provider's clock may be behind that of the database."""

ENDED = frozenset({"completed", "expired", "cancelled", "failed"})

TOO_MANY = frozenset({"token_limit_exceeded", "rate_limit_exceeded", "batch_limit_exceeded", "quota_exceeded"})
"""Error codes of a batch that the provider refuses because too many are queued."""


class Read(NamedTuple):
    """An answer as it is stored. received: what the cost is calculated from; None without a cost."""

    id: int
    attempt: int
    status: int
    answer: str
    received: Received | None


class Tending:
    """Tends the batches of one provider, shared with the workers of the same login and API address."""

    def __init__(self, calls: HandlerCalls, caller: BatchCaller, settings: OpenAISettings) -> None:
        self._calls = calls
        self._caller = caller
        self._provider = Provider(caller)
        self._settings = settings
        self._batch = settings.batch
        self._asked = 0
        self._enough = asyncio.Event()
        self._swept_at = float("-inf")

    def add_asked(self) -> None:
        """A task of this worker made a request."""
        self._asked += 1
        if self._asked >= self._batch.max_tasks:
            self._enough.set()

    async def run(self) -> None:
        """Runs until cancelled. Raises psycopg's errors if the database cannot be reached."""
        look = min(LOOK, self._batch.poll_seconds / 2, max(self._batch.gather_seconds / 2, 0.05))
        while True:
            if time.monotonic() - self._swept_at >= min(SWEEP, 2 * look):
                self._swept_at = time.monotonic()
                await self._calls(batches.sweep)
            while await self.tend_one():
                pass
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._enough.wait(), look * random.uniform(0.8, 1.2))
            self._enough.clear()
            self._asked = 0

    async def tend_one(self) -> bool:
        """Sends or checks one batch. Returns whether there was one."""
        provider = self._caller.base_url
        batch = await self._calls(
            batches.open_batch, provider, self._batch.max_tasks, LARGEST_INPUT, self._batch.gather_seconds
        )
        step = self._send
        if batch is None:
            batch = await self._calls(batches.next_batch, provider)
            if batch is None:
                return False
            step = self._resume if batch.provider_id is None else self._look_at
        try:
            async with self._holding(batch):
                await self._try(step, batch)
        except LeaseLost as lost:
            log.warning("batch skipped batch=%s: %s", batch.provider_id or batch.key, lost)
        return True

    async def _try(self, step: Any, batch: Batch) -> None:
        """Performs a step, or records the error and the time of the next try.

        Raises LeaseLost, and psycopg's errors if the database cannot be reached.
        """
        try:
            await step(batch)
        except LeaseLost:
            raise
        except Exception as error:
            if is_outage(error) and isinstance(error, psycopg.Error | DatabaseUnreachable):
                raise
            failure = self._caller.failure(error, self._settings.model_copy(update={"model": batch.model}))
            if failure is error:
                log.error("batch failed batch=%s", batch.provider_id or batch.key, exc_info=error)
            await self._put_off(batch, failure)

    async def _put_off(self, batch: Batch, failure: Exception) -> None:
        wait = min(self._batch.poll_seconds * 2 ** min(batch.failures, 10), LONGEST_PAUSE)
        if isinstance(failure, TemporaryError | RateLimited) and failure.retry_after is not None:
            wait = max(wait, failure.retry_after.total_seconds())
        if isinstance(failure, psycopg.Error):
            # Without the details, which may contain values of rows that not every user may see.
            why = f"the database refused it: {failure.diag.message_primary}"
        else:
            why = self._storable(str(failure))
        log.warning("batch postponed batch=%s for=%.0fs: %s", batch.provider_id or batch.key, wait, why)
        await self._calls(batches.note, batch, News(error=why, due_in=wait))

    def _storable(self, said: str) -> str:
        """A provider's message without the key and without characters that PostgreSQL cannot store."""
        return as_text(self._caller.scrub(said))

    # Sending

    async def _send(self, batch: Batch) -> None:
        """Uploads the requests of a batch, and creates the batch at the provider."""
        with tempfile.SpooledTemporaryFile(max_size=KEPT_IN_MEMORY) as file:
            number = await self._write_requests(batch, file)
            if not number:
                await self._calls(batches.close, batch, "withdrawn", "no task waits for it any more")
                return
            file.seek(0)
            try:
                name = f"contentq-{batch.key}.jsonl"
                uploaded = await self._provider.upload(name, file)
                await self._calls(batches.note, batch, News(input_file=uploaded))
                made = await self._provider.create(uploaded, self._batch.completion_window, batch.key)
            except openai.APIStatusError as error:
                failure = self._caller.failure(error, self._settings.model_copy(update={"model": batch.model}))
                if not isinstance(failure, PermanentError):
                    raise
                await self._refuse(batch, error, failure)
                return
        log.info("sent batch=%s tasks=%d model=%s", made.id, number, batch.model)
        await self._note_state(batch, made)

    async def _write_requests(self, batch: Batch, file: IO[bytes]) -> int:
        """Writes the requests whose tasks still wait for them; returns their number."""
        number, last = 0, None
        while lines := await self._calls(batches.lines, batch, last):
            for line in lines:
                file.write(request_line(line))
            number, last = number + len(lines), lines[-1]
        return number

    async def _refuse(self, batch: Batch, error: openai.APIStatusError, failure: PermanentError) -> None:
        """Gives each task of a batch that the provider permanently refuses the error as its answer."""
        log.error("batch refused tasks=%d: %s", batch.requests, failure)
        body = error.body if isinstance(error.body, dict) else {"message": str(error.body or error.message)}
        await self._answer_all(batch, error.status_code, {"error": body})
        await self._calls(batches.close, batch, "refused", self._storable(str(failure)))

    async def _answer_all(self, batch: Batch, status: int, body: dict[str, Any]) -> None:
        """Gives all unanswered requests the same answer."""
        last: Line | None = None
        while lines := await self._calls(batches.lines, batch, last):
            last = lines[-1]
            await self._store(batch, [self._read(Reply(line.id, line.attempt, status, body)) for line in lines])

    async def _resume(self, batch: Batch) -> None:
        """Creates a batch unless it exists already: another worker left it, or the provider did not answer."""
        made = await self._find(batch)
        if made is None and batch.input_file is not None:
            await self._provider.delete(batch.input_file)
            made = await self._find(batch)
        if made is None:
            await self._send(batch)
        else:
            log.info("found batch=%s, sent by a worker that no longer runs", made.id)
            await self._note_state(batch, made)

    async def _find(self, batch: Batch) -> State | None:
        """The provider's batch for this one, if it was created."""
        if batch.input_file is None:
            return None  # recorded before the batch is created
        return await self._provider.find(batch.key, batch.input_file, batch.age + SEARCH_MARGIN)

    # Checking and collecting

    async def _look_at(self, batch: Batch) -> None:
        assert batch.provider_id is not None
        try:
            state = await self._provider.retrieve(batch.provider_id)
        except openai.NotFoundError as error:
            why = self._storable(f"the provider does not know it any more: {error}")
            again = await self._calls(batches.close, batch, "lost", why)
            log.error("lost batch=%s: the provider no longer knows it; again=%d", batch.provider_id, again)
            return
        if state.status in ENDED:
            await self._collect(batch, state)
            return
        if not batch.wanted and state.status != "cancelling":
            log.info("cancelling batch=%s: no task waits for it", state.id)
            state = await self._provider.cancel(state.id)
        await self._note_state(batch, state)

    async def _note_state(self, batch: Batch, state: State, *, is_over: bool = False) -> None:
        news = News(
            provider_id=state.id,
            status=state.status or None,
            completed=state.completed,
            failed=state.failed,
            expires_at=state.expires_at,
            due_in=None if is_over else self._batch.poll_seconds,
        )
        await self._calls(batches.note, batch, news)

    async def _collect(self, batch: Batch, state: State) -> None:
        """Stores all answers of an ended batch; sends unanswered requests again, unless that is futile."""
        await self._note_state(batch, state, is_over=True)
        for file in filter(None, (state.output_file, state.error_file)):
            await self._collect_file(batch, file)
        why, retry_in = None, 0.0
        if state.status == "completed":
            await self._answer_all(batch, MISSING, {})
        elif state.status == "failed":
            why, retry_in = await self._collect_errors(batch, state)
        again = await self._calls(batches.close, batch, state.status, why, retry_in)
        log.info("collected batch=%s status=%s again=%d", state.id, state.status, again)

    async def _collect_file(self, batch: Batch, file: str) -> None:
        settings = at_batch_price(self._settings, batch.model)
        found: list[Read] = []
        size = 0
        async for line in self._provider.lines(file, line_limit(self._settings)):
            if len(line.text) > LARGE and found:
                await self._store(batch, found)
                found, size = [], 0
            read = await parsed(len(line.text), partial(self._read_line, line, settings))
            if read is None:
                continue
            found.append(read)
            size += len(line.text)
            if len(found) >= ANSWERS or size >= ANSWER_BYTES:
                await self._store(batch, found)
                found, size = [], 0
        if found:
            await self._store(batch, found)

    def _read_line(self, line: FileLine, settings: OpenAISettings) -> Read | None:
        reply = reply_of(line)
        return None if reply is None else self._read(reply, settings)

    def _read(self, reply: Reply, settings: OpenAISettings | None = None) -> Read:
        """An answer as it is stored. settings: the prices, for answers that may have a cost."""
        received = None
        if settings is not None and reply.status == 200:
            received = self._caller.received(reply.body, settings)
        return Read(*reply[:3], self._caller.scrub(json.dumps(reply.body)), received)

    async def _collect_errors(self, batch: Batch, state: State) -> tuple[str, float]:
        """Stores the errors of a batch that the provider refused as a whole, as answers of the faulty requests.

        Returns the error, and the delay before the other requests are sent again. If no request is at fault, the
        error code decides about all of them: otherwise they would be sent again for ever.
        """
        errors = state.errors
        said = "; ".join(f"{each.message or each.code}" for each in errors[:3]) or "it does not say why"
        said = self._storable(said)
        if any(each.code in TOO_MANY for each in errors):
            return said, max(LONGEST_PAUSE / 2, self._batch.poll_seconds)
        blamed = {each.line: each for each in errors if each.line is not None}
        if blamed and state.input_file is not None:
            number, found = 0, []
            async for line in self._provider.lines(state.input_file, line_limit(self._settings)):
                number += 1
                if number not in blamed:
                    continue
                names = await parsed(len(line.text), partial(names_of, line))
                if names is not None:
                    body = {"message": blamed[number].message, "code": blamed[number].code}
                    found.append(self._read(Reply(*names, 400, {"error": body})))
            if found:
                await self._store(batch, found)
                return said, 0.0
        code = errors[0].code if errors else None
        await self._answer_all(batch, MISSING, {"error": {"message": f"the batch failed: {said}", "code": code}})
        return said, 0.0

    async def _store(self, batch: Batch, found: list[Read]) -> None:
        """Stores answers.

        The size of the request in bytes replaces the prompt: it limits the reported tokens, and missing counts are
        estimated from it.
        """
        paid = [(read.id, read.attempt) for read in found if read.received is not None]
        sizes = await self._calls(batches.sizes, batch, paid) if paid else {}
        answers = []
        for read in found:
            usage = None
            if read.received is not None:
                read.received.add_prompt(" " * sizes.get((read.id, read.attempt), 0))
                usage = read.received.spent
            answers.append(
                Answered(
                    read.id, read.attempt, read.status, read.answer, None if usage is None else json.dumps(usage)
                )
            )
        await self._calls(batches.store, batch, answers)

    @asynccontextmanager
    async def _holding(self, batch: Batch) -> AsyncIterator[None]:
        """Renews the lease of a batch while it is tended."""

        async def renew() -> None:
            while True:
                await asyncio.sleep(RENEWAL)
                with suppress(LeaseLost):  # the next step detects the loss
                    await self._calls(batches.hold, batch)

        renewing = asyncio.create_task(renew())
        try:
            yield
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)
