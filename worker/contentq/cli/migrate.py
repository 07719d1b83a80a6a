"""`contentq migrate`: migrates the schema of the database to a revision."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from contentq.cli.output import escape, json_option, print_as_it_is, print_json, print_line, print_message
from contentq.errors import ContentQueueError

if TYPE_CHECKING:
    from contentq.cli.main import GlobalOptions


@click.command()
@click.option("--to", "revision", default="head", metavar="REV", help="The target revision: 0001, base or head.")
@click.option(
    "--sql",
    "as_sql",
    is_flag=True,
    help="Print the SQL and change nothing; it starts at an empty database or at --from.",
)
@click.option("--from", "start", default="base", metavar="REV", help="With --sql: the revision to start from.")
@click.option(
    "--lock-timeout",
    type=click.FloatRange(0.001),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="How long a statement waits for a lock.",
)
@click.option("--yes", is_flag=True, help="Downgrade without asking, although that drops data of later revisions.")
@click.option(
    "--schema",
    metavar="NAME",
    help="The schema for the tables accounts, contents and content_generation_tasks.  [default: public]",
)
@json_option
@click.pass_obj
def migrate(
    options: GlobalOptions,
    /,
    revision: str,
    as_sql: bool,
    start: str,
    lock_timeout: float,
    yes: bool,
    schema: str | None,
    as_json: bool,
) -> None:
    """Migrate the database to the newest or another schema revision.

    Existing tables are adopted with their rows. At the newest revision, missing or changed functions, views and
    triggers are restored. The migration is one transaction; concurrent migrations wait for each other.
    """
    from contentq.database import dsn, migrations

    if as_sql:
        if as_json:
            raise click.UsageError("give either --sql or --json, not both")
        print_as_it_is(migrations.migration_sql(revision, start, schema))
        return
    resolved = dsn.resolve(options.dsn)
    if not yes:
        _ask_before_going_back(resolved, revision)
    done = migrations.migrate(resolved, revision, lock_timeout, schema=schema)
    if as_json:
        print_json({"before": done.before, "after": done.after, "changes": done.changes, "notes": done.notes})
        return
    if done.before == done.after:
        print_line(f"already at revision {done.after or 'base'}")
    else:
        print_line(f"migrated from {done.before or 'base'} to {done.after or 'base'}")
    for change in done.changes:
        print_line(change)
    for note in done.notes:
        print_message(f"note: {note}", err=True)


def _ask_before_going_back(dsn: str, revision: str) -> None:
    from contentq.database.connect import connect
    from contentq.database.revisions import created_tables, current_revision, known_revisions

    with connect(dsn, "contentq migrate") as connection:
        before = current_revision(connection)
        created = created_tables(connection)
    order = ["base", *known_revisions()]
    if revision in order and before in order and order.index(revision) < order.index(before):
        lost = _dropped(created) if revision == "base" else "everything that later revisions added"
        consequence = f"going back from {before} to {revision} drops {lost}"
        if not sys.stdin.isatty():
            raise ContentQueueError(f"{consequence}; nothing was changed; to go back, repeat with --yes")
        if not click.confirm(escape(f"{consequence.capitalize()}. Continue?"), err=True):
            raise ContentQueueError("nothing was changed")


def _dropped(created: list[str]) -> str:
    """Names what a downgrade to base drops; tables that contentq did not create stay."""
    tables = ("accounts", "contents", "content_generation_tasks")
    kept = [name for name in tables if name not in created]
    created = [name for name in tables if name in created]
    parts = [
        f"the table{'s' * (len(created) > 1)} {_listed(created)} with all their rows" if created else "",
        f"contentq's additions to {_listed(kept)} (their rows stay)" if kept else "",
        "usage, gates and settings",
    ]
    return "; ".join(part for part in parts if part)


def _listed(names: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
