"""Options of the command line that are limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from contentq.limits import NONE


def given_of(ctx: click.Context, values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the options that were given, also as none."""
    unsaid = click.core.ParameterSource.DEFAULT
    return {name: value for name, value in values.items() if ctx.get_parameter_source(name) is not unsaid}


def limits_text(limits: Mapping[str, Any]) -> str:
    """Limits in a sentence."""
    return ", ".join(f"{name} {NONE if value is None else value}" for name, value in limits.items())
