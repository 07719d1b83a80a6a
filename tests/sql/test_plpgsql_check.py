"""plpgsql_check accepts every function. PostgreSQL itself finds such errors only when a line runs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.cluster import Cluster
from tests.support.databases import Databases
from tests.support.programs import of_the_system
from tests.support.queue import Queue

FINDINGS = """
    SELECT f.oid::regprocedure::text AS function, found.level, found.lineno AS line, found.message, found.detail
    FROM pg_proc AS f
    JOIN pg_language AS l ON l.oid = f.prolang AND l.lanname = 'plpgsql'
    LEFT JOIN pg_trigger AS t ON t.tgfoid = f.oid
    CROSS JOIN LATERAL plpgsql_check_function_tb(
        f.oid, coalesce(t.tgrelid, 0), fatal_errors => false, extra_warnings => true,
        security_warnings => true,
        oldtable => t.tgoldtable, newtable => t.tgnewtable) AS found
    WHERE f.pronamespace = 'contentq'::regnamespace
    ORDER BY 1, 3"""

CHECKED = """
    SELECT count(*) FROM pg_proc JOIN pg_language AS l ON l.oid = prolang AND lanname = 'plpgsql'
    WHERE pronamespace = 'contentq'::regnamespace"""

WRONG = """
    CREATE FUNCTION contentq.wrong() RETURNS bigint LANGUAGE plpgsql
    AS $$ BEGIN RETURN (SELECT no_such_column FROM content_generation_tasks); END $$"""


@pytest.fixture(scope="module")
def databases() -> Iterator[Databases]:
    """Databases on a server with the extension."""
    for programs in of_the_system():
        if (programs.folder.parent / "lib/plpgsql_check.so").is_file():
            with Cluster(programs.folder) as cluster:
                made = Databases(cluster.dsn())
                yield made
                made.close()
            return
    pytest.skip("plpgsql_check is not installed (Debian: postgresql-15-plpgsql-check)")


@pytest.fixture
def dsn(databases: Databases) -> Iterator[str]:
    with databases.migrated() as name:
        yield name


@pytest.fixture
def checked(queue: Queue) -> Queue:
    queue.run("CREATE EXTENSION plpgsql_check")
    return queue


@pytest.mark.slow
def test_no_function_has_errors_or_warnings(checked: Queue) -> None:
    assert checked.value(CHECKED) > 0
    assert checked.rows(FINDINGS) == []


def test_a_column_that_is_not_there_is_found(checked: Queue) -> None:
    checked.run(WRONG)

    found = [row for row in checked.rows(FINDINGS) if row["function"] == "contentq.wrong()"]

    assert "error" in [row["level"] for row in found]
