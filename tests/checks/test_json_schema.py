"""Drafts in JSON: the message to the model about invalid JSON or a mismatch with the schema."""

from __future__ import annotations

import asyncio
import builtins
import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from contentq.checks import Subject
from contentq.checks.settings import make_checks
from contentq.content import GeneratedContent
from contentq.errors import HandlerUnusable

from tests.checks.conftest import problem
from tests.support.tasks import context, task

pytest.importorskip("jsonschema")

from contentq.checks.json_schema import JsonSchema

SCHEMA = {
    "type": "object",
    "required": ["title", "steps"],
    "properties": {
        "title": {"type": "string", "minLength": 3},
        "steps": {"type": "array", "items": {"$ref": "#/$defs/step"}, "minItems": 1},
    },
    "$defs": {"step": {"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}}},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "recipe.json").write_text(json.dumps(SCHEMA), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('{"title": "Soup", "steps": [{"text": "Boil."}]}', None),
        ('{"title": "So"}', "$: 'steps' is a required property"),
        ('{"title": "So", "steps": [{"text": 1}, {}]}', "$.title: 'So' is too short"),
        ('{"title": "Soup", "steps": [{"text": 1}]}', "$.steps[0].text: 1 is not of type 'string'"),
        ("# Soup", "it is not JSON: Expecting value at line 1, column 1; answer with JSON alone"),
        ('{"title": "Soup"', "it is not JSON: Expecting ',' delimiter at line 1, column 17"),
        ('{"title": NaN}', "it is not JSON: NaN is not a JSON number"),
        ("[" * 100_000, "it is not JSON: it is nested too deeply"),
        ("9" * 10_000, "it is not JSON: "),
        ("[1, 2]", "$: [1, 2] is not of type 'object'"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_model_is_told_what_does_not_fit(folder: Path, body: str, said: str | None) -> None:
    (check,) = make_checks({"json_schema": "recipe.json"}, folder)

    found = problem(check, body)

    if said is None:
        assert found is None
    else:
        assert found is not None
        assert said in found
        assert "\n" not in found
        assert len(found) < 1500


def test_many_problems_are_told_in_part(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text('{"items": {"type": "string"}}', encoding="utf-8")
    (check,) = make_checks({"json_schema": "s.json"}, tmp_path)

    found = problem(check, json.dumps(list(range(100))))

    assert found is not None
    assert found.endswith("$[4]: 4 is not of type 'string'; and more")


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ("{", "is not JSON"),
        ("[1]", "a schema is a JSON object"),
        ('{"type": "text"}', "it is not a JSON schema: $.type: 'text' is not valid"),
        ('{"$ref": "https://example.com/s.json"}', "references are not fetched"),
    ],
)
def test_file_that_is_no_schema_is_refused(tmp_path: Path, schema: str, message: str) -> None:
    (tmp_path / "s.json").write_text(schema, encoding="utf-8")

    with pytest.raises(HandlerUnusable, match=r"^json_schema: the file '.*s\.json'") as caught:
        make_checks({"json_schema": "s.json"}, tmp_path)

    assert message in str(caught.value)


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"a": {"items": {"$ref": "#/definitions/typo"}}}},
        {"$ref": "#typo"},
        {"$dynamicRef": "#typo"},
        {"$ref": "#/allOf/first", "allOf": [True]},
        {"$ref": "#/title/0/x", "title": "T"},
        {"$ref": "#/parts/a", "parts": {"a": {"$ref": "#/parts/typo"}}},
        {"$schema": "http://json-schema.org/draft-07/schema#", "items": {"$ref": "#/definitions/typo"}},
        {"$defs": {"a": {"$id": "https://example.com/a", "$ref": "#/$defs/b"}, "b": {}}, "$ref": "#/$defs/a"},
    ],
    ids=lambda schema: json.dumps(schema)[:40],
)
def test_reference_to_what_is_not_there_is_refused_before_a_draft_is_paid(schema: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^it refers to '#.*', which this file does not define$"):
        JsonSchema(schema)


@pytest.mark.parametrize(
    "schema",
    [
        {"$defs": {"a": {"properties": {"b": {"$ref": "#"}}}}, "$ref": "#/$defs/a"},
        {"$defs": {"a": {"$anchor": "x"}}, "$ref": "#x"},
        {"$defs": {"a": {"$id": "https://example.com/a", "$ref": "#/$defs/b", "$defs": {"b": {}}}}},
        {"properties": {"$ref": {"type": "string"}}, "const": {"$ref": "#/typo"}},
        {"parts": {"a/b c": {}}, "$ref": "#/parts/a~1b%20c"},
        True,
    ],
    ids=lambda schema: json.dumps(schema)[:40],
)
def test_reference_to_what_is_there_is_followed(schema: Any) -> None:
    assert problem(JsonSchema(schema), "{}") in (
        None,
        "the JSON does not fit its schema: $: {'$ref': '#/typo'} was expected",
    )


def test_schema_that_is_nested_too_deeply_is_refused() -> None:
    schema: Any = {}
    for _ in range(5_000):
        schema = {"not": schema}

    with pytest.raises(ValueError, match="it is nested too deeply"):
        JsonSchema(schema)


@pytest.mark.parametrize(
    ("body", "is_unique"),
    [
        ('[{"a": 1, "b": 2}, {"b": 2.0, "a": 1}]', False),
        ('[[1, {"a": -0.0}], [1, {"a": 0}]]', False),
        ('[1, true, 0, false, null, "1", "true", [], {}]', True),
        ('[{"a": 1}, {"a": true}]', True),
        ("[1e400, 2.5, 10000000000000000000000001, 10000000000000000000000000]", True),
        ('{"a": 1}', True),
    ],
)
def test_equal_items_are_found_as_json_has_them(body: str, is_unique: bool) -> None:
    found = problem(JsonSchema({"uniqueItems": True}), body)

    assert (found is None) is is_unique
    assert is_unique or found == f"the JSON does not fit its schema: $: {json.loads(body)} has non-unique elements"


def test_many_objects_are_compared_in_time_that_grows_with_their_number() -> None:
    body = json.dumps([{"n": n} for n in range(30_000)])

    began = time.process_time()
    assert problem(JsonSchema({"uniqueItems": True}), body) is None

    assert time.process_time() - began < 5  # takes a twentieth of this; comparing all pairs would take minutes


@pytest.mark.parametrize("number", ["1e400", "1" + 400 * "0"])
def test_number_that_is_too_large_to_be_compared_is_for_a_revision(number: str) -> None:
    said = problem(JsonSchema({"items": {"multipleOf": 0.1}}), f"[{number}]")

    assert said is not None
    assert said.startswith("the JSON has a number that is too large for its schema")


def test_draft_is_compared_with_a_schema_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    check, threads = JsonSchema({}), list[int]()
    monkeypatch.setattr(check, "problem", lambda _subject: threads.append(threading.get_ident()))

    given = task()
    asyncio.run(check.find_problem(Subject(GeneratedContent("Title", "{}"), given, context(given))))

    assert threads != [threading.get_ident()]
    assert len(threads) == 1


def test_missing_package_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    importing = builtins.__import__

    def without(name: str, *arguments: Any, **options: Any) -> Any:
        if name == "contentq.checks.json_schema":
            raise ModuleNotFoundError("No module named 'jsonschema'", name="jsonschema")
        return importing(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)

    with pytest.raises(HandlerUnusable) as caught:
        make_checks({"json_schema": "recipe.json"}, folder)

    assert "it needs the package jsonschema, which is not installed: pip install 'contentq[schema]'" in str(
        caught.value
    )
