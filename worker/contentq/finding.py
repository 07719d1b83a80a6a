"""What `contentq doctor` finds: in the shape in which the SQL function contentq.doctor() returns it."""

from __future__ import annotations

from dataclasses import dataclass

SEVERITIES = ("error", "warning", "advice")
"""The worst first: something does not work, something soon will not, something could be better."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, or soon will be."""

    severity: str
    finding: str
    """The name of its kind, for programs."""

    subject: str
    """What it is about: a table, a session, a worker."""

    detail: str
    """What was found."""

    why: str
    """Why it matters."""

    mend: str
    """The command that mends it, or what to do."""
