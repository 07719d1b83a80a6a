"""What a worker's login, and roles that existed before, can do beyond their own tasks, with real logins."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from contentq.database.connect import connect
from contentq.database.grants import ROLES, apply_roles
from contentq.database.migrations import migrate
from contentq.errors import ContentQueueError
from psycopg.conninfo import make_conninfo

from tests.support.logins import Logins, made_logins
from tests.support.queue import Held, Queue
from tests.support.servers import Server

LARGE = "x" * 1_000_000


@pytest.fixture
def evil(logins: Logins) -> Queue:
    """A session of a worker's login in the hands of an attacker."""
    return logins.add_open("evil", "contentq_worker")


def warnings_of(session: Queue) -> list[str]:
    """The warnings that a session gets from now on, which a worker logs."""
    warnings: list[str] = []
    session.connection.add_notice_handler(lambda notice: warnings.append(str(notice.message_primary)))
    return warnings


def let_die(owner: Queue) -> None:
    """All workers have been silent for a minute while the database was reachable."""
    owner.run("UPDATE contentq.workers SET heartbeat_at = clock_timestamp() - interval '1 minute'")
    owner.run("UPDATE contentq.maintenance SET ran_at = clock_timestamp(), watched_since = '2001-01-01'")


@pytest.mark.parametrize("name", ["hostname", "handler", "version"])
def test_what_a_worker_says_of_itself_is_short_wherever_others_see_it(
    owner: Queue, logins: Logins, evil: Queue, name: str
) -> None:
    said = {"hostname": "host", "handler": "template", "version": "1.0", name: LARGE}
    query = "SELECT contentq.register_worker(hostname => %s, pid => 1, slots => 1, handler => %s, version => %s)"
    worker = evil.value(query, said["hostname"], said["handler"], said["version"])
    id_ = owner.add()
    evil.claim(worker)
    let_die(owner)
    other = logins.add_open("other", "contentq_worker")
    warnings = warnings_of(other)

    other.value("SELECT contentq.maintain()")

    assert owner.status(id_) == "pending"
    assert len(warnings) == 1
    assert len(warnings[0]) < 1000
    assert owner.value("SELECT length(d::text) FROM contentq.dead_workers AS d") < 2000


def test_worker_registers_with_no_gate_that_is_a_text_without_end(evil: Queue) -> None:
    evil.register(gate="x" * 1000)
    with pytest.raises(psycopg.errors.CheckViolation, match="workers_gate_check"):
        evil.register(gate="x" * 1001)


@pytest.mark.slow
def test_dead_workers_that_held_nothing_do_not_flood_the_logs_of_others(
    owner: Queue, logins: Logins, evil: Queue
) -> None:
    evil.run("SELECT contentq.register_worker('host', s, 1, 'template') FROM generate_series(1, 500) AS s")
    id_ = owner.add()
    evil.claim(evil.register())
    let_die(owner)
    other = logins.add_open("other", "contentq_worker")
    warnings = warnings_of(other)

    other.value("SELECT contentq.maintain()")

    assert owner.value("SELECT count(*) FROM contentq.workers") == 0
    assert owner.status(id_) == "pending"
    assert sorted(warning.partition(" (worker")[0] for warning in warnings) == [
        "other dead workers without tasks removed: 499",
        "tasks rescued from a dead worker: 0",
        "tasks rescued from a dead worker: 1",
    ]


def test_cost_with_digits_without_end_is_kept_to_twelve_places(owner: Queue, evil: Queue) -> None:
    """All of them would be added up again at each report of that day, and at each check of the budget."""
    worker = evil.register()
    for cost in ("1e-16000", "0.1" + "0" * 16_000 + "1", "0.00000015"):
        id_ = owner.add()
        (row,) = evil.claim(worker)
        assert evil.store(worker, [Held(worker, id_, row["attempt"])], extras=[f'{{"cost": {cost}}}']) == [id_]

    assert str(owner.value("SELECT sum(cost) FROM contentq.usage")) == "0.10000015"


@pytest.mark.parametrize(
    ("role", "attribute"),
    [("contentq_worker", "LOGIN"), ("contentq_reader", "BYPASSRLS"), ("contentq_definer", "SUPERUSER")],
)
def test_role_that_may_do_more_than_it_needs_is_not_applied(
    owner: Queue, dsn: str, role: str, attribute: str
) -> None:
    """A role that may create roles can have created ours before. With BYPASSRLS, SET ROLE shows every account."""
    owner.run(f"ALTER ROLE {role} {attribute}")
    try:
        with pytest.raises(
            ContentQueueError, match=f"have attributes that contentq does not need: {role}; run for each"
        ):
            apply_roles(dsn)
    finally:
        owner.run(f"ALTER ROLE {role} NO{attribute}")
    apply_roles(dsn)


def test_role_that_is_a_member_of_another_is_told_of(owner: Queue, dsn: str) -> None:
    owner.run("GRANT contentq_operator TO contentq_producer")
    try:
        _done, left = apply_roles(dsn)
    finally:
        owner.run("REVOKE contentq_operator FROM contentq_producer")

    assert left == [
        "roles of contentq are members of other roles, and so have more rights than sql/roles.sql grants: "
        "contentq_producer of contentq_operator"
    ]
    assert apply_roles(dsn)[1] == []


@pytest.mark.slow
def test_definer_that_someone_else_made_first_is_not_used(owner: Queue, logins: Logins, dsn: str) -> None:
    """Its creator, or one of its members, may have kept the right to act as it."""
    logins.add("mallory")
    logins.add("friend", logins.name("mallory"))
    owner.run(f"GRANT contentq_definer TO {logins.name('mallory')} WITH ADMIN OPTION")
    names = f"{logins.name('friend')}, {logins.name('mallory')}"
    said = f"contentq_definer has members other than owners of queues.*: {names}; as a superuser, run for each"

    for use in (apply_roles, migrate):
        with pytest.raises(ContentQueueError, match=said):
            use(dsn)

    owner.run(f"REVOKE contentq_definer FROM {logins.name('mallory')}")
    assert apply_roles(dsn)[1] == migrate(dsn).notes == []


def test_definer_that_owns_a_way_to_act_as_it_is_not_used(owner: Queue, dsn: str) -> None:
    """Left behind by a role that gave up its membership."""
    owner.run(
        "CREATE FUNCTION public.way_in() RETURNS bigint SECURITY DEFINER RETURN (SELECT count(*) FROM contents)"
    )
    owner.run("ALTER FUNCTION public.way_in OWNER TO contentq_definer")

    for use in (apply_roles, migrate):
        with pytest.raises(ContentQueueError, match=r"owns objects outside contentq.*: function .*way_in\(\)"):
            use(dsn)

    owner.run("DROP FUNCTION public.way_in")
    assert apply_roles(dsn)[1] == []


def test_whoever_may_give_our_roles_to_others_is_told_of(owner: Queue, logins: Logins, dsn: str) -> None:
    logins.add("mallory")
    owner.run(f"GRANT contentq_operator TO {logins.name('mallory')} WITH ADMIN OPTION")

    (said,) = apply_roles(dsn)[1]

    given = f"{logins.name('mallory')} of contentq_operator"
    assert said == f"these members may grant roles of contentq to anyone (admin option): {given}"


@pytest.mark.slow
def test_owner_of_a_queue_in_another_database_may_be_a_member(
    owner: Queue, logins: Logins, server: Server, dsn: str
) -> None:
    login, name = logins.add("owner"), logins.name("owner")
    with server.databases.empty() as other, connect(other, "contentq test", plain=True) as superuser:
        database = superuser.info.dbname
        superuser.execute(f"ALTER DATABASE {database} OWNER TO {name}".encode())
        try:
            migrate(make_conninfo(login, dbname=database))
            assert apply_roles(other)[0]
            assert owner.value("SELECT pg_has_role(%s, 'contentq_definer', 'MEMBER')", name)
            assert apply_roles(dsn)[1] == []
        finally:
            for statement in ("REASSIGN OWNED BY {} TO CURRENT_USER", "DROP OWNED BY {}"):
                superuser.execute(statement.format(", ".join([name, *ROLES])).encode())


def test_superuser_migrates_into_no_schema_that_a_stranger_has_prepared(empty_dsn: str, bare: Queue) -> None:
    """Objects found there would be read, and so run, with a superuser's rights."""
    with made_logins(bare, empty_dsn) as logins:
        stranger = logins.add_open("stranger")
        name = logins.name("stranger")
        bare.run(f"GRANT CREATE ON DATABASE {bare.connection.info.dbname} TO {name}")
        stranger.run("CREATE SCHEMA contentq CREATE SEQUENCE ran")
        stranger.run(
            "CREATE FUNCTION contentq.trap() RETURNS text RETURN '0001' || left(nextval('contentq.ran')::text, 0)"
        )
        stranger.run("CREATE VIEW contentq.alembic_version AS SELECT contentq.trap() AS version_num")

        with pytest.raises(ContentQueueError, match=f"^schema contentq belongs to {name}, who is neither"):
            migrate(empty_dsn)

        assert not bare.value("SELECT is_called FROM contentq.ran")
        stranger.run("DROP SCHEMA contentq CASCADE")
        stranger.connection.close()
        assert migrate(empty_dsn).after is not None


@pytest.mark.slow
def test_owner_of_the_database_and_superusers_migrate_the_same_queue(empty_dsn: str, bare: Queue) -> None:
    with made_logins(bare, empty_dsn) as logins:
        login, name = logins.add("owner"), logins.name("owner")
        bare.run(f"ALTER DATABASE {bare.connection.info.dbname} OWNER TO {name}")
        try:
            assert migrate(login).after is not None
            assert migrate(empty_dsn).changes == []
            migrate(login, "base")
        finally:
            bare.run(f"ALTER DATABASE {bare.connection.info.dbname} OWNER TO CURRENT_USER")


@pytest.mark.slow
def test_migration_tells_of_roles_that_may_make_triggers(owner: Queue, logins: Logins, dsn: str) -> None:
    """GRANT ALL, which is meant for mappers, includes that right; a function for it can be in pg_temp."""
    logins.add("one")
    logins.add("two")
    names = [logins.name("one"), logins.name("two")]
    assert migrate(dsn).notes == []
    owner.run(f"GRANT ALL ON content_generation_tasks TO {', '.join(names)}")

    (note,) = migrate(dsn).notes

    assert "with the rights of whoever changes the table, superusers included" in note
    owner.run(note.rpartition(": ")[2])
    assert migrate(dsn).notes == []
    assert owner.value("SELECT has_table_privilege(%s, 'content_generation_tasks', 'INSERT')", names[0])


@pytest.mark.slow
def test_workers_and_gates_are_counted_once_for_all_gates(owner: Queue, evil: Queue) -> None:
    evil.run(
        "SELECT contentq.register_worker('host', s, 1, 'template', 'g' || s) FROM generate_series(1, 500) AS s"
    )
    evil.run("SELECT contentq.close_gate('g' || s, 'infinity') FROM generate_series(1, 500) AS s")
    owner.close_gate("*", "infinity")
    owner.close_gate("of nobody", "infinity")

    counts = {row["key"]: row["workers"] for row in owner.rows("SELECT key, workers FROM contentq.gate_status")}
    assert counts == {f"g{number}": 1 for number in range(1, 501)} | {"*": 500, "of nobody": 0}

    plan = owner.value("EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) SELECT * FROM contentq.gate_status")
    # Once for their gates, once for the gates that they choose from, once to count them.
    assert rows_of_workers(plan[0]["Plan"]) <= 3 * 500


def rows_of_workers(node: dict[str, Any]) -> float:
    """Number of rows of workers that a plan has read."""
    read = (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
    own = read if node.get("Relation Name") == "workers" else 0
    return float(own) + sum(map(rows_of_workers, node.get("Plans", [])))
