"""The review desk: its content, and decisions by keys and without scripts."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.queue import Queue
from tests.web.conftest import Client, Serve, Visit, message_of

NASTY = '</td><script>alert(1)</script>\x1b[31m\u202e"'


def waiting(queue: Queue, title: str = "Tea", body: str = "Two words.", **columns: Any) -> int:
    """Lets a worker produce content that awaits review; returns its id."""
    task = queue.running(auto_approve=False, topic=title, **columns)
    return stored(queue, task, title, body)


def stored(queue: Queue, task: Any, title: str, body: str) -> int:
    assert queue.store(task.worker, [task], titles=[title], bodies=[body]) == [task.id]
    return int(queue.row(task.id)["content_id"])


def review_of(queue: Queue, content_id: int) -> tuple[Any, ...]:
    row = queue.rows("SELECT review_status, reviewed_by, review_note FROM contents WHERE id = %s", content_id)[0]
    return tuple(row.values())


@pytest.mark.slow
def test_keys_approve_reject_and_go_through_what_waits(operating: Client, queue: Queue, visit: Visit) -> None:
    first, second, third = (waiting(queue, title) for title in ("Tea", "Coffee", "Cocoa"))
    visitor = visit(operating)
    page = visitor.open("/review")
    title = page.locator("main h2").first

    def press(key: str) -> None:
        with page.expect_navigation():
            page.keyboard.press(key)

    assert title.inner_text() == "Tea"
    press("j")
    assert title.inner_text() == "Coffee"
    press("k")
    assert title.inner_text() == "Tea"
    press("a")
    assert f"Content {first} is approved." in visitor.text()
    assert title.inner_text() == "Coffee"
    page.keyboard.press("r")
    page.keyboard.type("a jar of a <b>tea</b>")
    assert page.locator("#note").input_value() == "a jar of a <b>tea</b>"
    visitor.press("Reject")
    assert title.inner_text() == "Cocoa"
    assert review_of(queue, first)[0] == "approved"
    assert review_of(queue, second)[0::2] == ("rejected", "a jar of a <b>tea</b>")
    assert review_of(queue, third)[0] == "pending"

    page.get_by_role("button", name="Keys").click()
    page.locator("h1").click()
    page.keyboard.press("a")
    assert title.inner_text() == "Cocoa"
    page.get_by_role("button", name="Keys").click()
    press("a")
    assert "No content is waiting for review." in visitor.text()
    assert visitor.errors == []


@pytest.mark.slow
def test_desk_works_without_a_script(operating: Client, queue: Queue, visit: Visit) -> None:
    first, second = waiting(queue, "Tea"), waiting(queue, "Coffee")
    visitor = visit(operating, java_script_enabled=False)
    page = visitor.open("/review")
    page.get_by_label("Note").fill("more about leaves")
    visitor.press("Reject and request a revision")
    assert f"Content {first} is rejected, and its task is pending again." in visitor.text()
    assert review_of(queue, first)[0::2] == ("rejected", "more about leaves")
    task = queue.rows("SELECT status, revision_note FROM content_generation_tasks WHERE topic = 'Tea'")[0]
    assert task == {"status": "pending", "revision_note": "more about leaves"}
    visitor.press("Approve")
    assert review_of(queue, second)[0] == "approved"
    assert visitor.errors == []


def test_decision_of_another_reviewer_is_told_and_stays(serve: Serve, queue: Queue) -> None:
    anna = serve(operate=True, user=lambda _request: "anna")
    ben = serve(operate=True, user=lambda _request: "ben")
    content = waiting(queue)
    form = {"content": content, "seen": "pending", "note": "no"}
    assert anna.post("/review/decide", {**form, "verdict": "approve", "note": ""}).status == 303
    answer = ben.post("/review/decide", {**form, "verdict": "reject"})
    assert answer.headers["Location"] == f"/review?content={content}"
    assert f"content {content} was approved by anna" in message_of(ben)
    assert review_of(queue, content) == ("approved", "anna", None)

    page = ben.get(answer.headers["Location"])
    assert "by anna" in page.text
    assert 'name="seen" value="approved"' in page.body
    assert ben.post("/review/decide", {**form, "seen": "approved", "verdict": "revise"}).status == 303
    assert review_of(queue, content) == ("rejected", "ben", "no")


def test_difference_to_the_version_before_is_shown(operating: Client, queue: Queue) -> None:
    task = queue.running(auto_approve=False, topic="Tea")
    first = stored(queue, task, "Tea", "Green tea is picked in spring.\n\nIt is dried.")
    operating.post(
        "/review/decide", {"content": first, "seen": "pending", "verdict": "revise", "note": "say <when>"}
    )
    again = queue.claim(task.worker)[0]
    task = type(task)(task.worker, task.id, again["attempt"])
    second = stored(queue, task, "Tea", "Green tea is picked in <April>.\n\nIt is dried.")
    answer = operating.get("/review")
    assert f"Changes since content {first}" in answer.text
    assert "<del>spring</del>" in answer.body
    assert "April" in answer.body.partition("<ins>")[2]
    assert "<April>" not in answer.body
    assert "say <when>" in answer.text
    assert "Difference" not in operating.get(f"/review?content={first}").text
    assert (
        operating.get(f"/task?id={queue.row(task.id)['task_id']}").text.count(f"Changes since content {first}")
        == 1
    )
    assert second > first


def test_content_is_selected(client: Client, queue: Queue) -> None:
    other = queue.value("INSERT INTO accounts (name) VALUES ('Grace') RETURNING id")
    waiting(queue, "Tea", category="drinks", batch="monday")
    waiting(queue, "Bread", account_id=other, category="food")
    cake = waiting(queue, "Cake", category="food", batch="monday")
    titles = {"Tea", "Bread", "Cake"}
    for query, shown in (
        ("", titles),
        ("account=Grace", {"Bread"}),
        ("category=food", {"Bread", "Cake"}),
        ("batch=monday", {"Tea", "Cake"}),
        ("category=food&batch=monday", {"Cake"}),
        ("category=none", set()),
    ):
        text = client.get(f"/review?{query}").text
        assert {title for title in titles if title in text} == shown, query
    answer = client.get(f"/review?category=food&content={cake}")
    assert "Previous" in answer.text
    assert "category=food" in answer.body
    assert "Previous" not in client.get(f"/review?category=food&batch=monday&content={cake}").text


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"verdict": "burn"}, "No decision given"),
        ({"seen": "lost"}, "No decision given"),
        ({"content": "x"}, "not an id"),
        ({"content": "999"}, "there is no content 999"),
    ],
)
def test_what_cannot_be_decided_is_said(operating: Client, queue: Queue, form: dict[str, str], said: str) -> None:
    content = waiting(queue)
    sent = {"content": str(content), "seen": "pending", "verdict": "approve", **form}
    assert operating.post("/review/decide", sent).status == 303
    assert said in message_of(operating)
    assert review_of(queue, content)[0] == "pending"


def test_page_that_only_shows_decides_nothing(client: Client, queue: Queue) -> None:
    content = waiting(queue)
    assert "Approve" not in client.get("/review").body
    assert (
        client.post("/review/decide", {"content": content, "seen": "pending", "verdict": "approve"}).status == 403
    )
    assert client.get("/review?content=999").status == 404
    assert review_of(queue, content)[0] == "pending"


@pytest.mark.slow
def test_article_is_shown_as_one_and_is_no_markup(operating: Client, queue: Queue, visit: Visit) -> None:
    body = f"# Tea\n\n**Green** [leaf](javascript:alert(1)) {NASTY}\n\n<script>alert(1)</script>"
    waiting(queue, NASTY, body, requirements=NASTY, keywords=NASTY)
    waiting(queue, "Next " + NASTY)
    visitor = visit(operating)
    page = visitor.open("/review")
    assert page.locator("article strong").inner_text() == "Green"
    assert page.locator("article a").count() == 0
    assert page.locator("main script").count() == 0
    assert r"\x1b[31m\u202e" in visitor.text()
    assert visitor.findings() == []
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 360, "height": 740})
    assert visitor.findings("color-contrast") == []
    assert visitor.is_as_wide_as_the_screen()
    assert visitor.errors == []


@pytest.mark.slow
def test_text_from_right_to_left_is_shown_so(operating: Client, queue: Queue, visit: Visit) -> None:
    waiting(queue, "תה 123", "# תה\n\nתה ירוק (טוב).\n\n- אחת\n\nGreen tea.")
    page = visit(operating).open("/review")
    places = page.evaluate("""() => {
        const place = (node) => {
            const range = document.createRange();
            range.selectNodeContents(node);
            const [of, all] = [range.getBoundingClientRect(), node.getBoundingClientRect()];
            return of.left - all.left > all.right - of.right + 10 ? "right" : "left";
        };
        return [...document.querySelectorAll("main h2.break, article p, article li")].map(place);
    }""")
    assert places[:4] == ["right", "right", "right", "left"]
