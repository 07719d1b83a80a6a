"""Drafts of the handler `openai` are checked before completion, and revised: from the settings to the row."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest
from contentq import CheckFailed, HandlerError
from contentq.checks.likeness import EXTENSION
from contentq.content import PreviousContent
from contentq.database.database import Database
from contentq.database.extensions import require_extensions
from contentq.engine.options import WorkerOptions
from contentq.engine.worker import Worker
from contentq.errors import ContentQueueError, HandlerUnusable
from contentq.handlers.loading import load

from tests.handlers.conftest import Ask
from tests.support.databases import Connection
from tests.support.forked import CONTENTQ
from tests.support.provider import Provider
from tests.support.provider_rules import Rule
from tests.support.queue import Queue
from tests.support.waiting import eventually

SHORT = "# Tea\n\nIt is hot, and this draft is far too short.\n"
LONG = "# Tea\n\n" + " ".join(["It is hot, and black, and a matter of time."] * 10) + "\n"
CHECKS = "[checks]\nmin_words = 50\nheadings = ['Tea']\n"
REASON = "it has 11 words; write at least 50"


@pytest.fixture
def queue(database: Connection) -> Queue:
    return Queue(database)


def work_off(dsn: str, settings: Path) -> None:
    async def work() -> None:
        handler = load("openai", settings=settings)
        await Worker(Database(dsn), handler, WorkerOptions(concurrency=10, until_empty=True)).run()
        await handler.call.close()  # type: ignore[attr-defined]

    asyncio.run(work())


def drafts(queue: Queue) -> list[tuple[str, str]]:
    rows = queue.rows("SELECT body, review_status FROM contents ORDER BY id")
    return [(row["body"], row["review_status"]) for row in rows]


@pytest.mark.slow
def test_draft_is_better_once_the_model_sees_the_reason(
    provider: Provider, dsn: str, queue: Queue, settings_file: Path
) -> None:
    settings_file.write_text(f"[prices.'gpt-5.4-mini']\ninput = 1\noutput = 1\n{CHECKS}")
    provider.answer(Rule(contains=REASON, text=LONG), Rule(text=SHORT))
    id_ = queue.add(topic="Tea", max_retries=0)

    work_off(dsn, settings_file)

    row = queue.row(id_)
    assert (row["status"], row["attempt"], row["retry_count"], row["revision_count"]) == ("completed", 2, 0, 1)
    assert drafts(queue) == [(SHORT, "rejected"), (LONG, "approved")]
    first, second = (call["messages"][-1]["content"] for call in provider.calls)
    assert "Write an article." in first
    assert second.startswith(f"Revise the draft at the end. This must be changed:\n\n{REASON}\n")
    assert second.endswith(f"The article to revise:\n\n{SHORT.strip()}")
    (usage,) = queue.usage()
    assert (usage["attempts"], usage["completion_tokens"] > 8) == (2, True)


@pytest.mark.parametrize("on_failed_checks", ["fail", "review"])
def test_last_draft_is_kept_when_it_never_gets_better(
    provider: Provider, dsn: str, queue: Queue, settings_file: Path, on_failed_checks: str
) -> None:
    settings_file.write_text(f"max_revisions = 1\non_failed_checks = '{on_failed_checks}'\n{CHECKS}")
    provider.answer(Rule(text=SHORT))
    id_ = queue.add(topic="Tea")

    work_off(dsn, settings_file)

    row = queue.row(id_)
    assert (row["attempt"], row["retry_count"], row["revision_count"]) == (2, 0, 1)
    if on_failed_checks == "fail":
        assert (row["status"], row["error_message"]) == ("failed", REASON)
        assert drafts(queue) == [(SHORT, "rejected")] * 2
    else:
        assert (row["status"], row["result"]["failed_checks"]) == ("completed", [REASON])
        assert {"model", "completion_tokens", "seconds"} < set(row["result"])
        assert drafts(queue) == [(SHORT, "rejected"), (SHORT, "pending")]
    assert row["content_id"] == queue.value("SELECT max(id) FROM contents")


def test_reason_outlives_a_refusal_in_between(
    provider: Provider, dsn: str, queue: Queue, settings_file: Path
) -> None:
    settings_file.write_text(CHECKS)
    provider.answer(
        Rule(contains=REASON, times=1, status=429, headers={"retry-after-ms": "1"}, body={}),
        Rule(contains=REASON, text=LONG),
        Rule(text=SHORT),
    )
    id_ = queue.add(topic="Tea")

    work_off(dsn, settings_file)

    assert (queue.row(id_)["status"], queue.row(id_)["attempt"]) == ("completed", 3)
    assert REASON in provider.calls[-1]["messages"][-1]["content"]


@pytest.mark.slow
def test_worker_that_is_killed_during_the_revision_loses_nothing(
    provider: Provider, dsn: str, queue: Queue, settings_file: Path
) -> None:
    settings_file.write_text(CHECKS)
    id_ = queue.add(topic="Tea")
    command = ["worker", "--handler", "openai", "--settings", str(settings_file)]
    provider.answer(Rule(contains=REASON, text=LONG, spoiled="hang", spoiled_after=1), Rule(text=SHORT))
    with CONTENTQ.start(*command, env={**os.environ, "DATABASE_URL": dsn}) as worker:
        try:
            eventually(lambda: len(provider.calls) == 2, within=30)
            held = queue.row(id_)
        finally:
            worker.kill()
    assert (held["status"], held["attempt"], held["revision_count"]) == ("processing", 2, 1)
    queue.silence(held["worker_id"])
    assert queue.rescue() == 1
    queue.set(id_, scheduled_at=None)
    provider.answer(Rule(contains=REASON, text=LONG), Rule(text=SHORT))

    work_off(dsn, settings_file)

    row = queue.row(id_)
    assert (row["status"], row["attempt"], row["retry_count"], row["revision_count"]) == ("completed", 3, 1, 1)
    assert drafts(queue) == [(SHORT, "rejected"), (LONG, "approved")]
    assert REASON in provider.calls[-1]["messages"][-1]["content"]


def checks_of(ask: Ask, settings: str, **columns: Any) -> str:
    """The problem with the draft, or an empty text."""
    try:
        ask(settings, **columns)
    except CheckFailed as error:
        return str(error)
    return ""


@pytest.mark.slow
def test_category_has_checks_of_its_own(provider: Provider, ask: Ask) -> None:
    provider.answer(Rule(text=SHORT))
    settings = (
        "[checks]\nmin_words = 50\nlanguage = 'en'\n[categories.News.checks]\nmin_words = 5\nheadings = ['Who']\n"
    )

    assert checks_of(ask, settings) == REASON
    assert checks_of(ask, settings, category="news") == "there is no heading 'Who'; add it"
    off = "[checks]\nheadings = ['Who']\n[categories.news.checks]\nheadings = []\n"
    assert (checks_of(ask, off) != "", checks_of(ask, off, category="news")) == (True, "")


def test_sentence_of_the_prompt_is_no_article(provider: Provider, ask: Ask) -> None:
    provider.answer(Rule(text="# Tea\n\nYou write articles that are published as they are. Tea is hot.\n"))

    said = checks_of(ask, "[checks]\nno_leftovers = true\n")

    assert said.startswith(
        "there is a sentence of the prompt in it, 'You write articles that are published as they"
    )


def test_draft_that_is_revised_may_keep_its_own_sentences(provider: Provider, ask: Ask) -> None:
    sentence = "The water should be hot and the leaves should have time to open."
    provider.answer(Rule(text=f"# Tea\n\n{sentence}\n"))
    previous = PreviousContent(7, "Tea", f"# Tea\n\n{sentence}\n", 12, "rejected")

    said = checks_of(ask, "[checks]\nno_leftovers = true\n", previous_content=previous, revision_note="longer")

    assert said == ""


@pytest.mark.slow
def test_json_is_stored_without_the_fence_around_it(provider: Provider, ask: Ask, settings_file: Path) -> None:
    pytest.importorskip("jsonschema")
    settings_file.with_name("tea.json").write_text('{"required": ["minutes"]}', encoding="utf-8")
    provider.answer(Rule(text='```json\n{"minutes": 3}\n```\n'))

    content = ask("[checks]\njson_schema = 'tea.json'\n", topic="Tea")

    assert (content.title, content.body) == ("Tea", '{"minutes": 3}\n')
    provider.answer(Rule(text='{"hours": 3}'))
    said = checks_of(ask, "[checks]\njson_schema = 'tea.json'\n")
    assert said == "the JSON does not fit its schema: $: 'minutes' is a required property"


@pytest.mark.parametrize(
    ("text", "key", "why"),
    [
        ("[checks]\nmin_word = 5", "checks.min_word", "there is no such setting; did you mean min_words?"),
        ("[checks]\nmin_words = '5'", "checks.min_words", "must be a whole number, not a text"),
        ("[checks]\nmin_words = -1", "checks.min_words", "must be 0 or more"),
        ("[checks]\nmax_likeness = 1.5", "checks.max_likeness", "must be 1 or less"),
        ("[checks]\nheadings = 'Sources'", "checks.headings", "must be a list, not a text"),
        ("[checks]\nheadings = ['']", "checks.headings.0", "must be a text"),
        ("[checks]\nno_leftovers = 'yes'", "checks.no_leftovers", "must be true or false, not a text"),
        ("[checks]\nlanguage = 'xx'", "checks.language", "must be one of: ar, bg"),
        ("[checks]\nlinks = ['example.com']", "checks.links", "a link must be an address"),
        ("[checks]\nfunction = 'no_such:f'", "checks.function", "there is no module"),
        ("[checks]\njson_schema = 'none.json'", "checks.json_schema", "cannot be read: No such file"),
        ("[categories.news.checks]\nlanguage = 'xx'", "categories.news.checks.language", "must be one of"),
        (
            "[checks]\nmin_words = 9\n[categories.n.checks]\nmax_words = 5",
            "categories.n.checks.max_words",
            "min_words, 9",
        ),
        ("checks = 5", "checks", "must be a table"),
        ("max_revisions = -1", "max_revisions", "must be 0 or more"),
        ("on_failed_checks = 'publish'", "on_failed_checks", "must be one of: fail, review"),
    ],
)
def test_wrong_setting_stops_the_worker_before_it_starts(
    settings_file: Path, monkeypatch: pytest.MonkeyPatch, text: str, key: str, why: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
    settings_file.write_text(text)

    with pytest.raises(HandlerUnusable) as caught:
        load("openai", settings=settings_file)

    line = len(text.splitlines())
    assert f"the settings {str(settings_file)!r}, line {line}: {key}: " in str(caught.value)
    assert why in str(caught.value)


def test_extension_that_is_missing_is_named_before_the_worker_starts(
    dsn: str, settings_file: Path, monkeypatch: pytest.MonkeyPatch, queue: Queue
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
    settings_file.write_text("[categories.news.checks]\nmax_likeness = 0.7\n")
    handler = load("openai", settings=settings_file)
    queue.run("DROP EXTENSION IF EXISTS pg_trgm")

    assert handler.extensions == (EXTENSION,)
    with pytest.raises(ContentQueueError, match=r"needs the extension pg_trgm .* run: CREATE EXTENSION pg_trgm"):
        require_extensions(Database(dsn), handler.extensions, "contentq test")
    require_extensions(Database(dsn), (), "contentq test")


def test_failed_check_says_what_the_call_has_cost(provider: Provider, ask: Ask) -> None:
    provider.answer(Rule(text=SHORT))

    with pytest.raises(HandlerError) as caught:
        ask(CHECKS)

    draft = getattr(caught.value, "draft", None)
    assert draft is not None
    assert json.loads(json.dumps(dict(draft.result)))["completion_tokens"] > 0
