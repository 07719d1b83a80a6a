"""What the figures mean, in words."""

from __future__ import annotations

from contentq.bench.figures import Figures, Limit

HANDLER_SECONDS = 30
"""What a task of content generation takes, about, for the verdict's example."""

SECONDS_A_DAY = 24 * 3600

NO_BREAK = "\u00a0"
"""A space that keeps a number and its unit on one line."""

SHORT = 1.0
"""Seconds of a drain below which chance has a say."""


def verdict(figures: Figures) -> list[str]:
    """Some paragraphs: what the figures are worth, the rate, the start, what limits and what to do about it."""
    parts = [_worth(figures), _rate(figures), _start(figures), _limit(figures)]
    return [part for part in parts if part]


def _worth(figures: Figures) -> str:
    """A warning, when the server does not keep what it has confirmed."""
    server = figures.server
    if server.is_durable:
        return ""
    if server.fsync != "on":
        return (
            "These figures mean little: fsync is off, nothing waits for the disk, and a crash can destroy the "
            "whole database. Switch it on and measure again."
        )
    return (
        "These figures mean little: synchronous_commit is off, commits do not wait for the disk, and a crash "
        "loses the tasks of the last moments. Switch it on and measure again."
    )


def _rate(figures: Figures) -> str:
    drained = figures.drained
    rate, busy = drained.rate, drained.rate * HANDLER_SECONDS
    text = (
        f"One worker works off {spoken(rate)} tasks a second on this database: {spoken(rate * SECONDS_A_DAY)} a "
        f"day at full speed. At {HANDLER_SECONDS}{NO_BREAK}s a task, the queue keeps up with {spoken(busy)} "
        "handlers at once; as long as yours are fewer, they set the pace, or the model that they wait for, and "
        "not the queue."
    )
    if drained.completed < figures.tasks:
        text += " The drain was stopped when its time was over (--seconds)."
    elif drained.seconds < SHORT:
        text += " The drain was short: more --tasks give a steadier figure."
    return text


def _start(figures: Figures) -> str:
    if not figures.server.is_direct:
        return (
            "A pooler is in the way, through which no worker can listen: a new task starts when a worker looks, "
            f"every 5{NO_BREAK}s by default. Measure with a --dsn that leads to the server itself."
        )
    return (
        f"An idle worker starts a task {spoken_ms(figures.median)} after the INSERT began, {figures.nearly_all} "
        f"within {spoken_ms(figures.p99)}. Two commits are in that, {spoken_ms(figures.commit)} each."
    )


def _limit(figures: Figures) -> str:
    limit, drained = figures.limit, figures.drained
    if limit is Limit.NETWORK:
        return (
            f"What limits is the way to the database: a round trip takes {spoken_ms(figures.round_trip)}, "
            f"and {figures.waiting[limit]:.0%} of the time went into them. Run workers close to the database; "
            "more of them work off more, since each waits for itself."
        )
    if limit is Limit.DISK:
        slow = "the disk, or the standby that confirms commits" if figures.server.standbys else "the disk"
        return (
            f"What limits is {slow}: a commit takes {spoken_ms(figures.commit)}, and {figures.waiting[limit]:.0%} "
            "of the time went into them. Faster storage for the write-ahead log helps; so do more workers, whose "
            "commits are flushed together."
        )
    if limit is Limit.WORKER:
        return (
            f"What limits is the worker's own process, which computed for {drained.computing:.0%} of the time. "
            "More worker processes work off more, as long as the database has processors to spare."
        )
    return (
        "What limits is the processor of the database server: neither the network nor the disk is waited for "
        "much. More worker processes use more of its cores; when all are busy, only more or faster ones help."
    )


def spoken(number: float) -> str:
    """A number as one says it, with two digits that count: 9,800 or 850 million."""
    for size, name in ((1e9, " billion"), (1e6, " million")):
        if number >= size:
            return f"{_two_digits(number / size)}{name}"
    return _two_digits(number)


def spoken_ms(milliseconds: float) -> str:
    """A time as one says it: 0.35 ms, 12 ms, 1,200 ms."""
    return f"{_two_digits(milliseconds)}{NO_BREAK}ms"


def _two_digits(number: float) -> str:
    rounded = float(f"{number:.2g}")
    return f"{rounded:,.0f}" if rounded >= 10 else f"{rounded:g}"
