"""`contentq migrate`: brings the schema of the database to a revision."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from contentq.cli.main import GlobalOptions


@click.command()
@click.option("--to", "revision", default="head", metavar="REV", help="A revision such as 0001, base or head.")
@click.option(
    "--sql", "as_sql", is_flag=True, help="Print the SQL instead, from an empty database or from --from."
)
@click.option("--from", "start", default="base", metavar="REV", help="With --sql: the revision to start from.")
@click.option(
    "--lock-timeout",
    type=click.FloatRange(0.001),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="How long a statement may wait for a lock that others hold.",
)
@click.pass_obj
def migrate(options: GlobalOptions, /, revision: str, as_sql: bool, start: str, lock_timeout: float) -> None:
    """Bring the database to the newest schema, or to another revision.

    All of it is one transaction; two at once wait for each other; a second time changes nothing.
    """
    from contentq.database import dsn, migrations

    if as_sql:
        click.echo(migrations.migration_sql(revision, start), nl=False)
        return
    before, after = migrations.migrate(dsn.resolve(options.dsn), revision, lock_timeout)
    if before == after:
        click.echo(f"already at revision {after or 'base'}")
    else:
        click.echo(f"migrated from {before or 'base'} to {after or 'base'}")
