"""`contentq gates`: the gates of providers, and what operators set at them."""

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


MAY_GO = ("closed_at", "time_left", "unanswered", "refused", "workers", "tokens_per_minute", "pace_is")
"""The columns that a narrow terminal has no room for."""


@click.group()
def gates() -> None:
    """Show the gates of providers; set what a provider allows."""


@gates.command("list")
@json_option
@click.pass_obj
def list_gates(options: GlobalOptions, /, as_json: bool) -> None:
    """Show the gates: pace, limits, refusals, and why they are closed."""
    from contentq.queue.gates import gate_status

    with open_session(options) as connection:
        found = gate_status(connection)
    if as_json:
        print_json(found)
        return
    nothing = "there are no gates: no live worker has one, and none was closed or set"
    print_table(None, found, nothing, give_way=["reason", "key"], may_go=MAY_GO)


@gates.command("set")
@click.argument("key", metavar="KEY")
@click.option(
    "--requests-per-minute",
    type=Limit("number", MOST, least=1, whole=False),
    help="How many of its tasks may start a minute; none: no limit.",
)
@click.option(
    "--tokens-per-minute",
    type=Limit("number", MOST, least=1, whole=False),
    help="How many tokens its tasks may take a minute; none: no limit.",
)
@click.option(
    "--max-running",
    type=Limit("number", 2_147_483_647, least=1),
    help="How many of its tasks may run at once; none: any number.",
)
@json_option
@click.pass_context
def set_limits(ctx: click.Context, /, key: str, as_json: bool, **given: Any) -> None:
    """Set what a provider allows all workers with this gate.

    KEY is what workers name with --gate, or the host of their provider; * is every worker's. What is not given
    stays as it is, and so does what contentq has learned of the provider.
    """
    _set(ctx.obj, key, given_of(ctx, given), as_json)


@gates.command("unset")
@click.argument("key", metavar="KEY")
@json_option
@click.pass_obj
def unset(options: GlobalOptions, /, key: str, as_json: bool) -> None:
    """Take away what was set for a provider. What contentq has learned of it stays."""
    from contentq.queue.gates import LIMITS

    _set(options, key, dict.fromkeys(LIMITS), as_json)


def _set(options: GlobalOptions, key: str, changes: dict[str, Any], as_json: bool) -> None:
    from contentq.queue.gates import set_limits

    if not key:
        raise click.UsageError("KEY is the key of a gate, such as the host of a provider")
    with open_session(options) as connection:
        limits = set_limits(connection, key, changes)
    if as_json:
        print_json({"gate": key, **limits})
        return
    print_line(f"gate {key}: {limits_text(limits)}")
