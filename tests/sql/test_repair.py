"""migrate() at the newest version repairs: it restores and reports changed objects, and touches nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest
from contentq.database.definitions import Installer, definitions
from contentq.database.migrations import Migrated, migrate
from contentq.database.revisions import head_revision
from contentq.errors import ContentQueueError

from tests.support.databases import Connection
from tests.support.queue import Queue
from tests.support.roles import applied_roles
from tests.support.schema_snapshot import dump
from tests.support.servers import Server

HEAD = head_revision()
Connect = Callable[[], Connection]
TASKS = "content_generation_tasks"


def objects(queue: Queue) -> list[tuple[int, str]]:
    """Identifies each relation, function and trigger, and differs after each change of it."""
    rows = queue.rows(
        "SELECT oid, xmin::text FROM pg_class "
        "WHERE relnamespace::regnamespace::text IN ('public', 'content_queue', 'contentq') "
        "UNION ALL SELECT oid, xmin::text FROM pg_proc WHERE pronamespace = 'contentq'::regnamespace "
        "UNION ALL SELECT oid, xmin::text FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1, 2"
    )
    return [(row["oid"], row["xmin"]) for row in rows]


@contextmanager
def role(queue: Queue, server: Server, suffix: str) -> Iterator[str]:
    """A role of a host, dropped at the end."""
    name = f"host_{suffix}_{queue.connection.info.dbname}"
    with server.databases.alone():
        queue.run(f"CREATE ROLE {name}")
        try:
            yield name
        finally:
            queue.run(f"DROP OWNED BY {name}")
            queue.run(f"DROP ROLE {name}")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("damage", "changes"),
    [
        ("DROP FUNCTION contentq.claim", ["created function claim"]),
        ("DROP VIEW contentq.throughput", ["created view throughput"]),
        (f"DROP TRIGGER {TASKS}_wake ON {TASKS}", [f"created trigger {TASKS}.{TASKS}_wake"]),
        (
            f"ALTER TABLE {TASKS} DISABLE TRIGGER {TASKS}_touch",
            [f"restored trigger {TASKS}.{TASKS}_touch, which was changed"],
        ),
        (
            "CREATE OR REPLACE FUNCTION contentq.touch_updated_at() RETURNS trigger LANGUAGE plpgsql "
            "AS 'BEGIN RETURN NEW; END'",
            ["restored function touch_updated_at, which was changed"],
        ),
        (
            "ALTER FUNCTION contentq.touch_updated_at() SET search_path = public",
            ["restored function touch_updated_at, which was changed"],
        ),
        (
            "CREATE OR REPLACE VIEW contentq.accounts AS SELECT a.id, a.name, a.created_at, a.external_id, "
            "a.paused_until, 0::numeric AS monthly_budget, a.share, a.max_running FROM accounts AS a",
            ["restored view accounts, which was changed"],
        ),
        (
            "COMMENT ON FUNCTION contentq.touch_updated_at() IS 'mine'",
            ["restored function touch_updated_at, which was changed"],
        ),
        ("COMMENT ON VIEW contentq.throughput IS NULL", ["restored view throughput, which was changed"]),
        ("COMMENT ON TABLE contentq.workers IS NULL", ["restored the comment of table contentq.workers"]),
        (
            "COMMENT ON COLUMN contentq.settings.retention IS 'mine'",
            ["restored the comment of column contentq.settings.retention"],
        ),
        (
            f"COMMENT ON TRIGGER {TASKS}_wake ON {TASKS} IS NULL",
            [f"restored trigger {TASKS}.{TASKS}_wake, which was changed"],
        ),
        ("ALTER VIEW contentq.throughput SET (security_barrier)", ["restored view throughput, which was changed"]),
        (
            "ALTER VIEW contentq.throughput RENAME COLUMN wait_s TO seconds",
            ["restored view throughput, which was changed"],
        ),
    ],
    ids=range(14),
)
def test_what_was_damaged_is_restored_and_said(dsn: str, queue: Queue, damage: str, changes: list[str]) -> None:
    before = dump(dsn)
    queue.run(damage)

    assert migrate(dsn).changes == changes

    assert dump(dsn) == before
    assert migrate(dsn) == Migrated(HEAD, HEAD)


@pytest.mark.slow
def test_everything_that_is_gone_comes_back(dsn: str, queue: Queue) -> None:
    before = dump(dsn)
    for kind in ("VIEW", "FUNCTION"):
        for name in queue.values(
            "SELECT oid::regclass::text FROM pg_class "
            "WHERE relnamespace = 'contentq'::regnamespace AND relkind = 'v'"
            if kind == "VIEW"
            else "SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'contentq'::regnamespace"
        ):
            queue.run(f"DROP {kind} IF EXISTS {name} CASCADE")

    changes = migrate(dsn).changes

    assert sorted(changes) == sorted(f"created {each.kind} {each.name}" for each in definitions())
    assert dump(dsn) == before


def test_digests_that_are_gone_are_written_again_and_nothing_else_is_said(dsn: str, queue: Queue) -> None:
    before = queue.rows("SELECT * FROM contentq.definitions ORDER BY kind, name")
    queue.run("DELETE FROM contentq.definitions")

    assert migrate(dsn) == Migrated(HEAD, HEAD)

    assert queue.rows("SELECT * FROM contentq.definitions ORDER BY kind, name") == before


def test_migrating_a_database_in_order_waits_for_no_one(dsn: str, queue: Queue, connect: Connect) -> None:
    """Neither writers nor locks against writers delay it, and plans stay cached, because nothing changes."""
    before = objects(queue)
    with connect() as other, other.transaction():
        other.execute("LOCK TABLE content_generation_tasks, accounts, contents IN EXCLUSIVE MODE")
        other.execute("LOCK TABLE contentq.workers, contentq.settings IN EXCLUSIVE MODE")

        assert migrate(dsn, lock_timeout=0.1) == Migrated(HEAD, HEAD)
    assert objects(queue) == before


def test_repair_of_a_function_or_a_view_waits_for_no_one_who_uses_the_tables(
    dsn: str, queue: Queue, connect: Connect
) -> None:
    queue.run("DROP VIEW contentq.throughput")
    queue.run("COMMENT ON FUNCTION contentq.claim IS NULL")
    with connect() as other, other.transaction():
        other.execute("LOCK TABLE content_generation_tasks, accounts, contents IN EXCLUSIVE MODE")

        assert len(migrate(dsn, lock_timeout=0.1).changes) == 2


def test_only_what_was_changed_is_touched(dsn: str, queue: Queue) -> None:
    before = set(objects(queue))
    queue.run("COMMENT ON FUNCTION contentq.touch_updated_at() IS NULL")

    migrate(dsn)

    assert len(set(objects(queue)) - before) == 1


@pytest.mark.slow
def test_function_of_an_older_version_with_other_arguments_is_replaced(dsn: str, queue: Queue) -> None:
    """The host's own one stays."""
    queue.run("CREATE FUNCTION contentq.cleanup(word text) RETURNS integer LANGUAGE sql AS 'SELECT 7'")
    before = dump(dsn)
    queue.run("DROP FUNCTION contentq.cleanup(interval, integer)")
    queue.run(
        "CREATE FUNCTION contentq.cleanup(older_than interval) RETURNS bigint LANGUAGE sql AS 'SELECT 0::bigint'"
    )
    queue.run(
        "UPDATE contentq.definitions SET source = 'older', installed = md5(pg_get_functiondef("
        "'contentq.cleanup(interval)'::regprocedure)) WHERE name = 'cleanup'"
    )

    assert migrate(dsn).changes == ["updated function cleanup"]

    assert dump(dsn) == before


@pytest.mark.slow
def test_function_of_an_older_version_that_returns_something_else_is_replaced(dsn: str, queue: Queue) -> None:
    """Its dependents are created again: the function's trigger. Objects of a host stay."""
    queue.run("CREATE VIEW contentq.mine AS SELECT 7 AS seven")
    before = dump(dsn)
    queue.run("DROP FUNCTION contentq.forget_worker")
    queue.run("CREATE FUNCTION contentq.forget_worker(worker_id bigint) RETURNS text LANGUAGE sql AS 'SELECT 1'")
    queue.run("UPDATE contentq.definitions SET source = 'older' WHERE name = 'forget_worker'")

    assert migrate(dsn).changes == ["updated function forget_worker"]

    assert dump(dsn) == before


@pytest.mark.slow
def test_view_that_has_to_be_dropped_although_others_read_it_is_restored(dsn: str, queue: Queue) -> None:
    """All objects of contentq are dropped and created again; those of a host are untouched."""
    queue.run("CREATE VIEW contentq.mine AS SELECT 7 AS seven")
    queue.run("CREATE FUNCTION contentq.mine() RETURNS integer LANGUAGE sql AS 'SELECT 7'")
    before = dump(dsn)
    queue.run(
        "DO $$ BEGIN EXECUTE format('CREATE OR REPLACE VIEW contentq.blocked_accounts AS SELECT v.*, 1 AS more "
        "FROM (%%s) AS v', rtrim(pg_get_viewdef('contentq.blocked_accounts'::regclass), ';')); END $$"
    )

    assert migrate(dsn).changes == ["restored view blocked_accounts, which was changed"]

    assert dump(dsn) == before
    assert migrate(dsn) == Migrated(HEAD, HEAD)


def test_what_this_version_no_longer_has_is_dropped(dsn: str, queue: Queue) -> None:
    queue.run("CREATE VIEW contentq.former AS SELECT 1")
    queue.run("INSERT INTO contentq.definitions VALUES ('view', 'former', '', '')")

    assert migrate(dsn).changes == ["dropped view former"]

    assert queue.value("SELECT to_regclass('contentq.former')") is None
    assert migrate(dsn) == Migrated(HEAD, HEAD)


def test_what_a_host_has_put_into_the_schema_is_left_alone(dsn: str, queue: Queue) -> None:
    """Also a function with the name of a contentq function and other arguments."""
    queue.run("CREATE FUNCTION contentq.mine() RETURNS integer LANGUAGE sql AS 'SELECT 7'")
    queue.run("CREATE FUNCTION contentq.backoff(word text) RETURNS integer LANGUAGE sql AS 'SELECT 7'")
    queue.run("CREATE VIEW contentq.mine AS SELECT contentq.mine() AS seven")
    queue.run("COMMENT ON FUNCTION contentq.touch_updated_at() IS NULL")

    assert migrate(dsn).changes == ["restored function touch_updated_at, which was changed"]
    assert migrate(dsn) == Migrated(HEAD, HEAD)

    assert queue.value("SELECT seven FROM contentq.mine") == queue.value("SELECT contentq.backoff('x')") == 7


@pytest.mark.parametrize("change", ["damaged", "older"])
def test_function_of_a_host_with_the_name_of_one_that_is_restored_is_left_alone(
    dsn: str, queue: Queue, change: str
) -> None:
    queue.run("CREATE FUNCTION contentq.touch_updated_at(word text) RETURNS integer LANGUAGE sql AS 'SELECT 7'")
    if change == "damaged":
        queue.run("COMMENT ON FUNCTION contentq.touch_updated_at() IS NULL")
    else:
        queue.run("UPDATE contentq.definitions SET source = 'older' WHERE name = 'touch_updated_at'")

    migrate(dsn)

    assert queue.value("SELECT contentq.touch_updated_at('x')") == 7
    assert migrate(dsn) == Migrated(HEAD, HEAD)


def test_what_is_gone_and_no_longer_wanted_is_nothing_to_speak_of(dsn: str, queue: Queue) -> None:
    queue.run("INSERT INTO contentq.definitions VALUES ('view', 'former', '', '')")

    assert migrate(dsn) == Migrated(HEAD, HEAD)

    assert queue.values("SELECT name FROM contentq.definitions WHERE name = 'former'") == []


def test_view_of_a_host_on_one_of_ours_survives_the_repair_of_something_else(dsn: str, queue: Queue) -> None:
    queue.run("CREATE VIEW dashboard AS SELECT * FROM contentq.queue_overview")
    queue.run("ALTER VIEW contentq.throughput RENAME COLUMN wait_s TO seconds")

    assert migrate(dsn).changes == ["restored view throughput, which was changed"]

    assert queue.value("SELECT count(*) FROM dashboard") == 5


@pytest.mark.slow
def test_view_of_a_host_that_is_in_the_way_is_named(dsn: str, queue: Queue) -> None:
    queue.run("ALTER VIEW contentq.throughput RENAME COLUMN wait_s TO seconds")
    queue.run("CREATE VIEW dashboard AS SELECT seconds FROM contentq.throughput")
    before = dump(dsn)

    with pytest.raises(ContentQueueError) as refused:
        migrate(dsn)

    assert "nothing was changed" in str(refused.value)
    assert "dashboard depends on view contentq.throughput" in str(refused.value)
    assert dump(dsn) == before


def test_rights_that_a_host_gave_on_views_and_functions_are_kept(dsn: str, queue: Queue, server: Server) -> None:
    """Also if they must be dropped: rights on the whole, on columns, and revoked rights."""
    with role(queue, server, "app") as app:
        queue.run("REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA contentq FROM PUBLIC")
        queue.run(f"GRANT EXECUTE ON FUNCTION contentq.cancel TO {app}")
        queue.run(f"GRANT SELECT ON contentq.throughput TO {app} WITH GRANT OPTION")
        queue.run(f"GRANT SELECT (status) ON contentq.queue_overview TO {app}")
        rights = (
            "SELECT oid::regprocedure::text AS of, proacl::text AS acl FROM pg_proc "
            "WHERE pronamespace = 'contentq'::regnamespace AND proname <> 'touch_updated_at' "
            "UNION ALL SELECT oid::regclass::text, relacl::text FROM pg_class "
            "WHERE relnamespace = 'contentq'::regnamespace AND relkind = 'v' UNION ALL "
            "SELECT attrelid::regclass || '.' || attname, attacl::text FROM pg_attribute WHERE attacl IS NOT NULL "
            "AND attrelid::regclass::text LIKE 'contentq.%%' ORDER BY 1"
        )
        before = queue.rows(rights)
        # A column of another type: the view must be dropped, and with the function all dependents of either.
        queue.run("ALTER VIEW contentq.throughput RENAME COLUMN wait_s TO seconds")
        queue.run(f"GRANT SELECT (seconds) ON contentq.throughput TO {app}")  # no such column remains
        queue.run("DROP FUNCTION contentq.touch_updated_at CASCADE")
        queue.run("CREATE FUNCTION contentq.touch_updated_at() RETURNS text LANGUAGE sql AS 'SELECT 1'")

        migrate(dsn)

        assert queue.rows(rights) == before
        assert queue.value("SELECT has_table_privilege(%s, 'contentq.throughput', 'SELECT')", app)


def test_rights_that_a_host_gave_are_kept_when_everything_is_created_anew(queue: Queue, server: Server) -> None:
    with role(queue, server, "other") as other, queue.connection.transaction():
        queue.run(f"GRANT SELECT ON contentq.throughput TO {other}")
        queue.run("REVOKE EXECUTE ON FUNCTION contentq.cancel FROM PUBLIC")
        installer = Installer(queue.connection, server.schema)

        installer.drop_all()
        assert queue.value("SELECT to_regclass('contentq.throughput')") is None
        installer.create_all()

        assert queue.value("SELECT has_table_privilege(%s, 'contentq.throughput', 'SELECT')", other)
        assert not queue.value("SELECT has_function_privilege(%s, 'contentq.cancel(text)', 'EXECUTE')", other)


@pytest.mark.slow
def test_rights_of_the_roles_are_restored(dsn: str, queue: Queue, server: Server) -> None:
    with applied_roles(queue, server, dsn):
        assert migrate(dsn) == Migrated(HEAD, HEAD)
        for damage in (
            "REVOKE SELECT ON content_generation_tasks FROM contentq_worker",
            "GRANT UPDATE (status) ON content_generation_tasks TO contentq_worker",
            "GRANT EXECUTE ON FUNCTION contentq.open_gate TO contentq_worker",
            "REVOKE EXECUTE ON FUNCTION contentq.claim FROM contentq_worker",
            "REVOKE EXECUTE ON FUNCTION contentq.is_held FROM contentq_definer",
            "ALTER FUNCTION contentq.claim OWNER TO CURRENT_USER",
            "GRANT CREATE ON SCHEMA public TO PUBLIC",
            "REVOKE INSERT ON content_generation_tasks FROM contentq_producer",
            "GRANT DELETE ON accounts TO contentq_reader",
            "REVOKE SELECT ON contentq.gates FROM contentq_reader",
            "DO $$ BEGIN EXECUTE format('REVOKE USAGE ON SCHEMA %I FROM contentq_worker', "
            "(SELECT schema_name FROM contentq.tables LIMIT 1)); END $$",
        ):
            queue.connection.execute(damage.encode())

            assert migrate(dsn).changes == ["restored the rights of the roles of sql/roles.sql"], damage

            assert migrate(dsn) == Migrated(HEAD, HEAD)


@pytest.mark.slow
def test_roles_that_another_database_has_applied_get_no_rights_here(
    dsn: str, queue: Queue, server: Server
) -> None:
    with applied_roles(queue, server, dsn):
        queue.run("REVOKE ALL ON SCHEMA contentq FROM contentq_producer")

        assert migrate(dsn) == Migrated(HEAD, HEAD)


def test_one_who_may_not_repair_is_told_who_may(dsn: str, queue: Queue, server: Server) -> None:
    with role(queue, server, "guest") as guest:
        queue.run(f"ALTER ROLE {guest} LOGIN PASSWORD 'guest'")
        queue.run(f"GRANT USAGE ON SCHEMA contentq TO {guest}")
        queue.run("DROP VIEW contentq.throughput")

        with pytest.raises(ContentQueueError) as refused:
            migrate(psycopg.conninfo.make_conninfo(dsn, user=guest, password="guest"))

    owner = queue.value("SELECT current_user")
    assert f"run it as {owner}" in str(refused.value)
