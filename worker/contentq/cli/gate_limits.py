"""`contentq gates`: gates and their limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from contentq.cli.limit import given_of, limits_text
from contentq.cli.output import json_option, print_json, print_line, print_table
from contentq.cli.session import open_session
from contentq.limits import Limit

if TYPE_CHECKING:
    from contentq.cli.main import GlobalOptions

MOST = 1_000_000_000


MAY_GO = (
    "closed_at",
    "unanswered",
    "opens_at",
    "refused",
    "workers",
    "tokens_per_minute",
    "max_running_is",
    "pace_is",
)
"""Columns that are omitted first on a narrow terminal."""


@click.group()
def gates() -> None:
    """Show the gates of providers; set their limits."""


@gates.command("list")
@json_option
@click.pass_obj
def list_gates(options: GlobalOptions, /, as_json: bool) -> None:
    """Show the gates: pace, limits, refusals, and why a gate is closed."""
    from contentq.queue.gates import gate_status

    with open_session(options) as connection:
        found = gate_status(connection)
    if as_json:
        print_json(found)
        return
    nothing = "no gates: no live worker has one, and none was closed or has limits"
    print_table(None, found, nothing, give_way=["reason", "key"], may_go=MAY_GO)


@gates.command("set")
@click.argument("key", metavar="KEY")
@click.option(
    "--requests-per-minute",
    type=Limit("number", MOST, least=1, whole=False),
    help="Maximum number of its tasks that start per minute; none: no limit.",
)
@click.option(
    "--tokens-per-minute",
    type=Limit("number", MOST, least=1, whole=False),
    help="Maximum number of tokens that its tasks use per minute; none: no limit.",
)
@click.option(
    "--max-running",
    type=Limit("number", 2_147_483_647, least=1),
    help="Maximum number of its tasks that run at once; none: no limit.",
)
@json_option
@click.pass_context
def set_limits(ctx: click.Context, /, key: str, as_json: bool, **given: Any) -> None:
    """Set the limits of a gate for all workers that have it.

    KEY is the key that workers name with --gate, or the host of their provider; * applies to every worker. Limits
    that are not given stay unchanged, and so does what was learned.
    """
    _set(ctx.obj, key, given_of(ctx, given), as_json)


@gates.command("unset")
@click.argument("key", metavar="KEY")
@json_option
@click.pass_obj
def unset(options: GlobalOptions, /, key: str, as_json: bool) -> None:
    """Remove the limits of a gate. What was learned stays."""
    from contentq.queue.gates import LIMITS

    _set(options, key, dict.fromkeys(LIMITS), as_json)


def _set(options: GlobalOptions, key: str, changes: dict[str, Any], as_json: bool) -> None:
    from contentq.queue.gates import set_limits

    if not key:
        raise click.UsageError("KEY is empty: give the key of a gate, such as the host of a provider")
    with open_session(options) as connection:
        limits = set_limits(connection, key, changes)
    if as_json:
        print_json({"gate": key, **limits})
        return
    print_line(f"gate {key}: {limits_text(limits)}")
