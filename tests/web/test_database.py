"""The page and its database: rights of the login, response times, and an unavailable database."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from contentq.database.grants import ROLES
from contentq.queue import inspection
from contentq.web import database, pages

from tests.support.databases import Connection
from tests.support.logins import Logins, made_logins
from tests.support.queue import Queue
from tests.support.roles import applied_roles
from tests.support.servers import Server
from tests.web.conftest import Client, Serve, message_of

PATHS = [path for path, _ in pages.NAVIGATION]

LOGINS = sorted(set(ROLES) - {"contentq_definer"})

APPLICATION = "contentq web"


@pytest.fixture
def logins(database: Connection, server: Server, dsn: str) -> Iterator[Logins]:
    """Makes logins that are members of the roles."""
    queue = Queue(database)
    with applied_roles(queue, server, dsn), made_logins(queue, dsn) as made:
        yield made


@pytest.mark.slow
@pytest.mark.parametrize("role", LOGINS)
def test_page_works_with_each_role(logins: Logins, queue: Queue, serve: Serve, role: str) -> None:
    queue.register(gate="api.example.com")
    queue.running(topic="Tea", batch="monday")
    queue.add(topic="Coffee", status="failed", error_message="It broke")
    reviewed = queue.running(topic="Cocoa", auto_approve=False)
    queue.store(reviewed.worker, [reviewed])
    paths = [*PATHS, "/tasks?status=failed", "/tasks/confirm?operation=cancel&status=pending"]
    paths += [f"/task?id={task_id}" for task_id in queue.values("SELECT task_id FROM content_generation_tasks")]
    client = serve(dsn=logins.add("visitor", role), operate=True)
    answers = {path: client.get(path) for path in paths}
    assert {path: answer.status for path, answer in answers.items()} == dict.fromkeys(paths, 200)
    denied = {path for path, answer in answers.items() if "no right to read this" in answer.text}
    if role in ("contentq_operator", "contentq_reader"):
        assert denied == set()
    elif role == "contentq_reviewer":
        assert denied.isdisjoint({"/tasks", "/tasks?status=failed", "/review", "/batches"})
    else:
        assert "/gates" in denied
        assert denied.isdisjoint({"/tasks", "/tasks?status=failed"})


@pytest.mark.slow
def test_page_may_do_what_its_login_may(logins: Logins, queue: Queue, serve: Serve) -> None:
    queue.add()
    form: dict[str, object] = {"key": "api.example.com", "reason": "tired"}
    reader = serve(dsn=logins.add("reader", "contentq_reader"), operate=True)
    account: dict[str, object] = {"id": queue.account}
    refused: list[tuple[str, dict[str, object]]] = [
        ("/gates/close", form),
        ("/gates/set", form),
        ("/accounts/pause", account),
        ("/task/cancel", {"id": queue.value("SELECT task_id FROM content_generation_tasks")}),
    ]
    for path, fields in refused:
        reader.post(path, fields)
        assert "The database login of this page has no right to do this" in message_of(reader)
    assert queue.value("SELECT count(*) FROM contentq.gates WHERE key <> '*'") == 0
    operator = serve(dsn=logins.add("operator", "contentq_operator"), operate=True)
    allowed: list[tuple[str, dict[str, object]]] = [
        *refused,
        ("/gates/open", form),
        ("/accounts/resume", account),
        ("/accounts/set", {**account, "share": "2"}),
        ("/accounts/budget", {"amount": "5", "category": "blog"}),
        ("/accounts/budget/unset", {"account": "", "category": "blog", "period": "month"}),
    ]
    for path, fields in allowed:
        operator.post(path, fields)
        assert operator.message()[1] is False, operator.message()


@pytest.mark.slow
def test_reviewers_decide_and_operators_do_not(logins: Logins, queue: Queue, serve: Serve) -> None:
    task = queue.running(topic="Tea", auto_approve=False)
    queue.store(task.worker, [task])
    form = {"content": queue.row(task.id)["content_id"], "seen": "pending", "verdict": "approve"}
    operator = serve(dsn=logins.add("operator", "contentq_operator"), operate=True)
    operator.post("/review/decide", form)
    assert "The database login of this page has no right to do this" in message_of(operator)
    reviewer = serve(dsn=logins.add("reviewer", "contentq_reviewer"), operate=True)
    reviewer.post("/review/decide", form)
    assert "is approved" in message_of(reviewer)
    assert queue.values("SELECT DISTINCT reviewed_by <> %s FROM contents", "operator") == [True]


@pytest.mark.parametrize(
    ("role", "offered"),
    [
        ("contentq_reader", {"/task/cancel": False, "/review/decide": False}),
        ("contentq_operator", {"/task/cancel": True, "/review/decide": False}),
        ("contentq_reviewer", {"/task/cancel": False, "/review/decide": True}),
    ],
)
def test_page_offers_what_its_login_may(
    logins: Logins, queue: Queue, serve: Serve, role: str, offered: dict[str, bool]
) -> None:
    task = queue.running(topic="Tea", auto_approve=False)
    queue.store(task.worker, [task])
    waits = queue.row(queue.add(topic="Coffee"))["task_id"]
    client = serve(dsn=logins.add("visitor", role), operate=True)
    pages = client.get(f"/task?id={waits}").body + client.get("/review").body
    assert {action: f'action="{action}"' in pages for action in offered} == offered


@pytest.mark.slow
def test_part_that_is_slow_is_left_out(client: Client, queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(connection: Any, name: str, *_: Any) -> list[Any]:
        if name == "worker_status":
            connection.execute("SELECT pg_sleep(60)")
        return []

    monkeypatch.setattr(database, "READ_TIMEOUT", 1_000)
    monkeypatch.setattr(inspection, "view", slow)
    queue.add(priority=9)
    answer = client.get("/")
    assert answer.status == 200
    assert "Reading this took too long." in answer.text
    assert "pending 1" in answer.text


def test_page_goes_on_after_its_connections_were_cut(client: Client, queue: Queue) -> None:
    assert client.get("/workers").status == 200
    query = (
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = %s AND datname = %s"
    )
    assert queue.values(query, APPLICATION, queue.connection.info.dbname) == [True]
    assert client.get("/workers").status == 200


def test_database_that_is_not_to_be_had_is_said(client: Client, serve: Serve, empty_dsn: str) -> None:
    answer = serve(dsn="host=127.0.0.1 port=1 user=x password=secret connect_timeout=1").get("/")
    assert answer.status == 503
    assert "cannot connect to the database" in answer.text
    assert "secret" not in answer.body
    answer = serve(dsn=empty_dsn).get("/")
    assert (answer.status, "is not migrated; run: contentq migrate" in answer.text) == (503, True)


@pytest.mark.slow
def test_more_requests_than_connections_wait_for_one(
    client: Client, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    statuses: list[int] = []
    threads = [
        threading.Thread(target=lambda: statuses.append(client.get("/workers").status))
        for _ in range(3 * database.MOST_CONNECTIONS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * len(threads)
    query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s AND datname = current_database()"
    assert 1 <= queue.value(query, APPLICATION) <= database.MOST_CONNECTIONS


def test_request_without_a_connection_is_turned_away(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "WAIT", 0.01)
    with ExitStack() as held:
        for _ in range(database.MOST_CONNECTIONS):
            held.enter_context(client.database.reading())
        answer = client.get("/workers")
    assert (answer.status, "are in use; try again" in answer.text) == (503, True)
    assert client.get("/workers").status == 200


def test_error_of_the_page_is_logged_and_not_shown(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any) -> list[Any]:
        raise ZeroDivisionError("of a secret")

    monkeypatch.setattr(inspection, "view", broken)
    answer = client.get("/workers")
    assert (answer.status, "see the log for details" in answer.text) == (500, True)
    assert "secret" not in answer.body
    assert "Content-Security-Policy" in answer.headers
    assert "of a secret" in caplog.text
