"""migrate(): up, down, repeatedly, and concurrently."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from contentq.database.migrations import Migrated, migrate
from contentq.database.revisions import current_revision, head_revision, require_head
from contentq.errors import ContentQueueError, SchemaMismatch

from tests.support.databases import Connection
from tests.support.queue import Queue
from tests.support.schema_snapshot import dump
from tests.support.waiting import eventually

HEAD = head_revision()
Connect = Callable[[], Connection]


def relations(queue: Queue) -> list[str]:
    """Everything in the schemas that migrations change."""
    return queue.values(
        "SELECT oid::regclass::text FROM pg_class WHERE relkind IN ('r', 'v', 'S') "
        "AND relnamespace::regnamespace::text IN ('public', 'content_queue', 'contentq') ORDER BY 1"
    )


def test_empty_database_is_brought_to_the_head(empty_dsn: str, bare: Queue) -> None:
    assert current_revision(bare.connection) is None

    assert migrate(empty_dsn) == Migrated(None, HEAD)

    assert current_revision(bare.connection) == HEAD
    require_head(bare.connection)


def test_migrating_twice_changes_nothing(dsn: str, database: Connection) -> None:
    before = dump(dsn)
    identity = (
        "SELECT oid, xmin FROM pg_class "
        "WHERE relnamespace::regnamespace::text IN ('public', 'content_queue', 'contentq')"
    )
    rows = database.execute(identity).fetchall()

    assert migrate(dsn) == Migrated(HEAD, HEAD)

    assert dump(dsn) == before
    assert database.execute(identity).fetchall() == rows


@pytest.mark.slow
def test_way_down_leaves_nothing_and_the_way_up_makes_the_same_again(empty_dsn: str, bare: Queue) -> None:
    migrate(empty_dsn)
    before = dump(empty_dsn)

    assert migrate(empty_dsn, "base") == Migrated(HEAD, None)
    assert relations(bare) == []
    assert bare.value("SELECT to_regnamespace('contentq')") is None

    assert migrate(empty_dsn) == Migrated(None, HEAD)
    assert dump(empty_dsn) == before


@pytest.mark.slow
def test_each_revision_undoes_exactly_what_it_did(empty_dsn: str, bare: Queue) -> None:
    revisions = [f"{number:04}" for number in range(1, int(HEAD) + 1)]
    dumps = {}
    for revision in revisions:
        migrate(empty_dsn, revision)
        dumps[revision] = dump(empty_dsn)

    for revision in reversed(revisions):
        assert migrate(empty_dsn, revision).after == revision
        assert dump(empty_dsn) == dumps[revision]
    assert migrate(empty_dsn, "base") == Migrated(revisions[0], None)


def test_migration_waits_for_one_that_is_under_way(dsn: str, database: Connection, connect: Connect) -> None:
    with ThreadPoolExecutor(1) as pool:
        with connect() as other, other.transaction():
            other.execute("LOCK TABLE contentq.alembic_version IN EXCLUSIVE MODE")
            waiting = pool.submit(migrate, dsn)
            eventually(lambda: database.execute("SELECT FROM pg_locks WHERE NOT granted").rowcount == 1)
            assert not waiting.done()
        assert waiting.result(30) == Migrated(HEAD, HEAD)


def test_one_who_may_only_read_cannot_hold_up_a_migration(dsn: str, connect: Connect) -> None:
    with connect() as reader, reader.transaction():
        reader.execute("LOCK TABLE contentq.alembic_version IN ACCESS SHARE MODE")
        reader.execute("SELECT pg_advisory_xact_lock(hashtextextended('contentq.migrate', 0))")

        assert migrate(dsn, lock_timeout=0.1) == Migrated(HEAD, HEAD)


def test_lock_that_holds_up_a_migration_is_waited_for_no_longer_than_said(dsn: str, connect: Connect) -> None:
    with connect() as other, other.transaction():
        other.execute("LOCK TABLE contentq.alembic_version IN EXCLUSIVE MODE")

        with pytest.raises(ContentQueueError, match=r"waited 0\.1 seconds for a lock"):
            migrate(dsn, lock_timeout=0.1)


@pytest.mark.slow
def test_programs_that_migrate_at_once_all_end_well(empty_dsn: str, bare: Queue) -> None:
    program = "import sys; from contentq.database.migrations import migrate; print(migrate(sys.argv[1]).after)"
    command = [sys.executable, "-c", program, empty_dsn]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]

    assert [process.communicate(timeout=60)[0].strip() for process in running] == [HEAD] * 3
    assert current_revision(bare.connection) == HEAD


@pytest.mark.slow
def test_lock_that_someone_holds_ends_the_migration_with_nothing_changed(
    dsn: str, connect_queue: Callable[[], Queue]
) -> None:
    reader, before = connect_queue(), dump(dsn)
    with reader.connection.transaction():
        reader.run("SELECT FROM content_generation_tasks")

        with pytest.raises(ContentQueueError, match=r"waited 0\.1 seconds for a lock and gave up"):
            migrate(dsn, "base", lock_timeout=0.1)
    assert dump(dsn) == before
    assert current_revision(reader.connection) == HEAD


@pytest.mark.slow
def test_error_says_who_holds_the_lock(dsn: str, connect_queue: Callable[[], Queue]) -> None:
    reader = connect_queue()
    with reader.connection.transaction():
        reader.run("LOCK TABLE content_generation_tasks IN ACCESS SHARE MODE")
        pid, user = reader.rows("SELECT pg_backend_pid() AS pid, current_user AS user")[0].values()

        said = rf"held by session {pid} \(contentq test, user {user}, idle in transaction, for \d+ s\)"
        with pytest.raises(ContentQueueError, match=said):
            migrate(dsn, "base", lock_timeout=2)


def test_revision_that_does_not_exist_is_refused(empty_dsn: str, bare: Queue) -> None:
    with pytest.raises(ContentQueueError, match="there is no schema revision '7'; the revisions are base, 0001"):
        migrate(empty_dsn, "7")

    assert relations(bare) == []


@pytest.mark.slow
def test_schema_that_is_newer_than_the_program_is_left_alone(dsn: str, database: Connection) -> None:
    database.execute("UPDATE contentq.alembic_version SET version_num = '9999'")
    before = dump(dsn)

    with pytest.raises(SchemaMismatch, match="9999, which this program does not know"):
        migrate(dsn)
    with pytest.raises(SchemaMismatch, match="9999, which this program does not know"):
        require_head(database)
    assert dump(dsn) == before


def test_database_that_is_not_at_the_head_is_said_to_need_migrating(empty_dsn: str, bare: Queue) -> None:
    with pytest.raises(SchemaMismatch, match="the database is not migrated; run: contentq migrate"):
        require_head(bare.connection)


@pytest.mark.slow
def test_history_of_a_host_application_is_left_alone(empty_dsn: str, bare: Queue) -> None:
    bare.run("CREATE TABLE alembic_version AS SELECT 'abc123' AS version_num")

    migrate(empty_dsn)
    assert bare.values("SELECT version_num FROM public.alembic_version") == ["abc123"]

    migrate(empty_dsn, "base")
    assert bare.values("SELECT version_num FROM public.alembic_version") == ["abc123"]


@pytest.mark.slow
def test_search_path_of_the_database_makes_no_difference(empty_dsn: str, bare: Queue, dsn: str) -> None:
    bare.run("CREATE SCHEMA elsewhere")
    bare.run(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %%I SET search_path = elsewhere', current_database()); END $$"
    )

    migrate(empty_dsn)

    bare.run("DROP SCHEMA elsewhere")
    assert dump(empty_dsn) == dump(dsn)
