"""explain(): each reason why a task is not running, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tests.support.queue import Queue

pytestmark = pytest.mark.usefixtures("in_utc")

GATE = "api.example"
TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\+00"


def claiming(queue: Queue, categories: list[str]) -> int:
    """A worker that accepts these categories."""
    query = "SELECT contentq.register_worker('host', 1, 10, 'template', categories => %s)"
    return int(queue.value(query, categories))


def test_unknown_task(queue: Queue) -> None:
    assert queue.values("SELECT contentq.explain('task-unknown')") == ["there is no task task-unknown"]


def test_task_that_is_next_names_the_worker_that_takes_it(queue: Queue, idle: int) -> None:
    task = queue.add()

    assert queue.explain(task) == [f"ready: worker {idle} will claim it next"]
    assert [row["id"] for row in queue.claim(idle)] == [task]


def test_every_worker_that_may_take_it_next_is_named_or_counted(queue: Queue) -> None:
    workers = sorted(queue.register() for _ in range(4))

    (line,) = queue.explain(queue.add())

    first, second, third = workers[:3]
    assert line == f"ready: worker {first} or {second} or {third} or 1 more will claim it next"


def test_category_that_no_live_worker_claims(queue: Queue) -> None:
    claiming(queue, ["b", "a"])
    claiming(queue, ["it's", "a"])
    queue.silence(claiming(queue, ["blog"]))

    assert queue.explain(queue.add(category="blog")) == [
        "no live worker claims category 'blog': the live workers (2) claim 'a', 'b', 'it''s'",
    ]
    assert queue.explain(queue.add()) == [
        "no live worker claims tasks without a category: the live workers (2) claim 'a', 'b', 'it''s'",
        "1 ready task is ahead of it (by priority, then submitted_at), of account 1",
    ]


def test_what_is_ahead_is_what_the_worker_claims_of_which_least_is_ahead(queue: Queue) -> None:
    everything, only_b = queue.register(), claiming(queue, ["b"])
    queue.add(category="a")
    queue.add(category="a")
    task, later = queue.add(category="b"), queue.add(category="b")

    assert queue.explain(task) == [f"ready: worker {only_b} will claim it next"]
    assert queue.explain(later) == [
        "1 ready task is ahead of it in categories b (by priority, then submitted_at), of account 1"
    ]
    queue.silence(only_b)
    assert queue.explain(later) == ["3 ready tasks are ahead of it (by priority, then submitted_at), of account 1"]
    assert [row["id"] for row in queue.claim(everything, 4)][-1] == later


def test_running_task_names_its_worker_progress_and_deadline(queue: Queue) -> None:
    task = queue.running()
    queue.progress(task.worker, [task], [0.4], ["writing"])
    queue.set(task.id, timeout_at="2999-01-01T00:00:00Z")

    began, worker, progress, deadline = queue.explain(task.id)

    assert re.fullmatch(r"it is running: attempt 1 started 00:00:0\d ago", began)
    assert worker == f"worker {task.worker} (host, pid 4711) holds it"
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

    assert queue.explain(task.id)[2:] == ["it was cancelled: its worker is stopping it"]


def test_running_task_of_a_silent_worker(queue: Queue) -> None:
    task = queue.running()
    queue.silence(task.worker, "1 minute")

    assert re.fullmatch(
        rf"its worker {task.worker} \(host, pid 4711\) has sent no heartbeat for 00:01:0\d: the task will be "
        rf"rescued",
        queue.explain(task.id)[1],
    )


def test_running_task_that_no_worker_holds(queue: Queue) -> None:
    task = queue.add(status="processing", started_at="2001-01-01")

    assert queue.explain(task)[1:] == [
        "no worker holds it: it was set to processing by hand, and only that session or its deadline ends it",
        "if nobody is working on it: contentq cancel, then contentq requeue",
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
    assert reason == f"reason: {said}"
    assert how == "to requeue it: contentq requeue, or SELECT contentq.requeue('it''s')"
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

    assert queue.explain(task) == ["its deadline has passed (2001-01-01 00:00:00+00): it will end as timeout"]


def test_task_that_is_not_due(queue: Queue, idle: int) -> None:
    task = queue.add(scheduled_at=queue.value("SELECT clock_timestamp() + interval '1 hour'"))

    (line,) = queue.explain(task)

    assert re.fullmatch(rf"it is not due for 00:59:\d\d: scheduled_at is {TIME}", line)


def test_task_that_waits_for_its_retry_tells_what_went_wrong(queue: Queue) -> None:
    task = queue.running()
    queue.fail(task, "503", retry_after="1 hour")

    assert queue.explain(task.id)[0].endswith("+00; the last attempt ended with: 503")


def test_task_that_is_put_off_for_ever(queue: Queue, idle: int) -> None:
    assert queue.explain(queue.add(scheduled_at="infinity")) == [
        "it is not due: scheduled_at is infinity; to make it ready, set scheduled_at to NULL"
    ]


def test_task_whose_attempts_are_used_up(queue: Queue, idle: int) -> None:
    assert queue.explain(queue.add(attempt=2147483647)) == [
        "its attempt is the highest possible number, so it is never claimed: insert the task again"
    ]


@pytest.mark.parametrize(
    ("until", "said"),
    [("infinity", "until someone resumes it"), ("2999-01-01T00:00:00Z", "until 2999-01-01 00:00:00+00")],
)
def test_paused_account(queue: Queue, idle: int, until: str, said: str) -> None:
    account = queue.add_account(paused_until=until)

    assert queue.explain(queue.add(account_id=account)) == [
        f"account {account} is paused {said}; to resume it: contentq resume --account {account}"
    ]


def test_budget_that_is_used_up(queue: Queue, idle: int) -> None:
    account = queue.add_account(monthly_budget=0.5)
    task = queue.add(account_id=account)
    queue.charge({task: '{"cost": 0.75}'})

    (line,) = queue.explain(task)

    month = queue.value(
        "SELECT to_char(date_trunc('month', clock_timestamp()) + interval '1 month', 'YYYY-MM-DD HH24:MI:SS')"
    )
    assert line == (
        f"the budget of account {account} for this month is used up: 0.7500 of 0.5 is spent; tasks start again at "
        f"{month}+00, or when the budget is raised: contentq accounts set {account} --monthly-budget AMOUNT"
    )


def test_cap_that_is_reached(queue: Queue, idle: int) -> None:
    account = queue.add_account(max_running=2)
    for _ in range(2):
        queue.running(idle, account_id=account)
    task = queue.add(account_id=account)

    (line,) = queue.explain(task)

    assert line == (
        f"account {account} is at its cap: 2 of max_running 2 are running; to raise the cap: contentq "
        f"accounts set {account} --max-running 3"
    )
    assert queue.claim(idle) == []
    queue.run("UPDATE accounts SET max_running = 3 WHERE id = %s", account)
    assert queue.explain(task)[0].startswith("ready")


def test_room_under_a_cap_that_tasks_ahead_take(queue: Queue, idle: int) -> None:
    account = queue.add_account(max_running=1)
    first, task = queue.add(account_id=account), queue.add(account_id=account)

    assert queue.explain(first)[0].startswith("ready")
    assert queue.explain(task) == [
        f"1 ready task is ahead of it (by priority, then submitted_at), of account {account}",
        f"account {account} may start 1 more (max_running 1), and its own tasks ahead of this one come first; "
        f"to raise the cap: contentq accounts set {account} --max-running 2",
    ]
    assert [row["id"] for row in queue.claim(idle, 10)] == [first]


def test_everyone_paused(queue: Queue, idle: int) -> None:
    task = queue.add()
    queue.register()
    queue.close_gate("*", "infinity")

    (line,) = queue.explain(task)

    assert line == (
        "all live workers (2) wait: gate *: closed, until someone opens it: SELECT contentq.open_gate('*')"
    )
    queue.run(line.rpartition(": ")[2])
    assert queue.explain(task)[0].startswith("ready")


def test_closed_gate_of_every_live_worker(queue: Queue, idle: int) -> None:
    task = queue.add()
    other = queue.register(gate=GATE)
    queue.silence(queue.register(gate=GATE))
    for key in (GATE, "no one's"):
        queue.close_gate(key, "1 hour", "429")

    (line,) = queue.explain(task)

    assert re.fullmatch(rf"all live workers \(2\) wait: gate api\.example: closed until {TIME}; reason: 429", line)
    free = queue.register(gate="another")
    assert queue.explain(task) == [f"ready: worker {free} will claim it next"]
    queue.run("UPDATE contentq.workers SET categories = '{other}' WHERE id = %s", free)
    first, second = sorted([idle, other])
    assert queue.explain(task)[0].startswith(f"workers {first} and {second} wait: gate api.example: closed until")


def test_pace_of_a_gate_tells_how_long_it_takes(queue: Queue, idle: int) -> None:
    queue.run("SELECT contentq.set_gate(%s, requests_per_minute => 60)", GATE)
    first, second, *_, last = (queue.add() for _ in range(300))

    assert queue.explain(first)[0].startswith("ready")
    assert queue.explain(second) == [
        "1 ready task is ahead of it (by priority, then submitted_at), of account 1; at 1.00 a second, "
        "its turn comes in about 2 seconds"
    ]
    assert queue.explain(last)[0].endswith(", of account 1; at 1.00 a second, its turn comes in about 5 minutes")
    assert len(queue.claim(idle, 5)) == 1
    assert queue.explain(second) == [f"worker {idle} waits: gate {GATE}: limited to 1.00 tasks a second"]


def test_cap_of_a_gate_that_is_reached(queue: Queue, idle: int) -> None:
    queue.run("SELECT contentq.set_gate(%s, max_running => 1)", GATE)
    queue.running(idle)

    assert queue.explain(queue.add()) == [f"worker {idle} waits: gate {GATE}: 1 of 1 running"]


def test_worker_that_has_only_failed(queue: Queue, idle: int) -> None:
    for _ in range(5):
        queue.fail(queue.running(idle), "segmentation fault", retry_after="1 hour")

    (line,) = queue.explain(queue.add())

    assert re.fullmatch(
        rf"worker {idle} waits: it keeps failing: 5 quick failures in a row; it tries one task at a "
        r"time, the next in 0\.\d s; see its log and contentq\.recent_failures",
        line,
    )


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

    assert queue.explain(task) == [
        "all live workers (2) are full: 2 of 2 slots are in use; start more workers, or raise --concurrency"
    ]
    queue.register(slots=1)
    assert queue.explain(task)[0].startswith("ready")


def test_row_that_another_session_has_locked(queue: Queue, idle: int, connect_queue: Callable[[], Queue]) -> None:
    task, other = queue.add(), connect_queue()
    with other.connection.transaction():
        other.run("SELECT FROM content_generation_tasks WHERE id = %s FOR UPDATE", task)
        pid = other.value("SELECT pg_backend_pid()")

        (line,) = queue.explain(task)

        assert line.startswith("another session has locked its row")
        assert line.endswith(f"WHERE pid = {pid}")
        assert queue.claim(idle) == []
    assert queue.explain(task)[0].startswith("ready")


def test_all_reasons_are_told(queue: Queue) -> None:
    account = queue.add_account(monthly_budget=0, paused_until="infinity", max_running=0)
    queue.register(gate=GATE)
    queue.add(priority=10)
    task = queue.add(account_id=account, timeout_at="2001-01-01")
    queue.close_gate("*")
    queue.close_gate(GATE)

    lines = queue.explain(task)

    assert [line.split()[0] for line in lines] == ["its", "account", "account", "the", "worker", "1"]
    assert "gate *: closed" in lines[4]
    assert f"gate {GATE}: closed" in lines[4]
