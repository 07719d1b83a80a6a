"""`contentq accounts`: which there are, and how much of the queue an account may have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from contentq.cli.limit import given_of, limits_text
from contentq.cli.output import json_option, print_json, print_line, print_table
from contentq.cli.session import open_session
from contentq.limits import Limit

if TYPE_CHECKING:
    from contentq.cli.main import GlobalOptions


@click.group()
def accounts() -> None:
    """List accounts, and set how much of the queue each may have."""


@accounts.command("list")
@click.option("--search", metavar="TEXT", help="Only those with this id, external id, or part of a name.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="At most so many.")
@click.option("--after", type=int, default=0, metavar="ID", help="Only accounts with a larger id: the next page.")
@json_option
@click.pass_obj
def list_accounts(options: GlobalOptions, /, search: str | None, limit: int, after: int, as_json: bool) -> None:
    """List accounts, with their limits.

    cost is what they have cost this month (UTC).
    """
    from contentq.queue import accounts as of_queue

    with open_session(options) as connection:
        found = of_queue.list_accounts(connection, search, after, limit)
        costs = of_queue.costs(connection, [row["id"] for row in found])
    rows = [{**row, "cost": costs[row["id"]]} for row in found]
    if as_json:
        print_json(rows)
        return
    headings = {"monthly_budget": "budget", "paused_until": "paused until"}
    shown = [{headings.get(name, name): value for name, value in row.items()} for row in rows]
    print_table(
        None, shown, "no accounts", give_way=["name", "external_id"], may_go=["external_id", "paused until"]
    )
    if len(rows) == limit:
        print_line(f"further ones: add --after {rows[-1]['id']}", err=True)


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
