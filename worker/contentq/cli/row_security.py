"""`contentq roles row-security`: limits each login to its own accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from contentq.cli.output import json_option, print_json, print_line, print_message
from contentq.cli.session import open_session

if TYPE_CHECKING:
    from contentq.cli.main import GlobalOptions


@click.command("row-security")
@click.option("--on/--off", "enabled", default=None, help="Turn it on or off. Default: show the current state.")
@json_option
@click.pass_obj
def row_security(options: GlobalOptions, /, enabled: bool | None, as_json: bool) -> None:
    """Limit producers and readers to their own accounts.

    The table contentq.account_roles assigns accounts to logins or groups of logins. Workers and operators see all
    accounts. Only the owner of the tables can turn row level security on or off.
    """
    from contentq.database.row_security import blind_logins, has_row_security, set_row_security

    with open_session(options) as connection:
        changed = enabled is not None and set_row_security(connection, enabled)
        is_on = has_row_security(connection)
        blind = blind_logins(connection) if is_on else []
    if as_json:
        print_json({"row_security": is_on, "changed": changed, "without_account": blind})
        return
    already = "already " if enabled is not None and not changed else ""
    if not is_on:
        print_line(f"row level security is {already}off: every reader sees the tasks of all accounts")
        return
    print_line(f"row level security is {already}on: contentq.account_roles assigns accounts to logins")
    for login in blind:
        print_message(
            f"note: {login} may use the queue but has no account, and therefore sees no rows; add a row for it to "
            "contentq.account_roles",
            err=True,
        )
