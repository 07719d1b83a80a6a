"""Handlers for contentq try, as the text of a module, and their expected output."""

from __future__ import annotations

HANDLERS = '''
import asyncio
import sys
import time
from functools import partial

from contentq import (
    CheckFailed, GeneratedContent, PermanentError, ProviderUnavailable, RateLimited, Snooze, TemporaryError
)
from contentq.checks import Headings, MaxLikeness, MinWords, NoLeftovers, check

TOLD = ("topic", "keyword_list", "category", "requirements", "tone") + (
    "account_id", "priority", "attempt", "retry_count", "max_retries"
)
print_now = partial(print, flush=True)
USAGE = {"model": "small-1", "prompt_tokens": 12, "completion_tokens": 480, "cost": 0.0031}


async def write(task, context):
    return GeneratedContent(task.topic, f"# {task.topic}\\n\\nOne two three.\\n", result={**USAGE, "style": "dry"})


def plain(task, context):
    return {"topic": task.topic, **USAGE}


async def told(task, context):
    """All that it was told."""
    old = context.previous_content
    return {
        **{name: getattr(task, name) for name in TOLD},
        "has_deadline": context.deadline is not None and context.seconds_left() > 50,
        "error": context.previous_error,
        "content": old and [old.title, old.word_count],
    }


async def costs(task, context):
    return {"cost": {"small": 0.00001, "whole": 3, "round": 2.0}[task.topic]}


async def nothing(task, context):
    pass


async def checked(task, context):
    checks = [MaxLikeness(0.7), MinWords(3), Headings(["Sources", "Tea"]), NoLeftovers()]
    return await check(GeneratedContent("Tea", "Two words"), checks, context)


def by_topic(task, context):
    raise {
        "permanent": PermanentError("no such subject", usage=USAGE),
        "temporary": TemporaryError("busy"),
        "later": TemporaryError("busy", retry_after=90),
        "provider": ProviderUnavailable("503"),
        "limited": RateLimited("429", retry_after=20),
        "snoozed": Snooze("its source is not ready", delay=7200),
        "unexpected": KeyError("choices"),
        "leaves": SystemExit(3),
        "checked": CheckFailed(
            "it has 2 words\\nwrite 300", draft=GeneratedContent("Tea", "Two words", result=USAGE)
        ),
        "last": CheckFailed("too short", max_revisions=0),
        "review": CheckFailed(
            "too short", draft=GeneratedContent("Tea", "Two words"), max_revisions=0, keep_for_review=True
        ),
    }[task.topic]


async def keeps(task, context):
    raise Snooze("next page", delay=60, state={"page": context.state.get("page", 0) + 1})


async def unstorable(task, context):
    return {"set": {1}, "cost": 0.5}


async def a_list(task, context):
    return [1]


def connects(task, context):
    context.connection()


async def connects_async(task, context):
    await context.connection()


async def progresses(task, context):
    for each in range(1, 11):
        context.progress(each / 10, "writing")
    context.progress(note="done")


def mumbles(task, context):
    """Says what is no fraction and no text."""
    said = {"word": ["half"], "number as note": [0.5, 7], "percent": [50, "x"], "object": [None, object]}
    context.progress(*said[task.topic])


async def boasts(task, context):
    """Says of its cost what the database does not count."""
    usage = {"model": 7, "prompt_tokens": "many", "completion_tokens": -1, "cost": "abc"}
    if task.topic == "error":
        raise TemporaryError("busy", usage=usage)
    if task.topic == "set":
        raise TemporaryError("busy", usage={"cost": 1, "set": {1}})
    if task.topic == "large":
        return {"prompt_tokens": 12.7, "cost": 1e13}
    return usage


STEERS = "\\x1b]0;pwn\\x07\\x1b[31m\\x9b31m"


def steers(task, context):
    context.progress(0.5, f"note {STEERS}")
    if task.topic == "error":
        raise TemporaryError(f"error {STEERS}", usage={"model": f"model {STEERS}", "cost": 1})
    if task.topic == "result":
        return {"text": f"result {STEERS}", "model": f"model {STEERS}"}
    return GeneratedContent(
        f"title {STEERS}", f"body {STEERS}", result={"text": f"result {STEERS}", "model": f"model {STEERS}"}
    )


def prints(task, context):
    import os
    import subprocess

    print("from print")
    sys.__stdout__.write("from __stdout__\\n")
    os.write(1, b"from the descriptor\\n")
    subprocess.run(["echo", "from a program"], check=True)
    if task.topic == "error":
        raise TemporaryError("busy")
    return {"success": True}


def forks(task, context):
    import os

    if os.fork():
        os.wait()
    return {"forked": True}


async def sleeps(task, context):
    try:
        print_now("sleeps")
        await asyncio.sleep(60)
    finally:
        print_now("cleaned up")


def blocks(task, context):
    print_now("blocks")
    time.sleep(60)


def blocks_and_gets_the_signal(task, context):
    import signal
    import threading

    signal.pthread_kill(threading.get_ident(), signal.SIGINT)
    time.sleep(60)


def asks(task, context):
    while not context.should_stop():
        time.sleep(0.01)
    print_now("stopped")


async def blocks_the_loop(task, context):
    print_now("blocks the loop")
    time.sleep(60)


async def blocks_a_thread(task, context):
    print_now("blocks a thread")
    await asyncio.to_thread(time.sleep, 60)


async def clings(task, context):
    asyncio.get_running_loop().call_later(0.05, print_now, "clings")
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            print_now("clings still")


async def late(task, context):
    time.sleep(0.3)
    return {"late": True}
'''


def without_time(text: str) -> str:
    """The output without the line of the duration, which must be present."""
    lines = text.splitlines()
    assert lines[-1].startswith("took "), text
    return "\n".join(lines[:-1])
