"""`contentq budgets`: what attempts may cost in a day or a month."""

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
"""Shorter headings of columns."""

LONGEST_CATEGORY = 200
"""As the table takes it."""


def _subject_options(command: F) -> F:
    """Adds the options that say whose tasks count."""
    command = click.option(
        "--period",
        type=click.Choice(["day", "month"]),
        default="month",
        show_default=True,
        help="Of UTC.",
    )(command)
    command = click.option("--all", "everyone", is_flag=True, help="All tasks together.")(command)
    command = click.option("--category", metavar="NAME", help="The tasks of one category.")(command)
    of_account = "The tasks of one account: its id, external:VALUE, or its name."
    return click.option("--account", metavar="ACCOUNT", help=of_account)(command)


@click.group()
def budgets() -> None:
    """Show and set what attempts may cost in a day or a month."""


@budgets.command("list")
@json_option
@click.pass_obj
def list_budgets(options: GlobalOptions, /, as_json: bool) -> None:
    """Show the budgets of this day and month (UTC), and their state.

    Shown are what is spent, and what is reserved for the tasks that run. A budget is near its end from
    settings.budget_warning on, 80 % unless it was changed.
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
    print_table(None, rows, "there are no budgets", give_way=["category"], may_go=["ends_at", "since"])


@budgets.command("set")
@click.argument("amount", metavar="AMOUNT", type=Limit("cost", 10**12, whole=False))
@_subject_options
@json_option
@click.pass_obj
def set_budget(options: GlobalOptions, /, amount: Decimal | None, as_json: bool, **of: Any) -> None:
    """Set what attempts may cost in a day or a month.

    AMOUNT is in the currency of the handler's prices. With --account and --category, of tasks of both. What one
    task more is expected to cost is reserved when it starts, so that a budget is not overshot by many tasks that
    run at once.
    """
    from contentq.queue import budgets as of_queue

    if amount is None:
        raise click.UsageError("AMOUNT is a number; to take a budget away: contentq budgets unset")
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
    """Take a budget away."""
    from contentq.queue import budgets as of_queue

    _check(of)
    with open_session(options) as connection:
        account = _find_account(connection, of["account"])
        was_there = of_queue.unset_budget(connection, account, of["category"], of["period"])
    if as_json:
        print_json(_as_row(account, of) | {"was_set": was_there})
        return
    said = "no budget any more" if was_there else "there was no budget"
    print_line(f"{_describe(account, of)}: {said} a {of['period']}")


def _check(of: dict[str, Any]) -> None:
    """Raises UsageError unless it is said whose tasks count."""
    account, category, everyone = of["account"], of["category"], of["everyone"]
    if everyone != (account is None and category is None):
        raise click.UsageError("name --account ACCOUNT, --category NAME or both; or --all for all tasks together")
    if category is not None and not 1 <= len(category) <= LONGEST_CATEGORY:
        raise click.UsageError(f"--category takes 1 to {LONGEST_CATEGORY} characters")


def _find_account(connection: Connection, named: str | None) -> int | None:
    """The id of an account. Raises ContentQueueError when there is none."""
    from contentq.queue.accounts import find_account

    return None if named is None else find_account(connection, named)


def _as_row(account: int | None, of: dict[str, Any]) -> dict[str, Any]:
    return {"account_id": account, "category": of["category"], "period": of["period"]}


def _describe(account: int | None, of: dict[str, Any]) -> str:
    """Whose tasks count, in a sentence."""
    whose = "all accounts" if account is None else f"account {account}"
    return whose if of["category"] is None else f"{whose}, category {of['category']}"
