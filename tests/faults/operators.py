"""Changes that operators make while workers run: account limits, gates, and the order of claims."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

Execute = Callable[[str, list[object]], Any]

GATE = "provider"

ACCOUNTS = """
INSERT INTO accounts (name, share, max_running) VALUES
    ('large', 1, NULL), ('small', 1, NULL), ('threefold', 3, NULL),
    ('capped', 1, 2), ('paused', 1, NULL), ('budgeted', 1, NULL)
"""
LARGE, SMALL, THREEFOLD, CAPPED, PAUSED, BUDGETED = range(1, 7)

INSERTED: dict[int, int] = {LARGE: 10, SMALL: 3, THREEFOLD: 6, CAPPED: 2, PAUSED: 2, BUDGETED: 2}
"""Accounts by id, and the relative frequency of their tasks."""

GATE_CAPS = (4, 8, 12)

OPTIONS: tuple[tuple[str, ...], ...] = (
    ("--gate", GATE),
    ("--gate", GATE, "--category", "blog", "--category", "news"),
    ("--category", "news", "--category", "mail"),
    (),
)
"""The options of each worker."""

CATEGORIES = (None, None, "blog", "news", "mail")
"""The categories of tasks, drawn with equal probability."""


class Operators:
    """Makes random changes.

    execute: runs a statement with its values; it may fail silently, for example while the server is down.
    """

    def __init__(self, execute: Execute, chance: random.Random) -> None:
        self._execute = execute
        self._chance = chance
        self._changes = [
            self._cap,
            self._share,
            self._budget,
            self._pause,
            self._cap_gate,
            self._close_gate,
            self._close_gate,
            self._open_gates,
            self._order,
        ]

    def begin(self) -> None:
        """Makes the initial changes."""
        self._execute(ACCOUNTS, [])
        self._cap_gate()
        self._order()

    def change(self) -> None:
        """Changes one thing."""
        self._chance.choice(self._changes)()

    def lift(self) -> None:
        """Removes all limits, so that the run can end."""
        self._execute("UPDATE accounts SET max_running = NULL, monthly_budget = NULL, paused_until = NULL", [])
        self._execute("SELECT contentq.set_gate(%s)", [GATE])
        self._open_gates()

    def _cap(self) -> None:
        self._set_account(CAPPED, "max_running", self._chance.choice([0, 1, 2, 3, 5]))

    def _share(self) -> None:
        self._set_account(THREEFOLD, "share", self._chance.choice([2, 3, 4]))

    def _budget(self) -> None:
        self._set_account(BUDGETED, "monthly_budget", self._chance.choice([0, 1000, None]))

    def _pause(self) -> None:
        self._execute(
            "UPDATE accounts SET paused_until = clock_timestamp() + make_interval(secs => %s) WHERE id = %s",
            [self._chance.uniform(1, 4), PAUSED],
        )

    def _cap_gate(self) -> None:
        cap = self._chance.choice(GATE_CAPS)
        self._execute("SELECT contentq.set_gate(%s, max_running => %s)", [GATE, cap])

    def _close_gate(self) -> None:
        key = self._chance.choice([GATE, GATE, GATE, "*"])
        seconds = self._chance.uniform(0.5, 3 if key == GATE else 1)
        self._execute(
            "SELECT contentq.close_gate(%s, clock_timestamp() + make_interval(secs => %s), 'at random', %s)",
            [key, seconds, self._chance.random() < 0.5],
        )

    def _open_gates(self) -> None:
        self._execute("SELECT contentq.open_gate(%s), contentq.open_gate('*')", [GATE])

    def _order(self) -> None:
        order = self._chance.choice(["strict", "fair", "fair"])
        self._execute("UPDATE contentq.settings SET claim_order = %s", [order])

    def _set_account(self, account: int, column: str, value: object) -> None:
        self._execute(f"UPDATE accounts SET {column} = %s WHERE id = %s", [value, account])
