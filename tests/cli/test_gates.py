"""contentq pause and contentq resume."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from tests.cli.conftest import Run
from tests.support.queue import Queue

TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d"
SUBJECTS = [["--gate", "api.example"], ["--account", "1"], ["--all"]]


@pytest.fixture
def waiting(queue: Queue) -> int:
    """A task of account 1 that waits for a worker with the gate api.example; the worker's id."""
    queue.add()
    assert queue.account == 1
    return queue.register(gate="api.example")


@pytest.mark.parametrize("subject", SUBJECTS)
def test_what_is_paused_is_not_claimed_until_it_is_resumed(
    contentq: Run, queue: Queue, waiting: int, subject: list[str]
) -> None:
    paused = contentq("pause", *subject)
    assert (paused.code, paused.err) == (0, "")
    assert queue.claim(waiting) == []

    assert contentq("resume", *subject).code == 0
    assert len(queue.claim(waiting)) == 1


@pytest.mark.usefixtures("queue")
@pytest.mark.usefixtures("waiting")
@pytest.mark.parametrize(
    ("subject", "paused", "resumed"),
    [
        (SUBJECTS[0], "gate api.example is closed", "gate api.example is open again"),
        (SUBJECTS[1], "account 1 is paused", "account 1 is resumed"),
        (SUBJECTS[2], "claiming is paused", "claiming is resumed"),
    ],
)
def test_pause_says_until_when_and_how_to_end_it(
    contentq: Run, subject: list[str], paused: str, resumed: str
) -> None:
    assert contentq("pause", *subject).out == f"{paused}; resume with: contentq resume {' '.join(subject)}\n"
    assert contentq("resume", *subject).out == f"{resumed}\n"
    assert re.fullmatch(f"{paused} until {TIME}\n", contentq("pause", *subject, "--for", "1h30m").out)


@pytest.mark.usefixtures("waiting")
@pytest.mark.parametrize(
    ("subject", "said"),
    [
        (SUBJECTS[0], "gate api.example was not closed"),
        (SUBJECTS[1], "account 1 was not paused"),
        (SUBJECTS[2], "claiming was not paused"),
    ],
)
def test_resume_of_what_was_not_paused_says_so(contentq: Run, subject: list[str], said: str) -> None:
    outcome = contentq("resume", *subject)

    assert (outcome.code, outcome.out) == (0, f"{said}\n")


@pytest.mark.usefixtures("waiting")
@pytest.mark.parametrize("subject", SUBJECTS)
def test_json_has_the_subject_and_the_time(contentq: Run, subject: list[str]) -> None:
    named = {
        "gate": {"--gate": "api.example", "--all": "*"}.get(subject[0]),
        "account": 1 if subject[0] == "--account" else None,
    }

    paused = contentq("pause", *subject, "--for", "1h", "--json").json
    assert re.match(r"\d{4}-\d\d-\d\dT", paused.pop("paused_until"))
    assert paused == {**named, "note": None}
    assert contentq("resume", *subject, "--json").json == {**named, "was_paused": True}
    assert contentq("resume", *subject, "--json").json == {**named, "was_paused": False}
    assert contentq("pause", *subject, "--json").json == {**named, "paused_until": "infinity", "note": None}


@pytest.mark.usefixtures("waiting")
def test_pause_lasts_as_long_as_was_said(contentq: Run, queue: Queue) -> None:
    for subject in SUBJECTS:
        contentq("pause", *subject, "--for", "2h")

    times = [
        *queue.values("SELECT opens_at - clock_timestamp() FROM contentq.gates"),
        queue.value("SELECT paused_until - clock_timestamp() FROM accounts"),
    ]
    assert len(times) == 3
    assert all(timedelta(minutes=119) < time <= timedelta(hours=2) for time in times)


@pytest.mark.parametrize("others", [["api.example:8000", "other.example"], []])
def test_gate_that_no_live_worker_has_is_closed_with_a_note(
    contentq: Run, queue: Queue, others: list[str]
) -> None:
    for gate in others:
        queue.register(gate=gate)
        queue.register(gate=gate)
    queue.silence(queue.register(gate="api.example"))
    queue.register()

    paused = contentq("pause", "--gate", "api.example")

    there_are = "; gates of live workers: api.example:8000, other.example"
    said = f"no live worker has this gate{there_are if others else ', and none has another gate'}"
    assert (paused.code, paused.err) == (0, f"{said}\n")
    assert paused.out == "gate api.example is closed; resume with: contentq resume --gate api.example\n"
    shown = contentq("pause", "--gate", "api.example", "--json").json
    assert shown["note"] == said


def test_reason_is_noted_with_the_gate(contentq: Run, queue: Queue) -> None:
    contentq("pause", "--gate", "api.example", "--reason", "The bill is not paid")
    contentq("pause", "--all", "--reason", "Maintenance")

    assert queue.rows("SELECT key, reason FROM contentq.gates ORDER BY key") == [
        {"key": "*", "reason": "Maintenance"},
        {"key": "api.example", "reason": "The bill is not paid"},
    ]


def test_gate_that_is_closed_for_longer_stays_so_and_that_is_said(contentq: Run, queue: Queue) -> None:
    queue.close_gate("api.example", "infinity", "The bill is not paid")

    outcome = contentq("pause", "--gate", "api.example", "--for", "1m", "--reason", "Short")

    assert outcome.out == "gate api.example is closed; resume with: contentq resume --gate api.example\n"
    assert queue.values("SELECT reason FROM contentq.gates") == ["The bill is not paid"]


@pytest.mark.usefixtures("waiting")
def test_pause_of_an_account_can_be_shortened(contentq: Run, queue: Queue) -> None:
    contentq("pause", "--account", "1")
    contentq("pause", "--account", "1", "--for", "1s")

    assert queue.value("SELECT paused_until < clock_timestamp() + interval '2 seconds' FROM accounts")


@pytest.mark.usefixtures("waiting")
def test_resume_tells_what_still_stands_in_the_way(contentq: Run, queue: Queue) -> None:
    for subject in SUBJECTS:
        contentq("pause", *subject)
    queue.run("UPDATE accounts SET monthly_budget = 0")

    account = contentq("resume", "--account", "1").out.splitlines()
    assert account[0] == "account 1 is resumed"
    assert re.fullmatch(f"its budget is used up: its tasks are not claimed before {TIME}", account[1])
    queue.run("UPDATE accounts SET monthly_budget = NULL")
    assert contentq("resume", "--account", "1").out.splitlines()[1:] == [
        "all workers are still paused; resume them with: contentq resume --all"
    ]
    assert contentq("resume", "--all").out.splitlines()[1:] == [
        "still closed: api.example; open each with: contentq resume --gate KEY"
    ]
    assert contentq("resume", "--gate", "api.example").out == "gate api.example is open again\n"


@pytest.mark.parametrize("command", ["pause", "resume"])
def test_account_that_does_not_exist_ends_with_1(contentq: Run, command: str) -> None:
    outcome = contentq(command, "--account", "99999999999")

    assert (outcome.code, outcome.error) == (1, "there is no account 99999999999")


@pytest.mark.parametrize("command", ["pause", "resume"])
@pytest.mark.parametrize(
    "arguments", [[], ["--all", "--gate", "x"], ["--gate", "x", "--account", "1"], ["--all", "--account", "0"]]
)
def test_not_exactly_one_subject_is_wrong_usage(contentq: Run, command: str, arguments: list[str]) -> None:
    outcome = contentq(command, *arguments)

    assert outcome.code == 2
    assert "give exactly one of --gate KEY, --account ACCOUNT and --all" in outcome.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--gate", ""], "--gate is empty: give the key of a gate"),
        (["--account", "1", "--reason", "x"], "--reason needs --gate or --all"),
        (["--all", "--for", "soon"], "'soon' is not a duration"),
    ],
)
def test_wrong_usage_changes_nothing(contentq: Run, queue: Queue, arguments: list[str], said: str) -> None:
    outcome = contentq("pause", *arguments)

    assert outcome.code == 2
    assert said in outcome.err
    assert queue.values("SELECT key FROM contentq.gates") == []
