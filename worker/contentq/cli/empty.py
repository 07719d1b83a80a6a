"""Options whose value must not be empty."""

from __future__ import annotations

import click


def not_empty(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Refuses what comes of a variable that is not set: something else than was meant."""
    if value is not None and not value.strip():
        raise click.BadParameter("the value is empty; is the environment variable set?", ctx, param)
    return value
