"""What handlers say of their progress, kept until it is written: the last of each, once a second."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from contentq.engine.results import error_text
from contentq.queue.outcomes import Held, Progressed

INTERVAL = 1.0
"""Seconds, at least, between two reports of progress."""

NOTE_LENGTH = 500
"""Characters of a note that are kept."""


class ProgressNotes:
    """Takes notes from any thread; due: called on the event loop when they should be written."""

    def __init__(self, due: Callable[[], None]) -> None:
        self._due = due
        self._loop = asyncio.get_running_loop()
        self._notes: dict[Held, Progressed] = {}
        self._is_due_soon = False

    def note(self, held: Held, fraction: float | None, note: str | None) -> None:
        """An attempt is so far, as cleaned() has it."""
        earlier = self._notes.get(held)
        share, said = cleaned(fraction, note)
        if earlier is not None:
            share = earlier.fraction if share is None else share
            said = earlier.note if said is None else said
        self._notes[held] = Progressed(held, share, said)
        if not self._is_due_soon:
            self._is_due_soon = True
            with suppress(RuntimeError):  # the worker has ended, and this is a thread that it has left behind
                self._loop.call_soon_threadsafe(self._loop.call_later, INTERVAL, self._due)

    def take(self) -> list[Progressed]:
        """What was noted since it was taken the last time."""
        self._is_due_soon = False
        taken = []
        while self._notes:
            try:
                taken.append(self._notes.popitem()[1])
            except KeyError:  # another thread
                break
        return taken


def cleaned(fraction: object, note: object) -> tuple[float | None, str | None]:
    """What is kept of what a handler has said, whatever it was: a fraction from 0 to 1, and a text to store.

    What is no number is left out; a note is cut.
    """
    return _share(fraction), None if note is None else _said(note)


def _share(fraction: Any) -> float | None:
    try:
        share = None if fraction is None else float(fraction)
    except Exception:
        return None
    return None if share is None or math.isnan(share) else min(max(share, 0.0), 1.0)


def _said(note: object) -> str:
    start = note[:NOTE_LENGTH] if isinstance(note, str) else note
    return error_text(start)[:NOTE_LENGTH]
