"""The overview, the first page."""

from __future__ import annotations

import re
import time

import pytest
from contentq.queue import overview

from tests.support.queue import Queue
from tests.web.conftest import Client, Visit
from tests.web.test_accounts import add_account, spend


def complete(queue: Queue, number: int, waited: str = "2 seconds", ago: str = "5 minutes") -> None:
    """Tasks that were ready, started and completed `ago`, after waiting."""
    queue.run(
        "INSERT INTO content_generation_tasks (account_id, status, submitted_at, started_at, completed_at) "
        "SELECT %s, 'completed', now() - %s::interval - %s::interval, now() - %s::interval, now() - %s::interval "
        "FROM generate_series(1, %s)",
        queue.account,
        ago,
        waited,
        ago,
        ago,
        number,
    )


def test_queue_is_shown_at_a_glance(client: Client, queue: Queue) -> None:
    queue.register(slots=4, gate="api.example.com")
    complete(queue, 3)
    for priority in (9, 9, 2):
        queue.add(priority=priority)
    queue.add(status="failed")
    queue.close_gate("api.example.com", "1 hour", "too many requests")
    spend(queue, queue.account, "3.25")
    text = client.get("/").text
    for part in (
        "pending 3 processing 0 completed 3 failed 1 timeout 0 waiting for review 0",
        "busy slots 0 / 4 1 worker",
        "api.example.com : closed , 59 min",
        "too many requests",
        "9 2",
        "Ada 3",
        "Ada 3.25",
    ):
        assert part in text, text


def test_spending_is_that_of_thirty_days_and_of_this_month(queue: Queue) -> None:
    other = queue.add_account("Grace", monthly_budget=5)
    for account, ago, cost in ((queue.account, 0, 3), (other, 0, 4), (other, 29, 2), (other, 40, 50)):
        queue.run(
            "INSERT INTO contentq.usage (account_id, day, cost, model, attempts, prompt_tokens, completion_tokens)"
            " VALUES (%s, (now() AT TIME ZONE 'UTC')::date - %s, %s, 'm', 1, 1, 1)",
            account,
            ago,
            cost,
        )
    this_month = queue.value(
        "SELECT sum(cost) FROM contentq.usage WHERE account_id = %s AND day >= date_trunc('month', now())", other
    )

    days, accounts = overview.spending(queue.connection, 1)

    assert [cost for _, cost in days] == [2, *[0] * 28, 7]
    assert [(row["name"], row["cost"], row["monthly_budget"]) for row in accounts] == [("Grace", this_month, 5)]


@pytest.mark.slow
def test_charts_show_rates_and_waiting_times(client: Client, queue: Queue, visit: Visit) -> None:
    complete(queue, 100, waited="2 seconds")
    complete(queue, 2, waited="40 seconds", ago="30 minutes")
    visitor = visit(client)
    page = visitor.open("/")
    rates = page.get_by_role("img", name="Completed tasks per second")
    titles = rates.locator("title").all_text_contents()
    assert [re.sub(r"\d\d:\d\d", "…", title) for title in titles] == [
        "…: completed 0.01667/s",
        "…: completed 0.8333/s",
    ]
    waited = page.get_by_role("img", name="Seconds from ready to started").locator("title").all_text_contents()
    assert [title.split(": ")[1] for title in waited] == [
        f"{name} {seconds} s" for name in ("p50", "p95", "p99") for seconds in (40, 2)
    ]


def test_waiting_begins_when_a_task_is_ready(queue: Queue) -> None:
    complete(queue, 1, waited="1 hour", ago="1 minute")
    queue.run("UPDATE content_generation_tasks SET ready_at = started_at - interval '3 seconds'")
    rates = overview.rates(queue.connection)
    assert [waited for waited in rates.waited if waited] == [
        [pytest.approx(3), pytest.approx(3), pytest.approx(3)]
    ]
    assert rates.per_second == pytest.approx(1 / 3600, rel=0.01)


def test_rates_of_a_quick_queue_are_those_of_its_last_tasks(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overview, "MOST_COMPLETED", 50)
    queue.run(
        "INSERT INTO content_generation_tasks (account_id, status, started_at, completed_at) "
        "SELECT %s, 'completed', now() - interval '1 hour', now() - n * interval '1 second' "
        "FROM generate_series(0, 999) AS n",
        queue.account,
    )
    rates = overview.rates(queue.connection)
    assert sum(rates.completed) == 50
    assert rates.per_second == pytest.approx(1, rel=0.1)


def test_times_that_someone_made_up_do_not_blind_it(client: Client, queue: Queue) -> None:
    queue.add(status="completed", submitted_at="0001-01-01", started_at="9999-01-01", completed_at="2020-01-01")
    queue.add(submitted_at="9999-12-31")
    complete(queue, 1)
    queue.run("UPDATE content_generation_tasks SET submitted_at = '9999-01-01' WHERE status = 'completed'")
    assert client.get("/").status == 200


def test_what_is_many_is_said_to_be_more(client: Client, queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    queue.run(
        "INSERT INTO content_generation_tasks (account_id) SELECT %s FROM generate_series(1, 10002)", queue.account
    )
    text = client.get("/").text
    assert "pending more than 10,000" in text
    assert "Ada 10,000" in text


@pytest.mark.slow
def test_accounts_lead_to_their_page(client: Client, queue: Queue, visit: Visit) -> None:
    account = add_account(queue, "Harbour & Finch")
    queue.add(account_id=account)
    visitor = visit(client)
    page = visitor.open("/")
    page.get_by_role("link", name="Harbour & Finch").click()
    page.wait_for_url(f"**/accounts?q={account}")
    assert page.locator("tbody tr").count() == 1


@pytest.mark.slow
def test_page_is_refreshed_until_that_is_paused(client: Client, queue: Queue, visit: Visit) -> None:
    visitor = visit(client)
    page = visitor.open("/")
    refresh = "htmx.ajax('GET', '/', {source: '#live', target: '#live', select: '#live', swap: 'outerHTML'})"
    page.get_by_role("button", name="Pause updates").click()
    queue.add()
    page.evaluate(refresh)
    assert page.locator(".tiles dd").first.inner_text() == "0"
    page.get_by_role("button", name="Pause updates").click()
    page.evaluate(refresh)
    page.locator(".tiles dd", has_text="1").first.wait_for()
    assert page.locator("#live").get_attribute("hx-trigger") == "every 5s"
    assert visitor.errors == []


@pytest.mark.slow
def test_page_is_quick_on_a_large_queue(client: Client, queue: Queue) -> None:
    queue.run(
        "INSERT INTO content_generation_tasks (account_id, priority, status, started_at, completed_at) "
        "SELECT %s, 1 + n %% 10, CASE WHEN n %% 4 = 0 THEN 'pending' ELSE 'completed' END, now(), "
        "CASE WHEN n %% 4 > 0 THEN now() - n * interval '5 milliseconds' END FROM generate_series(1, 500000) AS n",
        queue.account,
    )
    queue.run("VACUUM ANALYZE content_generation_tasks")
    client.get("/")
    began = time.monotonic()
    assert client.get("/").status == 200
    assert time.monotonic() - began < 1
