"""The page of errors by kind."""

from __future__ import annotations

import pytest
from contentq.web.pages import errors

from tests.support.queue import Queue
from tests.web.conftest import Client, Visit

NASTY = '</td><script>alert(1)</script>\x1b[31m\u202e"'


@pytest.mark.slow
def test_each_kind_leads_to_its_tasks_and_to_their_requeue(operating: Client, queue: Queue, visit: Visit) -> None:
    for number in range(3):
        queue.add(
            status="failed", topic=f"Tea {number}", error_message=f'HTTP 503: no "a{number}" after {number} s'
        )
    queue.add(status="timeout", topic="Late", error_message='HTTP 503: no "b" after 7 s')
    queue.add(topic="Again", retry_count=1, error_message='HTTP 503: no "c" after 8 s')
    queue.add(status="failed", topic="Money", error_message="No money left")
    visitor = visit(operating)
    page = visitor.open("/errors")
    row = page.locator("tbody tr").first
    assert "HTTP #: no <text> after # s" in row.inner_text()
    counts = [row.locator("td.number").nth(place).inner_text() for place in range(4)]
    assert counts == ["5", "3", "1", "1"]
    for place, topics in ((1, {"Tea 0", "Tea 1", "Tea 2"}), (2, {"Late"}), (3, {"Again"})):
        with page.expect_navigation():
            page.locator("tbody tr").first.locator("td.number").nth(place).get_by_role("link").click()
        assert {
            topic for topic in ("Tea 0", "Tea 1", "Tea 2", "Late", "Again", "Money") if topic in visitor.text()
        } == (topics)
        page.go_back()
    page.locator("tbody tr").first.get_by_role("link", name="Requeue…").click()
    page.wait_for_url("**/tasks/confirm?**")
    assert "4 tasks" in visitor.text()
    visitor.press("Requeue all")
    assert "4 tasks are pending again." in visitor.text()
    assert queue.values("SELECT topic FROM content_generation_tasks WHERE status = 'failed'") == ["Money"]
    assert visitor.errors == []


def test_errors_are_of_the_time_that_is_chosen(client: Client, queue: Queue) -> None:
    id_ = queue.add(status="failed", error_message="No money left")
    queue.run("ALTER TABLE content_generation_tasks DISABLE TRIGGER USER")
    queue.run("UPDATE content_generation_tasks SET updated_at = now() - interval '2 days' WHERE id = %s", id_)
    assert "No errors." in client.get("/errors").text
    assert "No errors." in client.get("/errors?since=1h").text
    assert "No errors." in client.get("/errors?since=nonsense").text
    assert "No money left" in client.get("/errors?since=7d").text
    assert "No money left" in client.get("/errors?since=all").text


def test_text_of_strangers_is_neither_markup_nor_unseen(client: Client, queue: Queue) -> None:
    queue.add(status="failed", error_message=NASTY, task_id=NASTY)
    queue.add(status="failed", error_message="")
    queue.add(status="failed")
    answer = client.get("/errors")
    assert "<script>alert" not in answer.body
    assert r"\x1b[31m\u202e" in answer.text
    assert "Requeue" not in answer.text


def test_only_the_newest_tasks_are_counted_and_the_page_says_so(
    client: Client, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(errors, "NEWEST", 2)
    queue.add(status="failed", error_message="Old and gone")
    for message in ("No money left", "Try later"):
        queue.add(status="failed", error_message=message)
    answer = client.get("/errors")
    assert "Only the newest 2 tasks with an error are counted." in answer.text
    assert "No money left" in answer.text
    assert "Try later" in answer.text
    assert "Old and gone" not in answer.text
