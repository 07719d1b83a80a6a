"""How long an event loop keeps its other tasks waiting while it works at something."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any


def longest_pause(work: Callable[[], Awaitable[Any]]) -> tuple[float, float]:
    """Seconds: the longest between two turns of another task while this is done, and those that it took in all.

    Of processor time of this process, all threads: what others do on the machine does not count.
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
