"""The page of the doctor's findings."""

from __future__ import annotations

from datetime import timedelta

from contentq.queue import diagnosis

from tests.support.queue import Queue
from tests.web.conftest import Client


def test_what_is_found_is_shown_with_what_mends_it(client: Client, queue: Queue) -> None:
    queue.silence(queue.register())
    queue.add(category="nobody's")
    found = diagnosis.ask_the_database(queue.connection, timedelta(minutes=10))
    assert found
    text = client.get("/doctor").text
    for each in found:
        assert each.finding in text
        assert " ".join(each.fix.split())[:30] in text


def test_page_is_in_chinese(client: Client, queue: Queue) -> None:
    assert "诊断" in client.get("/doctor?lang=zh").text
