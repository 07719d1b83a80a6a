"""`contentq roles`: the roles of the database, with no more rights than their work needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from contentq.cli.output import json_option, print_json, print_line, print_message
from contentq.cli.row_security import row_security

if TYPE_CHECKING:
    from contentq.cli.main import GlobalOptions


@click.group()
def roles() -> None:
    """Create roles with no more rights than they need."""


@roles.command()
@json_option
@click.pass_obj
def apply(options: GlobalOptions, /, as_json: bool) -> None:
    """Create the roles and give them their rights, all of them and no others.

    Run it as a superuser, or as the owner of the tables with the right to create roles. Each later migration
    restores the rights. It is what psql -f sql/roles.sql does.
    """
    from contentq.database import dsn
    from contentq.database.grants import apply_roles

    done, left = apply_roles(dsn.resolve(options.dsn))
    if as_json:
        print_json({"changes": done, "notes": left})
        return
    for line in done:
        print_line(line)
    for line in left:
        print_message(f"note: {line}", err=True)


roles.add_command(row_security)
