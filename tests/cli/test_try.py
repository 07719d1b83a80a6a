"""contentq try: one run of a handler without a queue or database, with output for people and programs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from contentq.cli.main import execute

from tests.cli.conftest import Run
from tests.cli.trials import without_time


def test_content_is_shown_with_its_words_and_its_cost(attempt: Run) -> None:
    shown = attempt("write", "--topic", "Tea")

    assert (shown.code, shown.err) == (0, "")
    *before, last = shown.out.splitlines()
    assert before[:7] == ["Tea", "4 words", "", "# Tea", "", "One two three.", ""]
    assert json.loads("\n".join(before[7:]))["style"] == "dry"
    seconds, cost = last.split(" s, ")
    assert float(seconds.removeprefix("took ")) < 10
    assert cost == "model small-1, 12 prompt + 480 completion tokens, cost 0.0031"


def test_result_is_shown_as_json(attempt: Run) -> None:
    shown = attempt("plain", "--topic", "Tea")

    assert (shown.code, shown.err) == (0, "")
    assert json.loads(without_time(shown.out))["topic"] == "Tea"
    assert "cost 0.0031" in shown.out.splitlines()[-1]


@pytest.mark.parametrize(("topic", "cost"), [("small", "0.00001"), ("whole", "3"), ("round", "2")])
def test_cost_is_shown_without_an_exponent(attempt: Run, topic: str, cost: str) -> None:
    assert attempt("costs", "--topic", topic).out.endswith(f" s, cost {cost}\n")


def test_handler_that_ships_is_tried_as_well(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert execute(["try", "--topic", "Tea"]) == 0
    assert capsys.readouterr().out.startswith("Tea\n")


def test_handler_of_the_category_is_tried(
    attempt: Run, trial_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (trial_folder / "handlers.toml").write_text(
        '[default]\nhandler = "template"\n[categories.x]\nhandler = "handlers:plain"'
    )

    shown = [
        (execute(["try", "--handlers", "handlers.toml", "--topic", "Tea", *options]), capsys.readouterr().out[:4])
        for options in (["--category", "x"], ["--category", "y"], [])
    ]

    assert shown == [(0, "{\n  "), (0, "Tea\n"), (0, "Tea\n")]


def test_task_is_as_the_options_say(attempt: Run, trial_folder: Path) -> None:
    (trial_folder / "draft.md").write_text("# Old tea\n\nTwo words.\n")
    shown = attempt(
        *("told", "--json", "--topic", "Tea", "--keywords", "leaf, water", "--category", "blog", "--tone", "dry"),
        *("--requirements", "short", "--account", "7", "--priority", "9", "--timeout", "1m", "--attempt", "3"),
        *("--max-retries", "2", "--previous-content", "draft.md", "--previous-error", "rejected"),
    )

    assert shown.json["result"] == {
        "topic": "Tea",
        "keyword_list": ["leaf", "water"],
        "category": "blog",
        "requirements": "short",
        "tone": "dry",
        "account_id": 7,
        "priority": 9,
        "attempt": 3,
        "retry_count": 2,
        "max_retries": 2,
        "has_deadline": True,
        "error": "rejected",
        "content": ["Old tea", 4],
    }


def test_task_without_options_has_the_defaults_of_the_table(attempt: Run) -> None:
    told = attempt("told", "--json").json["result"]

    assert (told["topic"], told["account_id"], told["priority"], told["attempt"]) == (None, 1, 5, 1)
    assert (told["max_retries"], told["has_deadline"], told["error"], told["content"]) == (3, False, None, None)


def test_json_holds_everything(attempt: Run) -> None:
    shown = attempt("write", "--topic", "Tea", "--json").json

    assert shown.pop("seconds") < 10
    assert shown == {
        "outcome": "completed",
        "title": "Tea",
        "body": "# Tea\n\nOne two three.\n",
        "word_count": 4,
        "result": {
            "model": "small-1",
            "prompt_tokens": 12,
            "completion_tokens": 480,
            "cost": 0.0031,
            "style": "dry",
        },
    }
    nothing = attempt("nothing", "--json").json
    assert (nothing["outcome"], nothing["result"]) == ("completed", {"success": True})


@pytest.mark.parametrize(
    ("topic", "options", "effect"),
    [
        ("permanent", [], "failed: no such subject"),
        ("temporary", [], "retried after a random backoff (retry 1 of 3): busy"),
        ("temporary", ["--attempt", "3"], "retried after a random backoff (retry 3 of 3): busy"),
        ("temporary", ["--attempt", "4"], "failed, because no retry is left: busy"),
        ("temporary", ["--max-retries", "0"], "failed, because no retry is left: busy"),
        ("later", [], "retried after 90 s (retry 1 of 3): busy"),
        ("provider", [], "retried after a random backoff (retry 1 of 3): 503"),
        ("limited", [], "snoozed for 20 s: 429"),
        ("limited", ["--max-retries", "0"], "snoozed for 20 s: 429"),
        ("last", [], "failed, because no revision is left: too short"),
        ("snoozed", ["--max-retries", "0"], "snoozed for 7200 s: its source is not ready"),
    ],
)
def test_what_it_raises_is_shown_as_what_becomes_of_the_task(
    attempt: Run, topic: str, options: list[str], effect: str
) -> None:
    shown = attempt("by_topic", "--topic", topic, *options)

    assert (shown.code, shown.out) == (1, "")
    assert without_time(shown.err) == f"The task would be {effect}"


def test_draft_whose_checks_failed_is_shown_with_what_is_wrong(attempt: Run) -> None:
    shown = attempt("by_topic", "--topic", "checked")

    assert shown.code == 1
    assert shown.out == "Tea\n2 words\n\nTwo words\n\n"
    said = "The task would be requeued with its draft (revision 1 of 2): it has 2 words\n  write 300\n"
    assert shown.err.startswith(said)
    assert shown.err.endswith("model small-1, 12 prompt + 480 completion tokens, cost 0.0031\n")
    found = json.loads(attempt("by_topic", "--topic", "checked", "--json").out)
    assert (found["outcome"], found["body"], found["usage"]["cost"]) == ("revised", "Two words", 0.0031)
    assert found["error_message"] == "it has 2 words\nwrite 300"


def test_last_draft_that_a_reviewer_gets_is_not_shown_as_completed(attempt: Run) -> None:
    shown = attempt("by_topic", "--topic", "review", "--json")

    assert shown.code == 1
    assert json.loads(shown.out)["outcome"] == "for review"


def test_state_is_given_and_what_would_be_kept_is_shown(attempt: Run) -> None:
    shown = attempt("keeps", "--state", '{"page": 2}')

    assert without_time(shown.err) == (
        'The task would be snoozed for 60 s: next page\nThe next attempt would get the state {"page": 3}'
    )
    assert json.loads(attempt("keeps", "--json").out)["state"] == {"page": 1}
    refused = attempt("keeps", "--state", "[1]")
    assert refused.code == 2
    assert "not a JSON object" in refused.err


def test_each_check_is_shown(attempt: Run) -> None:
    shown = attempt("checked", "--topic", "Tea")

    assert shown.code == 1
    assert shown.out == (
        "Tea\n2 words\n\nTwo words\n\n"
        "check min_words 3: failed: it has 2 words; write at least 3\n"
        "check headings Sources, Tea: failed: there is no heading 'Sources' and 'Tea'; add them\n"
        "check no_leftovers: passed\n"
        "check max_likeness 0.7: skipped: there is no database to compare it with\n"
    )
    checks = json.loads(attempt("checked", "--json").out)["checks"]
    assert [(each["name"], each["setting"], each["outcome"]) for each in checks] == [
        ("min_words", 3, "failed"),
        ("headings", ["Sources", "Tea"], "failed"),
        ("no_leftovers", True, "passed"),
        ("max_likeness", 0.7, "skipped"),
    ]
    assert checks[0]["why"] == "it has 2 words; write at least 3"
    assert checks[2]["why"] is None


def test_json_of_an_error_says_what_it_is_and_what_it_has_cost(attempt: Run) -> None:
    shown = attempt("by_topic", "--topic", "permanent", "--json")

    assert (shown.code, shown.err) == (1, "")
    found = json.loads(shown.out)
    assert (found["outcome"], found["error_message"], found["retry_after"]) == ("failed", "no such subject", None)
    assert found["usage"]["cost"] == 0.0031
    assert json.loads(attempt("by_topic", "--topic", "limited", "--json").out)["retry_after"] == 20


@pytest.mark.parametrize(("topic", "error"), [("unexpected", "KeyError: 'choices'"), ("leaves", "SystemExit: 3")])
def test_unexpected_exception_is_shown_with_the_traceback_of_the_users_code(
    attempt: Run, topic: str, error: str
) -> None:
    shown = attempt("by_topic", "--topic", topic)

    assert (shown.code, shown.out) == (1, "")
    lines = shown.err.splitlines()
    assert lines[0] == "Your handler raised an unexpected exception:"
    assert lines[2] == "Traceback (most recent call last):"
    assert "handlers.py" in lines[3]
    assert error in lines
    assert f"The task would be retried after a random backoff (retry 1 of 3): {error} (handlers.py:" in shown.err


@pytest.mark.parametrize(
    ("handler", "message"),
    [
        ("unstorable", "what the handler returned cannot be stored as JSON"),
        ("a_list", "the handler returned a list; it must return a dict (the result)"),
    ],
)
def test_what_cannot_be_stored_fails_as_in_a_worker(attempt: Run, handler: str, message: str) -> None:
    shown = attempt(handler)

    assert (shown.code, shown.out) == (1, "")
    assert shown.err.startswith(f"The task would be failed: {message}")
    assert "Traceback" not in shown.err


def test_cost_of_what_cannot_be_stored_is_shown_as_it_is_counted(attempt: Run) -> None:
    assert attempt("unstorable").err.endswith(" s, cost 0.5\n")
    assert json.loads(attempt("unstorable", "--json").out)["usage"] == {"cost": 0.5}


@pytest.mark.parametrize("handler", ["connects", "connects_async"])
def test_connection_is_refused_with_where_to_get_one(attempt: Run, handler: str) -> None:
    shown = attempt(handler)

    assert shown.code == 1
    assert shown.error.startswith("context.connection() needs a database")
    assert "contentq.testing.run_task()" in shown.error


def test_progress_goes_to_standard_error_now_and_then(attempt: Run) -> None:
    shown = attempt("progresses", "--json")

    lines = shown.err.splitlines()
    assert lines[0] == "progress: 10% writing"
    assert lines[-1] == "progress: 100% done"
    assert json.loads(shown.out)["outcome"] == "completed"


@pytest.mark.parametrize(
    ("topic", "line"),
    [
        ("word", None),
        ("number as note", "progress: 50% 7"),
        ("percent", "progress: 100% x"),
        ("object", "progress: <class 'object'>"),
    ],
)
def test_progress_is_what_a_worker_would_note(attempt: Run, topic: str, line: str | None) -> None:
    shown = attempt("mumbles", "--topic", topic)

    assert (shown.code, shown.err.splitlines()) == (0, [] if line is None else [line])


@pytest.mark.parametrize(
    ("topic", "cost"), [("result", ""), ("error", ""), ("set", ", cost 1"), ("large", ", 12 prompt tokens")]
)
def test_cost_is_what_the_database_would_count(attempt: Run, topic: str, cost: str) -> None:
    shown = attempt("boasts", "--topic", topic)

    assert shown.code == (1 if topic in ("error", "set") else 0)
    last = (shown.out or shown.err).splitlines()[-1]
    assert last.startswith("took ")
    assert last.partition(" s")[2] == cost
    if topic == "result":
        assert '"cost": "abc"' in shown.out, "the result is stored as it is"
    if shown.code:
        counted = {"error": None, "set": {"cost": 1}}[topic]
        assert json.loads(attempt("boasts", "--topic", topic, "--json").out)["usage"] == counted


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--priority", "11"], "11 is not in the range 1<=x<=10"),
        (["--timeout", "soon"], "'soon' is not a duration"),
        (["--attempt", "0"], "0 is not in the range x>=1"),
        (["--previous-content", "none.md"], "File 'none.md' does not exist"),
        (["--previous-content", "binary.md"], "binary.md is not UTF-8"),
    ],
)
def test_wrong_option_ends_with_2(attempt: Run, trial_folder: Path, options: list[str], message: str) -> None:
    (trial_folder / "binary.md").write_bytes(b"\xff\xfe")
    shown = attempt("nothing", *options)

    assert (shown.code, shown.out) == (2, "")
    assert message in shown.err


def test_handler_that_cannot_be_loaded_ends_with_2(attempt: Run) -> None:
    shown = attempt("no_such")

    assert shown.code == 2
    assert "has no 'no_such'" in shown.error


def test_it_is_quick(trial_folder: Path) -> None:
    """It imports neither alembic nor SQLAlchemy."""
    code = (
        "import sys; from contentq.cli.main import execute; execute(['try', '--topic', 'Tea']); "
        "sys.exit(any(name in sys.modules for name in ('alembic', 'sqlalchemy')))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=trial_folder, capture_output=True, check=False)

    assert done.returncode == 0
