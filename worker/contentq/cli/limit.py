"""Options of the command line that set limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from contentq.limits import NONE


def given_of(ctx: click.Context, values: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were given explicitly, including those given as `none`."""
    default = click.core.ParameterSource.DEFAULT
    return {name: value for name, value in values.items() if ctx.get_parameter_source(name) is not default}


def limits_text(limits: Mapping[str, Any]) -> str:
    """The limits as one line, for example `share 2, max_running none`."""
    return ", ".join(f"{name} {NONE if value is None else value}" for name, value in limits.items())
