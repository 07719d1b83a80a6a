"""Accounts are selected by id, by their id in another system, or by name; ids may have any size."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from contentq.database.connect import connect

from tests.cli.conftest import Run
from tests.support.queue import Queue

LARGE = 4_000_000_000


@pytest.mark.parametrize("named", ["7f3c", "external:7f3c", "Ada & Co"])
def test_account_that_is_not_there_is_named(contentq: Run, named: str) -> None:
    submitted = contentq("submit", "--account", named, "--topic", "Tea")
    listed = contentq("list", "--account", named)

    assert (submitted.code, listed.code) == (5, 1)
    assert submitted.error == listed.error
    assert named.removeprefix("external:") in listed.error


def test_account_is_found_by_each_of_its_names(contentq: Run, queue: Queue) -> None:
    account = queue.add_account("Ada & Co", external_id="7f3c-11")

    for number, named in enumerate((str(account), "external:7f3c-11", "Ada & Co")):
        assert contentq("submit", "--account", named, "--topic", "Tea", "--task-id", f"t{number}").code == 0
        assert len(contentq("list", "--account", named, "--json").json) == number + 1
        assert contentq("pause", "--account", named, "--json").json["account"] == account
        assert contentq("resume", "--account", named, "--json").json == {
            "gate": None,
            "account": account,
            "was_paused": True,
        }


def test_account_of_an_ambiguous_name_is_not_guessed(contentq: Run, queue: Queue) -> None:
    first, second = queue.add_account("Twin"), queue.add_account("Twin")

    outcome = contentq("pause", "--account", "Twin")

    assert outcome.code == 1
    assert outcome.error == (f"several accounts are named 'Twin': {first}, {second}; use the id of one of them")


def test_option_fills_in_the_account_of_a_file_by_name(
    contentq: Run, queue: Queue, written: Callable[..., str]
) -> None:
    account = queue.add_account("Ada & Co")

    assert contentq("submit", written("tasks.csv", "topic\nTea\n"), "--account", "Ada & Co").code == 0
    assert queue.values("SELECT account_id FROM content_generation_tasks") == [account]


@pytest.mark.parametrize("number", [LARGE, 2**63 - 1])
def test_large_ids_are_looked_up(contentq: Run, number: int) -> None:
    submitted = contentq("submit", "--account", str(number), "--topic", "Tea")

    assert submitted.error.startswith(f"there is no account {number}; add one with: ")
    assert contentq("list", "--account", str(number)).out == "no tasks\n"
    assert contentq("pause", "--account", str(number)).error == f"there is no account {number}"


def test_id_that_no_column_holds_is_refused(contentq: Run) -> None:
    refused = f"there is no account {2**63}; ids are from 1"
    assert contentq("list", "--account", str(2**63)).error.startswith(refused)


@pytest.mark.slow
def test_task_of_an_account_with_a_large_id_goes_all_the_way(program: Run, empty_dsn: str, contentq: Run) -> None:
    with connect(empty_dsn, plain=True) as host:
        host.execute("CREATE TABLE accounts (id bigint PRIMARY KEY, name text NOT NULL)")
        host.execute(
            "CREATE TABLE contents (id bigint GENERATED ALWAYS AS IDENTITY (START 3000000000) PRIMARY KEY, "
            "account_id bigint NOT NULL REFERENCES accounts, title text NOT NULL, body text NOT NULL, "
            "word_count int NOT NULL DEFAULT 0, review_status text NOT NULL DEFAULT 'pending', "
            "created_at timestamptz NOT NULL DEFAULT now())"
        )
        host.execute("INSERT INTO accounts VALUES (%s, 'Large')", [LARGE])
    here = ("--dsn", empty_dsn)

    assert contentq(*here, "migrate").code == 0
    assert contentq(*here, "submit", "--account", "Large", "--topic", "Tea", "--task-id", "post-1").code == 0
    assert program(*here, "worker", "--until-empty").code == 0

    shown = contentq(*here, "show", "post-1", "--json", "--content").json
    assert (shown["status"], shown["account_id"]) == ("completed", LARGE)
    assert shown["content"]["id"] >= 3_000_000_000
    assert contentq(*here, "pause", "--account", str(LARGE)).code == 0
    assert contentq(*here, "stats").code == 0
