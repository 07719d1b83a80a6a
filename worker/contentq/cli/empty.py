"""Options whose value must not be empty."""

from __future__ import annotations

import click


def not_empty(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Refuses an empty value, which usually comes from an unset environment variable."""
    if value is not None and not value.strip():
        raise click.BadParameter("the value is empty; is the environment variable set?", ctx, param)
    return value
