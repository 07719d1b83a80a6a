"""What the logins of a worker, an operator and a stranger can and cannot do, with real logins instead of SET ROLE.

docs/explanation/security.md names these tests.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import psycopg
import pytest
from contentq.database.connect import connect as open_connection
from contentq.database.definitions import DEFAULT_SCHEMA
from contentq.database.grants import ROLES, apply_roles
from contentq.database.migrations import Migrated, migrate
from contentq.database.revisions import head_revision
from contentq.errors import ContentQueueError, RateLimited
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests.engine.conftest import RunningWorker
from tests.support.databases import Connection
from tests.support.forked import CONTENTQ
from tests.support.logins import Logins, made_logins
from tests.support.queue import Held, Queue, Row
from tests.support.roles import applied_roles
from tests.support.servers import Server, Servers, servers_of
from tests.support.waiting import eventually

HEAD = head_revision()
ANOTHER_LOGIN = "CQ003"
USAGE = '{"model": "small", "cost": 1}'

WITH_WORKER_ID = """
    SELECT p.proname, array_to_string(ARRAY(
               SELECT 'NULL::' || format_type(a.type, NULL)
               FROM unnest(p.proargtypes::oid[]) WITH ORDINALITY AS a (type, place)
               WHERE a.place BETWEEN 2 AND p.pronargs - p.pronargdefaults
               ORDER BY a.place), ', ') AS others
    FROM pg_proc AS p
    WHERE p.pronamespace = 'contentq'::regnamespace
      AND p.proargnames[1] = 'worker_id'
      AND has_function_privilege('contentq_worker', p.oid, 'EXECUTE')
    ORDER BY p.proname"""

RELATIONS = """
    SELECT c.oid::regclass::text
    FROM pg_class AS c
    WHERE c.relkind IN ('r', 'p', 'v')
      AND c.relnamespace::regnamespace::text IN ('contentq', 'public', 'content_queue')"""

OWNER_OF_CLAIM = "SELECT proowner::regrole::text FROM pg_proc WHERE proname = 'claim'"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "server" in metafunc.fixturenames:
        names = [server.name for server in servers_of(metafunc.config).all if server.schema == DEFAULT_SCHEMA]
        metafunc.parametrize("server", names, indirect=True, scope="session")


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest, servers: Servers) -> Server:
    return next(server for server in servers.all if server.name == request.param)


@pytest.fixture
def administrator(database: Connection, server: Server, dsn: str) -> Iterator[Queue]:
    """A superuser in a database with the roles applied."""
    queue = Queue(database)
    with applied_roles(queue, server, dsn):
        yield queue


@pytest.fixture
def logins(administrator: Queue, dsn: str) -> Iterator[Logins]:
    with made_logins(administrator, dsn) as made:
        yield made


@pytest.fixture
def worker(logins: Logins) -> Queue:
    """A session of a login with only the role of a worker."""
    return logins.add_open("worker", "contentq_worker")


@pytest.fixture
def operator(logins: Logins) -> Queue:
    return logins.add_open("operator", "contentq_operator")


@dataclass(frozen=True)
class Fleet:
    """Two logins of workers, each with a registered worker, and a task that the second one holds."""

    own: Queue
    own_id: int
    other: Queue
    held: Held


@pytest.fixture
def fleet(administrator: Queue, worker: Queue, logins: Logins) -> Fleet:
    other = logins.add_open("other", "contentq_worker")
    id_ = administrator.add()
    other_id = other.register(gate="other.example")
    (row,) = other.claim(other_id)
    return Fleet(worker, worker.register(gate="own.example"), other, Held(other_id, id_, row["attempt"]))


def held_by(session: Queue, administrator: Queue, worker: int, **columns: object) -> Held:
    """A new task, claimed by this worker in this session."""
    id_ = administrator.add(**columns)
    (row,) = [row for row in session.claim(worker, 100) if row["id"] == id_]
    return Held(worker, id_, row["attempt"])


def test_worker_program_works_off_the_queue_with_no_right_but_its_role(
    administrator: Queue, logins: Logins
) -> None:
    tasks = [administrator.add(topic="Tea"), administrator.add(topic="Coffee", auto_approve=False)]
    own = logins.add("own", "contentq_worker")
    done = CONTENTQ.run("--dsn", own, "worker", "--until-empty")

    assert done.returncode == 0, done.stderr
    assert "ERROR" not in done.stderr
    assert "denied" not in done.stderr
    assert [administrator.status(id_) for id_ in tasks] == ["completed", "completed"]
    assert administrator.values("SELECT review_status FROM contents ORDER BY id") == ["approved", "pending"]


@pytest.mark.parametrize("role", ["contentq_producer", "contentq_operator", "contentq_reader"])
def test_worker_program_that_may_not_be_a_worker_says_so_and_ends(logins: Logins, role: str) -> None:
    own = logins.add("own", role)
    done = CONTENTQ.run("worker", "--until-empty", env=os.environ | {"DATABASE_URL": own})

    user = conninfo_to_dict(own)["user"]
    assert done.returncode == 1
    assert done.stderr == (
        f"Error: user {user} may not act as a worker (permission denied for function register_worker); "
        "connect as another user, or have the owner of the database run: contentq roles apply, and "
        f"GRANT contentq_worker TO {user}\n"
    )


def test_worker_can_write_to_no_table(administrator: Queue, worker: Queue) -> None:
    writable = [
        f"{relation} {right}"
        for relation in administrator.values(RELATIONS)
        for right in ("INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")
        if worker.value("SELECT has_table_privilege(%s, %s)", relation, right)
        or (
            right in ("INSERT", "UPDATE", "REFERENCES")
            and worker.value("SELECT has_any_column_privilege(%s, %s)", relation, right)
        )
    ]

    assert writable == []


def test_worker_acts_only_for_ids_that_its_login_has_registered(administrator: Queue, fleet: Fleet) -> None:
    functions = administrator.rows(WITH_WORKER_ID)
    assert len(functions) >= 12
    before = [administrator.row(fleet.held.id), administrator.rows("SELECT * FROM contentq.workers ORDER BY id")]

    allowed = []
    for function in functions:
        others = f", {function['others']}" if function["others"] else ""
        try:
            fleet.own.run(f"SELECT contentq.{function['proname']}({fleet.held.worker}{others})")
        except psycopg.Error as refused:
            if refused.sqlstate == ANOTHER_LOGIN and "is registered by another login" in str(refused):
                continue
        allowed.append(function["proname"])

    assert allowed == []
    after = [administrator.row(fleet.held.id), administrator.rows("SELECT * FROM contentq.workers ORDER BY id")]
    assert after == before


def reports(session: Queue, worker: int, id_: int, attempt: int) -> None:
    """Every report about this task by this worker."""
    task = Held(worker, id_, attempt)
    assert session.complete(worker, [task]) == []
    assert session.store(worker, [task]) == []
    assert session.fail(task) is None
    assert not session.snooze(task)
    assert session.release(worker, [task]) == []
    assert session.values("SELECT contentq.locked_tasks(%s, %s)", worker, [id_]) == []
    session.progress(worker, [task], [0.5], ["half"])
    session.record_usage(worker, {task: USAGE})
    session.heartbeat_with(worker, [task], session.now())


@pytest.mark.parametrize("state", ["another's", "pending", "ended", "stale", "by hand"])
def test_worker_touches_no_task_that_it_does_not_hold(administrator: Queue, fleet: Fleet, state: str) -> None:
    task = fleet.held
    if state == "pending":
        fleet.other.release(task.worker, [task])
    elif state == "ended":
        fleet.other.complete(task.worker, [task])
    elif state == "stale":
        fleet.other.release(task.worker, [task])
        (row,) = fleet.own.claim(fleet.own_id)
        assert row["id"] == task.id
    elif state == "by hand":
        administrator.set(task.id, status="failed")
        administrator.set(task.id, status="processing", worker_id=None)
    before = administrator.row(task.id)

    if state == "stale":
        fleet.own.fail(Held(fleet.own_id, task.id, task.attempt))
        fleet.own.record_usage(fleet.own_id, {task: USAGE})
    else:
        reports(fleet.own, fleet.own_id, task.id, task.attempt)

    assert administrator.row(task.id) == before
    assert administrator.usage() == []
    assert administrator.value("SELECT count(*) FROM contents") == 0


def test_task_of_a_worker_that_is_gone_is_nobodys_to_report(administrator: Queue, fleet: Fleet) -> None:
    """Housekeeping releases it; until then its id is in the row for all to read."""
    administrator.run("DELETE FROM contentq.workers WHERE id = %s", fleet.held.worker)
    before = administrator.row(fleet.held.id)

    assert fleet.own.complete(fleet.held.worker, [fleet.held]) == []
    assert fleet.own.store(fleet.held.worker, [fleet.held]) == []

    assert administrator.row(fleet.held.id) == before


def test_worker_cannot_name_the_tasks_that_it_claims(administrator: Queue, worker: Queue) -> None:
    """It would run tasks that are paused, over budget, behind a gate, or not due."""
    paused = administrator.add(account_id=administrator.add_account(paused_until="infinity"))
    own_id = worker.register()

    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="may not claim tasks by id"):
        worker.claim_named(own_id, [paused])

    assert administrator.status(paused) == "pending"


@pytest.mark.parametrize("key", ["own.example", "*"])
def test_worker_can_neither_open_nor_shorten_a_gate_that_an_operator_has_closed(
    administrator: Queue, fleet: Fleet, operator: Queue, key: str
) -> None:
    operator.close_gate(key, "infinity", "Sunday")
    gates = "SELECT xmin::text, key, opens_at::text, reason, closed_by FROM contentq.gates"
    before = administrator.rows(gates)

    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        fleet.own.open_gate(key)
    if key == "own.example":
        fleet.own.close_gate(key, "1 second", "429")

    assert administrator.rows(gates) == before
    assert fleet.own.claim(fleet.own_id) == []


@pytest.mark.parametrize("key", ["*", "other.example", "unheard.example"])
def test_worker_closes_no_gate_but_those_of_its_own_workers(administrator: Queue, fleet: Fleet, key: str) -> None:
    fleet.own.register(gate="*")

    with pytest.raises(psycopg.Error, match="may close only gates of its own workers") as refused:
        fleet.own.close_gate(key)

    assert refused.value.sqlstate == ANOTHER_LOGIN
    assert administrator.values("SELECT key FROM contentq.gates") == []


def test_worker_closes_its_gate_for_an_hour_at_most(administrator: Queue, fleet: Fleet) -> None:
    fleet.own.close_gate("own.example", "infinity", "429", half_open=True)

    (gate,) = administrator.rows(
        "SELECT opens_at - clock_timestamp() AS closed_for, reason, half_open, closed_by FROM contentq.gates"
    )
    assert 3590 < gate["closed_for"].total_seconds() <= 3600
    assert (gate["reason"], gate["half_open"]) == ("429", True)
    assert gate["closed_by"].startswith(fleet.own.value("SELECT session_user::text"))


def test_worker_cannot_approve_what_must_be_reviewed(administrator: Queue, worker: Queue) -> None:
    own_id = worker.register()
    reviewed = held_by(worker, administrator, own_id, auto_approve=False)
    assert worker.store(own_id, [reviewed], extras=['{"review_status": "approved", "auto_approve": true}'])
    waiting = administrator.row(reviewed.id)["content_id"]
    unreviewed = held_by(worker, administrator, own_id)

    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        worker.complete(own_id, [unreviewed], content_ids=[waiting])
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        worker.run("UPDATE contents SET review_status = 'approved'")
    assert administrator.values("SELECT review_status FROM contents") == ["pending"]


def test_login_that_may_insert_contents_and_not_approve_them_approves_none(
    administrator: Queue, logins: Logins
) -> None:
    """A worker of a host that stores its contents itself."""
    session = logins.add_open("host", "contentq_worker")
    administrator.run(f"GRANT INSERT ON contents TO {session.value('SELECT session_user::text')}")
    own_id = session.register()
    task = held_by(session, administrator, own_id)
    insert = "INSERT INTO contents (account_id, title, body) VALUES (%s, 'T', 'B') RETURNING id"
    made = session.value(insert, administrator.account)

    assert session.complete(own_id, [task], content_ids=[made]) == [task.id]

    assert administrator.row(task.id)["content_id"] == made
    assert administrator.values("SELECT review_status FROM contents") == ["pending"]


def test_worker_gives_no_task_the_content_of_another(administrator: Queue, worker: Queue) -> None:
    insert = "INSERT INTO contents (account_id, title, body) VALUES (%s, 'T', 'Secret') RETURNING id"
    secret = administrator.value(insert, administrator.add_account())
    own_id = worker.register()
    task = held_by(worker, administrator, own_id)

    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="may not pass content_ids"):
        worker.complete(own_id, [task], content_ids=[secret])

    assert administrator.row(task.id)["content_id"] is None
    assert worker.complete(own_id, [task], content_ids=[None]) == [task.id]


@pytest.mark.parametrize("key", ["*", "other.example"])
def test_gate_that_a_handler_may_not_close_stays_open_and_its_task_is_put_off(
    administrator: Queue, logins: Logins, key: str
) -> None:
    async def handler(_task: object, _ctx: object) -> None:
        raise RateLimited("slow down", gate=key, retry_after=3600)

    task = administrator.add()
    own = logins.add("own", "contentq_worker")
    running = RunningWorker(own, handler, gate="own.example")
    try:
        eventually(lambda: administrator.row(task)["error_message"] == "slow down")
    finally:
        running.leave()

    assert administrator.status(task) == "pending"
    assert administrator.row(task)["scheduled_at"] is not None
    # Instead of *, which no handler may name, the worker's own gate records it.
    heard = administrator.values("SELECT key FROM contentq.gate_events")
    assert heard == (["own.example"] if key == "*" else [])
    assert administrator.values("SELECT key FROM contentq.gates WHERE opens_at > clock_timestamp()") == []


@pytest.mark.parametrize("state", ["another's", "pending", "its own, ended"])
def test_worker_charges_no_account_that_it_holds_no_task_of(
    administrator: Queue, fleet: Fleet, state: str
) -> None:
    task = fleet.held
    if state == "pending":
        task = Held(fleet.own_id, administrator.add(), 0)
    elif state == "its own, ended":
        task = held_by(fleet.own, administrator, fleet.own_id)
        fleet.own.fail(task)

    fleet.own.record_usage(fleet.own_id, {Held(fleet.own_id, task.id, task.attempt): USAGE})

    assert administrator.usage() == []


def test_worker_deletes_no_tasks_but_those_that_are_older_than_the_settings_say(
    administrator: Queue, worker: Queue
) -> None:
    old = administrator.add(status="completed", completed_at="2001-01-01")
    young = administrator.add(status="completed", completed_at=administrator.now())

    for statement in ("DELETE FROM content_generation_tasks", "SELECT contentq.cleanup('0 seconds')"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            worker.run(statement)
    worker.run("SELECT contentq.maintain()")

    assert administrator.values("SELECT id FROM content_generation_tasks") == [young] != [old]


def test_objects_and_settings_of_the_caller_do_not_reach_into_functions(
    administrator: Queue, worker: Queue
) -> None:
    task = administrator.add()
    for name in ("content_generation_tasks", "accounts", "contents", "workers", "gates"):
        worker.run(f"CREATE TEMPORARY TABLE {name} (id bigint, login text, status text, account_id bigint)")
    worker.run("CREATE FUNCTION pg_temp.yes(name, name) RETURNS boolean LANGUAGE sql AS 'SELECT true'")
    worker.run("CREATE OPERATOR pg_temp.<> (LEFTARG = name, RIGHTARG = name, FUNCTION = pg_temp.yes)")
    worker.run("SET search_path = pg_temp, public, pg_catalog")

    own_id = worker.register()

    assert [row["id"] for row in worker.claim(own_id)] == [task]
    worker.run("DISCARD TEMP")


def test_everyone_may_execute_nothing(administrator: Queue, logins: Logins) -> None:
    """Not even with a trigger on its own table."""
    stranger = logins.add_open("stranger")
    administrator.run(f"GRANT USAGE ON SCHEMA contentq TO {stranger.value('SELECT session_user::text')}")

    executable = stranger.values(
        "SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'contentq'::regnamespace "
        "AND has_function_privilege(oid, 'EXECUTE')"
    )
    stranger.run("CREATE TEMPORARY TABLE mine (id bigint)")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        stranger.run(
            "CREATE TRIGGER mine AFTER INSERT ON mine FOR EACH ROW EXECUTE FUNCTION contentq.wake_workers()"
        )
    stranger.run("DROP TABLE mine")  # else its session does, while what the login owns is dropped

    assert executable == []


def test_operator_moves_no_task_to_another_account(administrator: Queue, operator: Queue) -> None:
    task, other = administrator.add(), administrator.add_account()

    operator.set(task, priority=10, timeout_at="2101-01-01", status="failed")
    operator.run("UPDATE contentq.tasks SET topic = 'by the view' WHERE id = %s", task)
    assert operator.requeue(task) == "pending"
    for column in ("account_id", "content_id", "result", "auto_approve", "attempt", "worker_id", "id", "task_id"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            operator.run(f"UPDATE content_generation_tasks SET {column} = DEFAULT")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        operator.run("UPDATE contentq.tasks SET account_id = %s", other)

    assert administrator.row(task)["account_id"] != other


@pytest.mark.slow
def test_reviewer_needs_no_right_but_its_role(administrator: Queue, worker: Queue, logins: Logins) -> None:
    own_id = worker.register()
    tasks = [held_by(worker, administrator, own_id, auto_approve=False) for _ in range(3)]
    worker.store(own_id, tasks)
    dsn = logins.add("anna", "contentq_reviewer")
    first, second, _ = (administrator.row(task.id)["content_id"] for task in tasks)

    for command in (
        ["list"],
        ["show", str(first), "--diff"],
        ["approve", str(first)],
        ["reject", str(second), "--revise", "--note", "shorter"],
        ["approve", "--account", str(administrator.account), "--dry-run"],
        ["approve", "--all"],
    ):
        done = CONTENTQ.run("review", *command, env=os.environ | {"DATABASE_URL": dsn})
        assert (done.returncode, done.stderr) == (0, ""), done.stderr

    name = logins.name("anna")
    reviews = administrator.rows("SELECT review_status, reviewed_by FROM contents ORDER BY id")
    assert [(row["review_status"], row["reviewed_by"]) for row in reviews] == [
        ("approved", name),
        ("rejected", name),
        ("approved", name),
    ]
    assert [administrator.status(task.id) for task in tasks] == ["completed", "pending", "completed"]


@pytest.mark.parametrize("role", ["contentq_producer", "contentq_worker", "contentq_operator", "contentq_reader"])
def test_nobody_but_a_reviewer_decides(administrator: Queue, worker: Queue, logins: Logins, role: str) -> None:
    own_id = worker.register()
    worker.store(own_id, [held_by(worker, administrator, own_id, auto_approve=False)])
    session = logins.add_open("login", role)

    for call in (
        "approve(1)",
        "reject(1)",
        "approve_matching(1)",
        "reject_matching(1)",
        "mark_reviewed(1, '', '', '', '')",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            session.run(f"SELECT contentq.{call}")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        session.run("UPDATE contents SET review_status = 'approved', reviewed_by = 'anna'")

    assert administrator.values("SELECT review_status FROM contents") == ["pending"]


def test_operator_cannot_act_as_a_worker(fleet: Fleet, operator: Queue) -> None:
    for call in ("drain_worker(%s)", "deregister_worker(%s)", "claim(%s, 1)", "heartbeat(%s)"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            operator.run(f"SELECT contentq.{call}", fleet.held.worker)


def test_pause_and_budget_take_effect_with_no_right_but_that_to_the_column(
    administrator: Queue, logins: Logins
) -> None:
    application, account = logins.add_open("application"), administrator.account
    name = application.value("SELECT session_user::text")
    administrator.run(f"GRANT SELECT, UPDATE (paused_until) ON accounts TO {name}")

    application.run("UPDATE accounts SET paused_until = 'infinity'")

    assert administrator.blocked_accounts() == [account]


@pytest.mark.slow
def test_roles_are_applied_again_after_every_migration(administrator: Queue, dsn: str) -> None:
    """Functions that had to be dropped and created also belong to the same role as before."""
    for damage in (
        "DROP FUNCTION contentq.claim",
        "ALTER FUNCTION contentq.claim OWNER TO CURRENT_USER",
        # All must be dropped.
        "DO $$ BEGIN EXECUTE format('CREATE OR REPLACE VIEW contentq.blocked_accounts AS SELECT v.*, 1 AS more "
        "FROM (%%s) AS v', rtrim(pg_get_viewdef('contentq.blocked_accounts'::regclass), ';')); END $$",
    ):
        administrator.run(damage)

        assert migrate(dsn).changes != []

        assert administrator.value(OWNER_OF_CLAIM) == "contentq_definer"
        assert administrator.value(
            "SELECT has_function_privilege('contentq_worker', oid, 'EXECUTE') FROM pg_proc WHERE proname = 'claim'"
        )
        assert migrate(dsn) == Migrated(HEAD, HEAD)


def test_right_of_everyone_is_taken_away_by_the_next_migration(administrator: Queue, dsn: str) -> None:
    """As after a restore without the rights, and after a grant by an administrator."""
    administrator.run("GRANT EXECUTE ON FUNCTION contentq.open_gate TO PUBLIC")

    assert migrate(dsn).changes == ["revoked from PUBLIC the right to execute function open_gate"]

    assert not administrator.value(
        "SELECT has_function_privilege('public', 'contentq.open_gate(text)', 'EXECUTE')"
    )


@pytest.fixture
def owner(administrator: Queue, server: Server, empty_dsn: str) -> Iterator[str]:
    """The DSN of a database owner who is not a superuser and may create roles."""
    database = conninfo_to_dict(empty_dsn)["dbname"]
    name = f"{database}_owner"
    administrator.run(f"CREATE ROLE {name} LOGIN CREATEROLE PASSWORD 'owner'")
    administrator.run(f"ALTER DATABASE {database} OWNER TO {name}")
    yield make_conninfo(empty_dsn, user=name, password="owner")
    with closing(open_connection(empty_dsn, "contentq test", plain=True)) as connection:
        connection.execute(f"REASSIGN OWNED BY {name} TO CURRENT_USER".encode())
        connection.execute(b"REASSIGN OWNED BY contentq_definer TO CURRENT_USER")
        for role in ROLES:
            connection.execute(f"DROP OWNED BY {role}".encode())
        connection.execute(f"DROP OWNED BY {name}".encode())
    administrator.run(f"DROP ROLE {name}")


def rows(dsn: str, query: str) -> list[Row]:
    with closing(open_connection(dsn, "contentq test", plain=True)) as connection:
        return Queue(connection).rows(query)


@pytest.mark.slow
def test_owner_who_is_no_superuser_applies_migrates_and_uninstalls(
    administrator: Queue, owner: str, empty_dsn: str
) -> None:
    """The roles exist and were created by another: a superuser must grant them to the owner, once."""
    migrate(owner)
    name = conninfo_to_dict(owner)["user"]
    if administrator.connection.info.server_version >= 160000:
        with pytest.raises(ContentQueueError, match=f"superuser, run: GRANT contentq_definer TO {name}"):
            apply_roles(owner)
        apply_roles(empty_dsn)
    else:
        apply_roles(owner)
    (claim,) = rows(empty_dsn, "SELECT proowner::regrole::text AS owner FROM pg_proc WHERE proname = 'claim'")
    assert claim == {"owner": "contentq_definer"}

    assert migrate(owner) == Migrated(HEAD, HEAD)
    for damage in ("DROP FUNCTION contentq.claim", "COMMENT ON FUNCTION contentq.complete IS 'mine'"):
        with closing(open_connection(owner, "contentq test", plain=True)) as connection:
            connection.execute(damage.encode())
    assert len(migrate(owner).changes) == 3
    (claim,) = rows(empty_dsn, "SELECT proowner::regrole::text AS owner FROM pg_proc WHERE proname = 'claim'")
    assert claim == {"owner": "contentq_definer"}
    migrate(owner, "base")

    left = rows(
        empty_dsn,
        "SELECT refobjid::regrole FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass "
        "AND refobjid::regrole::text LIKE 'contentq_%%' AND refobjid::regrole::text NOT LIKE 'contentq_test%%' "
        "AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())",
    )
    assert left == []


@pytest.fixture
def bare_owner(database: Connection, server: Server, empty_dsn: str) -> Iterator[str]:
    """The same on a server without the roles."""
    administrator = Queue(database)
    with server.databases.alone():
        if administrator.values("SELECT FROM pg_roles WHERE rolname = ANY (%s)", list(ROLES)):
            pytest.skip("the server has the roles already")
        name = f"{conninfo_to_dict(empty_dsn)['dbname']}_owner"
        administrator.run(f"CREATE ROLE {name} LOGIN CREATEROLE PASSWORD 'owner'")
        administrator.run(f"ALTER DATABASE {conninfo_to_dict(empty_dsn)['dbname']} OWNER TO {name}")
        yield make_conninfo(empty_dsn, user=name, password="owner")
        with closing(open_connection(empty_dsn, "contentq test", plain=True)) as connection:
            queue = Queue(connection)
            for role in queue.values("SELECT rolname FROM pg_roles WHERE rolname = ANY (%s)", [*ROLES, name]):
                queue.run(f"REASSIGN OWNED BY {role} TO CURRENT_USER")
                queue.run(f"DROP OWNED BY {role}")
            for role in (*ROLES, name):
                queue.run(f"DROP ROLE IF EXISTS {role}")


@pytest.mark.slow
def test_owner_who_may_create_roles_needs_no_superuser(bare_owner: str, empty_dsn: str) -> None:
    migrate(bare_owner)

    done, left = apply_roles(bare_owner)

    assert [line for line in done if line.startswith("created role")] == [
        f"created role {role}" for role in sorted(ROLES)
    ]
    assert left == []
    with closing(open_connection(bare_owner, "contentq test", plain=True)) as connection:
        connection.execute("DROP FUNCTION contentq.claim")
    migrate(bare_owner)
    (claim,) = rows(empty_dsn, "SELECT proowner::regrole::text AS owner FROM pg_proc WHERE proname = 'claim'")
    assert claim == {"owner": "contentq_definer"}
    migrate(bare_owner, "base")


@pytest.mark.slow
@pytest.mark.parametrize("may", [True, False])
def test_everyone_may_create_nothing_in_schema_public_once_the_roles_are_applied(
    administrator: Queue, owner: str, empty_dsn: str, may: bool
) -> None:
    """As in a cluster upgraded from before PostgreSQL 15.

    If the owner may not change it, the output reports that.
    """
    migrate(owner)
    apply_roles(empty_dsn)
    name = f"{conninfo_to_dict(owner)['user']}_of_public"
    with closing(open_connection(empty_dsn, "contentq test", plain=True)) as connection:
        connection.execute("GRANT CREATE ON SCHEMA public TO PUBLIC")
        connection.execute(f"CREATE ROLE {name}".encode())
        try:
            if not may:
                connection.execute(f"ALTER SCHEMA public OWNER TO {name}".encode())
            done, left = apply_roles(owner)
        finally:
            connection.execute("ALTER SCHEMA public OWNER TO pg_database_owner")
            connection.execute(f"DROP ROLE {name}".encode())

    assert ("revoked from PUBLIC the right to create objects in schema public" in done) == may
    assert left == (
        []
        if may
        else [
            "everyone may create objects in schema public, which other sessions may then use unknowingly; "
            "as a superuser, run: REVOKE CREATE ON SCHEMA public FROM PUBLIC"
        ]
    )


@pytest.mark.parametrize("numbers", ["1e-16000", "NULL, 1e-16000", "'NaN'", "'infinity'"])
def test_operator_sets_no_limit_that_cannot_be_computed_with(
    administrator: Queue, operator: Queue, numbers: str
) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        operator.run(f"SELECT contentq.set_gate('api.example', {numbers})")

    assert administrator.values("SELECT key FROM contentq.gates") == []


def test_operator_sets_no_aging_that_cannot_be_computed_with(administrator: Queue, operator: Queue) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        operator.run("UPDATE contentq.settings SET aging = '1001 years'")

    operator.run("UPDATE contentq.settings SET aging = '1000 years'")
    task = administrator.add()
    assert [row["id"] for row in administrator.claim(administrator.register())] == [task]
