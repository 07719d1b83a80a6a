"""How a program's standard output is interpreted."""

from __future__ import annotations

import json
import tracemalloc
from contextlib import suppress
from typing import Any

import pytest
from contentq.content import GeneratedContent
from contentq.engine.results import outcome_of
from contentq.errors import PermanentError
from contentq.handlers.commands.answers import answer_of
from contentq.handlers.commands.handler import STDOUT_LIMIT
from contentq.queue.outcomes import Held, Stored


def answer(text: str, topic: str | None = "Tea") -> Any:
    return answer_of(text.encode(), topic)


@pytest.mark.parametrize("text", ["", " \n\t\n", "\ufeff"])
def test_nothing_is_a_success_without_content(text: str) -> None:
    assert answer(text) is None


def test_object_with_title_and_body_is_content_and_its_other_members_are_the_result() -> None:
    assert answer(json.dumps({"title": "T", "body": "# B", "model": "m", "cost": 0.1})) == GeneratedContent(
        "T", "# B", None, {"model": "m", "cost": 0.1}
    )
    assert answer(
        '\n{"title": " ", "body": "B", "word_count": 7, "result": {"a": 1, "b": 2}, "b": 0}\n'
    ) == GeneratedContent("Tea", "B", 7, {"a": 1, "b": 2})


def test_members_that_are_contentqs_to_say_do_not_come_into_the_result() -> None:
    own = {"content_id": 9, "word_count": 9}
    said = answer(json.dumps({"title": "T", "body": "B", "success": False, "result": {**own, "cost": 1}}))

    outcome = outcome_of(Held(1, 1, 1, "task-1"), said)

    assert isinstance(outcome, Stored)
    assert outcome.extra == '{"cost": 1}'


@pytest.mark.parametrize("members", [{}, {"score": 3}, {"title": "T"}, {"body": "B", "cost": 1}, {"result": {}}])
def test_any_other_object_is_the_result(members: dict[str, Any]) -> None:
    assert answer(json.dumps(members)) == members


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"title": "T",', "begins with { but is not a JSON object: Expecting property name"),
        ('{"a": 1}\n{"b": 2}', "begins with { but is not a JSON object: Extra data: line 2 column 1"),
        ("{{< figure >}}\n\n# Text", "begins with { but is not a JSON object"),
        ('{"a": ' + "[" * 100_000, "begins with { but is not a JSON object"),
        ('["a", "b"]', "is a JSON array; it must be an object, or Markdown"),
        ('{"title": 1, "body": "B"}', "member title of the program's output is a number; it must be a string"),
        ('{"title": "T", "body": null}', "member body of the program's output is null; it must be a string"),
        ('{"title": "T", "body": " \\n"}', "member body of the program's output is empty"),
        ('{"title": "T", "body": "B", "word_count": "7"}', "word_count .* is a string; it must be an integer"),
        ('{"title": "T", "body": "B", "word_count": true}', "word_count .* is a boolean; it must be an integer"),
        ('{"title": "T", "body": "B", "result": []}', "result .* is an array; it must be an object"),
    ],
)
def test_what_was_meant_to_be_json_and_cannot_be_used_is_not_stored_as_an_article(text: str, said: str) -> None:
    with pytest.raises(PermanentError, match=said):
        answer(text)


@pytest.mark.parametrize("broken", [{"title": 1}, {"body": " "}, {"word_count": "7"}])
def test_object_that_cannot_be_used_says_what_it_has_cost_all_the_same(broken: dict[str, Any]) -> None:
    members = {"title": "T", "body": "B", "model": "m", "result": {"cost": 0.5}, **broken}

    with pytest.raises(PermanentError) as caught:
        answer(json.dumps(members))

    assert caught.value.usage == {"model": "m", "cost": 0.5}


@pytest.mark.slow
@pytest.mark.parametrize("piece", ['{"":{"":[]}},', "[[]],", '{"a":1},', '"ab",', "1.5,"])
def test_json_of_any_shape_takes_no_more_than_a_hundred_megabytes(piece: str) -> None:
    text = '{"a":[' + (piece * (STDOUT_LIMIT // len(piece) - 2))[:-1] + "]}"

    tracemalloc.start()
    with suppress(PermanentError):
        answer_of(text.encode(), None)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert most < 100_000_000


def test_output_that_is_not_utf_8_is_refused_with_its_place() -> None:
    with pytest.raises(PermanentError, match=r"^the program's output is not UTF-8: byte 0xe9 at position 5$"):
        answer_of(b"# Caf\xe9", "Tea")


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("# Soup", "Soup"),
        ("Words first.\n\n### Soup ###\n\n# Later", "Soup"),
        ("Soup\n====\n\nText", "Soup"),
        ("# **Soup**", "Soup"),
        (r"# 2 \* 3 \# C#", "2 * 3 # C#"),
        ("```bash\n# no heading\n```\n\n## Soup", "Soup"),
        ("~~~~\n~~~\n# no heading\n~~~~\n# Soup", "Soup"),
        ("#hashtag\n\nText", "Tea"),
        ("Text", "Tea"),
        ("[1] a link, or a footnote", "Tea"),
        ("====", "Tea"),
    ],
)
def test_anything_else_is_markdown_whose_first_heading_or_the_topic_is_the_title(text: str, title: str) -> None:
    assert answer(f"\n{text}\n\n") == GeneratedContent(title=title, body=f"{text}\n")


def test_byte_order_mark_is_left_out() -> None:
    assert answer("\ufeff# Soup") == GeneratedContent(title="Soup", body="# Soup\n")
    assert answer('\ufeff{"a": 1}') == {"a": 1}


def test_title_without_heading_and_topic_is_untitled() -> None:
    assert answer("Text", None).title == "Untitled"
    assert answer("Text", " two\n lines ").title == "two lines"
