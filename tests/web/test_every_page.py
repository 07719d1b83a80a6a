"""Every page is accessible on any device and in each language, and keeps to its policy."""

from __future__ import annotations

import pytest
from contentq.web import pages

from tests.support.queue import Queue
from tests.web.conftest import Client, Serve, Visit

pytestmark = pytest.mark.slow

PATHS = [path for path, _ in pages.NAVIGATION]


@pytest.fixture
def full(queue: Queue) -> Queue:
    """A queue with rows of every kind."""
    queue.register(gate="api.example.com")
    queue.running(topic="Tea", batch="monday")
    reviewed = queue.running(topic="Cocoa", auto_approve=False, batch="monday")
    queue.store(reviewed.worker, [reviewed], bodies=["# Cocoa\n\n| a | b |\n|---|--:|\n| 1 | 2 |\n\n> *Hot*"])
    for status in ("pending", "failed", "timeout"):
        queue.add(status=status, topic="Coffee", error_message="It broke")
    queue.close_gate("other.example.com", "1 hour", "too many requests")
    return queue


@pytest.mark.parametrize("path", PATHS)
def test_page_is_accessible_and_keeps_to_its_policy(
    full: Queue, operating: Client, visit: Visit, path: str
) -> None:
    visitor = visit(operating)
    page = visitor.open(path)
    assert page.locator("h1").count() == 1
    assert page.locator("nav a[aria-current=page]").count() == 1
    assert visitor.findings() == []
    page.emulate_media(color_scheme="dark")
    assert visitor.findings("color-contrast") == []
    assert visitor.errors == []


@pytest.mark.parametrize("path", PATHS)
def test_page_fits_a_phone_in_chinese_without_a_script(
    full: Queue, operating: Client, visit: Visit, path: str
) -> None:
    visitor = visit(operating, viewport={"width": 360, "height": 740}, locale="zh-CN", java_script_enabled=False)
    page = visitor.open(path)
    assert page.locator("html").get_attribute("lang") == "zh-Hans"
    assert visitor.is_as_wide_as_the_screen()
    names = page.locator(".scroll tbody th.break")
    assert all(name.evaluate("it => it.clientWidth") > 150 for name in names.all())
    assert visitor.errors == []


@pytest.mark.parametrize("path", PATHS)
def test_page_is_shown_on_an_empty_queue(client: Client, path: str) -> None:
    assert client.get(path).status == 200


@pytest.mark.parametrize("path", PATHS)
def test_page_is_shown_in_both_languages(full: Queue, serve: Serve, path: str) -> None:
    client = serve(operate=True)
    english = client.get(path).text
    chinese = client.get(path, Accept_Language="zh-CN,zh;q=0.9,en;q=0.8").text
    assert english != chinese
    assert "总览" in chinese
