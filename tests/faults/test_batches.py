"""Workers of the handler openai-batch are killed repeatedly."""

from __future__ import annotations

import os
import random
import signal
import time

import pytest

from tests.handlers.batches import add, full_at, provider, queue, statuses
from tests.handlers.test_openai_batch_kills import StartProgram, check_all_is_done_once, program
from tests.support.provider_batches import BatchProvider
from tests.support.queue import Queue
from tests.support.waiting import eventually

__all__ = ["program", "provider", "queue"]


@pytest.mark.long
def test_fleet_whose_workers_are_killed_all_the_time_loses_nothing_and_sends_nothing_twice(
    provider: BatchProvider, queue: Queue, program: StartProgram
) -> None:
    settings, dice = full_at(40, 0.5), random.Random(1)
    queue.run("UPDATE contentq.settings SET heartbeat_timeout = '5 seconds'")
    provider.at_once = True
    ids = add(queue, 400, max_retries=1000)
    fleet = [program(settings) for _ in range(3)]
    until = time.monotonic() + 60
    while time.monotonic() < until and statuses(queue) != {"completed": 400}:
        time.sleep(dice.uniform(0.2, 2))
        victim = dice.randrange(3)
        os.kill(fleet[victim].pid, signal.SIGKILL)
        fleet[victim].wait()
        fleet[victim] = program(settings)

    eventually(lambda: statuses(queue) == {"completed": 400}, within=90)
    assert provider.calls["chat"] == 0
    check_all_is_done_once(queue, provider, ids)
