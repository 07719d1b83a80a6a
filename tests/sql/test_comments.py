r"""psql's \d+ and \df+ are the documentation: every object of contentq has a comment."""

from __future__ import annotations

import pytest

from tests.support.queue import Queue

# alembic_version is made by alembic.
UNCOMMENTED = {
    "relations": """
        SELECT c.oid::regclass::text FROM pg_class AS c
        WHERE c.relnamespace::regnamespace::text IN ('contentq', 'public', 'content_queue')
          AND c.relkind IN ('r', 'v')
          AND c.relname <> 'alembic_version' AND obj_description(c.oid, 'pg_class') IS NULL""",
    "columns": """
        SELECT format('%s.%s', c.oid::regclass, a.attname) FROM pg_class AS c
        JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        WHERE c.relnamespace::regnamespace::text IN ('contentq', 'public', 'content_queue') AND c.relkind = 'r'
          AND c.relname <> 'alembic_version' AND col_description(c.oid, a.attnum) IS NULL""",
    "functions": """
        SELECT p.oid::regprocedure::text FROM pg_proc AS p
        WHERE p.pronamespace = 'contentq'::regnamespace AND obj_description(p.oid, 'pg_proc') IS NULL""",
    "triggers": """
        SELECT t.tgname FROM pg_trigger AS t
        WHERE NOT t.tgisinternal AND obj_description(t.oid, 'pg_trigger') IS NULL""",
    "schemas": """
        SELECT 'contentq' WHERE obj_description('contentq'::regnamespace, 'pg_namespace') IS NULL""",
}


@pytest.mark.parametrize("kind", UNCOMMENTED)
def test_everything_has_a_comment(queue: Queue, kind: str) -> None:
    assert queue.connection.execute(UNCOMMENTED[kind].encode()).fetchall() == []
