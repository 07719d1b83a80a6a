"""`contentq accounts`: lists accounts and sets their limits."""

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
    """List accounts; set their share, cap and budget."""


@accounts.command("list")
@click.option("--search", metavar="TEXT", help="Only accounts with this id, external id, or part of a name.")
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="Maximum number of accounts."
)
@click.option("--after", type=int, default=0, metavar="ID", help="Only accounts with a larger id: the next page.")
@json_option
@click.pass_obj
def list_accounts(options: GlobalOptions, /, search: str | None, limit: int, after: int, as_json: bool) -> None:
    """List accounts with their limits.

    cost is the cost of this month (UTC).
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
        print_line(f"for more accounts, add: --after {rows[-1]['id']}", err=True)


@accounts.command("set")
@click.argument("account", metavar="ACCOUNT")
@click.option(
    "--share", type=click.IntRange(1, 1_000_000), help="Weight of the account when slots are shared in fair order."
)
@click.option(
    "--max-running",
    type=Limit("number", 2_147_483_647),
    help="Maximum number of its tasks that run at once; none: no limit.",
)
@click.option(
    "--monthly-budget",
    type=Limit("cost", 10**12, whole=False),
    help="Maximum cost per month (UTC); none: no limit.",
)
@json_option
@click.pass_context
def set_limits(ctx: click.Context, /, account: str, as_json: bool, **given: Any) -> None:
    """Set the share, cap or budget of an account, and show all three.

    ACCOUNT is an id, external:VALUE, or a name. Limits that are not given stay unchanged.
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
