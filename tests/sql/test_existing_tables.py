"""An accounts or contents table that is there already is used when it fits, and refused otherwise."""

from __future__ import annotations

import pytest
from contentq.database.migrations import migrate
from contentq.errors import ContentQueueError

from tests.support.queue import Queue

ACCOUNTS = "CREATE TABLE accounts (id bigint PRIMARY KEY, name text, plan text NOT NULL)"
CONTENTS = """
    CREATE TABLE contents (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, account_id bigint, title text, body text,
        word_count bigint, review_status text, language text DEFAULT 'en'
    )"""


def test_tables_that_fit_are_used(empty_dsn: str, bare: Queue) -> None:
    bare.run(ACCOUNTS)
    bare.run(CONTENTS)
    bare.run("INSERT INTO accounts VALUES (7, 'Ada', 'free')")

    migrate(empty_dsn)

    task = bare.running(account_id=7)
    assert bare.store(task.worker, [task]) == [task.id]
    (stored,) = bare.rows("SELECT * FROM contents")
    assert (stored["account_id"], stored["language"], stored["review_status"]) == (7, "en", "approved")
    assert bare.values("SELECT name FROM contentq.backlog_by_account") == []


def test_tables_that_were_there_survive_the_way_down(empty_dsn: str, bare: Queue) -> None:
    bare.run(ACCOUNTS)
    bare.run("INSERT INTO accounts VALUES (7, 'Ada', 'free')")
    migrate(empty_dsn)
    bare.add(account_id=7)

    migrate(empty_dsn, "base")

    assert bare.rows("SELECT * FROM accounts") == [{"id": 7, "name": "Ada", "plan": "free"}]
    assert bare.values("SELECT tablename FROM pg_tables WHERE schemaname = 'public'") == ["accounts"]


def test_way_down_and_up_again_still_knows_whose_the_tables_are(empty_dsn: str, bare: Queue) -> None:
    bare.run(ACCOUNTS)
    for _ in range(2):
        migrate(empty_dsn)
        assert bare.values("SELECT table_name FROM contentq.owned_tables ORDER BY 1") == [
            "content_generation_tasks",
            "contents",
        ]
        migrate(empty_dsn, "base")


PAUSABLE = """
    CREATE TABLE accounts (
        id bigint PRIMARY KEY, name text, monthly_budget numeric(12, 2) DEFAULT 5, paused_until timestamptz(3)
    )"""
ADDED_BY_0005 = "SELECT column_name FROM contentq.owned_columns WHERE table_name = 'accounts' ORDER BY 1"


def test_columns_of_pauses_and_budgets_that_were_there_are_used(empty_dsn: str, bare: Queue) -> None:
    bare.run(PAUSABLE)
    bare.run("INSERT INTO accounts VALUES (7, 'Ada', 0, NULL), (8, 'Grace', 5, 'infinity'), (9, 'Eve', 5, NULL)")

    migrate(empty_dsn)

    assert bare.values(ADDED_BY_0005) == []
    assert bare.blocked_accounts() == [7, 8]
    tasks = [bare.add(account_id=account) for account in (7, 8, 9)]
    assert [row["id"] for row in bare.claim(bare.register(), 10)] == tasks[2:]
    bare.run("UPDATE accounts SET monthly_budget = NULL, paused_until = NULL")
    assert bare.blocked_accounts() == []


def test_way_down_keeps_the_columns_that_were_there_and_drops_those_that_were_not(
    empty_dsn: str, bare: Queue
) -> None:
    bare.run("CREATE TABLE accounts (id bigint PRIMARY KEY, name text, monthly_budget numeric)")
    bare.run("INSERT INTO accounts VALUES (7, 'Ada', 0)")
    for _ in range(2):
        migrate(empty_dsn)
        assert bare.values(ADDED_BY_0005) == ["paused_until"]
        bare.run("UPDATE accounts SET paused_until = 'infinity'")

        migrate(empty_dsn, "0004")

        assert bare.rows("SELECT * FROM accounts") == [{"id": 7, "name": "Ada", "monthly_budget": 0}]
        # No trigger is left behind.
        bare.run("UPDATE accounts SET monthly_budget = 0")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            "paused_until timestamp",
            "accounts.paused_until must be timestamp with time zone, not timestamp without",
        ),
        ("monthly_budget integer", "accounts.monthly_budget must be numeric, not integer"),
        ("paused_until timestamptz, monthly_budget money", "accounts.monthly_budget must be numeric, not money"),
    ],
)
def test_column_of_another_type_is_refused_with_what_to_do(
    empty_dsn: str, bare: Queue, columns: str, message: str
) -> None:
    bare.run(f"CREATE TABLE accounts (id bigint PRIMARY KEY, name text, {columns})")

    with pytest.raises(ContentQueueError) as refused:
        migrate(empty_dsn)

    assert message in str(refused.value)
    assert bare.value("SELECT to_regnamespace('contentq')") is None


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            "CREATE TABLE accounts (id uuid PRIMARY KEY, title text)",
            r"does not fit: accounts\.id must be an integer; accounts\.name must be text",
        ),
        (
            "CREATE TABLE accounts (id integer, name text)",
            "column id of the table accounts that is there already is",
        ),
        (
            "CREATE TABLE accounts (id integer, name text, UNIQUE (id, name))",
            "neither a primary key nor unique",
        ),
        (
            "CREATE TABLE contents (id integer PRIMARY KEY, account_id integer, title text, word_count smallint)",
            r"contents\.body must be text; contents\.review_status must be text; contents\.word_count must be an",
        ),
        ("CREATE VIEW accounts AS SELECT 1 AS id, 'Ada'::text AS name", "neither a primary key nor unique"),
        ("CREATE TABLE content_generation_tasks (id integer)", "exists already and was not made by contentq"),
    ],
)
def test_table_that_does_not_fit_is_refused_with_nothing_changed(
    empty_dsn: str, bare: Queue, table: str, message: str
) -> None:
    bare.run(table)

    with pytest.raises(ContentQueueError, match=message) as refused:
        migrate(empty_dsn)

    assert str(refused.value).startswith("the migration stopped, with nothing changed: ")
    assert bare.value("SELECT to_regnamespace('contentq')") is None
    assert bare.value("SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace") <= 2
