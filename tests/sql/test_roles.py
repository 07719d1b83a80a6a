"""sql/roles.sql: each role can do its own work and not that of others."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import psycopg
import pytest
from contentq.database.locations import SQL
from psycopg.conninfo import make_conninfo

from tests.sql.batches import answer, asked, open_batch
from tests.support.logins import made_logins
from tests.support.programs import client
from tests.support.queue import Held, Queue
from tests.support.roles import applied_roles, apply_roles
from tests.support.servers import Server

ROLES = ["contentq_producer", "contentq_worker", "contentq_operator", "contentq_reader", "contentq_reviewer"]
DEFINER = "contentq_definer"

PRIVILEGES = """
    SELECT c.oid::regclass::text || '.' || coalesce(a.attname, '*'), coalesce(a.attacl, c.relacl)::text
    FROM pg_class AS c LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attacl IS NOT NULL
    WHERE c.relnamespace::regnamespace::text IN ('contentq', 'public', 'content_queue') ORDER BY 1"""


@pytest.fixture
def administrator(queue: Queue, server: Server, dsn: str) -> Iterator[Queue]:
    """The roles in the test's database, and a superuser who can act as them."""
    with applied_roles(queue, server, dsn):
        yield queue


def test_producer_submits_and_reads_results(administrator: Queue) -> None:
    account = administrator.account
    administrator.run("SET ROLE contentq_producer")

    task = administrator.add(account_id=account, topic="Tea")

    assert administrator.row(task)["result"] is None
    assert administrator.values("SELECT name FROM accounts") == ["Ada"]
    assert administrator.values("SELECT body FROM contents") == []


def test_worker_does_everything_that_a_worker_does(administrator: Queue, dsn: str) -> None:
    stored, completed, failed, snoozed, released, swept, dying = (administrator.add() for _ in range(7))
    administrator.run("UPDATE accounts SET monthly_budget = 2.5")
    # A hundred attempts are known to have cost nothing, so all may start.
    administrator.run(
        "INSERT INTO contentq.usage (account_id, day, model, attempts, prompt_tokens, completion_tokens, cost) "
        "VALUES (1, clock_timestamp() AT TIME ZONE 'UTC', 'm', 100, 1, 1, 0)"
    )
    administrator.set(completed, scheduled_at="2001-01-01")
    administrator.add(status="completed", completed_at="2001-01-01")
    with made_logins(administrator, dsn) as logins:
        queue = logins.add_open("worker", "contentq_worker")
        worker = queue.register(gate="api.example")
        held = {row["id"]: Held(worker, row["id"], row["attempt"]) for row in queue.claim(worker, 6)}
        assert queue.claim(queue.register()) != []
        assert queue.heartbeat(worker, 6) == []
        queue.progress(worker, [held[stored]], [0.5], ["half"])
        assert queue.store(worker, [held[stored]], extras=['{"cost": 1}']) == [stored]
        assert queue.complete(worker, [held[completed]], ['{"cost": 1}']) == [completed]
        queue.record_usage(worker, {held[failed]: '{"cost": 1}'})
        assert queue.fail(held[failed]) == "pending"
        assert queue.snooze(held[snoozed])
        assert queue.values("SELECT contentq.locked_tasks(%s, %s)", worker, [released]) == []
        assert queue.release(worker, [held[released]]) == [released]
        assert queue.next_claim_in(worker) is not None
        assert queue.heartbeat_with(worker, [held[swept]], queue.now()) == []
        administrator.run("UPDATE contentq.workers SET heartbeat_at = '2001-01-01' WHERE id <> %s", worker)
        administrator.run(
            "UPDATE contentq.maintenance SET watched_since = '2001-01-01', ran_at = clock_timestamp()"
        )
        queue.value("SELECT contentq.maintain()")
        queue.close_gate("api.example", reason="429")
        assert queue.claim(worker) == []
        queue.run("SELECT contentq.drain_worker(%s)", worker)
        assert queue.values("SELECT contentq.deregister_worker(%s)", worker) == [swept]

    assert administrator.status(dying) == "pending"
    assert administrator.values("SELECT review_status FROM contents") == ["approved"]
    assert administrator.value("SELECT count(*) FROM content_generation_tasks") == 7
    assert administrator.value("SELECT sum(cost) FROM contentq.usage") == 3
    assert administrator.blocked_accounts() == [administrator.account]


def test_worker_asks_for_revisions_and_finds_the_draft(administrator: Queue, dsn: str) -> None:
    task = administrator.add()
    with made_logins(administrator, dsn) as logins:
        queue = logins.add_open("worker", "contentq_worker")
        worker = queue.register()
        (row,) = queue.claim(worker)
        assert queue.revise(Held(worker, task, row["attempt"]), extra='{"cost": 1}', max_revisions=1) == "pending"
        (row,) = queue.claim(worker)
        draft = queue.value("SELECT contentq.earlier_content(%s, %s)", row["content_id"], row["account_id"])
        assert draft[2:] == ["two words", 2, "rejected"]
        with pytest.raises(psycopg.errors.FeatureNotSupported):  # and not with its rights
            queue.value("SELECT contentq.most_alike(%s, 'text')", task)
        assert (
            queue.revise(Held(worker, task, row["attempt"]), max_revisions=1, keep_for_review=True) == "completed"
        )

    assert administrator.values("SELECT review_status FROM contents ORDER BY id") == ["rejected", "pending"]


def test_operator_does_everything_that_an_operator_does(administrator: Queue) -> None:
    queue = administrator
    waiting, overdue = queue.add(), queue.add(timeout_at="2001-01-01")
    orphan = queue.add(status="processing", started_at="2001-01-01", worker_id=99)
    queue.add(status="completed", completed_at="2001-01-01")
    queue.silence(queue.register())
    queue.run("SET ROLE contentq_operator")

    assert queue.cancel(waiting) == "failed"
    assert queue.requeue(waiting) == "pending"
    assert queue.sweep() == 1
    assert queue.rescue() == 1
    assert queue.value("SELECT contentq.cleanup()") == 1
    queue.value("SELECT contentq.maintain()")
    queue.run("UPDATE contentq.settings SET retention = NULL")
    queue.set(waiting, priority=10)
    queue.close_gate("api.example", "infinity")
    assert queue.open_gate("api.example")
    queue.run("UPDATE accounts SET paused_until = 'infinity', monthly_budget = 5")
    assert queue.blocked_accounts() == [queue.account]
    queue.run("UPDATE accounts SET paused_until = NULL")
    assert queue.blocked_accounts() == []

    assert [queue.status(id_) for id_ in (waiting, overdue, orphan)] == ["pending", "timeout", "pending"]
    assert queue.values("SELECT id FROM contentq.workers") == []


@pytest.mark.parametrize("role", ["contentq_operator", "contentq_reader"])
def test_operator_and_reader_read_everything(administrator: Queue, role: str) -> None:
    relations = administrator.values(
        "SELECT oid::regclass::text FROM pg_class WHERE relkind IN ('r', 'v') "
        "AND relnamespace::regnamespace::text IN ('contentq', 'public', 'content_queue')"
    )
    administrator.run(f"SET ROLE {role}")

    for relation in relations:
        administrator.run(f"SELECT * FROM {relation} LIMIT 0")


INSERT_TASK = "INSERT INTO content_generation_tasks (account_id) VALUES (1)"
CHANGE_TOPIC = "UPDATE content_generation_tasks SET topic = 'Coffee'"
CHANGE_PRIORITY = "UPDATE content_generation_tasks SET priority = 10"
CHANGE_ACCOUNT = "UPDATE content_generation_tasks SET account_id = 2"
NEED_NO_REVIEW = "UPDATE content_generation_tasks SET auto_approve = true"
CHANGE_STATUS = "UPDATE content_generation_tasks SET status = 'failed'"
DELETE_TASKS = "DELETE FROM content_generation_tasks"
CLOSE_GATE = "SELECT contentq.close_gate('api.example', 'infinity')"
OPEN_GATE = "SELECT contentq.open_gate('api.example')"
PAUSE_ACCOUNT = "UPDATE accounts SET paused_until = 'infinity'"
CHANGE_BUDGET = "UPDATE accounts SET monthly_budget = 5"
RENAME_ACCOUNT = "UPDATE accounts SET name = 'Eve'"
CHARGE = "SELECT contentq.record_usage(1, ARRAY[1], ARRAY[1], ARRAY['{\"cost\": 1}'])"
ADD_USAGE = "SELECT contentq.add_usage(ARRAY[1], ARRAY['{\"cost\": 1}'])"
REDUCE_USAGE = "DELETE FROM contentq.usage"
PROGRESS = "SELECT contentq.report_progress(1, ARRAY[1], ARRAY[1], ARRAY[0.5]::real[])"
EXPLAIN = "SELECT contentq.explain('task-1')"
INSERT_ACCOUNT = "INSERT INTO accounts (name) VALUES ('Eve')"
INSERT_CONTENT = "INSERT INTO contents (account_id, title, body) VALUES (1, 'T', 'B')"
APPROVE = "UPDATE contents SET review_status = 'approved'"
CHANGE_CONTENT = "UPDATE contents SET body = 'Coffee'"
DELETE_CONTENTS = "DELETE FROM contents"
REGISTER = "SELECT contentq.register_worker('host', 1, 1, 'template')"
CLAIM = "SELECT contentq.claim(id, 1) FROM contentq.workers"
CANCEL = "SELECT contentq.cancel('task-1')"
REQUEUE = "SELECT contentq.requeue('task-1')"
SWEEP = "SELECT contentq.sweep_timeouts()"
RESCUE = "SELECT contentq.rescue_dead_workers()"
CLEANUP = "SELECT contentq.cleanup()"
MAINTAIN = "SELECT contentq.maintain()"
CHANGE_SETTINGS = "UPDATE contentq.settings SET retention = NULL"
READ_ACCOUNTS = "SELECT * FROM accounts"
PROMOTE = "SELECT contentq.promote_scheduled()"
READ_WORKERS = "SELECT * FROM contentq.workers"
READ_OVERVIEW = "SELECT * FROM contentq.queue_overview"
TRUNCATE = "TRUNCATE content_generation_tasks"
DROP = "DROP TABLE content_generation_tasks"
CREATE = "CREATE TABLE contentq.mine ()"
REPLACE = "CREATE OR REPLACE FUNCTION contentq.touch_updated_at() RETURNS trigger LANGUAGE sql AS 'SELECT 1'"

FOR_NO_ONE = [
    INSERT_ACCOUNT,
    RENAME_ACCOUNT,
    REDUCE_USAGE,
    ADD_USAGE,
    CHANGE_ACCOUNT,
    NEED_NO_REVIEW,
    INSERT_CONTENT,
    APPROVE,
    CHANGE_CONTENT,
    DELETE_CONTENTS,
    TRUNCATE,
    DROP,
    CREATE,
    REPLACE,
]
FOR_OPERATORS = [
    CHANGE_TOPIC,
    CHANGE_PRIORITY,
    CHANGE_STATUS,
    CHANGE_SETTINGS,
    PAUSE_ACCOUNT,
    CHANGE_BUDGET,
    OPEN_GATE,
    CANCEL,
    REQUEUE,
    SWEEP,
    RESCUE,
    PROMOTE,
    CLEANUP,
    DELETE_TASKS,
]
FOR_WORKERS = [REGISTER, CLAIM, CHARGE, PROGRESS]
FOR_BOTH = [CLOSE_GATE, MAINTAIN]

FORBIDDEN = {
    "contentq_producer": [*FOR_OPERATORS, *FOR_WORKERS, *FOR_BOTH, READ_WORKERS, READ_OVERVIEW, EXPLAIN],
    "contentq_worker": [INSERT_TASK, *FOR_OPERATORS, READ_OVERVIEW, READ_ACCOUNTS, EXPLAIN],
    "contentq_operator": [INSERT_TASK, *FOR_WORKERS],
    "contentq_reader": [INSERT_TASK, *FOR_OPERATORS, *FOR_WORKERS, *FOR_BOTH],
    "contentq_reviewer": [INSERT_TASK, *FOR_OPERATORS, *FOR_WORKERS, *FOR_BOTH, READ_WORKERS, EXPLAIN],
}


@pytest.mark.parametrize("role", ROLES)
def test_role_cannot_do_what_is_not_its_work(administrator: Queue, role: str) -> None:
    queue = administrator
    queue.add(task_id="task-1")
    queue.register()
    queue.run(f"SET ROLE {role}")

    allowed = []
    for statement in [*FORBIDDEN[role], *FOR_NO_ONE]:
        try:
            queue.run(statement)
        except psycopg.errors.InsufficientPrivilege:
            continue
        allowed.append(statement)

    assert allowed == []


def test_applying_the_roles_again_changes_nothing(administrator: Queue, dsn: str) -> None:
    before = administrator.rows(PRIVILEGES)

    apply_roles(dsn)

    assert administrator.rows(PRIVILEGES) == before


def test_applying_the_roles_again_takes_away_what_is_not_in_them(administrator: Queue, dsn: str) -> None:
    before = administrator.rows(PRIVILEGES)
    administrator.run("GRANT DELETE, UPDATE (topic) ON content_generation_tasks TO contentq_producer")
    administrator.run("GRANT ALL ON ALL TABLES IN SCHEMA contentq TO contentq_reader")
    assert administrator.rows(PRIVILEGES) != before

    apply_roles(dsn)

    assert administrator.rows(PRIVILEGES) == before


def test_roles_cannot_log_in(administrator: Queue) -> None:
    query = "SELECT rolname FROM pg_roles WHERE rolname = ANY (%s) AND (rolcanlogin OR rolsuper OR rolbypassrls)"
    assert administrator.values(query, [*ROLES, DEFINER]) == []


def test_functions_that_change_something_belong_to_the_role_for_that_and_it_owns_nothing_else(
    administrator: Queue,
) -> None:
    """It owns exactly the functions that run with its rights, and PUBLIC may execute no function."""
    functions = "SELECT oid FROM pg_proc WHERE pronamespace = 'contentq'::regnamespace"
    owned = administrator.values(
        "SELECT objid FROM pg_shdepend WHERE refobjid = %s::regrole AND deptype = 'o' "
        "AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())",
        DEFINER,
    )

    assert sorted(owned) == sorted(administrator.values(f"{functions} AND prosecdef")) != []
    assert administrator.values(f"{functions} AND has_function_privilege('public', oid, 'EXECUTE')") == []
    assert not administrator.value("SELECT has_schema_privilege(%s, 'contentq', 'CREATE')", DEFINER)


@pytest.mark.parametrize("role", ["contentq_operator", "contentq_reader"])
def test_operator_and_reader_are_told_why_a_task_waits(administrator: Queue, role: str) -> None:
    task = administrator.add(account_id=administrator.add_account(paused_until="infinity", monthly_budget=0))
    late = administrator.add()
    administrator.close_gate("*", "infinity")
    administrator.run(f"SET ROLE {role}")

    paused, over_budget, no_worker, gate = administrator.explain(task)

    assert "is paused" in paused
    assert "the budget of account" in over_budget
    assert no_worker.startswith("there is no live worker")
    assert gate.startswith("every worker waits: gate *: closed")
    administrator.run("RESET ROLE")
    administrator.open_gate("*")
    for order in ("strict", "fair"):
        administrator.run(
            "UPDATE contentq.settings SET claim_order = %s, aging = '1 hour', deadlines = true", order
        )
        administrator.register(gate="g")
        administrator.run(f"SET ROLE {role}")
        assert administrator.explain(late)[0].startswith("ready")
        assert administrator.value("SELECT count(*) FROM contentq.worker_status WHERE waits_for IS NULL") > 0
        administrator.run("RESET ROLE")


@pytest.mark.parametrize("role", ["contentq_operator", "contentq_reader"])
def test_operator_and_reader_are_told_of_a_task_whose_answer_has_come(administrator: Queue, role: str) -> None:
    worker = administrator.register()
    [task] = asked(administrator, worker)
    answer(administrator, worker, open_batch(administrator, worker), [task])

    administrator.run(f"SET ROLE {role}")

    assert administrator.explain(task.id) == [f"ready: worker {worker} will claim it next"]


@pytest.mark.in_public  # where every role may read
def test_producer_needs_no_right_on_the_machinery(administrator: Queue) -> None:
    account = administrator.account
    name = administrator.value("SELECT 'contentq_test_' || current_database()")
    administrator.run(f'CREATE ROLE "{name}"')
    try:
        administrator.run(f'GRANT INSERT ON content_generation_tasks TO "{name}"')
        administrator.run(f'SET ROLE "{name}"')
        administrator.run("INSERT INTO content_generation_tasks (account_id) VALUES (%s)", account)
    finally:
        administrator.run("RESET ROLE")
        administrator.run(f'DROP OWNED BY "{name}"')
        administrator.run(f'DROP ROLE "{name}"')

    assert administrator.value("SELECT count(*) FROM content_generation_tasks") == 1


def test_owner_who_may_not_create_roles_is_told_so_in_one_sentence(queue: Queue, server: Server, dsn: str) -> None:
    name = f"{queue.connection.info.dbname}_owner"
    with server.databases.alone():
        if queue.values("SELECT FROM pg_roles WHERE rolname = 'contentq_worker'"):
            pytest.skip("the server has the roles already")
        queue.run(f"CREATE ROLE {name} LOGIN PASSWORD 'owner'")
        try:
            queue.run(f"GRANT USAGE ON SCHEMA contentq TO {name}")
            command = [str(client("psql")), "-X", "-q", "-d", make_conninfo(dsn, user=name, password="owner")]
            done = subprocess.run(
                [*command, "-f", str(SQL / "roles.sql")], capture_output=True, text=True, check=False
            )
        finally:
            queue.run(f"DROP OWNED BY {name}")
            queue.run(f"DROP ROLE {name}")

    assert done.returncode == 3
    (line,) = done.stderr.splitlines()
    assert line.partition("ERROR:  ")[2] == (
        f"{name} may not create roles: let a superuser run this file, or create contentq_definer, "
        "contentq_operator, contentq_producer, contentq_reader, contentq_reviewer, contentq_worker first"
    )
