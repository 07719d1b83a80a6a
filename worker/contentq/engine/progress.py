"""Collects the progress of handlers until it is written: the latest of each task, once a second."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from contentq.engine.results import error_text
from contentq.queue.outcomes import Held, Progressed

NOTE_LENGTH = 500
"""Maximum length of a note, in characters."""


class ProgressNotes:
    """Collects progress from any thread.

    write: called on the event loop, interval seconds after the first report, to write it.
    """

    def __init__(self, write: Callable[[], None], interval: float) -> None:
        self._write = write
        self._interval = interval
        self._loop = asyncio.get_running_loop()
        self._notes: dict[Held, Progressed] = {}
        self._is_scheduled = False

    def note(self, held: Held, fraction: float | None, note: str | None) -> None:
        """Records the progress of an attempt, as clean() returns it."""
        earlier = self._notes.get(held)
        share, said = clean(fraction, note)
        if earlier is not None:
            share = earlier.fraction if share is None else share
            said = earlier.note if said is None else said
        self._notes[held] = Progressed(held, share, said)
        if not self._is_scheduled:
            self._is_scheduled = True
            with suppress(RuntimeError):  # the worker has ended and left this thread behind
                self._loop.call_soon_threadsafe(self._loop.call_later, self._interval, self._write)

    def take(self) -> list[Progressed]:
        """Returns and clears the recorded progress."""
        self._is_scheduled = False
        taken = []
        while self._notes:
            try:
                taken.append(self._notes.popitem()[1])
            except KeyError:  # another thread
                break
        return taken


def clean(fraction: object, note: object) -> tuple[float | None, str | None]:
    """The valid part of a reported progress: a fraction from 0 to 1, and a text that can be stored.

    A fraction that is not a number is dropped. A long note is cut.
    """
    return _fraction_of(fraction), None if note is None else _text_of(note)


def _fraction_of(fraction: Any) -> float | None:
    try:
        share = None if fraction is None else float(fraction)
    except Exception:
        return None
    return None if share is None or math.isnan(share) else min(max(share, 0.0), 1.0)


def _text_of(note: object) -> str:
    start = note[:NOTE_LENGTH] if isinstance(note, str) else note
    return error_text(start)[:NOTE_LENGTH]
