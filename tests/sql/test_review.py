"""approve() and reject(): one decision per content, with any number of reviewers."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from tests.support.plans import scans
from tests.support.queue import Held, Queue, Row
from tests.support.waiting import eventually

REFUSED = "CQ005"


def produced(queue: Queue, body: str = "two words", **columns: Any) -> tuple[Held, int]:
    """A completed task, and its content, which awaits review."""
    task = queue.running(**{"auto_approve": False, **columns})
    assert queue.store(task.worker, [task], bodies=[body]) == [task.id]
    return task, queue.row(task.id)["content_id"]


def content(queue: Queue, id_: int) -> Row:
    return queue.rows("SELECT * FROM contents WHERE id = %s", id_)[0]


def verdict(queue: Queue, id_: int) -> tuple[str, str | None, str | None]:
    row = content(queue, id_)
    return row["review_status"], row["reviewed_by"], row["review_note"]


def approve(queue: Queue, id_: int, **given: Any) -> str:
    return _call(queue, "approve", id_, given)


def reject(queue: Queue, id_: int, **given: Any) -> str:
    return _call(queue, "reject", id_, given)


def _call(queue: Queue, name: str, id_: int, given: dict[str, Any]) -> str:
    named = "".join(f", {key} => %s" for key in given)
    return str(queue.value(f"SELECT contentq.{name}(%s{named})", id_, *given.values()))


def refused(call: Callable[[], object]) -> str:
    """The error of a refused decision."""
    with pytest.raises(psycopg.Error) as error:
        call()
    assert error.value.sqlstate == REFUSED
    return error.value.diag.message_primary or ""


WAITS = "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = %s"


def started(pool: ThreadPoolExecutor, watcher: Queue, other: Queue, call: Callable[[], Any]) -> Future[Any]:
    """A call in another session that now waits for a lock."""
    future = pool.submit(call)
    assert eventually(lambda: watcher.value(WAITS, other.connection.info.backend_pid))
    return future


def test_approving_says_who_and_when_and_why(queue: Queue) -> None:
    _, id_ = produced(queue)
    before = queue.now()

    assert approve(queue, id_, reviewer="anna", note="fine") == "approved"

    assert verdict(queue, id_) == ("approved", "anna", "fine")
    assert before <= content(queue, id_)["reviewed_at"] <= queue.now()


@pytest.mark.parametrize("reviewer", [None, "", "  "])
def test_reviewer_without_a_name_is_the_login(queue: Queue, reviewer: str | None) -> None:
    _, first = produced(queue)
    _, second = produced(queue)

    approve(queue, first)
    reject(queue, second, reviewer=reviewer)

    login = queue.value("SELECT session_user::text")
    assert verdict(queue, first) == ("approved", login, None)
    assert verdict(queue, second) == ("rejected", login, None)


def test_rejecting_leaves_the_task_alone(queue: Queue) -> None:
    task, id_ = produced(queue)
    before = queue.row(task.id)

    assert reject(queue, id_, reviewer="ben", note="too dull") == "rejected"

    assert verdict(queue, id_) == ("rejected", "ben", "too dull")
    assert queue.row(task.id) == before


def test_content_that_is_sent_back_and_its_note_are_what_the_next_attempt_finds(queue: Queue) -> None:
    task, id_ = produced(queue)
    queue.set(task.id, retry_count=2, revision_count=2)

    assert reject(queue, id_, reviewer="ben", note="Name the source", revise=True) == "pending"

    assert verdict(queue, id_) == ("rejected", "ben", "Name the source")
    row = queue.row(task.id)
    assert (row["status"], row["retry_count"], row["revision_count"]) == ("pending", 0, 0)
    (again,) = queue.claim(task.worker)
    assert (again["id"], again["attempt"], again["revision_note"]) == (task.id, 2, "Name the source")
    assert again["content_id"] == id_
    queue.store(task.worker, [Held(task.worker, task.id, 2)])
    versions = queue.rows(
        "SELECT version, content_id, review_status, note FROM contentq.content_versions "
        "WHERE task_id = (SELECT task_id FROM content_generation_tasks WHERE id = %s) ORDER BY version",
        task.id,
    )
    latest = queue.row(task.id)["content_id"]
    assert versions == [
        {"version": 1, "content_id": id_, "review_status": "rejected", "note": "Name the source"},
        {"version": 2, "content_id": latest, "review_status": "pending", "note": None},
    ]
    assert queue.values("SELECT task_id FROM contentq.content_versions WHERE content_id = %s", id_) == [
        row["task_id"]
    ]


def test_sending_back_wakes_idle_workers(queue: Queue, connect_queue: Callable[[], Queue]) -> None:
    _, id_ = produced(queue)
    listener = connect_queue()
    listener.run("LISTEN contentq_ready")

    reject(queue, id_, revise=True)

    assert next(iter(listener.connection.notifies(timeout=10, stop_after=1))).channel == "contentq_ready"


def test_approved_content_goes_back_when_the_reviewer_knows_that_it_is(queue: Queue) -> None:
    task, id_ = produced(queue, auto_approve=True)
    assert "is approved, not pending" in refused(lambda: reject(queue, id_, revise=True))
    assert queue.status(task.id) == "completed"

    assert reject(queue, id_, note="it is wrong", revise=True, review_status="approved") == "pending"

    assert verdict(queue, id_)[0] == "rejected"
    assert queue.status(task.id) == "pending"


def test_rejected_draft_is_approved_by_a_reviewer_who_knows_that_it_is(queue: Queue) -> None:
    task = queue.running()
    queue.revise(task, "it is too short", max_revisions=0)
    id_ = queue.row(task.id)["content_id"]

    assert "is rejected, not pending" in refused(lambda: approve(queue, id_))
    assert approve(queue, id_, reviewer="anna", review_status="rejected") == "approved"

    assert verdict(queue, id_) == ("approved", "anna", None)


@pytest.mark.parametrize("second", [approve, reject])
def test_second_of_two_reviewers_is_told_who_was_first(queue: Queue, second: Callable[..., str]) -> None:
    _, id_ = produced(queue)
    approve(queue, id_, reviewer="anna")
    before = content(queue, id_)

    said = refused(lambda: second(queue, id_, reviewer="ben"))

    assert re.fullmatch(f"content {id_} was approved by anna \\d+ seconds? ago", said)
    assert content(queue, id_) == before


def test_of_two_reviewers_at_once_one_wins_and_the_other_is_told(
    queue: Queue, connect_queue: Callable[[], Queue]
) -> None:
    """The second waits for the first and does not undo it."""
    task, id_ = produced(queue)
    first, second = connect_queue(), connect_queue()
    with ThreadPoolExecutor(1) as pool:
        with first.connection.transaction():
            approve(first, id_, reviewer="anna")
            waiting = started(pool, queue, second, lambda: refused(lambda: reject(second, id_, revise=True)))
        told = waiting.result(30)

    assert told.startswith(f"content {id_} was approved by anna")
    assert verdict(queue, id_)[:2] == ("approved", "anna")
    assert queue.status(task.id) == "completed"


def test_rolled_back_decision_was_none(queue: Queue) -> None:
    task, id_ = produced(queue)
    with queue.connection.transaction(force_rollback=True):
        assert reject(queue, id_, revise=True) == "pending"

    assert verdict(queue, id_) == ("pending", None, None)
    assert queue.status(task.id) == "completed"


def test_content_that_does_not_exist_is_refused(queue: Queue) -> None:
    assert refused(lambda: approve(queue, 99)) == "there is no content 99"
    assert refused(lambda: reject(queue, 3_000_000_000)) == "there is no content 3000000000"


def test_older_version_is_not_sent_back(queue: Queue) -> None:
    task, first = produced(queue)
    reject(queue, first, revise=True)
    (again,) = queue.claim(task.worker)
    queue.store(task.worker, [Held(task.worker, task.id, again["attempt"])])
    latest = queue.row(task.id)["content_id"]

    said = refused(lambda: reject(queue, first, revise=True, review_status="rejected"))

    assert said == (
        f"content {first} cannot be sent back: it is an older version: the latest of task {again['task_id']} "
        f"is content {latest}"
    )
    assert queue.status(task.id) == "completed"


@pytest.mark.parametrize("status", ["pending", "processing"])
def test_content_of_a_task_that_runs_again_is_not_sent_back(queue: Queue, status: str) -> None:
    task, id_ = produced(queue)
    queue.set(task.id, status="pending")
    if status == "processing":
        queue.claim(task.worker)

    said = refused(lambda: reject(queue, id_, revise=True))

    assert f" is already {status} again" in said
    assert verdict(queue, id_) == ("pending", None, None)
    assert reject(queue, id_) == "rejected"


def test_content_whose_task_was_deleted_is_decided_and_not_sent_back(queue: Queue) -> None:
    task, id_ = produced(queue)
    queue.run("DELETE FROM content_generation_tasks WHERE id = %s", task.id)

    assert "its task no longer exists" in refused(lambda: reject(queue, id_, revise=True))
    assert approve(queue, id_) == "approved"
    assert queue.rows("SELECT * FROM contentq.content_versions") == []


def test_content_that_a_program_has_stored_itself_belongs_to_the_task_that_names_it(queue: Queue) -> None:
    """By complete() with content_ids, and by an UPDATE."""
    insert = "INSERT INTO contents (account_id, title, body) VALUES (%s, 'T', 'B') RETURNING id"
    reported, by_hand = queue.value(insert, queue.account), queue.value(insert, queue.account)
    task = queue.running(auto_approve=False)
    queue.complete(task.worker, [task], content_ids=[reported])
    other = queue.add(status="completed", completed_at=queue.now(), content_id=by_hand)

    assert content(queue, reported)["generation_task_id"] == task.id
    assert queue.values("SELECT version FROM contentq.content_versions") == [1, 1]
    names = queue.values("SELECT task_id FROM contentq.review_queue")
    assert names == [queue.row(task.id)["task_id"], queue.row(other)["task_id"]]
    for content_id, id_ in ((reported, task.id), (by_hand, other)):
        assert reject(queue, content_id, revise=True) == "pending"
        assert queue.status(id_) == "pending"


def test_content_of_another_account_is_not_that_of_a_task(queue: Queue) -> None:
    """Control over a task's content_id gives no access to content of others: neither to reject nor to show it."""
    _, secret = produced(queue, account_id=queue.add_account())
    queue.run("UPDATE contents SET generation_task_id = NULL WHERE id = %s", secret)
    queue.add(status="completed", completed_at=queue.now(), content_id=secret)
    queue.run("UPDATE content_generation_tasks SET content_id = NULL WHERE account_id <> %s", queue.account)

    assert "its task no longer exists" in refused(lambda: reject(queue, secret, revise=True))
    assert queue.rows("SELECT * FROM contentq.content_versions") == []
    assert queue.values("SELECT task_id FROM contentq.review_queue") == [None]


def test_long_note_is_cut_and_says_so(queue: Queue) -> None:
    _, id_ = produced(queue)

    reject(queue, id_, reviewer="r" * 500, note="x" * 10_000)

    status, by, note = verdict(queue, id_)
    assert (status, by) == ("rejected", "r" * 100)
    assert note is not None
    assert note.endswith("(truncated from 10000 characters)")


def test_draft_says_which_checks_it_failed(queue: Queue) -> None:
    task = queue.running()
    queue.revise(task, "it is too short", max_revisions=1, keep_for_review=True)
    first = queue.row(task.id)["content_id"]
    (again,) = queue.claim(task.worker)
    queue.revise(Held(task.worker, task.id, again["attempt"]), "no heading", max_revisions=1, keep_for_review=True)

    (waiting,) = queue.rows("SELECT failed_checks, previous_note, attempt FROM contentq.review_queue")
    assert waiting == {"failed_checks": "no heading", "previous_note": "it is too short", "attempt": 2}
    assert verdict(queue, first) == ("rejected", None, "it is too short")


def test_review_queue_has_the_oldest_first_and_only_what_waits(queue: Queue) -> None:
    waiting = [produced(queue, category="blog", batch=f"b{number}")[1] for number in range(3)]
    _, approved = produced(queue, auto_approve=True)
    approve(queue, waiting[1])

    rows = queue.rows("SELECT * FROM contentq.review_queue")

    assert [row["content_id"] for row in rows] == [waiting[0], waiting[2]]
    assert [(row["batch"], row["category"], row["account"], row["word_count"]) for row in rows] == [
        ("b0", "blog", "Ada", 2),
        ("b2", "blog", "Ada", 2),
    ]
    assert approved not in [row["content_id"] for row in rows]
    assert queue.value("SELECT clock_timestamp() - waiting_since < interval '1 minute' FROM contentq.review_queue")


@pytest.mark.parametrize("asked", [True, False])
def test_reviewers_are_told_once_a_transaction_when_they_asked(
    queue: Queue, connect_queue: Callable[[], Queue], asked: bool
) -> None:
    queue.run("UPDATE contentq.settings SET notify_reviewers = %s", asked)
    listener = connect_queue()
    listener.run("LISTEN contentq_review")
    tasks = [queue.running(auto_approve=False) for _ in range(2)]
    draft, approved = queue.running(), queue.running()

    queue.store(approved.worker, [approved])
    with queue.connection.transaction():
        for task in tasks:
            queue.store(task.worker, [task])
        queue.revise(draft, max_revisions=0, keep_for_review=True)
    queue.run("NOTIFY contentq_review, 'the end'")

    said = [notice.payload for notice in listener.connection.notifies(timeout=10, stop_after=2 if asked else 1)]
    assert said == (["", "the end"] if asked else ["the end"])


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.5, "0 seconds"), (1, "1 second"), (119, "1 minute"), (7300, "2 hours"), (90000, "1 day")],
)
def test_time_of_a_decision_is_said_in_words(queue: Queue, seconds: float, said: str) -> None:
    ago = queue.value("SELECT contentq.ago(clock_timestamp() - make_interval(secs => %s))", seconds)
    assert ago == f"{said} ago"


def decide(queue: Queue, name: str, **given: Any) -> list[int]:
    """Decides about all selected contents, chunk by chunk; the number in each."""
    chunks: list[int] = []
    after: int | None = 0
    while after is not None:
        named = ", ".join(f"{key} => %s" for key in (*given, "after_id"))
        (row,) = queue.rows(f"SELECT * FROM contentq.{name}({named})", *given.values(), after)
        chunks.append(row["contents"])
        after = row["last_id"]
    return chunks


def test_selected_content_is_approved_chunk_by_chunk_and_no_other(queue: Queue) -> None:
    other = queue.add_account()
    wanted = [produced(queue, category="blog", batch="monday")[1] for _ in range(5)]
    kept = [
        produced(queue, category="news", batch="monday")[1],
        produced(queue, category="blog", batch="tuesday")[1],
        produced(queue, category="blog", batch="monday", account_id=other)[1],
        produced(queue, category="blog", batch="monday", submitted_at="2001-01-01")[1],
    ]
    selectors = {"account_id": queue.account, "category": "blog", "batch": "monday", "since": "2002-01-01"}

    chunks = decide(queue, "approve_matching", **selectors, reviewer="anna", note="all fine", max_contents=2)

    assert chunks == [2, 2, 1]
    assert {verdict(queue, id_) for id_ in wanted} == {("approved", "anna", "all fine")}
    assert {verdict(queue, id_)[0] for id_ in kept} == {"pending"}
    assert decide(queue, "approve_matching", until="2002-01-01") == [1]


def test_selected_content_is_sent_back_but_that_of_tasks_that_run_again(queue: Queue) -> None:
    tasks = [produced(queue, batch="monday") for _ in range(3)]
    queue.set(tasks[1][0].id, status="pending")

    assert decide(queue, "reject_matching", batch="monday", note="shorter", revise=True) == [2]

    assert [verdict(queue, id_)[0] for _, id_ in tasks] == ["rejected", "pending", "rejected"]
    assert [queue.row(task.id)["revision_note"] for task, _ in tasks] == ["shorter", None, "shorter"]
    assert [queue.status(task.id) for task, _ in tasks] == ["pending"] * 3
    assert decide(queue, "reject_matching", batch="monday") == [1]


@pytest.mark.parametrize("name", ["approve_matching", "reject_matching"])
def test_nothing_selected_is_not_everything(queue: Queue, name: str) -> None:
    _, id_ = produced(queue)

    with pytest.raises(psycopg.errors.InvalidParameterValue, match="no selector given"):
        queue.run(f"SELECT contentq.{name}(note => 'oh')")
    assert verdict(queue, id_)[0] == "pending"

    assert decide(queue, name, since="-infinity") == [1]


@pytest.mark.parametrize("held", ["content", "task"])
def test_what_another_is_just_deciding_about_stays_as_it_is_and_holds_up_nothing(
    queue: Queue, connect_queue: Callable[[], Queue], held: str
) -> None:
    tasks = [produced(queue) for _ in range(3)]
    first = connect_queue()
    queue.run("SET lock_timeout = '100ms'")
    with first.connection.transaction():
        if held == "content":
            approve(first, tasks[1][1], reviewer="anna")
        else:
            first.run("SELECT FROM content_generation_tasks WHERE id = %s FOR UPDATE", tasks[1][0].id)

        chunks = decide(queue, "reject_matching", since="-infinity", reviewer="ben", revise=True)

    assert chunks == [2]
    middle = ("approved", "anna") if held == "content" else ("pending", None)
    assert [verdict(queue, id_)[:2] for _, id_ in tasks] == [("rejected", "ben"), middle, ("rejected", "ben")]
    assert [queue.status(task.id) for task, _ in tasks] == ["pending", "completed", "pending"]


def test_no_call_decides_about_more_than_ten_thousand(queue: Queue) -> None:
    queue.run(
        "INSERT INTO contents (account_id, title, body) SELECT %s, 'T', 'B' FROM generate_series(1, 10001)",
        queue.account,
    )

    assert decide(queue, "approve_matching", since="-infinity", max_contents=1000000) == [10000, 1]


def test_looking_for_what_waits_reads_no_more_than_what_waits(queue: Queue) -> None:
    with queue.connection.transaction():
        queue.run("SET LOCAL session_replication_role = replica")
        queue.run(
            """
            INSERT INTO content_generation_tasks (account_id, category, batch, status, started_at, completed_at)
            SELECT %s, 'blog', 'batch ' || n / 100, 'completed', now(), now()
            FROM generate_series(1, 5000) AS n""",
            queue.account,
        )
        queue.run(
            """
            INSERT INTO contents (account_id, title, body, word_count, review_status, generation_task_id)
            SELECT t.account_id, 'Title', 'Body', 1,
                   CASE WHEN t.id %% 50 = 0 THEN 'pending' ELSE 'approved' END, t.id
            FROM content_generation_tasks AS t"""
        )
    queue.run("ANALYZE content_generation_tasks, contents")
    waits = 100
    for given, most in (
        ("category => 'blog', max_contents => 5", 10),
        ("category => 'none'", 2 * waits),
        ("since => '2001-01-01', until => '2002-01-01'", 2 * waits),
        ("batch => 'batch 30'", 2 * waits + 10),
        ("category => 'none', batch => 'batch 30'", 2 * waits + 10),
    ):
        read = scans(queue, f"SELECT contentq.matching_contents({given})")
        assert (read.sequential, read.rows <= most) == (0, True), (given, read)
