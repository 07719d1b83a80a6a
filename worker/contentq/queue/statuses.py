"""The statuses of a task."""

from __future__ import annotations

from typing import Literal, TypeAlias

Status: TypeAlias = Literal["pending", "processing", "completed", "failed", "timeout"]
"""What a task may be in (spec.md section 2); for the values at run time: typing.get_args(Status)."""
