"""The values that `contentq metrics` reads from the database."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from contentq.metrics.families import FLEET
from contentq.metrics.fleet import Fleet
from contentq.metrics.samples import Samples

from tests.metrics.conftest import MakeFleet, values
from tests.support.logins import Logins, made_logins
from tests.support.queue import Queue
from tests.support.roles import applied_roles
from tests.support.servers import Server

MODEL = '{"model": "large", "prompt_tokens": 100, "completion_tokens": 20, "cost": 0.5}'


@pytest.fixture
def administrator(queue: Queue, server: Server, dsn: str) -> Iterator[Queue]:
    """The queue, with the roles applied."""
    with applied_roles(queue, server, dsn):
        yield queue


@pytest.fixture
def logins(administrator: Queue, dsn: str) -> Iterator[Logins]:
    """Makes logins."""
    with made_logins(administrator, dsn) as made:
        yield made


def fill(queue: Queue) -> None:
    """Rows for every metric."""
    queue.run("SELECT contentq.maintain()")
    worker = queue.register(gate="api.example")
    queue.set_gate("api.example", requests_per_minute=60)
    stored = queue.running(worker, auto_approve=False)
    queue.store(worker, [stored], extras=[MODEL])
    queue.fail(queue.running(max_retries=0), error_class="ValueError")
    queue.running()
    queue.add(priority=9)
    queue.add(scheduled_at="infinity")


def failed_parts(samples: Samples) -> set[str]:
    """The parts that could not be read."""
    [counted] = [given for family, given in samples if family.name == "contentq_look_failures_total"]
    return {labels[0] for labels, number in counted.items() if number}


@pytest.mark.slow
def test_every_declared_metric_is_exported(make_fleet: MakeFleet, queue: Queue) -> None:
    fleet = make_fleet(by_account=True)
    fleet.read()
    fill(queue)

    samples = fleet.read()

    assert {family.name for family, _ in samples} == {family.name for family in FLEET}
    assert failed_parts(samples) == set()


@pytest.mark.slow
def test_only_with_by_account_is_there_a_label_for_each(fleet: Fleet, queue: Queue) -> None:
    fill(queue)

    exported = {family.name for family, _ in fleet.read()}

    assert exported == {family.name for family in FLEET if not family.on_demand}


def test_role_that_only_reads_is_enough(make_fleet: MakeFleet, logins: Logins, administrator: Queue) -> None:
    fill(administrator)
    fleet = make_fleet(logins.add("watcher", "contentq_reader"), by_account=True)
    fleet.read()

    samples = fleet.read()

    assert failed_parts(samples) == set()
    assert values(samples)["contentq_up"] == 1
    assert fleet.check() is None


def test_role_that_may_not_read_something_gets_the_rest(
    make_fleet: MakeFleet, logins: Logins, administrator: Queue
) -> None:
    fleet = make_fleet(logins.add("watcher", "contentq_reader"))
    administrator.run("REVOKE SELECT ON contentq.gates FROM contentq_reader")

    samples = fleet.read()

    assert failed_parts(samples) == {"gates"}
    assert "contentq_tasks{pending}" in values(samples)


def test_tasks_are_counted_by_status_and_ready_ones_by_priority(fleet: Fleet, queue: Queue) -> None:
    fill(queue)

    found = values(fleet.read())

    statuses = {"pending": 2, "processing": 1, "completed": 1, "failed": 1, "timeout": 0}
    assert {status: found[f"contentq_tasks{{{status}}}"] for status in statuses} == statuses
    assert (found["contentq_ready_tasks{9}"], found["contentq_ready_tasks{5}"]) == (1, 0)
    assert found["contentq_scheduled_tasks"] == 1


@pytest.mark.slow
def test_many_completed_tasks_are_estimated(fleet: Fleet, queue: Queue) -> None:
    queue.run(
        "INSERT INTO content_generation_tasks (account_id, status, started_at, completed_at) "
        "SELECT %s, 'completed', now(), now() FROM generate_series(1, 120000)",
        queue.account,
    )
    queue.add()
    queue.run("SELECT pg_stat_force_next_flush()" if queue.connection.info.server_version >= 150000 else "SELECT")
    queue.run("VACUUM ANALYZE content_generation_tasks")

    found = values(fleet.read())

    assert found["contentq_tasks{pending}"] == 1
    assert found["contentq_tasks{completed}"] == pytest.approx(120_000, rel=0.02)


def test_age_of_the_oldest_ready_task_is_since_it_became_ready(fleet: Fleet, queue: Queue) -> None:
    queue.add(submitted_at="2020-01-01", scheduled_at="2030-01-01")
    assert values(fleet.read())["contentq_oldest_ready_age_seconds"] == 0

    scheduled = queue.add(submitted_at="2020-01-01")
    queue.run(
        "UPDATE content_generation_tasks SET ready_at = clock_timestamp() - interval '1 minute' WHERE id = %s",
        scheduled,
    )
    assert 60 <= values(fleet.read())["contentq_oldest_ready_age_seconds"] < 120

    queue.run(
        "INSERT INTO content_generation_tasks (account_id, submitted_at) VALUES (%s, now() - interval '1 hour')",
        queue.account,
    )
    assert 3600 <= values(fleet.read())["contentq_oldest_ready_age_seconds"] < 3700


def test_completions_are_counted_once_whenever_they_are_committed(
    fleet: Fleet, queue: Queue, connect_queue: Callable[[], Queue]
) -> None:
    worker = queue.register()
    queue.complete(worker, [queue.running(worker)])
    late = queue.running(worker)
    slow = connect_queue()
    with slow.connection.transaction():
        slow.complete(worker, [late])
        queue.complete(worker, [queue.running(worker)])
        assert values(fleet.read())["contentq_task_running_seconds"][0] == 2
        queue.complete(worker, [queue.running(worker)])
        assert values(fleet.read())["contentq_task_running_seconds"][0] == 3
    assert values(fleet.read())["contentq_task_running_seconds"][0] == 4
    assert values(fleet.read())["contentq_task_waiting_seconds"][0] == 4


def test_what_was_completed_before_the_exporter_started_is_not_counted(
    make_fleet: MakeFleet, queue: Queue
) -> None:
    worker = queue.register()
    queue.complete(worker, [queue.running(worker)])
    fleet = make_fleet()

    fleet.read()

    assert values(fleet.read())["contentq_task_running_seconds"] == (0, 0.0)


def test_waiting_is_counted_from_ready_on_in_the_right_bucket(fleet: Fleet, queue: Queue) -> None:
    for ready_at, submitted_at in (("40 seconds", "10 years"), (None, "7 seconds")):
        queue.run(
            "INSERT INTO content_generation_tasks "
            "(account_id, status, submitted_at, ready_at, started_at, completed_at) "
            "VALUES (%s, 'completed', now() - %s::interval, now() - %s::interval, now(), now() + interval '3 s')",
            queue.account,
            submitted_at,
            ready_at,
        )

    by_name = {family.name: given[()] for family, given in fleet.read() if not family.labels}

    waiting = by_name["contentq_task_waiting_seconds"]
    assert not isinstance(waiting, float | int)
    assert waiting.total == pytest.approx(47, abs=0.1)
    buckets = dict(waiting.cumulative())
    assert (buckets["5.0"], buckets["10.0"], buckets["30.0"], buckets["60.0"], buckets["+Inf"]) == (0, 1, 1, 2, 2)
    running = by_name["contentq_task_running_seconds"]
    assert not isinstance(running, float | int)
    assert dict(running.cumulative())["5.0"] == 2
    assert dict(running.cumulative())["2.5"] == 0


def test_tokens_and_cost_are_counted_since_the_exporter_started(make_fleet: MakeFleet, queue: Queue) -> None:
    worker = queue.register()
    queue.store(worker, [queue.running(worker)], extras=[MODEL])
    fleet = make_fleet(by_account=True)
    before = values(fleet.read())
    assert before["contentq_cost_total{large}"] == 0

    queue.store(worker, [queue.running(worker), queue.running(worker)], extras=[MODEL, MODEL])

    for _ in range(2):
        found = values(fleet.read())
        assert found["contentq_cost_total{large}"] == pytest.approx(1.0)
        assert found["contentq_tokens_total{large,prompt}"] == 200
        assert found["contentq_tokens_total{large,completion}"] == 40
        assert found["contentq_charged_attempts_total{large}"] == 2
        assert found[f"contentq_account_cost_total{{{queue.account}}}"] == pytest.approx(1.0)


def test_workers_gates_reviews_and_failures_are_told(fleet: Fleet, queue: Queue) -> None:
    fill(queue)
    queue.silence(queue.register(slots=100))
    queue.close_gate("closed.example")

    found = values(fleet.read())

    assert (found["contentq_workers{working}"], found["contentq_workers{silent}"]) == (1, 1)
    assert found["contentq_busy_slots"] == 1
    assert found["contentq_oldest_heartbeat_age_seconds"] >= 60
    assert (found["contentq_gate_open{closed.example}"], found["contentq_gate_open{api.example}"]) == (0, 1)
    assert found["contentq_gate_pace{api.example}"] == 1
    assert found["contentq_reviews_pending"] == 1
    assert found["contentq_failed_attempts_total{ValueError}"] == 1
    assert 0 <= found["contentq_maintenance_age_seconds"] < 60


def test_accounts_that_are_blocked_and_budgets_are_told(fleet: Fleet, queue: Queue) -> None:
    queue.add_account(paused_until="infinity")
    queue.add_account(monthly_budget=0)
    queue.add_account(monthly_budget=5)

    found = values(fleet.read())

    assert (found["contentq_blocked_accounts{paused}"], found["contentq_blocked_accounts{over_budget}"]) == (1, 1)
    assert (found["contentq_budgets{ok}"], found["contentq_budgets{used_up}"]) == (1, 1)


def test_ids_that_are_nearly_used_up_are_told(fleet: Fleet, queue: Queue) -> None:
    queue.add(id=2_000_000_000)

    assert values(fleet.read())["contentq_ids_used_ratio{content_generation_tasks}"] == pytest.approx(
        0.931, abs=0.001
    )


def test_ids_below_zero_are_counted_by_themselves(fleet: Fleet, queue: Queue) -> None:
    queue.add(id=2_000_000_000)
    queue.run("ALTER TABLE content_generation_tasks ALTER COLUMN id SET MINVALUE -2147483648 RESTART -2147483648")
    queue.add()

    assert values(fleet.read())["contentq_ids_used_ratio{content_generation_tasks}"] < 0.001


@pytest.mark.slow
def test_part_that_cannot_be_read_in_time_leaves_the_others(
    make_fleet: MakeFleet, queue: Queue, connect_queue: Callable[[], Queue], caplog: pytest.LogCaptureFixture
) -> None:
    fleet = make_fleet(time_limit=1.0)
    other = connect_queue()
    with caplog.at_level("INFO", "contentq.metrics"):
        with other.connection.transaction():
            other.run("LOCK TABLE contentq.failure_counts IN ACCESS EXCLUSIVE MODE")
            for _ in range(2):
                found = values(fleet.read())
        again = values(fleet.read())

    assert found["contentq_up"] == 1
    assert found["contentq_look_failures_total{failures}"] == 2
    assert found["contentq_look_seconds"] < 3
    assert "contentq_workers{idle}" in found
    assert again["contentq_look_failures_total{failures}"] == 2
    said = [record.getMessage() for record in caplog.records if "part=failures" in record.getMessage()]
    assert [line.partition(" part")[0] for line in said] == ["not read", "read again"]


def test_database_that_does_not_answer_is_down_and_not_ready(make_fleet: MakeFleet) -> None:
    fleet = make_fleet("postgresql://nobody@127.0.0.1:1/nothing")

    found = values(fleet.read())

    assert found["contentq_up"] == 0
    assert found["contentq_look_failures_total{database}"] == 1
    assert "contentq_tasks{pending}" not in found
    assert (fleet.check() or "").startswith("cannot connect to the database")


def test_database_without_the_schema_is_down(make_fleet: MakeFleet, empty_dsn: str) -> None:
    fleet = make_fleet(empty_dsn)

    assert values(fleet.read())["contentq_up"] == 0
    assert "contentq migrate" in (fleet.check() or "")


def test_look_is_the_answer_for_a_moment(make_fleet: MakeFleet, queue: Queue) -> None:
    fleet = make_fleet(kept=60.0)
    before = fleet.read()
    queue.add()

    assert fleet.read() is before
