"""`contentq budgets`: spending limits per day or month."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar

import click

from contentq.cli.output import json_option, print_json, print_line, print_table
from contentq.cli.session import open_session
from contentq.limits import Limit

if TYPE_CHECKING:
    from contentq.cli.main import GlobalOptions
    from contentq.queue.reading import Connection

F = TypeVar("F", bound=Callable[..., Any])

HEADINGS = {"account_id": "account", "percent": "%"}
"""Shorter column headings."""

LONGEST_CATEGORY = 200
"""The limit of the table, in characters."""


def _subject_options(command: F) -> F:
    """Adds the options that name the scope of a budget."""
    command = click.option(
        "--period",
        type=click.Choice(["day", "month"]),
        default="month",
        show_default=True,
        help="The period of the budget, in UTC.",
    )(command)
    command = click.option("--all", "everyone", is_flag=True, help="Limit all tasks together.")(command)
    command = click.option("--category", metavar="NAME", help="Limit the tasks of this category.")(command)
    of_account = "Limit the tasks of this account: its id, external:VALUE, or its name."
    return click.option("--account", metavar="ACCOUNT", help=of_account)(command)


@click.group()
def budgets() -> None:
    """Show and set spending limits per day or month."""


@budgets.command("list")
@json_option
@click.pass_obj
def list_budgets(options: GlobalOptions, /, as_json: bool) -> None:
    """Show the budgets of this day and month (UTC) and their state.

    Shows the amount spent and the amount reserved for running tasks. A budget is near its end from
    settings.budget_warning on (default: 80 %).
    """
    from contentq.queue.budgets import budget_status

    with open_session(options) as connection:
        found = budget_status(connection)
    if as_json:
        print_json(found)
        return
    rows = [{HEADINGS.get(name, name): value for name, value in row.items()} for row in found]
    for row in rows:
        row["account"] = "any" if row["account"] is None else row["account"]
        row["category"] = "any" if row["category"] is None else row["category"]
    print_table(None, rows, "no budgets", give_way=["category"], may_go=["ends_at", "since"])


@budgets.command("set")
@click.argument("amount", metavar="AMOUNT", type=Limit("cost", 10**12, whole=False))
@_subject_options
@json_option
@click.pass_obj
def set_budget(options: GlobalOptions, /, amount: Decimal | None, as_json: bool, **of: Any) -> None:
    """Limit the cost of attempts per day or month.

    AMOUNT is in the currency of the handler's prices. With both --account and --category, the budget covers the
    tasks that match both. When a task starts, its expected cost is reserved, so that concurrent tasks do not
    overspend the budget.
    """
    from contentq.queue import budgets as of_queue

    if amount is None:
        raise click.UsageError("AMOUNT must be a number; to remove a budget, run: contentq budgets unset")
    _check(of)
    with open_session(options) as connection:
        account = _find_account(connection, of["account"])
        of_queue.set_budget(connection, amount, account, of["category"], of["period"])
    if as_json:
        print_json(_as_row(account, of) | {"amount": amount})
        return
    print_line(f"{_describe(account, of)}: {amount} a {of['period']}")


@budgets.command("unset")
@_subject_options
@json_option
@click.pass_obj
def unset_budget(options: GlobalOptions, /, as_json: bool, **of: Any) -> None:
    """Remove a budget."""
    from contentq.queue import budgets as of_queue

    _check(of)
    with open_session(options) as connection:
        account = _find_account(connection, of["account"])
        was_there = of_queue.unset_budget(connection, account, of["category"], of["period"])
    if as_json:
        print_json(_as_row(account, of) | {"was_set": was_there})
        return
    change = "budget removed" if was_there else "no budget was set"
    print_line(f"{_describe(account, of)}: {change} for the {of['period']}")


def _check(of: dict[str, Any]) -> None:
    """Raises UsageError unless the scope of the budget is clear."""
    account, category, everyone = of["account"], of["category"], of["everyone"]
    if everyone != (account is None and category is None):
        raise click.UsageError("give --account ACCOUNT, --category NAME or both; or give --all alone")
    if category is not None and not 1 <= len(category) <= LONGEST_CATEGORY:
        raise click.UsageError(f"--category must have 1 to {LONGEST_CATEGORY} characters")


def _find_account(connection: Connection, named: str | None) -> int | None:
    """The id of an account. Raises ContentQueueError if the account does not exist."""
    from contentq.queue.accounts import find_account

    return None if named is None else find_account(connection, named)


def _as_row(account: int | None, of: dict[str, Any]) -> dict[str, Any]:
    return {"account_id": account, "category": of["category"], "period": of["period"]}


def _describe(account: int | None, of: dict[str, Any]) -> str:
    """The scope of a budget, for example `account 1, category news`."""
    whose = "all accounts" if account is None else f"account {account}"
    return whose if of["category"] is None else f"{whose}, category {of['category']}"
