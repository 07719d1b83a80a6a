"""explain(): each reason why a task is not running, in words, with what to do about it."""

from __future__ import annotations

import re

import pytest

from tests.support.queue import Queue

GATE = "api.example"
TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\+00"


@pytest.fixture(autouse=True)
def in_utc(queue: Queue) -> None:
    queue.run("SET TIME ZONE 'UTC'")


@pytest.fixture
def idle(queue: Queue) -> int:
    """A worker that would claim anything."""
    return queue.register(gate=GATE)


def test_unknown_task(queue: Queue) -> None:
    assert queue.values("SELECT contentq.explain('task-unknown')") == ["there is no task task-unknown"]


def test_task_in_whose_way_nothing_stands(queue: Queue, idle: int) -> None:
    task = queue.add()

    assert queue.explain(task) == [
        "nothing stands in its way: it is about to be claimed, unless the workers claim other categories only"
    ]


def test_category_that_no_worker_may_claim_is_named(queue: Queue, idle: int) -> None:
    task = queue.add(category="blog")

    assert queue.explain(task) == [
        "nothing stands in its way: it is about to be claimed, unless the workers claim other categories "
        "than 'blog'"
    ]


def test_running_task_names_its_worker_progress_and_deadline(queue: Queue) -> None:
    task = queue.running()
    queue.progress(task.worker, [task], [0.4], ["writing"])
    queue.set(task.id, timeout_at="2999-01-01T00:00:00Z")

    began, worker, progress, deadline = queue.explain(task.id)

    assert re.fullmatch(r"it is running: attempt 1 began 00:00:0\d ago", began)
    assert worker == f"worker {task.worker} (host, pid 4711) has it"
    assert progress == "progress: 40 %, writing"
    assert deadline == "its deadline is 2999-01-01 00:00:00+00"


@pytest.mark.parametrize(
    ("fraction", "note", "line"), [(None, "writing", "progress: writing"), (0.4, None, "progress: 40 %")]
)
def test_progress_may_be_a_note_or_a_fraction_alone(
    queue: Queue, fraction: float | None, note: str | None, line: str
) -> None:
    task = queue.running()
    queue.progress(task.worker, [task], [fraction], [note])

    assert queue.explain(task.id)[2:] == [line]


def test_running_task_that_was_cancelled(queue: Queue) -> None:
    task = queue.running(timeout_at="2999-01-01")
    queue.cancel(task.id)

    assert queue.explain(task.id)[2:] == ["it was cancelled, and its worker is stopping it"]


def test_running_task_of_a_silent_worker(queue: Queue) -> None:
    task = queue.running()
    queue.silence(task.worker, "1 minute")

    assert re.fullmatch(
        rf"its worker {task.worker} \(host, pid 4711\) was not heard for 00:01:0\d: it will be taken back from it",
        queue.explain(task.id)[1],
    )


def test_running_task_that_no_worker_holds(queue: Queue) -> None:
    task = queue.add(status="processing", started_at="2001-01-01")

    assert queue.explain(task)[1:] == [
        "no worker holds it: it was set to processing by hand, and who did that ends it, or its deadline",
        "when nobody works on it any more: contentq cancel, then contentq requeue",
    ]


def test_completed_task(queue: Queue) -> None:
    task = queue.add(status="completed", completed_at="2001-02-03T04:05:06Z")

    assert queue.explain(task) == ["it has ended: completed, 2001-02-03 04:05:06+00"]


@pytest.mark.parametrize("status", ["failed", "timeout"])
@pytest.mark.parametrize(("error", "said"), [("It broke", "It broke"), (None, "none was given")])
def test_failed_task_tells_the_reason_and_how_to_put_it_back(
    queue: Queue, status: str, error: str | None, said: str
) -> None:
    task = queue.add(task_id="it's", status=status, error_message=error)

    ended, reason, how = queue.explain(task)

    assert re.fullmatch(f"it has ended: {status}, {TIME}", ended)
    assert reason == f"the reason: {said}"
    assert how == "to put it back: contentq requeue, or SELECT contentq.requeue('it''s')"
    queue.run(how.partition(", or ")[2])
    assert queue.status(task) == "pending"


def test_completed_task_whose_content_was_rejected_tells_how_to_have_it_revised(queue: Queue) -> None:
    task = queue.running()
    queue.store(task.worker, [task])
    assert len(queue.explain(task.id)) == 1

    queue.run("UPDATE contents SET review_status = 'rejected'")
    _, how = queue.explain(task.id)

    assert how.startswith("its content was rejected; to have it revised: contentq requeue --note, or SELECT")
    queue.run(how.partition(", or ")[2])
    assert queue.status(task.id) == "pending"
    assert queue.row(task.id)["error_message"] == "what to improve"


def test_task_past_its_deadline(queue: Queue, idle: int) -> None:
    task = queue.add(timeout_at="2001-01-01T00:00:00Z")

    assert queue.explain(task) == [
        "its deadline has passed (2001-01-01 00:00:00+00): it is about to become timeout"
    ]


def test_task_that_is_not_due(queue: Queue, idle: int) -> None:
    task = queue.add(scheduled_at=queue.value("SELECT clock_timestamp() + interval '1 hour'"))

    (line,) = queue.explain(task)

    assert re.fullmatch(rf"it is not due for 00:59:\d\d: scheduled_at is {TIME}", line)


def test_task_that_waits_for_its_retry_tells_what_went_wrong(queue: Queue) -> None:
    task = queue.running()
    queue.fail(task, "503", retry_after="1 hour")

    assert queue.explain(task.id)[0].endswith("+00, since the last attempt ended with: 503")


def test_task_that_is_put_off_for_ever(queue: Queue, idle: int) -> None:
    assert queue.explain(queue.add(scheduled_at="infinity")) == ["it is not due: scheduled_at is infinity"]


def test_task_whose_attempts_are_used_up(queue: Queue, idle: int) -> None:
    assert queue.explain(queue.add(attempt=2147483647)) == [
        "its attempt is the highest there is: it is never claimed"
    ]


@pytest.mark.parametrize(
    ("until", "said"),
    [("infinity", "until someone resumes it"), ("2999-01-01T00:00:00Z", "until 2999-01-01 00:00:00+00")],
)
def test_paused_account(queue: Queue, idle: int, until: str, said: str) -> None:
    account = queue.add_account(paused_until=until)

    assert queue.explain(queue.add(account_id=account)) == [f"account {account} is paused {said}"]


def test_budget_that_is_used_up(queue: Queue, idle: int) -> None:
    account = queue.add_account(monthly_budget=0.5)
    task = queue.add(account_id=account)
    queue.charge({task: '{"cost": 0.75}'})

    (line,) = queue.explain(task)

    month = queue.value(
        "SELECT to_char(date_trunc('month', clock_timestamp()) + interval '1 month', 'YYYY-MM-DD HH24:MI:SS')"
    )
    assert line == (
        f"account {account} has used up its monthly budget: 0.7500 of 0.5; it goes on {month}+00, or when "
        "accounts.monthly_budget is raised"
    )


def test_everyone_paused(queue: Queue, idle: int) -> None:
    task = queue.add()
    queue.close_gate("*", "infinity")

    (line,) = queue.explain(task)

    assert line == "all workers are paused, until someone opens it: SELECT contentq.open_gate('*')"
    queue.run(line.partition(": ")[2])
    assert queue.explain(task)[0].startswith("nothing stands in its way")


def test_closed_gate_that_live_workers_have(queue: Queue, idle: int) -> None:
    task = queue.add()
    queue.register(gate=GATE)
    queue.silence(queue.register(gate=GATE))
    queue.silence(queue.register(gate="no one's"))
    for key in (GATE, "no one's", "unknown"):
        queue.close_gate(key, "1 hour", "429")

    (line,) = queue.explain(task)

    assert re.fullmatch(
        rf"gate api\.example \(live workers that have it: 2\) is closed until {TIME}; the reason: 429", line
    )


def test_gate_that_was_closed_a_moment_ago(queue: Queue, idle: int) -> None:
    task = queue.add()
    queue.register(gate=GATE)
    queue.close_gate(GATE, "0 seconds", "429")

    (line,) = queue.explain(task)

    assert re.fullmatch(
        r"gate api\.example \(live workers that have it: 2\) was closed 00:00:0\d ago, and its workers begin "
        r"tasks as fast as the provider lets them; the reason: 429",
        line,
    )
    queue.run("UPDATE contentq.gates SET closed_at = closed_at - interval '1 minute'")
    assert queue.explain(task)[0].startswith("nothing stands in its way")


@pytest.mark.parametrize("why", ["none", "silent", "draining"])
def test_no_live_worker(queue: Queue, why: str) -> None:
    if why != "none":
        worker = queue.register()
        queue.silence(worker, "1 minute" if why == "silent" else "0")
        queue.run("SELECT contentq.drain_worker(%s) WHERE %s", worker, why == "draining")

    assert queue.explain(queue.add()) == ["there is no live worker: start one with contentq worker"]


def test_full_workers(queue: Queue) -> None:
    queue.running(queue.register(slots=1))
    queue.running(queue.register(slots=1))
    task = queue.add()

    assert queue.explain(task) == ["all live workers (2) are full: 2 of 2 slots are taken"]
    queue.register(slots=1)
    assert queue.explain(task)[0].startswith("nothing stands in its way")


def test_tasks_ahead_are_those_that_a_claim_takes_first(queue: Queue, idle: int) -> None:
    early, late = "2001-01-01", "2002-01-01"
    task = queue.add(submitted_at="2001-06-01", priority=5)
    queue.add(submitted_at=late, priority=5)
    queue.add(submitted_at=early, priority=4)
    queue.add(submitted_at=early, priority=10, scheduled_at="2999-01-01")
    paused = queue.add_account(paused_until="infinity")
    queue.add(submitted_at=early, priority=10, account_id=paused)
    assert queue.explain(task)[0].startswith("nothing stands in its way")

    queue.add(submitted_at=late, priority=6)
    assert queue.explain(task) == ["1 ready task is ahead of it (priority, then submitted_at)"]

    queue.add(submitted_at=early, priority=5)
    assert queue.explain(task) == ["2 ready tasks are ahead of it (priority, then submitted_at)"]


@pytest.mark.parametrize("of_a_paused_account", [False, True])
def test_counting_ends_at_ten_thousand(queue: Queue, idle: int, of_a_paused_account: bool) -> None:
    queue.run(
        "INSERT INTO content_generation_tasks (account_id, submitted_at) "
        "SELECT %s, '2001-01-01' FROM generate_series(1, 10001)",
        queue.account,
    )
    if of_a_paused_account:
        queue.add(account_id=queue.add_account(paused_until="infinity"), priority=10)

    assert queue.explain(queue.add()) == [
        "10000 or more ready tasks are ahead of it (priority, then submitted_at), "
        "those of blocked accounts included"
    ]


def test_all_reasons_are_told(queue: Queue) -> None:
    account = queue.add_account(monthly_budget=0, paused_until="infinity")
    queue.register(gate=GATE)
    queue.add(priority=10)
    task = queue.add(account_id=account, timeout_at="2001-01-01")
    queue.close_gate("*")
    queue.close_gate(GATE)

    lines = queue.explain(task)

    assert [line.split()[0] for line in lines] == ["its", "account", "account", "all", "gate", "1"]
