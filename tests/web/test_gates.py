"""The page of gates: its content and its actions."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.support.queue import Queue
from tests.web.conftest import Client, Visit, message_of

pytestmark = pytest.mark.slow

NASTY = '</td><script>alert(1)</script>\x1b[31m\u202e"'


def gate(queue: Queue, key: str = "api.example.com") -> dict[str, Any]:
    query = """
        SELECT requests_per_minute, tokens_per_minute, max_running, opens_at = 'infinity' AS is_closed,
               CASE WHEN opens_at > clock_timestamp() AND isfinite(opens_at) THEN opens_at - clock_timestamp() END
                   AS opens_in
        FROM contentq.gates
        WHERE key = %s"""
    return queue.rows(query, key)[0]


def test_gate_is_closed_and_opened_with_a_script_and_without(
    operating: Client, queue: Queue, visit: Visit
) -> None:
    queue.register(gate="api.example.com")
    for has_script in (True, False):
        visitor = visit(operating, java_script_enabled=has_script)
        page = visitor.open("/gates")
        page.locator("td summary", has_text="Close").click()
        page.get_by_label("For how long").last.fill("2h")
        page.get_by_label("Reason").last.fill("no more <b>today</b>")
        with page.expect_navigation():
            page.locator("td").get_by_role("button", name="Close", exact=True).click()
        assert "Gate api.example.com is closed." in visitor.text()
        assert "no more <b>today</b>" in visitor.text()
        assert timedelta(minutes=119) < gate(queue)["opens_in"] <= timedelta(hours=2)
        visitor.press("Open")
        assert "Gate api.example.com is open again." in visitor.text()
        assert gate(queue)["opens_in"] is None
        visitor.open("/gates")
        assert "is open again" not in visitor.text()
        assert visitor.errors == []


def test_everything_is_paused_and_resumed(operating: Client, queue: Queue, visit: Visit) -> None:
    queue.register(gate="api.example.com")
    visitor = visit(operating)
    visitor.open("/gates").get_by_text("Pause everything…").click()
    visitor.press("Pause everything")
    assert "No tasks are claimed." in visitor.text()
    assert gate(queue, "*")["is_closed"]
    visitor.press("Resume everything")
    assert "Tasks are claimed." in visitor.text()
    assert visitor.errors == []


def test_limits_are_set_and_taken_away(operating: Client, queue: Queue, visit: Visit) -> None:
    visitor = visit(operating)
    page = visitor.open("/gates")
    page.get_by_text("Set limits of another gate…").click()
    page.get_by_label("Gate", exact=True).fill("api.example.com")
    page.get_by_label("Requests per minute").fill("600")
    page.get_by_label("Max. running").fill("4")
    visitor.press("Set")
    assert "600 requests per minute" in visitor.text()
    row = gate(queue)
    assert (row["requests_per_minute"], row["tokens_per_minute"], row["max_running"]) == (600, None, 4)

    operating.post("/gates/set", {"key": "api.example.com", "tokens_per_minute": "90000"})
    row = gate(queue)
    assert (row["requests_per_minute"], row["tokens_per_minute"], row["max_running"]) == (None, 90_000, None)


@pytest.mark.parametrize(
    ("path", "form", "said"),
    [
        ("/gates/close", {"key": "a", "for": "soon"}, "is not a duration"),
        ("/gates/close", {"for": "1h"}, "no field key"),
        ("/gates/set", {"key": "a", "max_running": "0"}, "neither a whole number from 1"),
        ("/gates/set", {"key": "a", "max_running": "NaN"}, "neither a whole number"),
        ("/gates/set", {"key": "a", "requests_per_minute": "1e99"}, "neither a number"),
        ("/gates/set", {"key": ""}, "setting a gate requires its key"),
        ("/gates/close", {"key": "a\x00b"}, "NUL"),
    ],
)
def test_what_cannot_be_done_is_said(
    operating: Client, queue: Queue, path: str, form: dict[str, str], said: str
) -> None:
    answer = operating.post(path, form)
    assert (answer.status, answer.headers["Location"]) == (303, "/gates")
    assert said in message_of(operating)
    assert queue.value("SELECT count(*) FROM contentq.gates WHERE key <> '*'") == 0


def test_text_of_strangers_is_neither_markup_nor_unseen(operating: Client, queue: Queue, visit: Visit) -> None:
    queue.close_gate(NASTY, "1 hour", NASTY)
    visitor = visit(operating)
    visitor.open("/gates")
    assert visitor.text().count(r"</td><script>alert(1)</script>\x1b[31m\u202e") == 2
    visitor.press("Open")
    assert gate(queue, NASTY)["opens_in"] is None
    assert visitor.errors == []


def test_page_follows_what_happens_but_leaves_a_form_alone(operating: Client, queue: Queue, visit: Visit) -> None:
    queue.register(gate="api.example.com")
    visitor = visit(operating)
    page = visitor.open("/gates")
    refresh = "htmx.ajax('GET', '/gates', {source: '#live', target: '#live', select: '#live', swap: 'outerHTML'})"
    page.locator("td summary", has_text="Close").click()
    page.get_by_label("Reason").last.fill("typing")
    queue.register(gate="second.example.com")
    page.evaluate(refresh)
    assert "second.example.com" not in visitor.text()
    assert page.get_by_label("Reason").last.input_value() == "typing"

    page.get_by_label("Reason").last.fill("")
    page.locator("td summary", has_text="Close").click()
    page.locator("h1").click()
    page.evaluate(refresh)
    page.get_by_text("second.example.com").wait_for()
    assert visitor.errors == []


def test_gates_that_are_many_are_cut(client: Client, queue: Queue) -> None:
    queue.run("INSERT INTO contentq.gates (key) SELECT 'gate ' || n FROM generate_series(1, 300) AS n")
    answer = client.get("/gates")
    assert "Only the first 200 are shown." in answer.text
    assert answer.body.count('<th scope="row"') == 200
