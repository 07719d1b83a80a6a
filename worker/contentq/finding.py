"""Findings of `contentq doctor`, in the form in which the SQL function contentq.doctor() returns them."""

from __future__ import annotations

from dataclasses import dataclass

SEVERITIES = ("error", "warning", "advice")
"""Worst first: something does not work, something will soon not work, something could be better."""


@dataclass(frozen=True)
class Finding:
    """A finding."""

    severity: str
    finding: str
    """Its kind, for programs."""

    subject: str
    """The object that it is about: a table, a session, a worker."""

    detail: str
    """The problem."""

    why: str
    """Why it matters."""

    fix: str
    """The command that fixes it, or what to do."""
