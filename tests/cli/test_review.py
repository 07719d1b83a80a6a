"""`contentq review`: pending reviews, changes, and decisions by ids or selectors."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cli.conftest import Run
from tests.cli.terminal import on_terminal
from tests.support.queue import Held, Queue

FIRST = "# Tea\n\nTea is a drink. It is hot.\n\nBrew it.\n\nNobody knows who was first.\n"
SECOND = "# Tea\n\nTea is a fine drink. It is hot.\n\nBrew it.\n\nNobody knows who was first.\n"


def produced(queue: Queue, body: str = "two words", **columns: Any) -> tuple[Held, int]:
    """A completed task, and its content, which awaits review."""
    task = queue.running(**{"auto_approve": False, **columns})
    assert queue.store(task.worker, [task], titles=["Tea"], bodies=[body]) == [task.id]
    return task, queue.row(task.id)["content_id"]


def revised(queue: Queue) -> tuple[int, int]:
    """Two versions of one content; the second awaits review."""
    task, first = produced(queue, FIRST, topic="Tea", category="drinks")
    queue.run("SELECT contentq.reject(%s, 'ben', 'Praise it', true)", first)
    (row,) = queue.claim(task.worker)
    queue.store(task.worker, [Held(task.worker, task.id, row["attempt"])], titles=["Tea"], bodies=[SECOND])
    return first, queue.row(task.id)["content_id"]


def review_of(queue: Queue, id_: int) -> tuple[str, str | None, str | None]:
    (row,) = queue.rows("SELECT review_status, reviewed_by, review_note FROM contents WHERE id = %s", id_)
    return row["review_status"], row["reviewed_by"], row["review_note"]


@pytest.fixture
def first_of_queue(queue: Queue) -> int:
    return produced(queue)[1]


def test_list_shows_what_waits_oldest_first_with_what_was_said_of_it(contentq: Run, queue: Queue) -> None:
    _, second = revised(queue)
    _, other = produced(queue, auto_approve=False)
    produced(queue, auto_approve=True)

    outcome = contentq("review", "list")
    rows = contentq("review", "list", "--json").json

    assert (outcome.code, outcome.err) == (0, "")
    heading, *lines = outcome.out.splitlines()
    assert heading.split() == ["content", "account", "category", "words", "attempt", "age", "title", "note"]
    assert [line.split()[:3] for line in lines] == [[str(second), "Ada", "drinks"], [str(other), "Ada", "-"]]
    assert lines[0].endswith("Praise it")
    assert [row["content_id"] for row in rows] == [second, other]
    assert [row["previous_note"] for row in rows] == ["Praise it", None]


def test_list_selects_and_pages(contentq: Run, queue: Queue) -> None:
    ids = [produced(queue, category="blog" if number else "news", batch="monday")[1] for number in range(3)]

    page = contentq("review", "list", "--limit", "2")
    rest = contentq("review", "list", "--after", str(ids[1]), "--json").json
    blog = contentq("review", "list", "--category", "blog", "--batch", "monday", "--account", "Ada", "--json").json

    assert page.err == f"for more content, add: --after {ids[1]}\n"
    assert [row["content_id"] for row in rest] == ids[2:]
    assert [row["content_id"] for row in blog] == ids[1:]
    assert contentq("review", "list", "--until", "1h").out == "nothing waits for a review\n"


def test_show_has_the_text_and_all_that_was_said(contentq: Run, queue: Queue) -> None:
    first, second = revised(queue)

    shown = contentq("review", "show", str(second)).out
    found = contentq("review", "show", str(second), "--json").json

    assert f"version_before  {first}\n" in shown
    assert "note_before     Praise it\n" in shown
    assert shown.endswith(f"\n\n{SECOND}\n")
    assert (found["version"], found["attempt"], found["body"]) == (2, 2, SECOND)
    assert (found["version_before"]["content_id"], found["version_before"]["reviewed_by"]) == (first, "ben")


def test_difference_is_shown_word_by_word_and_without_what_is_far_away(contentq: Run, queue: Queue) -> None:
    first, second = revised(queue)

    shown = contentq("review", "show", str(second), "--diff").out

    _, _, difference = shown.partition("note_before     Praise it\n\n")
    assert difference == "…\n\nTea is a {+fine +}drink. It is hot.\n\n…\n"
    assert contentq("review", "show", str(first), "--diff").out.endswith(f"this is the first version\n\n{FIRST}\n")


def test_version_that_is_the_same_is_said_to_be(contentq: Run, queue: Queue) -> None:
    first, second = revised(queue)
    queue.run("UPDATE contents SET body = %s WHERE id = %s", SECOND, first)

    shown = contentq("review", "show", str(second), "--diff").out

    assert shown.endswith(f"\nthis version is the same as content {first}\n")


def test_difference_on_a_terminal_keeps_its_marks(dsn: str, queue: Queue) -> None:
    _, second = revised(queue)

    code, shown = on_terminal("review", "show", str(second), "--diff", DATABASE_URL=dsn)

    assert code == 0
    assert "Tea is a {+fine +}drink. It is hot.\n" in shown


def test_content_that_does_not_exist_is_an_error(contentq: Run) -> None:
    assert (
        contentq("review", "show", "99").error
        == "there is no content 99; find contents with: contentq review list"
    )
    outcome = contentq("review", "approve", "99")
    assert (outcome.code, outcome.err) == (1, "Error: there is no content 99\n")


def test_approve_and_reject_by_ids(contentq: Run, queue: Queue) -> None:
    (_, first), (_, second), (task, third) = (produced(queue) for _ in range(3))

    approved = contentq("review", "approve", str(first), str(second), "--as", "anna", "--note", "fine")
    sent_back = contentq("review", "reject", str(third), "--revise", "--note", "shorter")
    again = contentq("review", "reject", str(first), str(third), "--json")

    assert approved.out == f"content {first} is approved\ncontent {second} is approved\n"
    assert sent_back.out == f"content {third} is rejected, and its task is pending again\n"
    assert review_of(queue, first) == ("approved", "anna", "fine")
    assert queue.status(task.id) == "pending"
    assert again.code == 1
    assert f"content {first} was approved by anna" in again.out
    assert f"content {third} was rejected by {queue.value('SELECT session_user::text')}" in again.out


def test_decisions_are_changed_by_who_says_what_they_were(contentq: Run, queue: Queue) -> None:
    task, id_ = produced(queue, auto_approve=True)

    assert contentq("review", "reject", str(id_)).code == 1
    assert contentq("review", "reject", str(id_), "--approved", "--as", "ben").code == 0
    assert contentq("review", "approve", str(id_), "--rejected", "--as", "anna").code == 0
    assert review_of(queue, id_)[:2] == ("approved", "anna")
    assert contentq("review", "reject", str(id_), "--approved", "--revise").code == 0
    assert queue.status(task.id) == "pending"


def test_many_are_decided_as_they_are_selected(contentq: Run, queue: Queue) -> None:
    wanted = [produced(queue, batch="monday")[1] for _ in range(2)]
    task, other = produced(queue, batch="tuesday")

    tried = contentq("review", "approve", "--batch", "monday", "--dry-run")
    tried_json = contentq("review", "approve", "--batch", "monday", "--dry-run", "--json").json
    back = contentq("review", "reject", "--batch", "tuesday", "--revise", "--dry-run").out
    assert {review_of(queue, id_)[0] for id_ in wanted} == {"pending"}
    approved = contentq("review", "approve", "--batch", "monday", "--as", "anna")
    rejected = contentq("review", "reject", "--all", "--revise", "--note", "shorter", "--json").json

    assert tried.out.startswith("would approve 2 contents\n")
    assert back.startswith("would reject 1 content, to be revised\n")
    assert tried_json["contents"] == 2
    assert [row["content_id"] for row in tried_json["examples"]] == wanted
    assert approved.out == "2 contents approved\n"
    assert {review_of(queue, id_)[:2] for id_ in wanted} == {("approved", "anna")}
    assert rejected == {"contents": 1}
    assert review_of(queue, other)[2] == "shorter"
    assert queue.status(task.id) == "pending"
    assert contentq("review", "reject", "--all").out == "0 contents rejected\n"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["1", "--all"],
        ["1", "--batch", "b"],
        ["--all", "--batch", "b"],
        ["--all", "--rejected"],
        ["1", "--dry-run"],
        ["0"],
        ["x"],
    ],
)
def test_what_is_meant_must_be_clear(
    contentq: Run, first_of_queue: int, queue: Queue, arguments: list[str]
) -> None:
    outcome = contentq("review", "approve", *arguments)

    assert outcome.code == 2
    assert review_of(queue, first_of_queue)[0] == "pending"
