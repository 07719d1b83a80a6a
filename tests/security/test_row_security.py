"""Row-level security: logins see and insert only rows of their own accounts (docs/explanation/security.md)."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from contentq.cli.main import execute
from contentq.database.connect import connect
from contentq.database.grants import ROLES
from contentq.database.migrations import migrate

from tests.support import programs
from tests.support.databases import Connection
from tests.support.forked import CONTENTQ
from tests.support.hosts import LARGE_KEYS
from tests.support.logins import Logins, made_logins
from tests.support.programs import client
from tests.support.queue import Queue
from tests.support.servers import Server

ON = "SELECT contentq.set_row_security(true)"
OFF = "SELECT contentq.set_row_security(false)"
GIVE = "INSERT INTO contentq.account_roles (role_name, account_id) VALUES (%s, %s)"

STATE = """
    SELECT c.oid::regclass::text, c.relrowsecurity, p.polname, p.polcmd,
           ARRAY(SELECT r::regrole::text FROM unnest(p.polroles) AS r ORDER BY 1),
           pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)
    FROM pg_class AS c LEFT JOIN pg_policy AS p ON p.polrelid = c.oid
    WHERE c.relrowsecurity ORDER BY 1, 3"""
"""Row-level security of all tables, from the catalogue."""

EVERY_VIEW = """
    SELECT oid::regclass::text FROM pg_class WHERE relkind IN ('r', 'v')
    AND relnamespace::regnamespace::text IN ('contentq', 'public') ORDER BY 1"""


@dataclass(frozen=True)
class Scene:
    """A queue of two accounts, each with a pending task, a completed task, usage, and a pause."""

    owner: Queue
    dsn: str
    logins: Logins
    mine: int
    theirs: int

    def add(self, name: str, *roles: str) -> str:
        """A login of the first account; returns its DSN."""
        dsn = self.logins.add(name, *roles)
        self.owner.run(GIVE, self.logins.name(name), self.mine)
        return dsn

    def add_open(self, name: str, *roles: str) -> Queue:
        """A session of a login of the first account."""
        return self.logins.open(self.add(name, *roles))


@pytest.fixture
def scene(owner: Queue, dsn: str) -> Iterator[Scene]:
    """Row-level security is on."""
    ids = []
    for name in ("Mine", "Theirs"):
        account = owner.add_account(name, monthly_budget=0.5)
        worker = owner.register()
        dead = owner.register()
        running = owner.running(dead, account_id=account, topic=f"{name} lost", max_retries=0)
        owner.run("UPDATE contentq.workers SET heartbeat_at = '2001-01-01' WHERE id = %s", dead)
        assert owner.rescue() == 1
        task = owner.running(worker, account_id=account, topic=f"{name} done", category=name)
        extra = json.dumps({"model": f"{name} model", "cost": 1})
        owner.store(worker, [task], titles=[f"{name} title"], bodies=[f"{name} body"], extras=[extra])
        owner.add(account_id=account, topic=f"{name} waits", task_id=f"{name}-1")
        owner.run("UPDATE accounts SET paused_until = 'infinity' WHERE id = %s", account)
        owner.run("SELECT contentq.deregister_worker(%s)", worker)
        owner.run(
            "INSERT INTO contentq.provider_batches (provider, model, requests, error) VALUES ('p', 'm', 1, %s)",
            f"{name} is refused",
        )
        assert owner.status(running.id) == "failed"
        ids.append(account)
    with made_logins(owner, dsn) as logins:
        assert owner.value(ON) > 0
        yield Scene(owner, dsn, logins, *ids)
        owner.run("RESET ROLE")


def everything(session: Queue, relations: list[str]) -> str:
    """Everything that a session can read, as one text."""
    text = []
    for relation in relations:
        try:
            text += session.values(f"SELECT r::text FROM {relation} AS r")
        except psycopg.errors.InsufficientPrivilege:
            continue
    return "\n".join(text)


def test_every_view_is_read_with_the_rights_of_its_reader(owner: Queue) -> None:
    """A view with its owner's rights would show the rows of all accounts."""
    assert (
        owner.values(
            "SELECT relname FROM pg_class WHERE relnamespace = 'contentq'::regnamespace AND relkind = 'v' "
            "AND NOT coalesce(reloptions, '{}') @> '{security_invoker=true}'"
        )
        == []
    )


@pytest.mark.parametrize("role", ["contentq_reader", "contentq_producer", "contentq_reviewer"])
def test_nothing_of_another_account_is_in_anything_that_can_be_read(scene: Scene, role: str) -> None:
    relations = scene.owner.values(EVERY_VIEW)
    shown = everything(scene.owner, relations)
    assert "Theirs model" in shown  # so that this test would detect it
    assert "Theirs body" in shown
    assert "Theirs is refused" in shown
    session = scene.add_open("login", role)

    seen = everything(session, relations)

    assert "Mine waits" in seen
    assert "Mine body" in seen
    assert "Theirs" not in seen
    if role == "contentq_reader":
        for relation in ("usage", "blocked_accounts", "account_roles"):
            assert session.values(f"SELECT account_id FROM contentq.{relation}") == [scene.mine]
        assert session.values("SELECT ids FROM contentq.dead_workers") == []
        assert session.values("SELECT account_id FROM contentq.usage_by_account") == [scene.mine]
        assert session.values("SELECT contentq.explain('Theirs-1')") == ["there is no task Theirs-1"]
        assert "account" in session.value("SELECT contentq.explain('Mine-1')")


@pytest.mark.parametrize("by", ["login", "set role"])
def test_reviewer_decides_about_its_accounts_only(scene: Scene, by: str) -> None:
    """Regardless of what the functions that act for it may see."""
    owner = scene.owner
    owner.run("UPDATE contents SET review_status = 'pending'")
    mine, theirs = (
        owner.value("SELECT id FROM contents WHERE account_id = %s", account)
        for account in (scene.mine, scene.theirs)
    )
    session = scene.add_open("reviewer", "contentq_reviewer")
    if by == "set role":
        owner.run(f"SET ROLE {scene.logins.name('reviewer')}")
        session = owner

    assert session.values("SELECT content_id FROM contentq.review_queue") == [mine]
    for call in ("approve(%s)", "reject(%s)", "reject(%s, revise => true)"):
        with pytest.raises(psycopg.Error, match=f"there is no content {theirs}") as refused:
            session.run(f"SELECT contentq.{call}", theirs)
        assert refused.value.sqlstate == "CQ005"
    for name in ("approve_matching", "reject_matching"):
        assert session.rows(f"SELECT * FROM contentq.{name}(%s)", scene.theirs) == [
            {"contents": 0, "last_id": None}
        ]
    assert session.value("SELECT contents FROM contentq.reject_matching(since => '-infinity')") == 1
    assert session.value("SELECT contentq.approve(%s, review_status => 'rejected')", mine) == "approved"

    owner.run("RESET ROLE")
    statuses = owner.values("SELECT review_status FROM contents ORDER BY account_id = %s DESC", scene.mine)
    assert statuses == ["approved", "pending"]


def test_reviewer_of_a_group_decides_about_the_accounts_of_the_group(scene: Scene) -> None:
    scene.logins.add("group")
    group = scene.logins.name("group")
    session = scene.logins.add_open("member", "contentq_reviewer", group)
    scene.owner.run("UPDATE contents SET review_status = 'pending'")
    approve_all = "SELECT contents FROM contentq.approve_matching(since => '-infinity')"
    assert session.value(approve_all) == 0

    scene.owner.run(GIVE, group, scene.theirs)

    assert session.value(approve_all) == 1
    assert scene.owner.values("SELECT account_id FROM contents WHERE review_status = 'approved'") == [scene.theirs]


def test_reviewer_whom_a_policy_shows_everything_decides_about_everything(scene: Scene) -> None:
    session = scene.add_open("desk", "contentq_reviewer")
    scene.owner.run("UPDATE contents SET review_status = 'pending'")
    approve_all = "SELECT contents FROM contentq.approve_matching(since => '-infinity')"

    scene.owner.run(
        f"CREATE POLICY desk ON contents TO {scene.logins.name('desk')} USING (true) WITH CHECK (true)"
    )
    assert session.value(approve_all) == 2
    scene.owner.run("UPDATE contents SET review_status = 'pending'")
    scene.owner.run("CREATE POLICY less ON contents AS RESTRICTIVE USING (title <> 'Theirs title')")
    assert session.value(approve_all) == 1


def test_producer_inserts_for_its_account_only(scene: Scene) -> None:
    session = scene.add_open("app", "contentq_producer")

    id_ = session.add(account_id=scene.mine, topic="Tea")

    assert session.status(id_) == "pending"
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):
        session.add(account_id=scene.theirs)
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):
        session.run("INSERT INTO contentq.tasks (account_id) VALUES (%s)", scene.theirs)
    assert session.values("SELECT name FROM accounts") == ["Mine"]


def test_login_of_an_application_that_is_in_no_role_of_ours_inserts_for_its_account_only(scene: Scene) -> None:
    """As object-relational mappers need it: with a right on the table, and none on schema contentq."""
    session = scene.add_open("application")
    scene.owner.run(
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON content_generation_tasks TO {scene.logins.name('application')}"
    )

    id_ = session.add(account_id=scene.mine)

    assert session.run("UPDATE content_generation_tasks SET priority = 9") == 4
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):
        session.run("UPDATE content_generation_tasks SET account_id = %s WHERE id = %s", scene.theirs, id_)
    assert session.run("DELETE FROM content_generation_tasks") == 4
    assert scene.owner.value("SELECT count(*) FROM content_generation_tasks") == 3


def test_submit_and_list_work_for_a_producer(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    login = scene.add("app", "contentq_producer")

    assert execute(["--dsn", login, "submit", "--account", "Mine", "--topic", "Tea", "--json"]) == 0
    assert execute(["--dsn", login, "submit", "--account", str(scene.theirs), "--topic", "Tea"]) == 5
    hidden = "there is no account {} that this login may see: row level security is on"
    assert hidden.format(scene.theirs) in capsys.readouterr().err
    assert execute(["--dsn", login, "submit", "--account", "Theirs", "--topic", "Tea"]) == 5
    assert hidden.format("named 'Theirs'") in capsys.readouterr().err
    assert execute(["--dsn", login, "list", "--json"]) == 0
    assert {row["account_id"] for row in json.loads(capsys.readouterr().out)} == {scene.mine}
    assert execute(["--dsn", login, "show", "Mine-1"]) == 0
    assert execute(["--dsn", login, "show", "Theirs-1"]) == 1


def test_file_is_submitted_by_a_producer(scene: Scene, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    login = scene.add("app", "contentq_producer")
    tasks = tmp_path / "tasks.csv"
    tasks.write_text(f"account_id,topic,task_id\n{scene.mine},Tea,a\n{scene.mine},Coffee,b\n", encoding="utf-8")

    for submitted in ("2 tasks submitted", "0 tasks submitted"):
        assert execute(["--dsn", login, "submit", str(tasks)]) == 0
        assert submitted in capsys.readouterr().out
    tasks.write_text(f"account_id,topic\n{scene.theirs},Tea\n", encoding="utf-8")
    assert execute(["--dsn", login, "submit", str(tasks)]) == 5


def test_accounts_can_be_given_to_a_group_and_are_taken_away_at_once(scene: Scene) -> None:
    owner = scene.owner
    scene.logins.add("group")
    group = scene.logins.name("group")
    session = scene.logins.add_open("member", "contentq_reader", group)
    assert session.values("SELECT name FROM accounts") == []

    owner.run(GIVE, group, scene.theirs)
    assert session.values("SELECT name FROM accounts") == ["Theirs"]
    owner.run("DELETE FROM contentq.account_roles")
    assert session.values("SELECT name FROM accounts") == []


def test_role_that_does_not_exist_hinders_no_one(scene: Scene) -> None:
    session = scene.add_open("reader", "contentq_reader")
    scene.owner.run(GIVE, "nobody of this name", scene.theirs)

    assert session.values("SELECT name FROM accounts") == ["Mine"]


def test_no_setting_of_a_session_shows_more(scene: Scene) -> None:
    session = scene.add_open("reader", "contentq_reader")

    session.run("SET row_security = off")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        session.run("SELECT * FROM content_generation_tasks")
    session.run("RESET row_security")
    for forbidden in (GIVE, "SELECT contentq.set_row_security(false)"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            session.run(forbidden, *([scene.logins.name("reader"), scene.theirs] if "%s" in forbidden else []))


@pytest.mark.parametrize("role", ["contentq_producer", "contentq_reader"])
def test_selectors_find_tasks_of_its_accounts_only(scene: Scene, role: str) -> None:
    session = scene.add_open("selecting", role)
    all_of = "SELECT account_id FROM content_generation_tasks"

    found = session.values(f"{all_of} WHERE id IN (SELECT contentq.matching_tasks())")

    assert {*found} == {scene.mine} != {*scene.owner.values(all_of)}
    assert session.values("SELECT contentq.matching_tasks(account_id => %s::bigint)", scene.theirs) == []
    assert session.value("SELECT sum(tasks) FROM contentq.count_matching()") == len(found)
    for operation in ("requeue", "cancel", "delete"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            session.run(f"SELECT * FROM contentq.{operation}_matching(since => '-infinity')")


def test_worker_works_for_every_account(scene: Scene) -> None:
    login = scene.logins.add("worker", "contentq_worker")
    scene.owner.run("UPDATE accounts SET paused_until = NULL, monthly_budget = NULL")

    done = CONTENTQ.run("--dsn", login, "worker", "--until-empty")

    assert done.returncode == 0
    assert "2 completed" in done.stdout + done.stderr
    assert "row level security" not in done.stderr
    assert scene.owner.values("SELECT count(*) FROM contents GROUP BY account_id") == [2, 2]


def test_worker_whose_login_is_bound_is_warned(scene: Scene) -> None:
    """register_worker() raises the notice; the worker logs it."""
    said: list[str] = []
    scene.owner.connection.add_notice_handler(lambda notice: said.append(notice.message_primary or ""))
    for name, role in (("worker", "contentq_worker"), ("operator", "contentq_operator"), ("other", None)):
        scene.logins.add(name, *([role] if role else []))
        scene.owner.run("SELECT contentq.warn_of_row_security(%s)", scene.logins.name(name))

    assert len(said) == 1
    assert f"content_generation_tasks, accounts, contents: role {scene.logins.name('other')} sees only" in said[0]


OPERATING = [
    ["list"],
    ["show", "Theirs-1", "--content"],
    ["explain", "Theirs-1"],
    ["stats"],
    ["top", "--once"],
    ["pause", "--account", "Theirs"],
    ["resume", "--account", "Theirs"],
    ["cancel", "Theirs-1"],
    ["requeue", "Theirs-1"],
    ["maintain"],
    ["cleanup"],
]


def test_every_command_works_for_an_operator(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    login = scene.logins.add("operator", "contentq_operator")

    for command in OPERATING:
        assert execute(["--dsn", login, *command]) == 0, (command, capsys.readouterr().err)

    said = capsys.readouterr().out
    assert "Mine waits" in said
    assert "Theirs waits" in said


def test_role_for_readers_is_enough_to_watch(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    login = scene.logins.add("reader", "contentq_reader")

    assert execute(["--dsn", login, "top", "--once"]) == 0, capsys.readouterr().err


def test_command_turns_it_on_and_off(owner: Queue, dsn: str, capsys: pytest.CaptureFixture[str]) -> None:
    def said(*arguments: str) -> str:
        assert execute(["--dsn", dsn, "roles", "row-security", *arguments]) == 0
        return capsys.readouterr().out.strip()

    before = owner.rows(STATE)
    off = "off: every reader sees the tasks of all accounts"
    on = "on: contentq.account_roles assigns accounts to logins"

    assert said() == f"row level security is {off}"
    assert said("--off") == f"row level security is already {off}"
    assert said("--on") == f"row level security is {on}"
    assert said("--on") == f"row level security is already {on}"
    assert json.loads(said("--json")) == {"row_security": True, "changed": False, "without_account": []}
    assert said() == f"row level security is {on}"
    assert said("--off") == f"row level security is {off}"
    assert owner.rows(STATE) == before
    assert owner.value("SELECT sum(cardinality(added)) FROM contentq.tables") is None or not owner.values(
        "SELECT added FROM contentq.tables WHERE added::text LIKE '%%POLICY%%' OR added::text LIKE '%%ROW LEVEL%%'"
    )


def test_login_that_sees_nothing_is_named(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    scene.logins.add("blind", "contentq_reader")
    scene.logins.add("worker", "contentq_worker")
    scene.add("reader", "contentq_reader")

    assert execute(["--dsn", scene.dsn, "roles", "row-security"]) == 0

    assert capsys.readouterr().err == (
        f"note: {scene.logins.name('blind')} may use the queue but has no account, and therefore "
        "sees no rows; add a row for it to contentq.account_roles\n"
    )


def test_only_the_owner_can_turn_it_off(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    for role in ("contentq_operator", "contentq_worker"):
        login = scene.logins.add(role, role)
        assert execute(["--dsn", login, "roles", "row-security", "--off"]) == 1
        said = capsys.readouterr().err
        assert "must be owner" in said or "permission denied" in said


def test_it_needs_the_roles(dsn: str, server: Server, database: Connection) -> None:
    with server.databases.alone():
        if database.execute("SELECT FROM pg_roles WHERE rolname = 'contentq_worker'").fetchall():
            pytest.skip("the server has the roles already")
        with pytest.raises(
            psycopg.errors.UndefinedObject, match="contentq_worker or contentq_operator is missing"
        ):
            database.execute(ON)
    del dsn


@pytest.mark.slow
def test_migrate_keeps_it(scene: Scene) -> None:
    before = scene.owner.rows(STATE)

    assert migrate(scene.dsn).changes == []
    assert migrate(scene.dsn).notes == []
    assert scene.owner.rows(STATE) == before


@pytest.mark.slow
def test_migrate_restores_what_is_missing_of_it(scene: Scene) -> None:
    before = scene.owner.rows(STATE)
    scene.owner.run("DROP POLICY contentq_own_accounts ON contents")
    scene.owner.run("DROP POLICY contentq_all_accounts ON content_generation_tasks")
    scene.owner.run("ALTER TABLE contentq.usage DISABLE ROW LEVEL SECURITY")

    assert migrate(scene.dsn).changes == ["restored the policies of row level security"]
    assert scene.owner.rows(STATE) == before


@pytest.mark.slow
def test_dump_that_is_restored_has_it(scene: Scene, server: Server) -> None:
    before = scene.owner.rows(STATE)
    scene.add("reader", "contentq_reader")
    dump = programs.dump(scene.dsn)

    with server.databases.empty() as other:
        try:
            command = [str(client("psql")), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", other]
            subprocess.run(command, input=dump, capture_output=True, text=True, check=True)
            with connect(other, plain=True) as connection:
                restored = Queue(connection)
                assert restored.rows(STATE) == before
                restored.run(f"SET ROLE {scene.logins.name('reader')}")
                assert restored.values("SELECT name FROM public.accounts") == ["Mine"]
        finally:
            scene.owner.run("DELETE FROM contentq.account_roles")
            _drop_owned(other, scene.logins.names)


def _drop_owned(dsn: str, names: list[str]) -> None:
    """Objects of server roles in another database, so that the roles can be dropped."""
    with connect(dsn, plain=True) as connection:
        for name in [*ROLES, *names]:
            connection.execute(f'REASSIGN OWNED BY "{name}" TO CURRENT_USER'.encode())
            connection.execute(f'DROP OWNED BY "{name}"'.encode())


@pytest.fixture
def adopted(empty_dsn: str, owner: Queue) -> Iterator[Queue]:
    """A database with a host's accounts and contents, one of which has row-level security."""
    del owner  # the roles exist
    with connect(empty_dsn, "contentq test", plain=True) as connection:
        host = Queue(connection)
        host.run(LARGE_KEYS)
        host.run("ALTER TABLE accounts ENABLE ROW LEVEL SECURITY")
        host.run("CREATE POLICY mine ON accounts USING (true)")
        yield host
        _drop_owned(empty_dsn, [])


def dump_of(dsn: str) -> list[str]:
    """A database's dump, without variable parts: a migration tries to store a content."""
    vary = ("\\restrict", "\\unrestrict", "SELECT pg_catalog.setval")
    return [line for line in programs.dump(dsn).splitlines() if not line.startswith(vary)]


@pytest.mark.slow
@pytest.mark.parametrize("schema", ["public", "queue"])
def test_tables_of_a_host_get_back_what_they_had(
    empty_dsn: str, adopted: Queue, schema: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = dump_of(empty_dsn)
    migrate(empty_dsn, schema=schema)
    migrated = adopted.rows(STATE)

    for way in ("--on", "--off"):
        assert execute(["--dsn", empty_dsn, "roles", "row-security", way]) == 0
    assert adopted.rows(STATE) == migrated
    assert execute(["--dsn", empty_dsn, "roles", "row-security", "--on"]) == 0
    assert len(adopted.rows(STATE)) > len(migrated)
    assert execute(["--dsn", empty_dsn, "migrate", "--to", "base", "--yes"]) == 0
    capsys.readouterr()

    assert dump_of(empty_dsn) == before


@pytest.mark.parametrize("role", ["contentq_worker", "contentq_operator"])
def test_those_who_see_everything_pay_nothing_for_it(scene: Scene, role: str) -> None:
    session = scene.logins.add_open("login", role)

    plan = "\n".join(session.values("EXPLAIN SELECT * FROM content_generation_tasks"))

    assert "Filter" not in plan
    assert "InitPlan" not in plan


def test_index_on_the_account_serves_a_login_that_is_bound(scene: Scene) -> None:
    owner = scene.owner
    owner.run(
        "INSERT INTO content_generation_tasks (account_id, status, completed_at) "
        "SELECT %s, 'completed', now() FROM generate_series(1, 5000)",
        scene.theirs,
    )
    owner.run("ANALYZE content_generation_tasks")
    session = scene.add_open("reader", "contentq_reader")
    session.run("SET enable_seqscan = off")  # which the planner prefers, with two accounts

    plan = "\n".join(session.values("EXPLAIN SELECT * FROM content_generation_tasks"))

    assert "content_generation_tasks_account_id_idx" in plan


def test_nobody_waits_for_tasks_of_another_account(scene: Scene) -> None:
    scene.owner.run("UPDATE content_generation_tasks SET batch = topic WHERE topic LIKE '%%waits'")
    for role in ("contentq_producer", "contentq_reader", "contentq_reviewer"):
        session = scene.add_open(role, role)

        assert session.value("SELECT contentq.wait_channel('Mine-1')").startswith("contentq_task_")
        assert session.value("SELECT contentq.wait_channel(batch => 'Mine waits')").startswith("contentq_batch_")
        for arguments in ("'Theirs-1'", "batch => 'Theirs waits'"):
            with pytest.raises(psycopg.errors.NoDataFound):
                session.run(f"SELECT contentq.wait_channel({arguments})")
        assert session.values("SELECT status FROM contentq.statuses_of('{Theirs-1,Mine-1}', NULL)") == ["pending"]
        assert session.values("SELECT contentq.latest_batches()") == ["Mine waits"]


def test_who_sees_one_account_of_a_batch_is_told_when_its_tasks_have_ended(scene: Scene) -> None:
    tasks = [scene.owner.add(account_id=account, batch="spring") for account in (scene.mine, scene.theirs)]
    session = scene.add_open("app", "contentq_producer")
    channel = session.value("SELECT contentq.wait_channel(batch => 'spring')")
    session.run(f"LISTEN {channel}")
    session.run("SELECT contentq.wait_channel(batch => 'spring')")

    scene.owner.set(tasks[0], status="failed")

    assert [each.channel for each in session.connection.notifies(timeout=10, stop_after=1)] == [channel]
    assert session.rows("SELECT * FROM contentq.statuses_of(batch => 'spring')") == [
        {"status": "failed", "tasks": 1}
    ]
