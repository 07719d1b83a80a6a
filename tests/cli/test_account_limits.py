"""contentq accounts: the list, and the share, cap and budget of each account."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Run
from tests.support.queue import Queue


def test_limits_are_set_and_shown(contentq: Run, queue: Queue) -> None:
    account = queue.add_account("Ada & Co")

    outcome = contentq("accounts", "set", "Ada & Co", "--share", "3", "--max-running", "2")

    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == f"account {account}: share 3, max_running 2, monthly_budget none\n"
    assert queue.rows("SELECT share, max_running, monthly_budget FROM accounts") == [
        {"share": 3, "max_running": 2, "monthly_budget": None}
    ]


def test_what_is_not_given_stays_and_none_takes_a_limit_away(contentq: Run, queue: Queue) -> None:
    account = queue.add_account(share=3, max_running=2, monthly_budget=5)

    assert contentq("accounts", "set", str(account), "--monthly-budget", "0.25", "--json").json == {
        "account": account,
        "share": 3,
        "max_running": 2,
        "monthly_budget": 0.25,
    }
    outcome = contentq("accounts", "set", str(account), "--max-running", "none", "--monthly-budget", "none")
    assert outcome.out == f"account {account}: share 3, max_running none, monthly_budget none\n"
    assert contentq("accounts", "set", str(account)).out == outcome.out


@pytest.mark.parametrize(
    "option",
    [
        ["--share", "0"],
        ["--share", "none"],
        ["--max-running", "-1"],
        ["--max-running", "1.5"],
        ["--max-running", "many"],
        ["--max-running", "2147483648"],
        ["--monthly-budget", "NaN"],
        ["--monthly-budget", "1e999999"],
    ],
    ids=" ".join,
)
def test_value_that_makes_no_sense_is_refused(contentq: Run, queue: Queue, option: list[str]) -> None:
    account = queue.add_account()

    outcome = contentq("accounts", "set", str(account), *option)

    assert outcome.code == 2
    assert f"Invalid value for '{option[0]}'" in outcome.err


def test_account_that_is_not_there_is_named(contentq: Run) -> None:
    outcome = contentq("accounts", "set", "4711", "--share", "2")

    assert (outcome.code, outcome.error) == (1, "there is no account 4711")


def test_workers_are_told_that_more_may_start(contentq: Run, queue: Queue) -> None:
    account = queue.add_account(max_running=0)
    queue.run("LISTEN contentq_ready")

    assert contentq("accounts", "set", str(account), "--max-running", "1").code == 0

    assert len(list(queue.connection.notifies(timeout=5, stop_after=1))) == 1


def test_accounts_are_listed_with_their_limits_and_cost(contentq: Run, queue: Queue) -> None:
    ada = queue.add_account("Ada & Co", share=3, monthly_budget=5, external_id="crm-1")
    grace = queue.add_account("Grace")
    task = queue.running(account_id=ada)
    queue.complete(task.worker, [task], ['{"cost": 0.25}'])

    first, second = contentq("accounts", "list", "--json").json

    assert first == {
        "id": ada,
        "name": "Ada & Co",
        "external_id": "crm-1",
        "paused_until": None,
        "monthly_budget": 5,
        "share": 3,
        "max_running": None,
        "cost": 0.25,
    }
    assert (second["id"], second["cost"]) == (grace, None)
    assert [row["id"] for row in contentq("accounts", "list", "--search", "GRACE", "--json").json] == [grace]
    assert [row["id"] for row in contentq("accounts", "list", "--after", str(ada), "--json").json] == [grace]
    page = contentq("accounts", "list", "--limit", "1")
    assert page.err == f"for more accounts, add: --after {ada}\n"
    assert "Ada & Co" in page.out
    assert "Grace" not in page.out


def test_account_that_is_not_found_leads_to_the_list(contentq: Run) -> None:
    outcome = contentq("accounts", "set", "Nobody", "--share", "3")

    assert outcome.code == 1
    assert outcome.err == "Error: there is no account named 'Nobody'; find it with: contentq accounts list\n"
