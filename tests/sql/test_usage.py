"""Costs of attempts: counted once, by account, day and model, whatever handlers write into their results."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from tests.support.queue import Held, Queue

USAGE = {"model": "small", "prompt_tokens": 100, "completion_tokens": 20, "cost": 0.0125}
REPORT = json.dumps(USAGE)
BIG = 10**12


def totals(queue: Queue) -> list[tuple[str, int, int, int, Decimal]]:
    """(model, attempts, prompt tokens, completion tokens, cost) of each row."""
    return [
        (row["model"], row["attempts"], row["prompt_tokens"], row["completion_tokens"], row["cost"])
        for row in queue.usage()
    ]


COUNTED_ONCE = [("small", 1, 100, 20, Decimal("0.0125"))]


def test_completed_task_is_charged_to_its_account_on_this_day_of_utc(queue: Queue) -> None:
    queue.run("SET TIME ZONE 'Pacific/Kiritimati'")
    task = queue.running()

    queue.complete(task.worker, [task], [REPORT])

    (row,) = queue.usage()
    assert row == {**USAGE, "account_id": queue.account, "attempts": 1} | {"cost": Decimal("0.0125")}
    assert queue.value("SELECT day = (clock_timestamp() AT TIME ZONE 'UTC')::date FROM contentq.usage")


def test_stored_content_is_charged(queue: Queue) -> None:
    task = queue.running()

    queue.store(task.worker, [task], extras=[REPORT])

    assert totals(queue) == COUNTED_ONCE


def test_attempt_that_failed_is_charged_before_its_report(queue: Queue) -> None:
    task = queue.running()

    with queue.connection.transaction():
        queue.record_usage(task.worker, {task: REPORT})
        queue.fail(task, "It was cut off")

    assert totals(queue) == COUNTED_ONCE
    assert queue.status(task.id) == "pending"


@pytest.mark.parametrize("why", ["ended", "stale", "another's", "nobody's"])
def test_attempt_that_the_worker_does_not_hold_is_not_charged(queue: Queue, why: str) -> None:
    task = queue.running()
    worker = task.worker
    if why == "ended":
        queue.fail(task)
    elif why == "stale":
        queue.set(task.id, attempt=2)
    elif why == "another's":
        worker = queue.register()
    else:
        queue.run("DELETE FROM contentq.workers")

    queue.record_usage(worker, {task: REPORT})

    assert queue.usage() == []


def test_attempt_that_is_cancelled_is_charged_all_the_same(queue: Queue) -> None:
    """Costs before its worker stopped it."""
    task = queue.running()
    queue.cancel(task.id)

    queue.record_usage(task.worker, {task: REPORT})

    assert totals(queue) == COUNTED_ONCE


@pytest.mark.parametrize("way", ["complete", "store"])
def test_report_that_is_repeated_counts_once(queue: Queue, way: str) -> None:
    task = queue.running()

    for _ in range(2):
        if way == "complete":
            queue.complete(task.worker, [task], [REPORT])
        else:
            queue.store(task.worker, [task], extras=[REPORT])

    assert totals(queue) == COUNTED_ONCE


@pytest.mark.parametrize("way", ["complete", "store", "record_usage"])
def test_task_that_is_named_twice_in_a_report_counts_once(queue: Queue, way: str) -> None:
    task = queue.running()

    if way == "complete":
        queue.complete(task.worker, [task, task], [REPORT, REPORT])
    elif way == "store":
        queue.store(task.worker, [task, task], extras=[REPORT, REPORT])
    else:
        record(queue, [task, task], [REPORT, '{"model": "large", "cost": 1}'])

    assert totals(queue) == COUNTED_ONCE


def record(queue: Queue, tasks: list[Held], reports: list[str]) -> None:
    """Records usages of tasks of one worker in one call."""
    ids, attempts = [task.id for task in tasks], [task.attempt for task in tasks]
    queue.run("SELECT contentq.record_usage(%s, %s, %s, %s)", tasks[0].worker, ids, attempts, reports)


def of_model(number: int) -> str:
    return json.dumps({"model": f"model-{number:03}", "cost": 0.01})


def by_model(queue: Queue, account: int) -> dict[str, int]:
    """The attempts of an account, by model."""
    return {row["model"]: row["attempts"] for row in queue.usage() if row["account_id"] == account}


@pytest.mark.parametrize("calls", ["one", "many"])
def test_models_of_an_account_beyond_a_hundred_on_one_day_are_counted_as_other(queue: Queue, calls: str) -> None:
    """Workers name the models, and every claim beside a budget sums the rows."""
    reports = [of_model(number) for number in range(120)]
    worker = queue.register(slots=120)
    for _ in reports:
        queue.add()
    tasks = [Held(worker, row["id"], row["attempt"]) for row in queue.claim(worker, 120)]
    if calls == "one":
        record(queue, tasks, reports)
    else:
        for report in reports:
            record(queue, tasks[:1], [report])

    record(queue, tasks[:1], [of_model(7)])
    record(queue, tasks[:1], [of_model(119)])

    found = by_model(queue, queue.account)
    assert len(found) == 101
    assert (found["other"], found["model-007"], found["model-099"]) == (21, 2, 1)
    other = queue.running(account_id=queue.add_account())
    record(queue, [other], [of_model(119)])
    assert by_model(queue, queue.row(other.id)["account_id"]) == {"model-119": 1}
    queue.run("UPDATE contentq.usage SET day = day - 1")
    record(queue, tasks[:1], [of_model(119)])
    assert by_model(queue, queue.account)["model-119"] == 1


def test_cost_of_a_new_model_does_not_depend_on_how_much_the_account_has_used(queue: Queue) -> None:
    queue.run(
        "INSERT INTO contentq.usage "
        "(account_id, day, model, category, attempts, prompt_tokens, completion_tokens, cost) "
        "SELECT %s, (clock_timestamp() AT TIME ZONE 'UTC')::date, 'm' || mod(n, 100), n, 1, 0, 0, 0 "
        "FROM generate_series(1, 20000) AS n",
        queue.account,
    )
    task = queue.running()
    read = (
        "SELECT sum(pg_stat_get_xact_tuples_returned(c.oid))::integer FROM pg_class AS c "
        "WHERE c.oid = 'contentq.usage'::regclass "
        "OR c.oid IN (SELECT i.indexrelid FROM pg_index AS i WHERE i.indrelid = 'contentq.usage'::regclass)"
    )

    with queue.connection.transaction():
        before = queue.value(read)
        record(queue, [task], [REPORT])
        assert queue.value(read) - before < 300

    assert queue.value("SELECT attempts FROM contentq.usage WHERE model = 'other'") == 1


@pytest.mark.parametrize("stale_first", [True, False])
@pytest.mark.parametrize("way", ["complete", "store"])
def test_usage_is_that_of_the_attempt_that_counted(queue: Queue, way: str, stale_first: bool) -> None:
    stale = queue.running()
    queue.release(stale.worker, [stale])
    (row,) = queue.claim(stale.worker)
    reports = [(stale, '{"cost": 100}'), (Held(stale.worker, stale.id, row["attempt"]), REPORT)]
    in_order = reports if stale_first else reports[::-1]
    tasks, results = [task for task, _ in in_order], [result for _, result in in_order]

    if way == "complete":
        queue.complete(stale.worker, tasks, results)
    else:
        queue.store(stale.worker, tasks, extras=results)

    assert totals(queue) == COUNTED_ONCE


@pytest.mark.parametrize("why", ["stale", "cancelled", "overdue", "another's"])
@pytest.mark.parametrize("way", ["complete", "store"])
def test_report_that_is_refused_is_not_charged(queue: Queue, way: str, why: str) -> None:
    task = queue.running()
    if why == "stale":
        queue.set(task.id, attempt=2)
    elif why == "cancelled":
        queue.cancel(task.id)
    elif why == "overdue":
        queue.set(task.id, timeout_at="2001-01-01")
    worker = queue.register() if why == "another's" else task.worker

    if way == "complete":
        queue.complete(worker, [task], [REPORT])
    else:
        queue.store(worker, [task], extras=[REPORT])

    assert queue.usage() == []


def test_only_those_of_a_batch_that_counted_are_charged(queue: Queue, worker: int) -> None:
    ids = [queue.add() for _ in range(4)]
    tasks = [Held(worker, row["id"], row["attempt"]) for row in queue.claim(worker, 10)]
    queue.cancel(ids[0])

    queue.complete(worker, tasks, [REPORT, REPORT, None, REPORT])

    assert totals(queue) == [("small", 2, 200, 40, Decimal("0.0250"))]


def test_charges_add_up_by_account_and_model(queue: Queue) -> None:
    tasks = [queue.running(), queue.running(account_id=queue.add_account()), queue.running()]
    other = queue.row(tasks[1].id)["account_id"]

    for task in tasks:
        queue.charge({task.id: REPORT})
    queue.charge({tasks[0].id: REPORT})
    queue.charge({tasks[0].id: REPORT, tasks[2].id: '{"model": "large", "cost": 1}'})

    assert [(row["account_id"], row["model"], row["attempts"]) for row in queue.usage()] == [
        (queue.account, "large", 1),
        (queue.account, "small", 4),
        (other, "small", 1),
    ]
    assert queue.value("SELECT sum(cost) FROM contentq.usage") == Decimal("0.0125") * 5 + 1


@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        ('{"cost": 0.5}', ("unknown", 1, 0, 0, Decimal("0.5"))),
        ('{"prompt_tokens": 7}', ("unknown", 1, 7, 0, Decimal(0))),
        ('{"completion_tokens": 7, "model": ""}', ("unknown", 1, 0, 7, Decimal(0))),
        ('{"cost": 1, "model": null}', ("unknown", 1, 0, 0, Decimal(1))),
        ('{"cost": 1, "model": 5}', ("5", 1, 0, 0, Decimal(1))),
        ('{"cost": 1, "model": "大模型/小"}', ("大模型/小", 1, 0, 0, Decimal(1))),
        (json.dumps({"cost": 1, "model": "m" * 300}), ("m" * 200, 1, 0, 0, Decimal(1))),
        ('{"cost": 1, "prompt_tokens": 12.9}', ("unknown", 1, 12, 0, Decimal(1))),
        ('{"cost": 1, "prompt_tokens": "12"}', ("unknown", 1, 0, 0, Decimal(1))),
        ('{"cost": 1, "prompt_tokens": -12}', ("unknown", 1, 0, 0, Decimal(1))),
        ('{"cost": 1, "prompt_tokens": [12]}', ("unknown", 1, 0, 0, Decimal(1))),
        ('{"cost": "1.5", "prompt_tokens": 1}', ("unknown", 1, 1, 0, Decimal(0))),
        ('{"cost": -3, "prompt_tokens": 1}', ("unknown", 1, 1, 0, Decimal(0))),
        ('{"cost": true, "prompt_tokens": 1}', ("unknown", 1, 1, 0, Decimal(0))),
        ('{"cost": 1e13, "prompt_tokens": 1}', ("unknown", 1, 1, 0, Decimal(0))),
        ('{"cost": 1e-12}', ("unknown", 1, 0, 0, Decimal("1e-12"))),
        (f'{{"prompt_tokens": {BIG}}}', ("unknown", 1, BIG, 0, Decimal(0))),
        ('{"cost": 1, "cost": 2}', ("unknown", 1, 0, 0, Decimal(2))),
        ('{"cost": 0}', None),
        ('{"cost": null, "prompt_tokens": 0}', None),
        ('{"prompt_tokens": 0.4}', None),
        ('{"usage": {"cost": 5}}', None),
        ('[{"cost": 5}]', None),
        ('"the \\"cost\\" of it"', None),
        ("null", None),
        ("{}", None),
    ],
)
def test_members_that_are_no_numbers_count_for_nothing_and_refuse_nothing(
    queue: Queue, usage: str, counted: tuple[str, int, int, int, Decimal] | None
) -> None:
    task = queue.running()

    assert queue.complete(task.worker, [task], [usage]) == [task.id]

    assert totals(queue) == ([] if counted is None else [counted])


def test_usage_of_nothing_or_of_a_task_that_is_gone_counts_for_nothing(queue: Queue, worker: int) -> None:
    task = queue.add()

    queue.charge({task: None, task + 1: REPORT})
    queue.run("SELECT contentq.record_usage(%s, '{}', '{}', '{}')", worker)
    queue.run("SELECT contentq.record_usage(%s, NULL, NULL, NULL)", worker)

    assert queue.usage() == []


def test_results_without_usage_are_not_looked_at_any_further(queue: Queue) -> None:
    """A result without cost is by far the most frequent: completing it must not become slower."""
    task = queue.running()
    queue.run("DROP FUNCTION contentq.add_usage")

    assert queue.complete(task.worker, [task], ['{"words": 5, "costs": 1}']) == [task.id]


def test_usage_outlives_the_tasks(queue: Queue) -> None:
    task = queue.running()
    queue.complete(task.worker, [task], [REPORT])

    queue.run("DELETE FROM content_generation_tasks")

    assert totals(queue) == COUNTED_ONCE


def fill(queue: Queue) -> int:
    """Usage of two accounts and two models, today and earlier; returns the second account."""
    other = queue.add_account("G" * 40, monthly_budget=4)
    queue.add_account("Without usage or budget")
    queue.add_account("Unused", monthly_budget=0)
    day = "(clock_timestamp() AT TIME ZONE 'UTC')::date"
    month = f"date_trunc('month', {day})::date"
    for account, when, model, cost in (
        (queue.account, day, "large", 1),
        (queue.account, day, "large", 2),
        (queue.account, day, "small", 0.5),
        (other, day, "small", 1),
        (other, f"{month} - 1", "large", 100),
    ):
        queue.run(
            "INSERT INTO contentq.usage "
            "(account_id, day, model, attempts, prompt_tokens, completion_tokens, cost) "
            f"VALUES (%s, {when}, %s, 2, 30, 40, %s)",
            account,
            model,
            cost,
        )
    return other


def test_accounts_are_shown_with_what_they_have_cost_this_month(queue: Queue) -> None:
    other = fill(queue)

    rows = queue.rows("SELECT * FROM contentq.usage_by_account")

    assert rows[0] == {
        "account_id": queue.account,
        "name": "Ada",
        "attempts": 6,
        "prompt_tokens": 90,
        "completion_tokens": 120,
        "cost": Decimal("3.5"),
        "monthly_budget": None,
        "used_percent": None,
        "used_up": False,
    }
    assert (rows[1]["account_id"], rows[1]["name"], rows[1]["cost"]) == (other, "G" * 27 + "...", Decimal(1))
    assert (rows[1]["used_percent"], rows[1]["used_up"]) == (Decimal(25), False)
    assert (rows[2]["name"], rows[2]["cost"], rows[2]["used_percent"]) == ("Unused", 0, None)
    assert rows[2]["used_up"]
    assert len(rows) == 3


def test_account_is_shown_as_used_up_when_it_is_held_for_that(queue: Queue) -> None:
    paused = queue.add_account(monthly_budget=5, paused_until="infinity")
    fill(queue)
    queue.run("UPDATE accounts SET monthly_budget = 1 WHERE name = 'Ada'")

    used_up = queue.values("SELECT name FROM contentq.usage_by_account WHERE used_up ORDER BY name")

    assert used_up == ["Ada", "Unused"]
    assert queue.blocked_accounts().count(paused) == 1


def test_models_are_shown_with_what_they_have_cost_this_month(queue: Queue) -> None:
    fill(queue)

    assert [tuple(row.values()) for row in queue.rows("SELECT * FROM contentq.usage_by_model")] == [
        ("large", 4, 60, 80, Decimal(3), Decimal("0.75")),
        ("small", 4, 60, 80, Decimal("1.5"), Decimal("0.375")),
    ]


def test_days_are_shown_latest_first(queue: Queue) -> None:
    fill(queue)
    queue.run(
        "INSERT INTO contentq.usage (account_id, day, model, attempts, prompt_tokens, completion_tokens, cost) "
        "VALUES (1, '2001-01-01', 'small', 1, 1, 1, 1)"
    )

    latest, earlier = queue.rows("SELECT * FROM contentq.usage_by_day")

    assert (latest["attempts"], latest["cost"], latest["accounts"]) == (8, Decimal("4.5"), 2)
    assert (earlier["attempts"], earlier["cost"], earlier["accounts"]) == (2, Decimal(100), 1)


def test_what_was_spent_this_month_is_summed(queue: Queue) -> None:
    other = fill(queue)

    assert queue.value("SELECT contentq.budget_spent(%s)", other) == 1
    assert queue.value("SELECT contentq.budget_spent(4711)") == 0
