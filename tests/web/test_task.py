"""The page of a task: its state, its results, and its actions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest
from contentq.web.pages import task as page_of_task

from tests.support.queue import Queue
from tests.web.conftest import Client, Visit, message_of

NASTY = '</td><script>alert(1)</script>\x1b[31m\u202e"'


def place(queue: Queue, id_: int) -> str:
    return "/task?" + urlencode({"id": queue.row(id_)["task_id"]})


def test_attempts_are_told_in_order_with_what_is_wrong_now(client: Client, queue: Queue) -> None:
    task = queue.running(topic="Tea", category="drinks")
    queue.fail(task, "HTTP 503", error_class="ProviderError", retry_after="0 seconds")
    queue.run("UPDATE content_generation_tasks SET scheduled_at = NULL")
    again = queue.claim(task.worker)[0]
    queue.fail(type(task)(task.worker, task.id, again["attempt"]), "no <money>", permanent=True)
    text = client.get(place(queue, task.id)).text
    events = ["submitted", "attempt 1 failed", "ProviderError: HTTP 503", "attempt 2 started", "attempt 2 failed"]
    places = [text.index(event) for event in events]
    assert places == sorted(places)
    assert "no <money>" in text
    assert "attempt 2 of 4" in text or "failed" in text


def test_task_is_found_by_what_people_type(client: Client, queue: Queue) -> None:
    id_ = queue.add(topic="Tea")
    for given in (str(id_), queue.row(id_)["task_id"]):
        answer = client.get(f"/tasks/{given}")
        assert answer.status == 303
        assert answer.headers["location"] == place(queue, id_)
    assert client.get(client.get("/tasks/none").headers["location"]).status == 404


def test_reasons_are_those_of_explain(client: Client, queue: Queue) -> None:
    id_ = queue.add(topic="Tea", scheduled_at=datetime(2999, 1, 1, tzinfo=UTC))
    text = client.get(place(queue, id_)).text
    (reason, *_) = queue.values("SELECT contentq.explain(%s)", queue.row(id_)["task_id"])
    said, days, _ = reason.partition(" days")  # the rest is in another second
    assert days
    assert said in text
    assert "2999-01-01 00:00:00" in text


def test_content_is_shown_with_its_versions_and_its_cost(client: Client, queue: Queue) -> None:
    task = queue.running(topic="Tea")
    extra = '{"model": "m-1", "prompt_tokens": 1200, "completion_tokens": 34, "cost": 0.25}'
    queue.store(task.worker, [task], titles=["Of tea"], bodies=["# Of tea\n\n**Green** tea"], extras=[extra])
    answer = client.get(place(queue, task.id))
    assert "<strong>Green</strong>" in answer.body
    for said in ("version 1", "approved", "m-1", "1,200", "0.25", "content stored"):
        assert said in answer.text


def test_earlier_version_is_shown_when_it_is_asked_for(client: Client, queue: Queue) -> None:
    task = queue.running(topic="Tea", auto_approve=False)
    queue.store(task.worker, [task], titles=["First"], bodies=["one"])
    first = queue.row(task.id)["content_id"]
    queue.value("SELECT contentq.reject(%s, 'anna', 'not so', true)", first)
    again = queue.claim(task.worker)[0]
    queue.store(
        task.worker, [type(task)(task.worker, task.id, again["attempt"])], titles=["Second"], bodies=["two"]
    )
    body = client.get(place(queue, task.id)).body
    assert "<p>two</p>" in body
    assert "anna" in body
    assert "not so" in body
    body = client.get(f"{place(queue, task.id)}&version={first}").body
    assert "<p>one</p>" in body
    assert "<p>two</p>" not in body
    assert "<p>two</p>" in client.get(f"{place(queue, task.id)}&version=99999").body


@pytest.mark.slow
def test_task_is_cancelled_requeued_and_deleted(operating: Client, queue: Queue, visit: Visit) -> None:
    id_ = queue.add(topic="Tea")
    for has_script in (True, False):
        visitor = visit(operating, java_script_enabled=has_script)
        page = visitor.open(place(queue, id_))
        page.get_by_text("Cancel…").click()
        visitor.press("Cancel the task")
        assert "The task is cancelled." in visitor.text()
        assert queue.status(id_) == "failed"
        page.get_by_text("Requeue…").click()
        page.get_by_label("Note for the handler").fill("once more")
        visitor.press("Requeue the task")
        assert "The task is pending again." in visitor.text()
        assert (queue.status(id_), queue.row(id_)["revision_note"]) == ("pending", "once more")
        assert visitor.errors == []
    page.get_by_text("Delete…").click()
    visitor.press("Delete the task")
    assert queue.value("SELECT count(*) FROM content_generation_tasks") == 0
    assert "is deleted." in visitor.text()


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/task/cancel", "completed", "does not allow this"),
        ("/task/requeue", "pending", "does not allow this"),
        ("/task/requeue", "completed", "does not allow this"),
    ],
)
def test_what_cannot_be_done_is_said(operating: Client, queue: Queue, path: str, status: str, said: str) -> None:
    ended = {"completed_at": datetime.now(UTC)} if status == "completed" else {}
    id_ = queue.add(status=status, **ended)
    answer = operating.post(path, {"id": queue.row(id_)["task_id"]})
    assert answer.headers["Location"] == place(queue, id_)
    assert said in message_of(operating)
    assert queue.status(id_) == status


def test_running_task_is_stopped_and_not_deleted(operating: Client, queue: Queue) -> None:
    task = queue.running()
    task_id = {"id": queue.row(task.id)["task_id"]}
    operating.post("/task/delete", task_id)
    assert "does not allow this" in message_of(operating)
    operating.post("/task/cancel", task_id)
    assert "being stopped" in message_of(operating)
    assert queue.row(task.id)["cancel_requested_at"] is not None
    assert "cancel requested" in operating.get(place(queue, task.id)).text


def test_task_that_is_not_there_is_told(client: Client, operating: Client, queue: Queue) -> None:
    assert client.get("/task?id=none").status == 404
    assert client.get("/task").status == 404
    for path in ("/task/cancel", "/task/requeue"):
        assert operating.post(path, {"id": "none"}).headers["Location"] == "/tasks"
        assert "no task" in message_of(operating)
    assert client.post("/task/cancel", {"id": "none"}).status == 403


@pytest.mark.slow
def test_text_of_strangers_is_neither_markup_nor_unseen(operating: Client, queue: Queue, visit: Visit) -> None:
    id_ = queue.add(
        task_id=NASTY,
        topic=NASTY,
        requirements=NASTY,
        keywords=NASTY,
        category=NASTY,
        batch=NASTY,
        status="failed",
        error_message=NASTY,
        result=f'{{"cost": 1e400, "said": "{"x" * 30_000}"}}',
    )
    queue.run(
        """
        UPDATE content_generation_tasks SET attempt_errors = %s::jsonb, progress_note = topic,
            handler_state = '{"a": "</pre><b>"}' WHERE id = %s""",
        '[{"at": "never", "message": "</td><b>"}, {"attempt": 1, "at": "2026-01-02T03:04:05.6789+00:00"}, {}]',
        id_,
    )
    visitor = visit(operating)
    page = visitor.open(place(queue, id_))
    assert page.locator("main script, main b").count() == 0
    assert r"\x1b[31m\u202e" in visitor.text()
    assert "2026-01-02 03:04:05" in visitor.text()
    assert visitor.findings() == []
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 360, "height": 740})
    assert visitor.findings("color-contrast") == []
    assert visitor.is_as_wide_as_the_screen()
    page.get_by_text("Delete…").click()
    visitor.press("Delete the task")
    assert "is deleted" in visitor.text()
    assert queue.value("SELECT count(*) FROM content_generation_tasks") == 0
    assert visitor.errors == []


def test_page_of_a_task_is_in_chinese(client: Client, queue: Queue) -> None:
    task = queue.running(topic="茶")
    text = client.get(f"{place(queue, task.id)}&lang=zh").text
    assert "第 1 次尝试开始" in text


def test_timeline_holds_what_cannot_be_read_at_the_end() -> None:
    at = datetime(2026, 1, 2, tzinfo=UTC)
    task: dict[str, Any] = {
        "submitted_at": at,
        "attempt_errors": ["junk", {"at": "2026-01-01T00:00:00+00:00", "message": "early", "attempt": 1}],
        "started_at": "infinity",
        "attempt": 2,
        "cancel_requested_at": None,
        "status": "pending",
        "scheduled_at": "infinity",
    }
    events = list(page_of_task.timeline(task, []))
    assert [event.kind for event in events] == ["error", "submitted", "error", "started"]
    assert events[2].detail == '"junk"'


def test_line_break_in_an_id_comes_back_from_a_browser_as_two_characters(operating: Client, queue: Queue) -> None:
    queue.add(task_id="a\nb")
    operating.post("/task/cancel", {"id": "a\r\nb"})
    assert operating.message() == ("The task is cancelled.", False)
