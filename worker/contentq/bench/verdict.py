"""Explains the figures in words."""

from __future__ import annotations

from contentq.bench.figures import Figures, Limit

HANDLER_SECONDS = 30
"""Typical duration of a content-generation task, for the verdict's example."""

HANDLERS = 600
"""Number of handlers that run at once in that example."""

NO_BREAK = "\u00a0"
"""A space that keeps a number and its unit on one line."""

STEADY = 3.0
"""Seconds of a drain that gives a steady figure."""

SHORT = 1.0
"""A drain of fewer seconds is short: its figure varies."""

TOO_FEW = 10
"""Minimum number of timed starts for a verdict."""

SIZING = "docs/explanation/performance.md#sizing-a-deployment"


def verdict(figures: Figures) -> list[str]:
    """Paragraphs on the reliability of the figures, the rate, the start, and the limit with its remedy."""
    if figures.limit is None:
        parts = [_worth(figures), _too_short(figures), _start(figures)]
    else:
        parts = [_worth(figures), _rate(figures), _start(figures), _limit(figures)]
    return [part for part in parts if part]


def _worth(figures: Figures) -> str:
    """A warning if the server may lose commits that it has confirmed."""
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
    text = (
        f"One worker completes {spoken(drained.rate)} tasks a second on this database if they are already in the "
        "table and their handlers do nothing. Inserting the tasks and storing content are not included, and cost "
        f"the server more than this: {SIZING}. For comparison: {HANDLERS} handlers at once that take "
        f"{HANDLER_SECONDS}{NO_BREAK}s each need {HANDLERS // HANDLER_SECONDS} tasks a second."
    )
    if drained.completed < figures.tasks:
        text += " The drain was stopped at its time limit (--seconds)."
    elif drained.seconds < SHORT:
        tasks = float(f"{STEADY * drained.rate:.1g}")
        text += f" The drain was short; --tasks {tasks:.0f} gives a steadier figure."
    return text


def _too_short(figures: Figures) -> str:
    return (
        f"The drain took {spoken_ms(1000 * figures.drained.seconds)}, too little for a verdict on rate and limit. "
        "Without --tasks it takes some seconds."
    )


def _start(figures: Figures) -> str:
    if not figures.server.is_direct:
        return (
            "A pooler prevents workers from listening: a new task starts at the next poll of a worker, every "
            f"5{NO_BREAK}s by default. Measure with a --dsn that leads to the server itself."
        )
    number = len(figures.latencies)
    if number < TOO_FEW:
        timed = "Only one start was timed" if number == 1 else f"Only {number} starts were timed"
        return f"{timed}, too few for a verdict: --samples 100 takes a few seconds."
    commits = 2 * figures.timings.rested_commit
    text = (
        f"An idle worker starts a task {spoken_ms(figures.median)} after the INSERT began, {figures.nearly_all} "
        f"within {spoken_ms(figures.p99)}. This includes two commits, of the INSERT and of the claim; each "
        f"takes {spoken_ms(figures.timings.rested_commit)} after a pause like that between these tasks"
    )
    if commits >= figures.median:
        return text + "."
    return (
        f"{text}. The other {spoken_ms(figures.median - commits)} are the rest of the INSERT and of the claim, "
        "the notification, and the time to wake the processes that wait for it."
    )


def _limit(figures: Figures) -> str:
    return f"{_what_limits(figures)} {_shares(figures)}"


def _shares(figures: Figures) -> str:
    waiting = figures.waiting
    return (
        f"Of the drain's time, at most {waiting[Limit.NETWORK]:.0%} went into waiting for the network and at most "
        f"{waiting[Limit.DISK]:.0%} into waiting for the disk; for {figures.drained.computing:.0%} of it the "
        "worker's process computed. These overlap: claims and reports run at the same time."
    )


def _what_limits(figures: Figures) -> str:
    limit, timings = figures.limit, figures.timings
    if limit is Limit.NETWORK:
        return (
            f"The limit is the network to the database: a round trip takes {spoken_ms(timings.round_trip)}. Run "
            "workers close to the database. More workers complete more tasks, because their waits overlap."
        )
    if limit is Limit.DISK:
        slow = "the disk, or the standby that confirms commits" if figures.server.standbys else "the disk"
        return (
            f"The limit is {slow}: a commit takes {spoken_ms(timings.commit)}. Faster storage for the "
            "write-ahead log helps; so do more workers, whose commits are flushed together."
        )
    if limit is Limit.WORKER:
        return (
            "The limit is the worker's own process. More worker processes complete more tasks, as long as the "
            "database server has idle cores."
        )
    if limit is Limit.SERVER:
        return (
            "The limit is the processor of the database server: workers wait little for the network and the disk. "
            "More worker processes use more of its cores. When all are busy, only more or faster cores help."
        )
    return (
        f"There is no single limit. A round trip takes {spoken_ms(timings.round_trip)}, a commit "
        f"{spoken_ms(timings.commit)}. More worker processes complete more tasks, because their waits overlap, "
        "until all of the server's cores are busy."
    )


def spoken(number: float) -> str:
    """Formats a number with two significant digits: 9,800."""
    rounded = float(f"{number:.2g}")
    return f"{rounded:,.0f}" if rounded >= 10 else f"{rounded:g}"


def spoken_ms(milliseconds: float) -> str:
    """Formats a time: 0.35 ms, 12 ms, 1,200 ms."""
    return f"{spoken(milliseconds)}{NO_BREAK}ms"
