"""A process that reads an ordinary answer about a batch, then another, and reports how much memory the other took.

    python -m tests.support.one_batch GOOD_URL BAD_URL CALL

CALL: file (collects a file of answers), retrieve, find, or upload. It prints one JSON object: error (its class),
message, stored (the number of stored answers), grown (growth of the peak memory, in bytes).
"""

from __future__ import annotations

import asyncio
import io
import json
import logging
import sys
from typing import Any

from contentq.handlers.openai.client import Endpoint
from contentq.handlers.openai.settings import OpenAISettings
from contentq.handlers.openai_batch.caller import BatchCaller
from contentq.handlers.openai_batch.tending import Tending
from contentq.queue import batches
from contentq.queue.batches import Batch

from tests.support.one_call import most_memory

BATCH = Batch(1, "key", "m", 1, "in_progress", "b", "f", 1, 0, 0.0, 1)


async def ask(url: str, call: str) -> tuple[BaseException | None, int]:
    """The exception of a call, and the number of answers that it stores."""
    settings = OpenAISettings(model="m")
    caller = BatchCaller(Endpoint(url, None), settings)
    stored = 0

    async def calls(function: Any, *arguments: Any) -> Any:
        nonlocal stored
        if function is batches.store:
            stored += len(arguments[1])
        return {} if function is batches.sizes else None

    made: Any = calls
    tending = Tending(made, caller, settings)
    error: BaseException | None = None
    try:
        if call == "file":
            await tending._collect_file(BATCH, "f")
        elif call == "retrieve":
            await tending._provider.retrieve("b")
        elif call == "find":
            await tending._provider.find("key", "f", 0.0)
        else:
            await tending._provider.upload("f", io.BytesIO(b"{}\n"))
    except Exception as caught:
        error = caught
    await caller.close()
    return error, stored


async def main() -> None:
    """See above."""
    good, bad, call = sys.argv[1:]
    logging.disable()
    assert (await ask(good, call))[0] is None
    before = most_memory()
    error, stored = await ask(bad, call)
    said = {"error": type(error).__name__, "message": str(error), "stored": stored}
    print(json.dumps({**said, "grown": most_memory() - before}))


if __name__ == "__main__":
    asyncio.run(main())
