"""The page of accounts: its content and its actions."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from urllib.parse import quote

import pytest

from tests.support.queue import Queue
from tests.web.conftest import Client, Visit, message_of

NASTY = "Eve</th><script>alert(1)</script>\x1b\u202e"


def add_account(queue: Queue, name: str, **columns: object) -> int:
    names = ", ".join(["name", *columns])
    places = ", ".join(["%s"] * (1 + len(columns)))
    return int(
        queue.value(f"INSERT INTO accounts ({names}) VALUES ({places}) RETURNING id", name, *columns.values())
    )


def spend(queue: Queue, account: int, cost: str, category: str = "blog") -> None:
    queue.run(
        "INSERT INTO contentq.usage (account_id, category, model, day, attempts, prompt_tokens, "
        "completion_tokens, cost) VALUES (%s, %s, 'm', (now() AT TIME ZONE 'UTC')::date, 1, 10, 20, %s)",
        account,
        category,
        cost,
    )


def test_account_shows_what_it_costs_and_does(client: Client, queue: Queue) -> None:
    account = add_account(queue, "Harbour & Finch", monthly_budget=50, share=3, max_running=7)
    spend(queue, account, "12.5")
    for _ in range(2):
        queue.add(account_id=account)
    queue.add(account_id=account, scheduled_at="2999-01-01")
    queue.running(account_id=account, priority=9)
    text = client.get("/accounts").text
    assert f"{account} Harbour & Finch 2 1 / 7 12.50 50.00 3 –" in text


@pytest.mark.slow
def test_account_is_set_paused_and_resumed(operating: Client, queue: Queue, visit: Visit) -> None:
    account = add_account(queue, "Harbour & Finch")
    visitor = visit(operating, java_script_enabled=False)
    page = visitor.open("/accounts")
    page.locator("td summary", has_text="Set").click()
    page.get_by_label("Share").fill("5")
    page.get_by_label("Max. running").fill("0")
    page.get_by_label("Monthly budget").fill("12.5")
    with page.expect_navigation():
        page.locator("td").get_by_role("button", name="Set", exact=True).click()
    assert f"The limits of account {account} are set." in visitor.text()
    row = queue.rows("SELECT share, max_running, monthly_budget FROM accounts")[0]
    assert row == {"share": 5, "max_running": 0, "monthly_budget": Decimal("12.5")}

    page.locator("td summary", has_text="Pause").click()
    page.get_by_label("For how long").fill("2h")
    visitor.press("Pause")
    assert f"Account {account} is paused." in visitor.text()
    left = queue.value("SELECT paused_until - clock_timestamp() FROM accounts")
    assert timedelta(minutes=119) < left <= timedelta(hours=2)
    visitor.press("Resume")
    assert f"Account {account} is resumed." in visitor.text()
    assert queue.value("SELECT paused_until FROM accounts") is None
    assert visitor.errors == []


def test_account_is_found_and_the_search_kept(operating: Client, queue: Queue) -> None:
    first = add_account(queue, "Harbour & Finch", external_id="shop-7")
    second = add_account(queue, "青禾文化")
    for search, found in (("harb", first), ("shop-7", first), (str(second), second), ("禾文", second)):
        text = operating.get(f"/accounts?q={quote(search)}").text
        assert [name in text for name in ("Harbour", "青禾文化")] == [found == first, found == second]
    assert "No accounts found." in operating.get("/accounts?q=nobody").text
    assert operating.get("/accounts?q=" + "9" * 30).status == 200
    assert operating.get("/accounts?q=%00").status == 400
    answer = operating.post("/accounts/pause", {"id": first, "q": "harb", "after": ""})
    assert answer.headers["Location"] == "/accounts?q=harb"


def test_accounts_that_are_many_are_on_several_pages(client: Client, queue: Queue) -> None:
    queue.run("INSERT INTO accounts (name) SELECT 'account number ' || n FROM generate_series(1, 120) AS n")
    seen, path = [], "/accounts"
    for _ in range(5):
        answer = client.get(path)
        seen += [part.split("<")[0] for part in answer.body.split("account number ")[1:]]
        path = next(iter(answer.body.split('rel="next"')[0].rsplit('href="', 1)[1:]), "").split('"')[0]
    assert [int(number) for number in seen] == list(range(1, 121))
    assert 'rel="next"' not in answer.body


@pytest.mark.slow
def test_budget_is_set_and_taken_away(operating: Client, queue: Queue, visit: Visit) -> None:
    account = add_account(queue, "Harbour & Finch")
    spend(queue, account, "4.5")
    visitor = visit(operating)
    page = visitor.open("/accounts")
    page.get_by_text("Set a budget…").click()
    page.get_by_label("Account: id, external:VALUE or name").fill("Harbour & Finch")
    page.get_by_label("Category").fill("blog")
    page.get_by_label("Period").select_option("day")
    page.get_by_label("Amount").fill("5")
    with page.expect_navigation():
        page.locator("details[open]").get_by_role("button", name="Set", exact=True).click()
    assert "The budget is set." in visitor.text()
    assert queue.rows("SELECT account_id, category, period, amount FROM contentq.budgets") == [
        {"account_id": account, "category": "blog", "period": "day", "amount": 5}
    ]
    assert "near" in visitor.text()
    visitor.press("Remove")
    assert "There are no budgets." in visitor.text()
    assert visitor.errors == []


def test_what_cannot_be_done_is_said(operating: Client, queue: Queue) -> None:
    refused: list[tuple[str, dict[str, str], str]] = [
        ("/accounts/set", {"id": "1", "share": ""}, "The share must be a number"),
        ("/accounts/set", {"id": "1", "share": "0"}, "neither a whole number from 1"),
        ("/accounts/set", {"id": "x", "share": "1"}, "not an id"),
        ("/accounts/set", {"id": "77", "share": "1"}, "there is no account 77"),
        ("/accounts/pause", {"id": "77"}, "there is no account 77"),
        ("/accounts/resume", {"id": "9" * 18}, "there is no account"),
        ("/accounts/budget", {"amount": ""}, "The amount must be a number."),
        ("/accounts/budget", {"amount": "-1"}, "neither a number"),
        ("/accounts/budget", {"amount": "1", "account": "nobody"}, "there is no account named 'nobody'"),
        (
            "/accounts/budget",
            {"amount": "1", "category": "x" * 201},
            "The category is too long; the maximum is 200 characters.",
        ),
    ]
    for path, form, said in refused:
        assert operating.post(path, form).headers["Location"] == "/accounts"
        assert said in message_of(operating)
    assert queue.value("SELECT count(*) FROM contentq.budgets") == 0


def test_text_of_strangers_is_neither_markup_nor_unseen(operating: Client, queue: Queue) -> None:
    add_account(queue, NASTY, external_id=NASTY)
    body = operating.get("/accounts").body
    assert body.count(r"Eve&lt;/th&gt;&lt;script&gt;alert(1)&lt;/script&gt;\x1b\u202e") == 2
    assert "<script>alert" not in body
