"""How long an event loop delays its other tasks while it works."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any


def longest_pause(work: Callable[[], Awaitable[Any]]) -> tuple[float, float]:
    """Processor seconds while this is done: the longest between two turns of another task, and the total.

    Processor time of all threads of this process, so that other processes do not count.
    """

    async def main() -> tuple[float, float]:
        longest, last = 0.0, time.process_time()
        began = last
        job = asyncio.ensure_future(work())
        while not job.done():
            await asyncio.sleep(0)
            now = time.process_time()
            longest, last = max(longest, now - last), now
        await job
        return longest, time.process_time() - began

    return asyncio.run(main())
