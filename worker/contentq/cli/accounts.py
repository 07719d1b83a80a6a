"""`contentq accounts`: how much of the queue an account may have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from contentq.cli.limit import given_of, limits_text
from contentq.cli.output import json_option, print_json, print_line
from contentq.cli.session import open_session
from contentq.limits import Limit

if TYPE_CHECKING:
    from contentq.cli.main import GlobalOptions


@click.group()
def accounts() -> None:
    """Set how much of the queue an account may have."""


@accounts.command("set")
@click.argument("account", metavar="ACCOUNT")
@click.option("--share", type=click.IntRange(1, 1_000_000), help="In fair order: its part of the slots.")
@click.option(
    "--max-running",
    type=Limit("number", 2_147_483_647),
    help="How many of its tasks may run at once; none: any number.",
)
@click.option(
    "--monthly-budget",
    type=Limit("cost", 10**12, whole=False),
    help="What it may cost in a month (UTC); none: no limit.",
)
@json_option
@click.pass_context
def set_limits(ctx: click.Context, /, account: str, as_json: bool, **given: Any) -> None:
    """Set the share, cap or budget of an account, and show all three.

    ACCOUNT is its id, external:VALUE, or its name. What is not given stays as it is.
    """
    from contentq.queue import accounts as of_queue

    changes = given_of(ctx, given)
    options: GlobalOptions = ctx.obj
    with open_session(options) as connection:
        id_ = of_queue.find_account(connection, account)
        limits = of_queue.set_limits(connection, id_, changes)
    if as_json:
        print_json({"account": id_, **limits})
        return
    print_line(f"account {id_}: {limits_text(limits)}")
