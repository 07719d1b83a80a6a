"""`contentq accounts`: how much of the queue an account may have."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

import click

from contentq.cli.output import json_option, print_json, print_line
from contentq.cli.session import open_session

if TYPE_CHECKING:
    from contentq.cli.main import GlobalOptions

    _LimitType = click.ParamType[Decimal | None]
else:
    _LimitType = click.ParamType

NONE = "none"
"""How a limit is taken away."""


class Limit(_LimitType):
    """A click parameter type: a number from 0 to most, or none, whose value is None."""

    def __init__(self, name: str, most: int, whole: bool) -> None:
        self.name = name
        self._most = most
        self._whole = whole

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Decimal | None:
        """Parses the text."""
        if value == NONE:
            return None
        try:
            number = Decimal(value)
            is_one = 0 <= number <= self._most and (not self._whole or number == int(number))
        except InvalidOperation:
            is_one = False
        if not is_one:
            kind = "a whole number" if self._whole else "a number"
            self.fail(f"{value!r} is neither {kind} from 0 to {self._most} nor {NONE}", param, ctx)
        return number


@click.group()
def accounts() -> None:
    """Set how much of the queue an account may have."""


@accounts.command("set")
@click.argument("account", metavar="ACCOUNT")
@click.option("--share", type=click.IntRange(1, 1_000_000), help="In fair order: its part of the slots.")
@click.option(
    "--max-running",
    type=Limit("number", 2_147_483_647, True),
    help="How many of its tasks may run at once; none: any number.",
)
@click.option(
    "--monthly-budget",
    type=Limit("cost", 10**12, False),
    help="What it may cost in a month (UTC); none: no limit.",
)
@json_option
@click.pass_context
def set_limits(ctx: click.Context, /, account: str, as_json: bool, **given: Any) -> None:
    """Set the share, the cap or the budget of an account, and show all three.

    ACCOUNT is its id, external:VALUE, or its name. What is not given stays as it is.
    """
    from contentq.queue import accounts as of_queue

    changes = {
        name: value
        for name, value in given.items()
        if ctx.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT
    }
    options: GlobalOptions = ctx.obj
    with open_session(options) as connection:
        id_ = of_queue.find_account(connection, account)
        limits = of_queue.set_limits(connection, id_, changes)
    if as_json:
        print_json({"account": id_, **limits})
        return
    shown = ", ".join(f"{name} {NONE if value is None else value}" for name, value in limits.items())
    print_line(f"account {id_}: {shown}")
