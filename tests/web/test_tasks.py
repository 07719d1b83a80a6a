"""The page of tasks: searching, and changing all selected tasks."""

from __future__ import annotations

import re
from collections import Counter
from urllib.parse import quote, urlencode

import pytest
from contentq.queue import browsing
from contentq.queue.selectors import Selector
from contentq.web.pages import tasks as page_of_tasks

from tests.support.plans import scans
from tests.support.queue import Queue
from tests.web.conftest import Client, Visit

NASTY = '</td><script>alert(1)</script>\x1b[31m\u202e"'


def fill(queue: Queue, number: int, **columns: str) -> None:
    """Inserts this many tasks with the same columns."""
    names, values = ", ".join(columns), list(columns.values())
    places = ", ".join(["%s"] * len(columns))
    queue.run(
        f"INSERT INTO content_generation_tasks (account_id, {names}) "
        f"SELECT %s, {places} FROM generate_series(1, %s) AS n",
        queue.account,
        *values,
        number,
    )


def statuses(queue: Queue) -> Counter[str]:
    return Counter(queue.values("SELECT status FROM content_generation_tasks"))


def test_tasks_are_found_by_what_they_have(client: Client, queue: Queue) -> None:
    other = queue.value("INSERT INTO accounts (name) VALUES ('Grace') RETURNING id")
    queue.add(topic="Tea in Assam", category="drinks", batch="monday")
    queue.add(topic="Coffee", status="failed", error_message="HTTP 503 after 3 s", account_id=other)
    queue.add(topic="tea leaves", submitted_at="2020-01-01 00:00+00")
    topics = {"Tea in Assam", "Coffee", "tea leaves"}
    for query, found in (
        ("", topics),
        ("status=failed", {"Coffee"}),
        ("account=Grace", {"Coffee"}),
        (f"account={other}", {"Coffee"}),
        ("category=drinks", {"Tea in Assam"}),
        ("batch=monday", {"Tea in Assam"}),
        ("since=1h", {"Tea in Assam", "Coffee"}),
        ("until=2020-01-01T00:00:01", {"tea leaves"}),
        ("since=2020-01-01&until=2020-01-02", {"tea leaves"}),
        ("error=503", {"Coffee"}),
        (f"error={quote('HTTP # after # s')}", {"Coffee"}),
        ("worker=99", set()),
        ("q=TEA", {"Tea in Assam", "tea leaves"}),
        ("q=tea&category=drinks", {"Tea in Assam"}),
        ("q=leaves", set()),
        ("status=timeout", set()),
    ):
        text = client.get(f"/tasks?{query}").text
        assert {topic for topic in topics if topic in text} == found, query


def test_task_whose_id_is_searched_for_is_shown(client: Client, queue: Queue) -> None:
    queue.add(task_id="a b/c?d", topic="Tea")
    answer = client.get("/tasks?" + urlencode({"q": "a b/c?d"}))
    assert answer.status == 303
    assert "Tea" in client.get(answer.headers["Location"]).text


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ("status=done", 400, "status: 'done' is not a status"),
        ("since=soon", 400, "is neither a time nor a duration"),
        ("until=1x", 400, "is neither a time nor a duration"),
        ("since=99999999d", 400, "is too long"),
        ("worker=-1", 400, "not an id"),
        ("worker=99999999999999999999", 400, "not an id"),
        ("account=nobody", 422, "there is no account named"),
        ("account=99999999999999999999", 422, "ids are from 1"),
        ("error=" + "x" * 501, 400, "error: too long; the maximum is 500 characters"),
        ("category=%00", 400, "NUL"),
    ],
)
def test_what_cannot_be_looked_for_is_said(
    client: Client, queue: Queue, query: str, status: int, said: str
) -> None:
    queue.add()
    answer = client.get(f"/tasks?{query}")
    assert (answer.status, said in answer.text) == (status, True), answer.text


def test_pages_lead_to_each_task_once(client: Client, queue: Queue) -> None:
    fill(queue, 120, topic="Tea")
    shown, path = 0, "/tasks?q=tea&status=pending"
    for _ in range(3):
        answer = client.get(path)
        shown += answer.body.count('<th scope="row"')
        if 'rel="next"' not in answer.body:
            break
        path = (
            answer.body.partition('rel="next"')[0].rpartition('href="')[2].partition('"')[0].replace("&amp;", "&")
        )
        assert "status=pending" in path
    assert (shown, 'rel="next"' in answer.body) == (120, False)


@pytest.mark.slow
def test_list_is_read_in_parts_of_bounded_size(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    queue.run(
        """
        INSERT INTO content_generation_tasks (account_id, topic, category, status, completed_at)
        SELECT %s, 'Topic ' || n, CASE WHEN n = 1 THEN 'rare' ELSE 'usual' END, 'completed', now()
        FROM generate_series(1, 30000) AS n""",
        queue.account,
    )
    queue.run("ANALYZE content_generation_tasks")
    monkeypatch.setattr(browsing, "PATIENCE", 0.0)

    def browse(before: int | None) -> browsing.Found:
        with queue.connection.transaction():
            return browsing.browse(queue.connection, Selector(category="rare"), None, before, 50)

    first = browse(None)
    assert (first.tasks, first.is_cut, first.before) == ([], True, 30_001 - browsing.FIRST_PART)
    found, before = 0, first.before
    for _ in range(4):
        page = browse(before)
        found, before = found + len(page.tasks), page.before
        if before is None:
            break
    assert (found, before) == (1, None)

    part = (
        "SELECT contentq.select_tasks(NULL, NULL, 'rare', NULL, NULL, NULL, NULL, NULL, newest_first => true, {})"
    )
    read = scans(queue, part.format("beyond_id => 20001, max_tasks => 51, until_id => 10001"))
    assert (read.sequential, read.rows) == (0, 10_000)
    everything = part.replace("'rare'", "NULL").format("beyond_id => 30001, max_tasks => 51, until_id => 0")
    assert scans(queue, everything).rows < 100


def test_range_that_takes_too_long_is_left_to_the_next_page(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browsing, "FIRST_PART", 10)
    slow = " WHERE %(beyond)s > 21 OR pg_sleep(5) IS NULL"
    monkeypatch.setattr(browsing, "_PART", browsing._PART + slow)
    fill(queue, 30, topic="Tea")

    with queue.connection.transaction():
        found = browsing.browse(queue.connection, Selector(), None, None, 50)

    assert (len(found.tasks), found.before, found.is_cut) == (10, 21, True)


def test_part_of_the_tasks_that_was_looked_through_is_told(
    client: Client, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browsing, "PATIENCE", 0.0)
    monkeypatch.setattr(browsing, "FIRST_PART", 10)
    fill(queue, 30, topic="Tea")
    answer = client.get("/tasks?q=coffee")
    assert "Only newer tasks were searched, down to id 21." in answer.text
    assert "Search older tasks" in answer.text
    assert "No tasks found" in client.get("/tasks?q=coffee&before=11").text


@pytest.mark.slow
def test_all_that_are_selected_are_requeued(operating: Client, queue: Queue, visit: Visit) -> None:
    fill(queue, 7, status="failed", error_message="HTTP 503 after 3 s")
    fill(queue, 2, status="failed", error_message="No money left")
    for has_script in (True, False):
        queue.run(
            "UPDATE content_generation_tasks SET status = 'failed', error_message = 'HTTP 503 after 3 s' "
            "WHERE revision_note IS NOT NULL"
        )
        visitor = visit(operating, java_script_enabled=has_script)
        page = visitor.open("/tasks?error=503")
        page.get_by_role("link", name="Requeue…").click()
        page.wait_for_url("**/tasks/confirm?**")
        assert "7 tasks" in visitor.text()
        assert page.locator("tbody tr").count() == 5
        page.get_by_label("Note for the handler").fill("try <b>again</b>")
        visitor.press("Requeue all")
        assert "7 tasks are pending again." in visitor.text()
        assert "Done." in visitor.text()
        assert statuses(queue) == {"pending": 7, "failed": 2}
        notes = queue.values(
            "SELECT DISTINCT revision_note FROM content_generation_tasks WHERE status = 'pending'"
        )
        assert notes == ["try <b>again</b>"]
        assert visitor.errors == []


@pytest.mark.slow
def test_large_change_goes_on_by_itself_and_without_a_script_by_a_button(
    operating: Client, queue: Queue, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_of_tasks, "WORK", 0.0)
    for has_script in (True, False):
        fill(queue, 2500, category="old", topic="Tea")
        queue.add(topic="Coffee")
        visitor = visit(operating, java_script_enabled=has_script)
        visitor.open("/tasks/confirm?operation=delete&category=old")
        page = visitor.press("Delete all")
        if has_script:
            page.get_by_text("Done.").wait_for()
        else:
            assert "1,000 tasks are deleted." in visitor.text()
            assert queue.value("SELECT count(*) FROM content_generation_tasks WHERE category = 'old'") == 1500
            visitor.press("Continue")
            visitor.press("Continue")
        assert "2,500 tasks are deleted." in visitor.text()
        assert "Done." in visitor.text()
        assert queue.value("SELECT count(*) FROM content_generation_tasks WHERE category = 'old'") == 0
        assert visitor.errors == []
    assert queue.value("SELECT count(*) FROM content_generation_tasks") == 2


def test_time_of_a_selection_stays_when_it_is_confirmed(operating: Client, queue: Queue) -> None:
    queue.add(topic="Tea")
    body = operating.get("/tasks/confirm?operation=cancel&since=1h").body
    assert 'name="since" value="20' in body
    assert 'name="since" value="1h"' not in body


def hidden_fields(body: str) -> dict[str, str]:
    """The fields that the form of a page sends automatically."""
    return dict(re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', body))


def test_only_what_was_confirmed_is_changed(operating: Client, queue: Queue) -> None:
    queue.add(category="old")
    form = hidden_fields(operating.get("/tasks/confirm?operation=delete&category=old").body)
    later = queue.add(category="old")
    assert "1 task is deleted." in operating.post("/selection/change", form).text
    assert queue.values("SELECT id FROM content_generation_tasks") == [later]


def test_more_than_was_confirmed_is_asked_for_again(operating: Client, queue: Queue) -> None:
    queue.add(status="failed", error_message="It broke")
    pending = queue.add(topic="Tea")
    form = hidden_fields(operating.get("/tasks/confirm?operation=requeue&status=failed").body)
    queue.set(pending, status="failed", error_message="It broke, too")
    answer = operating.post("/selection/change", {**form, "note": "shorter"})
    assert answer.status == 409
    assert "more than the 1 task shown before" in answer.text
    assert "Tea" in answer.text
    assert 'value="shorter"' in answer.body
    assert statuses(queue) == {"failed": 2}
    assert "2 tasks are pending again" in operating.post("/selection/change", hidden_fields(answer.body)).text


@pytest.mark.slow
def test_tasks_that_others_have_locked_are_told(operating: Client, queue: Queue, dsn: str) -> None:
    import psycopg

    first = queue.add(category="old")
    queue.add(category="old")
    with psycopg.connect(dsn) as other:
        other.execute("SELECT FROM content_generation_tasks WHERE id = %s FOR UPDATE", [first])
        text = operating.post("/selection/change", {"operation": "cancel", "category": "old"}).text
    assert "1 task is cancelled" in text
    assert "1 task was not changed: another session has locked it." in text
    assert statuses(queue) == {"failed": 1, "pending": 1}


def test_nothing_is_changed_without_a_selection_or_by_a_page_that_only_shows(
    client: Client, operating: Client, queue: Queue
) -> None:
    queue.add()
    assert operating.get("/tasks/confirm?operation=cancel").status == 400
    assert "no selector" in operating.post("/selection/change", {"operation": "cancel"}).text
    assert operating.post("/selection/change", {"operation": "drop", "status": "pending"}).status == 303
    assert "cannot cancel" in operating.get("/tasks/confirm?operation=cancel&status=failed").text
    assert client.post("/selection/change", {"operation": "cancel", "status": "pending"}).status == 403
    assert "Cancel…" not in client.get("/tasks?status=pending").body
    assert "Cancel…" not in operating.get("/tasks").body
    assert "Cancel…" not in operating.get("/tasks?status=pending&q=tea").body
    assert "Cancel…" in operating.get("/tasks?status=pending").body
    assert statuses(queue) == {"pending": 1}


def test_many_tasks_are_counted_up_to_a_limit(
    operating: Client, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_of_tasks, "MOST_COUNTED", 20)
    fill(queue, 20, topic="Tea")
    assert "20 tasks" in operating.get("/tasks/confirm?operation=cancel&status=pending").text
    queue.add()
    assert "More than 20 tasks" in operating.get("/tasks/confirm?operation=cancel&status=pending").text


@pytest.mark.slow
def test_text_of_strangers_is_neither_markup_nor_unseen(operating: Client, queue: Queue, visit: Visit) -> None:
    queue.add(topic=NASTY, category=NASTY[:50], batch=NASTY, status="failed", error_message=NASTY)
    visitor = visit(operating)
    page = visitor.open("/tasks?" + urlencode({"batch": NASTY}))
    assert visitor.text().count(r"</td><script>alert(1)</script>\x1b[31m\u202e") == 4
    page.get_by_role("link", name="Delete…").click()
    page.wait_for_url("**/tasks/confirm?**")
    visitor.press("Delete all")
    assert "1 task is deleted." in visitor.text()
    assert visitor.errors == []


@pytest.mark.slow
def test_confirmation_is_accessible(operating: Client, queue: Queue, visit: Visit) -> None:
    queue.add(topic="Tea")
    visitor = visit(operating, viewport={"width": 360, "height": 740})
    visitor.open("/tasks/confirm?operation=cancel&status=pending&lang=zh")
    assert visitor.findings() == []
    assert visitor.is_as_wide_as_the_screen()
    assert "取消任务" in visitor.text()
    visitor.press("全部取消")
    assert "已取消" in visitor.text()
