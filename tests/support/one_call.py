"""A process that makes one ordinary call to a provider, then another, and reports how much memory the other took.

    python -m tests.support.one_call GOOD_URL BAD_URL SETTINGS

It prints one JSON object: error (its class), message, grown (growth of the peak memory, in bytes).
"""

from __future__ import annotations

import asyncio
import json
import logging
import resource
import sys
from pathlib import Path

from contentq.handlers.loading import Handler
from contentq.handlers.openai.handler import OpenAIHandler
from contentq.testing.fakes import FakeContext
from contentq.testing.trial import run_trial

from tests.support.tasks import task


def most_memory() -> int:
    """Bytes. Linux counts the peak of the parent too, but not in /proc."""
    status = Path("/proc/self/status")
    if status.exists():
        lines = status.read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def settings_for(url: str, settings: Path) -> Path:
    """Adds the address to the settings."""
    made = settings.with_suffix(".made")
    made.write_text(f"base_url = '{url}'\n{settings.read_text(encoding='utf-8')}", encoding="utf-8")
    return made


async def ask(settings: Path) -> BaseException | None:
    """The exception of a call, as a worker receives it."""
    handler = OpenAIHandler(None, settings)
    given = task()
    error: BaseException | None = None

    async def call(*arguments: object) -> object:
        nonlocal error
        try:
            return await handler(*arguments)  # type: ignore[arg-type]
        except Exception as caught:
            error = caught
            raise

    await run_trial(Handler("openai", call, is_async=True), FakeContext(given))
    await handler.close()
    return error


async def main() -> None:
    """See above."""
    good, bad, settings = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    logging.disable()
    assert await ask(settings_for(good, settings)) is None
    before = most_memory()
    error = await ask(settings_for(bad, settings))
    said = {"error": type(error).__name__, "message": str(error), "grown": most_memory() - before}
    print(json.dumps(said))


if __name__ == "__main__":
    asyncio.run(main())
