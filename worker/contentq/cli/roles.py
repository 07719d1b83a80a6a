"""`contentq roles`: least-privilege roles of the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from contentq.cli.output import json_option, print_json, print_line, print_message, print_table
from contentq.cli.row_security import row_security

if TYPE_CHECKING:
    from contentq.cli.main import GlobalOptions


@click.group()
def roles() -> None:
    """Create, show and drop least-privilege roles."""


@roles.command()
@json_option
@click.pass_obj
def apply(options: GlobalOptions, /, as_json: bool) -> None:
    """Create the roles and grant the rights that they need.

    Rights that they do not need are revoked.

    Run it as a superuser, or as the owner of the tables with CREATEROLE. Each later migration restores the grants.
    Equivalent to psql -f sql/roles.sql.
    """
    from contentq.database import dsn
    from contentq.database.grants import apply_roles

    _print_done(*apply_roles(dsn.resolve(options.dsn)), as_json)


@roles.command()
@json_option
@click.pass_obj
def show(options: GlobalOptions, /, as_json: bool) -> None:
    """Show the roles, their rights and their members."""
    from contentq.database import dsn
    from contentq.database.roles import members_of_roles

    found = members_of_roles(dsn.resolve(options.dsn))
    if as_json:
        print_json(found)
        return
    rows = [
        {
            "role": row["role"],
            "exists": row["is_there"],
            "rights": row["has_rights"],
            "members": ", ".join(row["members"]) or None,
        }
        for row in found
    ]
    print_table(None, rows, "", give_way=["members"])


@roles.command()
@json_option
@click.pass_obj
def drop(options: GlobalOptions, /, as_json: bool) -> None:
    """Revoke the rights of the roles in this database.

    Roles that no other database uses are dropped. Their members can then no longer use the queue; only the owner
    of the tables and superusers can.
    """
    from contentq.database import dsn
    from contentq.database.roles import drop_roles

    _print_done(*drop_roles(dsn.resolve(options.dsn)), as_json)


def _print_done(done: list[str], left: list[str], as_json: bool) -> None:
    if as_json:
        print_json({"changes": done, "notes": left})
        return
    for line in done:
        print_line(line)
    for line in left:
        print_message(f"note: {line}", err=True)


roles.add_command(row_security)
