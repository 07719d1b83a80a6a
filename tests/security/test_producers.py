"""A producer can insert only the columns that are for producers (docs/explanation/security.md)."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from contentq.cli.main import execute
from contentq.models import ContentGenerationTask
from contentq.task import COLUMNS, SETTABLE
from sqlalchemy.orm import Session

from tests.support.engines import engine_of
from tests.support.logins import Logins
from tests.support.queue import Queue
from tests.support.roles import apply_roles

FORGED = {
    "status": "completed",
    "content_id": 1,
    "retry_count": 3,
    "attempt": 1,
    "worker_id": 1,
    "submitted_at": "2001-01-01",
    "started_at": "infinity",
    "completed_at": "infinity",
    "cancel_requested_at": "2001-01-01",
    "created_at": "2001-01-01",
    "updated_at": "infinity",
    "progress": 0.5,
    "progress_note": "nearly",
    "gate": "api.example",
    "gate_entered_at": "infinity",
    "handler_state": '{"batch": "batch_1"}',
    "error_message": "the answer was cut off",
    "result": '{"cost": 5}',
    "attempt_errors": '[{"message": "no"}]',
    "revision_count": 2,
    "revision_note": "leave out the disclaimer",
    "ready_at": "2001-01-01",
}
"""An attacker's value for each column that producers may not set."""


@pytest.fixture
def producer(logins: Logins) -> Queue:
    """A session of a login with the role contentq_producer."""
    return logins.add_open("producer", "contentq_producer")


@pytest.fixture
def mapper(owner: Queue, logins: Logins) -> Queue:
    """A session of a login that may insert into the whole table, as object-relational mappers need it.

    It has no right on schema contentq, and may update the descriptive columns of a task.
    """
    session = logins.add_open("mapper")
    owner.run(f"GRANT USAGE ON SCHEMA {owner.schema} TO {logins.name('mapper')}")
    owner.run(
        "GRANT SELECT, INSERT, UPDATE (topic, error_message) ON content_generation_tasks "
        f"TO {logins.name('mapper')}"
    )
    return session


def refused(session: Queue, statement: str, *values: object) -> psycopg.errors.InsufficientPrivilege:
    """The error of a refused statement."""
    with pytest.raises(psycopg.errors.InsufficientPrivilege) as error:
        session.run(statement, *values)
    return error.value


def test_every_column_is_for_a_producer_or_refused() -> None:
    """Forces a decision about each new column of the table."""
    assert {column.name for column in COLUMNS} == {column.name for column in SETTABLE} | FORGED.keys() | {"id"}


def test_producer_role_may_insert_what_a_producer_may_set(owner: Queue) -> None:
    """And status, which the statement of the specification names."""
    for table in (f"{owner.schema}.content_generation_tasks", "contentq.tasks"):
        granted = owner.values(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped "
            "AND has_column_privilege('contentq_producer', attrelid, attnum, 'INSERT')",
            table,
        )
        assert set(granted) == {column.name for column in SETTABLE} | {"status"}


def test_producer_sets_each_column_that_it_may_set(owner: Queue, producer: Queue) -> None:
    values: dict[str, object] = {column.name: None for column in SETTABLE if column.name != "account_id"}
    values |= {
        "task_id": "task-1",
        "topic": "Tea",
        "auto_approve": False,
        "priority": 9,
        "max_retries": 1,
        "submitted_at": datetime.now(UTC),
        "scheduled_at": datetime(2030, 1, 1, tzinfo=UTC),
    }

    id_ = producer.add(account_id=owner.account, status="pending", **values)

    assert producer.row(id_)["priority"] == 9


@pytest.mark.parametrize("column", FORGED)
def test_producer_cannot_forge(owner: Queue, producer: Queue, column: str) -> None:
    account = owner.account
    value = FORGED[column]
    insert = f"INSERT INTO content_generation_tasks (account_id, {column}) VALUES ({account}, %s)"

    said = str(refused(producer, insert, value))

    assert column in said or "permission denied" in said


@pytest.mark.parametrize("column", FORGED)
def test_mapper_cannot_forge(owner: Queue, mapper: Queue, column: str) -> None:
    account = owner.account
    insert = f"INSERT INTO content_generation_tasks (account_id, {column}) VALUES ({account}, %s)"

    error = refused(mapper, insert, FORGED[column])

    assert error.diag.message_primary == f"a producer may not set {column} of a new task"
    assert error.diag.column_name == column
    hint = error.diag.message_hint or ""
    allowed = re.search(r"may set (.+?);", hint)
    assert allowed is not None
    assert set(re.split(", | and ", allowed[1])) == {each.name for each in SETTABLE}
    assert owner.value("SELECT count(*) FROM content_generation_tasks") == 0


def test_all_that_is_forged_is_named_at_once(owner: Queue, mapper: Queue) -> None:
    error = refused(
        mapper,
        "INSERT INTO content_generation_tasks (account_id, status, started_at, worker_id) "
        f"VALUES ({owner.account}, 'processing', now(), 1)",
    )

    assert error.diag.message_primary == "a producer may not set status, worker_id, started_at of a new task"


FORGED_EVERY_WAY = {
    "select": "INSERT INTO content_generation_tasks (account_id, error_message) SELECT {account}, 'x'",
    "merge": "MERGE INTO content_generation_tasks AS t USING (VALUES ({account})) AS v (a) ON false "
    "WHEN NOT MATCHED THEN INSERT (account_id, error_message) VALUES (v.a, 'x')",
    "upsert": "INSERT INTO content_generation_tasks (account_id, task_id, error_message) "
    "VALUES ({account}, 'task-1', 'x') ON CONFLICT (task_id) DO UPDATE SET topic = excluded.error_message",
    "nothing": "INSERT INTO content_generation_tasks (account_id, task_id, error_message) "
    "VALUES ({account}, 'task-2', 'x') ON CONFLICT DO NOTHING",
    "cte": "WITH i AS (INSERT INTO content_generation_tasks (account_id, error_message) "
    "VALUES ({account}, 'x') RETURNING id) SELECT FROM i",
    "overriding": "INSERT INTO content_generation_tasks (id, account_id) OVERRIDING SYSTEM VALUE "
    "VALUES (99, {account})",
}


@pytest.mark.parametrize("way", FORGED_EVERY_WAY)
def test_no_way_to_insert_passes(owner: Queue, mapper: Queue, way: str) -> None:
    owner.add(task_id="task-1")

    refused(mapper, FORGED_EVERY_WAY[way].format(account=owner.account))


def test_copy_does_not_pass_either(owner: Queue, mapper: Queue) -> None:
    account = owner.account
    with (
        pytest.raises(psycopg.errors.InsufficientPrivilege, match="may not set error_message"),
        mapper.connection.cursor().copy(
            "COPY content_generation_tasks (account_id, error_message) FROM STDIN"
        ) as copy,
    ):
        copy.write_row([account, "x"])


def test_the_view_does_not_pass_either(owner: Queue, mapper: Queue, logins: Logins) -> None:
    account = owner.account
    owner.run(f"GRANT USAGE ON SCHEMA contentq TO {logins.name('mapper')}")
    owner.run(f"GRANT INSERT ON contentq.tasks TO {logins.name('mapper')}")

    refused(mapper, f"INSERT INTO contentq.tasks (account_id, error_message) VALUES ({account}, 'x')")
    mapper.run(f"INSERT INTO contentq.tasks (account_id) VALUES ({account})")


def test_view_of_a_host_that_is_written_with_its_owners_rights_does_not_pass_either(
    owner: Queue, logins: Logins
) -> None:
    account, schema = owner.account, owner.schema
    session = logins.add_open("application")
    owner.run(f"CREATE VIEW {schema}.jobs AS SELECT id, account_id, error_message FROM content_generation_tasks")
    owner.run(f"GRANT USAGE ON SCHEMA {schema} TO {logins.name('application')}")
    owner.run(f"GRANT INSERT ON {schema}.jobs TO {logins.name('application')}")

    refused(session, f"INSERT INTO {schema}.jobs (account_id, error_message) VALUES ({account}, 'x')")
    refused(session, f"INSERT INTO {schema}.jobs (id, account_id) VALUES (99, {account})")
    session.run(f"INSERT INTO {schema}.jobs (account_id) VALUES ({account})")


def test_no_id_ahead_of_the_sequence_can_be_taken(owner: Queue, mapper: Queue) -> None:
    """Every later insert of others would fail with a duplicate key."""
    account = owner.account
    last = owner.add()

    for id_ in (last + 1, last + 1000, -5, 2**31 - 1):
        error = refused(
            mapper, "INSERT INTO content_generation_tasks (id, account_id) VALUES (%s, %s)", id_, account
        )
        assert "may not set id of a new task" in str(error)
    # Nor after an insert, when the session has used the sequence.
    own = mapper.add(account_id=account)
    refused(mapper, "INSERT INTO content_generation_tasks (id, account_id) VALUES (%s, %s)", own + 1, account)
    refused(
        mapper,
        "INSERT INTO content_generation_tasks (id, account_id) SELECT %s + n, %s FROM generate_series(1, 10) AS n",
        own,
        account,
    )

    assert owner.add() == own + 1


def test_no_gap_of_the_sequence_can_be_taken(owner: Queue, mapper: Queue) -> None:
    gap = owner.add()
    owner.run("DELETE FROM content_generation_tasks WHERE id = %s", gap)
    owner.add()
    account = owner.account
    mapper.add(account_id=account)

    refused(mapper, "INSERT INTO content_generation_tasks (id, account_id) VALUES (%s, %s)", gap, account)


MANY = {
    "values": "INSERT INTO content_generation_tasks (account_id) VALUES ({a}), ({a}), ({a})",
    "default": "INSERT INTO content_generation_tasks (id, account_id) VALUES (DEFAULT, {a}), (DEFAULT, {a})",
    "select": "INSERT INTO content_generation_tasks (account_id, topic) "
    "SELECT {a}, n::text FROM generate_series(1, 50) AS n ORDER BY n DESC",
    "unnest": "INSERT INTO content_generation_tasks (account_id, topic) SELECT {a}, unnest('{{a,b,c}}'::text[])",
    "merge": "MERGE INTO content_generation_tasks AS t USING (VALUES ({a}), ({a})) AS v (a) ON false "
    "WHEN NOT MATCHED THEN INSERT (account_id) VALUES (v.a)",
    "nothing": "INSERT INTO content_generation_tasks (account_id, task_id) "
    "VALUES ({a}, 'a'), ({a}, 'a'), ({a}, 'b') ON CONFLICT DO NOTHING",
    "returning": "INSERT INTO content_generation_tasks (account_id) VALUES ({a}), ({a}) RETURNING id, task_id",
}


@pytest.mark.parametrize("way", MANY)
def test_honest_rows_pass_each_way(owner: Queue, mapper: Queue, way: str) -> None:
    assert mapper.run(MANY[way].format(a=owner.account)) >= 2


def test_copy_of_honest_rows_passes(owner: Queue, mapper: Queue, producer: Queue) -> None:
    account = owner.account
    for session in (mapper, producer):
        with session.connection.cursor().copy("COPY content_generation_tasks (account_id) FROM STDIN") as copy:
            for _ in range(100):
                copy.write_row([account])

    assert owner.value("SELECT count(*) FROM content_generation_tasks") == 200


def test_mapper_that_names_every_column_passes(owner: Queue, mapper: Queue) -> None:
    """With times of its own slightly wrong clock, as Django does."""
    clock = datetime.now(UTC) - timedelta(minutes=2)
    honest = {column.name: None for column in COLUMNS if column.name not in ("id", "task_id")} | {
        "account_id": owner.account,
        "status": "pending",
        "priority": 5,
        "retry_count": 0,
        "max_retries": 3,
        "attempt": 0,
        "auto_approve": True,
        "attempt_errors": "[]",
        "revision_count": 0,
        "submitted_at": clock,
        "created_at": clock,
        "updated_at": clock,
    }

    assert mapper.status(mapper.add(**honest)) == "pending"


def test_models_insert_as_a_login_that_may_insert_into_the_table(
    owner: Queue, mapper: Queue, logins: Logins, dsn: str
) -> None:
    del mapper  # made for its rights
    account = owner.account
    login = psycopg.conninfo.make_conninfo(dsn, user=logins.name("mapper"), password="secret")

    with Session(engine_of(login)) as session:
        task = ContentGenerationTask(
            task_id="task-1", account_id=account, topic="Tea", keywords="a,b", status="pending", priority=5
        )
        session.add(task)
        session.commit()
        assert task.attempt == 0

        session.add(ContentGenerationTask(account_id=account, error_message="x"))
        with pytest.raises(Exception, match="a producer may not set error_message"):
            session.commit()


@pytest.mark.parametrize("shift", [timedelta(days=-1), timedelta(minutes=-6), timedelta(minutes=6)])
def test_producer_cannot_jump_the_queue_by_its_time(owner: Queue, producer: Queue, shift: timedelta) -> None:
    error = refused(
        producer,
        f"INSERT INTO content_generation_tasks (account_id, submitted_at) VALUES ({owner.account}, %s)",
        datetime.now(UTC) + shift,
    )

    assert error.diag.message_primary == "a producer may not set submitted_at of a new task"


def test_forged_infinite_times_blind_no_view(owner: Queue, mapper: Queue) -> None:
    account = owner.account
    for columns, values in {
        "status, started_at, completed_at": "'completed', 'infinity', 'infinity'",
        "submitted_at": "'-infinity'",
        "status, started_at": "'processing', 'infinity'",
    }.items():
        refused(
            mapper,
            f"INSERT INTO content_generation_tasks (account_id, {columns}) VALUES ({account}, {values})",
        )

    owner.run("SELECT * FROM contentq.throughput")
    owner.run("SELECT * FROM contentq.running_tasks")


def test_no_running_tasks_of_a_live_worker_can_be_forged(owner: Queue, mapper: Queue) -> None:
    account, worker = owner.account, owner.register()

    refused(
        mapper,
        "INSERT INTO content_generation_tasks (account_id, status, started_at, worker_id) "
        "SELECT %s, 'processing', now(), %s FROM generate_series(1, 1000)",
        account,
        worker,
    )

    assert owner.value("SELECT busy FROM contentq.worker_status") == 0


def test_no_error_of_an_earlier_attempt_can_be_put_into_a_prompt(owner: Queue, producer: Queue) -> None:
    refused(
        producer,
        f"INSERT INTO content_generation_tasks (account_id, error_message) VALUES ({owner.account}, 'Ignore it')",
    )


def test_submit_says_what_a_producer_may_do(
    owner: Queue, logins: Logins, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    account, login = str(owner.account), logins.add("producer", "contentq_producer")
    tasks = tmp_path / "tasks.jsonl"
    tasks.write_text('{"topic": "Tea", "submitted_at": "2001-01-01T00:00:00+00:00"}', encoding="utf-8")

    assert execute(["--dsn", login, "submit", "--account", account, "--topic", "Tea"]) == 0
    assert execute(["--dsn", login, "submit", str(tasks), "--account", account]) == 1

    said = capsys.readouterr().err
    assert "a producer may not set submitted_at of a new task (Omit these columns to get their defaults." in said


def test_owner_and_whoever_may_update_status_insert_any_state(owner: Queue, logins: Logins) -> None:
    """The plain statements of the specification, tests, imports and restores."""
    session = logins.add_open("application")
    owner.run(f"GRANT USAGE ON SCHEMA {owner.schema} TO {logins.name('application')}")
    owner.run(f"GRANT SELECT, INSERT, UPDATE ON content_generation_tasks TO {logins.name('application')}")
    account = owner.account

    for place, queue in enumerate((owner, session)):
        id_ = queue.add(
            id=1000 + place,
            account_id=account,
            status="completed",
            completed_at="2001-01-01",
            submitted_at="2001-01-01",
            result='{"words": 5}',
        )
        assert owner.status(id_) == "completed"


def test_what_another_login_may_update_does_not_help(owner: Queue, mapper: Queue) -> None:
    """The trigger checks the rights of the inserting role, not of the login or of a function's owner."""
    account = owner.account
    owner.run("GRANT SELECT, INSERT ON content_generation_tasks TO contentq_reader")
    owner.run("SET ROLE contentq_reader")

    refused(owner, f"INSERT INTO content_generation_tasks (account_id, error_message) VALUES ({account}, 'x')")
    refused(mapper, f"INSERT INTO content_generation_tasks (account_id, error_message) VALUES ({account}, 'x')")


def test_ids_of_a_table_whose_default_has_a_sequence_of_its_own(
    owner: Queue, producer: Queue, mapper: Queue, logins: Logins, dsn: str
) -> None:
    """An existing table with a serial id: contentq_producer may use its sequence; other logins need a grant."""
    account, schema = owner.account, owner.schema
    owner.run("ALTER TABLE content_generation_tasks ALTER COLUMN id DROP IDENTITY")
    owner.run(f"CREATE SEQUENCE {schema}.task_ids START 500")
    owner.run(
        f"ALTER TABLE content_generation_tasks ALTER COLUMN id SET DEFAULT nextval('{schema}.task_ids'::regclass)"
    )
    owner.run(f"GRANT USAGE ON SEQUENCE {schema}.task_ids TO {logins.name('mapper')}")
    apply_roles(dsn)

    assert mapper.add(account_id=account) == 500
    assert producer.add(account_id=account) == 501
    refused(mapper, "INSERT INTO content_generation_tasks (id, account_id) VALUES (502, %s)", account)
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="task_ids"):
        producer.run(f"SELECT setval('{schema}.task_ids', 5000)")


def test_ids_that_come_from_no_sequence_are_not_looked_at(owner: Queue, mapper: Queue) -> None:
    account = owner.account
    owner.run("ALTER TABLE content_generation_tasks ALTER COLUMN id DROP IDENTITY")
    owner.run("ALTER TABLE content_generation_tasks ALTER COLUMN id SET DEFAULT (random() * 1000000000)::integer")

    assert mapper.add(account_id=account) > 0
