"""`contentq review`: content that waits for a review, and its approval or rejection."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from contentq.cli.differences import print_difference
from contentq.cli.output import (
    count_of,
    json_option,
    print_fields,
    print_json,
    print_line,
    print_message,
    print_prose,
    print_table,
)
from contentq.cli.progress_bar import run_steps
from contentq.cli.selectors import GivenSelector, selector_options
from contentq.cli.session import open_session
from contentq.cli.tasks import age_of
from contentq.errors import ContentQueueError, ReviewRefused
from contentq.task import LARGEST_ID, ReviewStatus

if TYPE_CHECKING:
    from contentq.cli.main import GlobalOptions
    from contentq.queue import review as reviews
    from contentq.queue.reading import Connection

F = TypeVar("F", bound=Callable[..., Any])

CONTENT_ID = click.IntRange(1, LARGEST_ID)

MOST_COUNTED = 1_000_000
"""Maximum number of contents that a dry run counts, which takes a second or two."""

EXAMPLES = 5
"""Number of contents that a dry run shows."""

_selectors = selector_options("account", "category", "batch", "since", "until")


@click.group()
def review() -> None:
    """Show content that waits for a review; approve or reject it.

    Contents are named by id, so that a decision applies to the version that was read. If two reviewers decide at
    the same time, the first decision counts, and the second reviewer gets an error.
    """


@review.command("list")
@_selectors
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="Maximum number of contents."
)
@click.option("--after", type=CONTENT_ID, metavar="ID", help="Only contents with a larger id: the next page.")
@json_option
@click.pass_obj
def list_contents(
    options: GlobalOptions, /, selector: GivenSelector, limit: int, after: int | None, as_json: bool
) -> None:
    """List content that waits for a review, oldest first.

    age: the time since the content was stored. note: why the previous version was rejected, or which checks this
    version failed.
    """
    from contentq.queue import inspection
    from contentq.queue import review as reviews

    with open_session(options) as connection:
        rows = reviews.waiting(connection, _resolve(connection, selector), after or 0, limit)
        now = inspection.now(connection)
    if as_json:
        print_json(rows)
        return
    shown = [
        {
            "content": row["content_id"],
            "account": row["account"],
            "category": row["category"],
            "words": row["word_count"],
            "attempt": row["attempt"],
            "age": age_of(row["waiting_since"], now),
            "title": row["title"],
            "note": row["failed_checks"] or row["previous_note"],
        }
        for row in rows
    ]
    print_table(None, shown, "nothing waits for a review", give_way=["title", "note", "account", "category"])
    if len(rows) == limit:
        print_line(f"for more content, add: --after {rows[-1]['content_id']}", err=True)


@review.command()
@click.argument("content_id", type=CONTENT_ID)
@click.option("--diff", "with_difference", is_flag=True, help="Show the changes since the previous version.")
@json_option
@click.pass_obj
def show(options: GlobalOptions, /, content_id: int, with_difference: bool, as_json: bool) -> None:
    """Show content, the request for it, and its reviews.

    With --diff, show [-removed-] and {+added+} text instead of the whole text.
    """
    from contentq.difference import difference
    from contentq.queue import review as reviews

    with open_session(options) as connection:
        found = reviews.content(connection, content_id)
        if found is None:
            raise ContentQueueError(f"there is no content {content_id}; find contents with: contentq review list")
        before = reviews.version_before(connection, content_id)
    if as_json:
        print_json({**found, "version_before": before})
        return
    body = found.pop("body")
    print_fields(
        {
            **found,
            "version_before": before and before["content_id"],
            "note_before": before and before["review_note"],
        }
    )
    if not with_difference:
        print_prose(f"\n{body}")
    elif before is None:
        print_prose(f"\nthis is the first version\n\n{body}")
    elif (before["title"], before["body"]) == (found["title"], body):
        print_prose(f"\nthis version is the same as content {before['content_id']}")
    else:
        print_line()
        print_difference(difference(f"{before['title']}\n\n{before['body']}", f"{found['title']}\n\n{body}"))


@dataclass(frozen=True)
class Decision:
    """A decision of a reviewer."""

    verdict: reviews.Verdict
    reviewer: str | None
    note: str | None
    revise: bool = False
    review_status: ReviewStatus | None = None


def _deciding(command: F) -> F:
    """Adds the common options of approve and reject; passes them to the command as a dict named what."""

    @functools.wraps(command)
    def with_what(*arguments: Any, **options: Any) -> Any:
        what = {
            name: options.pop(name) for name in ("content_ids", "selector", "everything", "dry_run", "as_json")
        }
        return command(*arguments, what=what, **options)

    decorated: Any = with_what
    for add in (
        click.pass_context,
        json_option,
        click.option("--dry-run", is_flag=True, help="Show the selected content and decide nothing."),
        click.option("--as", "reviewer", metavar="NAME", help="The reviewer. Default: the database login."),
        click.option("--all", "everything", is_flag=True, help="Select all content that waits for a review."),
        _selectors,
        click.argument("content_ids", nargs=-1, type=CONTENT_ID, metavar="[CONTENT_ID...]"),
    ):
        decorated = add(decorated)
    return decorated  # type: ignore[no-any-return]


@review.command()
@_deciding
@click.option("--note", metavar="TEXT", help="A note to store with the content.")
@click.option("--rejected", "review_status", flag_value="rejected", help="Approve content that was rejected.")
def approve(ctx: click.Context, /, what: dict[str, Any], **decision: Any) -> None:
    """Approve content, named by id or selected with options."""
    _decide(ctx, Decision("approve", **decision), **what)


@review.command()
@_deciding
@click.option(
    "--note", metavar="TEXT", help="A note to store with the content; with --revise, instructions to the handler."
)
@click.option("--revise", is_flag=True, help="Requeue the task, so that the handler writes a new version.")
@click.option("--approved", "review_status", flag_value="approved", help="Reject content that was approved.")
@click.option(
    "--rejected", "review_status", flag_value="rejected", help="Reject content that was already rejected."
)
def reject(ctx: click.Context, /, what: dict[str, Any], **decision: Any) -> None:
    """Reject content, named by id or selected with options."""
    _decide(ctx, Decision("reject", **decision), **what)


def _decide(
    ctx: click.Context,
    decision: Decision,
    /,
    content_ids: tuple[int, ...],
    selector: GivenSelector,
    everything: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Decides about contents; exit code 1 if one was refused."""
    if [bool(content_ids), not selector.is_empty, everything].count(True) != 1:
        raise click.UsageError(
            "no content given: name content ids, select contents with options such as --account, or use --all"
        )
    if decision.review_status and not content_ids:
        raise click.UsageError(f"--{decision.review_status} works only for contents named by id")
    if dry_run and content_ids:
        raise click.UsageError("--dry-run works only with options that select contents, or --all")
    with open_session(ctx.obj) as connection:
        if content_ids:
            _print_outcomes(ctx, [_decide_one(connection, decision, each) for each in content_ids], as_json)
        elif dry_run:
            _print_dry_run(connection, decision, _resolve(connection, selector), as_json)
        else:
            _decide_matching(connection, decision, _resolve(connection, selector), as_json)


def _resolve(connection: Connection, selector: GivenSelector) -> dict[str, Any]:
    """The selection, as arguments for the functions of contentq.queue.review."""
    from contentq.queue.review import SELECTORS

    return {name: value for name, value in asdict(selector.resolve(connection)).items() if name in SELECTORS}


def _decide_one(connection: Connection, decision: Decision, content_id: int) -> dict[str, Any]:
    from contentq.queue import review as reviews

    outcome, error = None, None
    now = decision.review_status or "pending"
    try:
        if decision.verdict == "approve":
            outcome = reviews.approve(connection, content_id, decision.reviewer, decision.note, now)
        else:
            outcome = reviews.reject(
                connection, content_id, decision.reviewer, decision.note, decision.revise, now
            )
    except ReviewRefused as refused:
        error = str(refused)
    return {"content_id": content_id, "outcome": outcome, "error": error}


def _print_outcomes(ctx: click.Context, outcomes: list[dict[str, Any]], as_json: bool) -> None:
    words = {
        "approved": "is approved",
        "rejected": "is rejected",
        "pending": "is rejected, and its task is pending again",
    }
    if as_json:
        print_json(outcomes)
    else:
        for each in outcomes:
            if each["error"] is None:
                print_line(f"content {each['content_id']} {words[each['outcome']]}")
            else:
                print_message(f"Error: {each['error']}", err=True)
    if any(each["error"] for each in outcomes):
        ctx.exit(1)


def _print_dry_run(connection: Connection, decision: Decision, selectors: dict[str, Any], as_json: bool) -> None:
    from contentq.queue import review as reviews

    number = reviews.count(connection, selectors, MOST_COUNTED)
    examples = reviews.waiting(connection, selectors, 0, EXAMPLES)
    if as_json:
        print_json({"contents": number, "examples": examples})
        return
    print_line(f"would {decision.verdict} {count_of(number, 'content')}{_then(decision)}")
    names = ("content_id", "account", "word_count", "title")
    if examples:
        print_table(
            None, [{name: row[name] for name in names} for row in examples], "", give_way=["title", "account"]
        )


def _decide_matching(connection: Connection, decision: Decision, selectors: dict[str, Any], as_json: bool) -> None:
    from contentq.queue import review as reviews

    chosen = selectors if any(value is not None for value in selectors.values()) else reviews.EVERYTHING
    done = run_steps(
        decision.verdict,
        lambda: reviews.count(connection, selectors, MOST_COUNTED),
        reviews.decide_matching(
            connection, decision.verdict, chosen, decision.reviewer, decision.note, decision.revise
        ),
        lambda number: _describe_done(decision, number),
    )
    if as_json:
        print_json({"contents": done})
    else:
        print_line(_describe_done(decision, done))


def _describe_done(decision: Decision, number: int) -> str:
    verdict = "approved" if decision.verdict == "approve" else "rejected"
    return f"{count_of(number, 'content')} {verdict}{_then(decision)}"


def _then(decision: Decision) -> str:
    return ", to be revised" if decision.revise else ""
