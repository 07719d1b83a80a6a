"""Existing tables that do not fit: every problem is named at once, before any change."""

from __future__ import annotations

import re

import pytest
from contentq.database.migrations import migrate
from contentq.errors import ContentQueueError

from tests.support.hosts import CONTENTS, HOST, TASKS
from tests.support.queue import Queue

UNFILLED = "is NOT NULL without a default, and contentq does not fill it; give it a default, or"


def refusal(dsn: str, queue: Queue) -> list[str]:
    """The problems, line by line; nothing has been changed."""
    before = queue.rows(
        "SELECT oid, xmin::text FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1"
    )
    with pytest.raises(ContentQueueError) as refused:
        migrate(dsn)
    assert queue.value("SELECT to_regnamespace('contentq')") is None
    after = queue.rows(
        "SELECT oid, xmin::text FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1"
    )
    assert after == before
    # A statement is on a separate line, so that it can be copied.
    heading, *lines, hint = re.sub(r":\n {4}(.*);(?=\n)", r": \1", str(refused.value)).splitlines()
    assert heading == "the migration stopped, and nothing was changed: existing tables do not fit:"
    assert hint.endswith("contentq migrate --schema content_queue")
    # Statements that show the affected rows are left out here.
    for line in lines:
        if "to see them: " in line:
            # As text: psycopg cannot parse infinite times.
            assert queue.values(f"SELECT s::text FROM ({line.partition('to see them: ')[2]}) AS s")
    return [re.sub("(?<=to see them: ).*", "...", line) for line in lines]


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_database_of_another_encoding_is_refused_before_anything_is_done(
    bare: Queue, empty_dsn: str, encoding: str
) -> None:
    name = f"contentq_encoding_{encoding.lower()}"
    bare.run(f"CREATE DATABASE {name} ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
    try:
        with pytest.raises(ContentQueueError, match=f"encoding {encoding}, but contentq needs UTF8"):
            migrate(empty_dsn.replace(bare.connection.info.dbname, name))
    finally:
        bare.run(f"DROP DATABASE {name}")


@pytest.mark.parametrize(
    ("tables", "problems"),
    [
        (
            "CREATE TABLE accounts (id uuid PRIMARY KEY, title text)",
            [
                "accounts.id is uuid but must be integer or bigint; to keep this table, run contentq migrate "
                "--schema content_queue and store its key in accounts.external_id there",
                "accounts has no column name (varchar(200))",
            ],
        ),
        (
            "CREATE TABLE accounts (id integer, name text, monthly_budget money, UNIQUE (id, name))",
            [
                "accounts.monthly_budget is money but must be numeric: ALTER TABLE public.accounts "
                "ALTER COLUMN monthly_budget TYPE numeric",
                "accounts.id is neither the primary key nor unique: "
                "ALTER TABLE public.accounts ADD PRIMARY KEY (id)",
            ],
        ),
        (
            HOST
            + """;
            CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''no tenant''; END';
            CREATE CONSTRAINT TRIGGER tenant AFTER INSERT ON contents DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION no()""",
            ["contents: content could not be stored: no tenant"],
        ),
        (
            HOST + "; ALTER TABLE contents ADD slug text NOT NULL UNIQUE DEFAULT ''",
            [
                "contents: a second content could not be stored: duplicate key value violates unique constraint "
                '"contents_slug_key"'
            ],
        ),
        (
            HOST + "; CREATE UNIQUE INDEX once ON contents (account_id, lower(title))",
            [
                "contents: a second content could not be stored: duplicate key value violates unique constraint "
                '"once"'
            ],
        ),
        (
            CONTENTS + "; CREATE UNIQUE INDEX once ON contents (account_id) INCLUDE (language)",
            [
                "contents has the unique index public.once on (account_id): content with the same values "
                "could not be stored again",
            ],
        ),
        (
            "CREATE TABLE accounts (id integer NOT NULL UNIQUE DEFERRABLE, name text)",
            [
                "accounts.id is neither the primary key nor unique: "
                "ALTER TABLE public.accounts ADD PRIMARY KEY (id)",
            ],
        ),
        (
            HOST + ";" + TASKS + "; ALTER TABLE content_generation_tasks DROP CONSTRAINT "
            "content_generation_tasks_account_id_fkey, DROP CONSTRAINT content_generation_tasks_content_id_fkey, "
            "DROP CONSTRAINT content_generation_tasks_task_id_key; "
            "UPDATE content_generation_tasks SET account_id = 9, content_id = 9, task_id = 'same' WHERE id > 1; "
            "ALTER TABLE content_generation_tasks ALTER account_id DROP NOT NULL; "
            "UPDATE content_generation_tasks SET account_id = NULL, retry_count = -1, max_retries = -1, "
            "status = 'completed', completed_at = NULL, result = '\"\\u0000\"' WHERE id = 1",
            [
                f"content_generation_tasks: rows with {what}; change or delete them; to see them: ..."
                for what in (
                    "a task_id that another row also has: 2 (the first has id 2)",
                    "a negative retry_count: 1 (the first has id 1)",
                    "a negative max_retries: 1 (the first has id 1)",
                    "status completed without completed_at: 1 (the first has id 1)",
                    "no account_id: 1 (the first has id 1)",
                    "an account_id that does not exist in accounts: 2 (the first has id 2)",
                    "a content_id that does not exist in contents: 2 (the first has id 2)",
                )
            ]
            + [
                "content_generation_tasks: a result contains JSON that PostgreSQL cannot read: unsupported "
                "Unicode escape sequence; change it"
            ],
        ),
        (
            """
            CREATE DOMAIN short AS varchar(100);
            CREATE TABLE accounts (id integer PRIMARY KEY, "Name" text NOT NULL);
            CREATE TABLE contents (id serial PRIMARY KEY, account_id integer, title short, body short,
                                   word_count integer, review_status text, "publishAt" date NOT NULL);
            CREATE TABLE content_generation_tasks (id integer, task_id text, account_id integer, status text)
            PARTITION BY LIST (status)""",
            [
                "content_generation_tasks is partitioned, but id and task_id must be unique across all partitions",
                'accounts has a column "Name" but no column name: ALTER TABLE public.accounts '
                'RENAME "Name" TO name',
                "contents.title is limited to 100 characters but must hold 500: ALTER TABLE public.contents "
                "ALTER COLUMN title TYPE varchar(500)",
                "contents.body is limited to 100 characters but must hold 1000000: ALTER TABLE public.contents "
                "ALTER COLUMN body TYPE text",
                f"contents.publishAt {UNFILLED}: "
                'ALTER TABLE public.contents ALTER COLUMN "publishAt" DROP NOT NULL',
            ],
        ),
        (
            "CREATE TABLE accounts (id integer PRIMARY KEY, name text, paused_until timestamp)",
            [
                "accounts.paused_until is timestamp without time zone but must be timestamptz; if its times are "
                "in UTC: ALTER TABLE public.accounts ALTER COLUMN paused_until TYPE timestamptz "
                "USING paused_until AT TIME ZONE 'UTC'",
            ],
        ),
        (
            "CREATE DOMAIN needed AS text NOT NULL; CREATE DOMAIN given AS text NOT NULL DEFAULT ''; "
            "CREATE TABLE contents (id serial PRIMARY KEY, account_id integer, title text, body text, word_count "
            "integer GENERATED ALWAYS AS (length(body)) STORED, review_status text, note needed, remark given)",
            [
                "contents.word_count is a generated column, but contentq writes it",
                f"contents.note {UNFILLED}: ALTER TABLE public.contents ALTER COLUMN note DROP NOT NULL",
            ],
        ),
        ("CREATE VIEW accounts AS SELECT 1 AS id, 'Ada'::text AS name", ["accounts is not a table"]),
        (
            HOST + ";" + TASKS + "; ALTER TABLE content_generation_tasks ALTER submitted_at TYPE text; "
            "UPDATE content_generation_tasks SET priority = 11, status = 'done' WHERE id = 1; "
            "ALTER TABLE contents ADD slug text NOT NULL, ADD CHECK (review_status <> 'rejected'); "
            "CREATE VIEW ages AS SELECT id, submitted_at FROM content_generation_tasks; "
            "CREATE MATERIALIZED VIEW oldest AS SELECT min(submitted_at) AS at FROM content_generation_tasks",
            [
                "content_generation_tasks.submitted_at is text but must be timestamptz; first drop, and create "
                "again afterwards, materialized view public.oldest, view public.ages: ALTER TABLE "
                "public.content_generation_tasks ALTER COLUMN submitted_at TYPE timestamptz",
                f"contents.slug {UNFILLED}: ALTER TABLE public.contents ALTER COLUMN slug DROP NOT NULL",
                "content_generation_tasks: rows with a status other than pending, processing, completed, "
                "failed and timeout: 1 (the first has id 1); change or delete them; to see them: ...",
                "content_generation_tasks: rows with a priority outside 1 to 10: 1 (the first has id "
                "1); change or delete them; to see them: ...",
            ],
        ),
        (
            "CREATE TABLE contents (id integer PRIMARY KEY, account_id integer, title text, word_count smallint, "
            "slug text NOT NULL UNIQUE, review_status varchar(5), UNIQUE (account_id, title), body varchar(300))",
            [
                "contents.word_count is smallint but must be integer: ALTER TABLE public.contents "
                "ALTER COLUMN word_count TYPE integer",
                "contents.body is limited to 300 characters but must hold 1000000: ALTER TABLE public.contents "
                "ALTER COLUMN body TYPE text",
                "contents.review_status is limited to 5 characters but must hold 8: ALTER TABLE public.contents "
                "ALTER COLUMN review_status TYPE varchar(20)",
                f"contents.id {UNFILLED}: ALTER TABLE public.contents ALTER COLUMN id DROP NOT NULL",
                f"contents.slug {UNFILLED}: ALTER TABLE public.contents ALTER COLUMN slug DROP NOT NULL",
                "contents has the unique index public.contents_account_id_title_key on (account_id, title): "
                "content with the same values could not be stored again",
            ],
        ),
        (
            CONTENTS.replace(
                "review_status text", "review_status text CHECK (review_status IN ('pending', 'ok'))"
            ),
            [
                "contents refuses review_status 'approved', which contentq writes: "
                'new row for relation "contents" violates check constraint "contents_review_status_check"',
                "contents refuses review_status 'rejected', which contentq writes: "
                'new row for relation "contents" violates check constraint "contents_review_status_check"',
                "contents refuses word_count '0', which contentq writes: new row for relation \"contents\" "
                'violates check constraint "contents_review_status_check"',
            ],
        ),
        (
            HOST
            + ";"
            + TASKS
            + """;
            INSERT INTO content_generation_tasks (task_id, account_id, status, priority)
            VALUES ('', 1, 'queued', 5), ('task-5', 1, 'processing', 99)""",
            [
                "content_generation_tasks: rows with a status other than pending, processing, completed, "
                "failed and timeout: 1 (the first has id 4); change or delete them; to see them: ...",
                "content_generation_tasks: rows with no task_id: 1 (the first has id 4); change or delete "
                "them; to see them: ...",
                "content_generation_tasks: rows with a priority outside 1 to 10: 1 (the first has id "
                "5); change or delete them; to see them: ...",
                "content_generation_tasks: rows with status processing without started_at: 1 (the first has id "
                "5); change or delete them; to see them: ...",
            ],
        ),
        (
            HOST
            + ";"
            + TASKS
            + """;
            ALTER TABLE content_generation_tasks DROP started_at, DROP completed_at;
            UPDATE content_generation_tasks SET status = 'processing' WHERE id = 1;
            UPDATE content_generation_tasks SET status = 'completed' WHERE id = 2;
            DELETE FROM content_generation_tasks WHERE id > 2""",
            [
                f"content_generation_tasks: rows with status {status} but no column {column} (add it as "
                f"timestamptz and fill it): 1 (the first has id {id_}); change or delete them; to see them: ..."
                for id_, status, column in ((1, "processing", "started_at"), (2, "completed", "completed_at"))
            ],
        ),
        (
            HOST
            + ";"
            + TASKS
            + """;
            ALTER TABLE content_generation_tasks ADD progress real, ADD attempt_errors jsonb,
                ADD cancel_requested_at timestamptz, ADD gate_entered_at timestamptz, ADD ready_at timestamptz;
            UPDATE content_generation_tasks SET submitted_at = '-infinity', started_at = 'infinity',
                completed_at = 'infinity', created_at = 'infinity', updated_at = 'infinity', progress = 'NaN',
                cancel_requested_at = 'infinity', gate_entered_at = 'infinity', ready_at = 'infinity',
                attempt_errors = '[1, "x", null]', timeout_at = 'infinity'
            WHERE id < 3""",
            [
                f"content_generation_tasks: rows with {what}: 2 (the first has id 1); "
                "change or delete them; to see them: ..."
                for what in (
                    *(f"an infinite {time}" for time in ("submitted_at", "started_at", "completed_at")),
                    *(f"an infinite {time}" for time in ("created_at", "updated_at", "cancel_requested_at")),
                    "an infinite gate_entered_at",
                    "an infinite ready_at",
                    "a progress outside 0 to 1",
                    "attempt_errors that are not an array of objects",
                )
            ],
        ),
        (
            HOST
            + ";"
            + TASKS.replace("status varchar(50)", "status varchar(50) CHECK (status <> 'timeout')").replace(
                "result json", "result jsonb"
            ),
            [
                "content_generation_tasks.result is jsonb but must be json: ALTER TABLE "
                "public.content_generation_tasks ALTER COLUMN result TYPE json",
            ],
        ),
        (
            HOST + ";" + TASKS.replace("status varchar(50)", "status varchar(50) CHECK (status <> 'timeout')"),
            [
                "content_generation_tasks refuses status 'timeout', which contentq writes: new row for relation "
                '"content_generation_tasks" violates check constraint "content_generation_tasks_status_check"',
            ],
        ),
    ],
    ids=range(20),
)
def test_everything_that_does_not_fit_is_named_before_anything_is_changed(
    empty_dsn: str, bare: Queue, tables: str, problems: list[str]
) -> None:
    bare.run(tables)

    assert refusal(empty_dsn, bare) == problems
