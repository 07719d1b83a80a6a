"""contentq accounts set: the share, the cap and the budget of an account."""

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
