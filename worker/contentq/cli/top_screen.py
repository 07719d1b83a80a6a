"""The screen of `contentq top`, fitted to the size of the terminal."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from contentq.cli.follow import clock
from contentq.cli.output import build_table, count_of, escape, format_value

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType  # noqa: TID251 - only for types

    from contentq.queue.live import Live

SPARKLINES = ((110, 60), (80, 30), (0, 15))
"""Minimum width of the terminal, with the length of the sparklines that fit."""

BLOCKS = " ▁▂▃▄▅▆▇█"
ASCII_BLOCKS = " _.-~=+*#"

BAR = 8
"""Width of a progress bar, in characters."""


@dataclass(frozen=True)
class Trouble:
    """Why there are no new figures."""

    reason: str
    lasted: float
    """Seconds."""


@dataclass(frozen=True)
class Section:
    """A table of the screen; columns without any value are omitted.

    of_all: the total number of rows, of which these are the first.
    give_way: columns that are cut if the terminal is too narrow.
    """

    name: str
    rows: Sequence[dict[str, Any]]
    of_all: int
    give_way: tuple[str, ...]


@dataclass(frozen=True)
class Screen:
    """A snapshot. before: the first snapshot, with which failure counts are compared.

    keys: a hint on the keys to press.
    """

    live: Live
    before: Live
    trouble: Trouble | None = None
    keys: str = ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        """Draws all rows, or as many as the terminal has lines."""
        from rich.text import Text

        width, ascii_only = options.max_width, options.ascii_only
        style = "" if self.trouble is None else "dim"
        head = [*self._head(width, ascii_only)]
        for number, line in enumerate(head):
            yield Text(line, style="bold" if number == 0 else style, no_wrap=True, overflow="ellipsis")
        if self.trouble is not None:
            outage = f"no figures for {self.trouble.lasted:.0f} s, trying again: {self.trouble.reason}"
            yield Text(escape(outage), style="bold red", no_wrap=True, overflow="ellipsis")
        sections = [*_sections(self.live, ascii_only)]
        # Inside a full-screen display, options.height is not the height of the screen.
        lines = console.height - len(head) - (self.trouble is not None) if console.is_alt_screen else None
        shown = share_out([len(section.rows) for section in sections], lines, len(sections))
        spare = lines is None or lines >= sum(shown) + 2 * len(sections) + 1
        for section, count in zip(sections, shown, strict=True):
            if spare:
                yield Text("")
            yield _draw(section, count, width)

    def _head(self, width: int, ascii_only: bool) -> Iterator[str]:
        live = self.live
        left = f"contentq top  {escape(live.database)}"
        right = f"{self.keys}  {live.at.astimezone():%H:%M:%S}".strip()
        yield f"{left}{right:>{max(len(right) + 2, width - _cells(left))}}"
        cells = next(cells for least, cells in SPARKLINES if width >= least)
        yield _rate("submitted", live.submitted, cells, ascii_only) + _times("waited", live.waited)
        yield _rate("completed", live.completed, cells, ascii_only) + _times("ran", live.ran)
        oldest = f"; oldest ready for {format_value(live.oldest_ready)}" if live.oldest_ready is not None else ""
        yield f"{'pending':<10}{live.pending:>8,}   {live.scheduled:,} scheduled{oldest}"
        failed = _since("failed", live.failed, self.before.failed)
        timeout = _since("timeout", live.timeout, self.before.timeout)
        workers = "no live worker"
        if live.live_workers:
            workers = f"of {count_of(live.slots, 'slot')}, {count_of(live.live_workers, 'worker')}"
        yield f"{'processing':<10}{live.processing:>8,}   {workers}; {failed}, {timeout}"


def share_out(wanted: Sequence[int], lines: int | None, headings: int) -> list[int]:
    """How many rows each section shows: all, or a fair share of the lines."""
    if lines is None:
        return [*wanted]
    shown = [0] * len(wanted)
    for _ in range(min(lines - headings, sum(wanted))):
        unfinished = [number for number, want in enumerate(wanted) if shown[number] < want]
        shown[min(unfinished, key=lambda number: shown[number])] += 1
    return shown


def sparkline(counts: Sequence[int], cells: int, ascii_only: bool = False) -> str:
    """Draws the counts as bars, scaled to the highest; any count above 0 is visible."""
    blocks = ASCII_BLOCKS if ascii_only else BLOCKS
    each = len(counts) // cells
    bars = [sum(counts[at : at + each]) for at in range(0, each * cells, each)]
    highest = max(bars)
    return "".join(blocks[math.ceil(bar / highest * (len(blocks) - 1))] if bar else blocks[0] for bar in bars)


def _rate(name: str, counts: Sequence[int], cells: int, ascii_only: bool) -> str:
    rate = sum(counts) / len(counts)
    return f"{name:<10}{rate:>8,.1f}/s {sparkline(counts, cells, ascii_only)} "


def _times(name: str, seconds: tuple[float, float] | None) -> str:
    if seconds is None:
        return ""
    return f"{name:<6} p50 {_seconds(seconds[0]):>5} p95 {_seconds(seconds[1]):>5}"


def _seconds(seconds: float) -> str:
    if not math.isfinite(seconds):
        return "-"
    seconds = max(seconds, 0.0)
    for unit, letter in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= 2 * unit:
            return f"{min(seconds / unit, 9999):.0f}{letter}"
    return f"{seconds:.2f}s" if seconds < 10 else f"{seconds:.0f}s"


def _since(name: str, now: int, before: int) -> str:
    from contentq.queue.live import MOST_COUNTED

    if now >= MOST_COUNTED:
        return f"{name} {now:,} or more"
    return f"{name} {now:,} (+{now - before:,})" if now > before else f"{name} {now:,}"


def _sections(live: Live, ascii_only: bool) -> Iterator[Section]:
    """The tables that have rows; the first column is named after the section."""
    kinds: list[tuple[str, list[dict[str, Any]], Callable[[dict[str, Any]], dict[str, Any]], tuple[str, ...]]] = [
        ("account", live.accounts, _account, ("name",)),
        ("running", live.running, partial(_running, ascii_only), ("running", "topic")),
        ("worker", live.workers, _worker, ("host", "activity")),
        ("gate", live.gates, _gate, ("gate", "why")),
    ]
    for name, rows, choose, give_way in kinds:
        if rows:
            yield Section(name, [*map(choose, rows)], rows[0]["of_all"], give_way)


def _account(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "account": row["account_id"],
        "name": row["name"],
        "pending": row["pending"],
        "scheduled": row["scheduled"],
        "processing": row["processing"],
        "oldest": row["oldest_age"],
    }


def _running(ascii_only: bool, row: dict[str, Any]) -> dict[str, Any]:
    return {
        "running": row["task_id"],
        "for": _short(row["running"]),
        "left": None if row["time_left"] is None else _short(row["time_left"]),
        "progress": progress_bar(row["percent"], ascii_only),
        "worker": row["worker_id"],
        "topic": " ".join(text for text in (row["note"], row["topic"]) if text),
    }


def _worker(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "worker": row["id"],
        "host": row["hostname"],
        "state": row["state"],
        "busy": f"{row['busy']}/{row['slots']}",
        "heartbeat": _seconds(float(row["heartbeat_age_s"])),
        "activity": row["waits_for"] if row["state"] == "waits" else row["handler"],
    }


def _gate(row: dict[str, Any]) -> dict[str, Any]:
    most = "" if row["max_running"] is None else f"/{row['max_running']} {row['max_running_is']}"
    pace = None if row["pace"] is None else f"{row['pace']}/s {row['pace_is']}"
    why = None
    if row["state"] == "closed":
        why = ": ".join(text for text in (f"until {clock(row['opens_at'])}", row["reason"]) if text)
    return {
        "gate": row["key"],
        "state": row["state"],
        "running": f"{row['running']}{most}",
        "pace": pace,
        "refused": row["refused"] or None,
        "unanswered": row["unanswered"] or None,
        "why": why,
    }


def progress_bar(percent: Any, ascii_only: bool) -> str | None:
    """Draws the progress of a task; None if its handler has not reported any."""
    if percent is None or not math.isfinite(percent):
        return None
    done = min(max(float(percent), 0.0), 100.0)
    full, empty = ("#", ".") if ascii_only else ("█", "░")
    filled = round(done / 100 * BAR)
    return f"{full * filled}{empty * (BAR - filled)} {done:3.0f} %"


def _short(time: timedelta | None) -> str:
    """Formats a duration without zero hours."""
    return format_value(time).removeprefix("0:")


def _draw(section: Section, count: int, width: int) -> RenderableType:
    from rich.text import Text

    name = section.name
    heading = name if count == section.of_all else f"{name} {count}/{section.of_all}"
    if count == 0:
        return Text(heading, style="bold", no_wrap=True, overflow="ellipsis")
    empty = {key for key in section.rows[0] if all(row[key] is None for row in section.rows)}
    rows = [
        {heading if key == name else key: value for key, value in row.items() if key not in empty}
        for row in section.rows[:count]
    ]
    give_way = [heading if key == name else key for key in section.give_way]
    table, _ = build_table(rows, width, give_way, whole=heading)
    return table


def _cells(text: str) -> int:
    from rich.cells import cell_len

    return cell_len(text)
