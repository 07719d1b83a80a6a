"""JSON of a task: changes in place are never lost silently."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from contentq.models import Account, ContentGenerationTask
from pydantic import BaseModel, TypeAdapter
from sqlalchemy import JSON, select
from sqlalchemy.orm import Session

RESULT = {"success": True, "parts": [{"title": "Tea"}, [1, 2]]}


@pytest.fixture
def task(session: Session, account: Account) -> ContentGenerationTask:
    task = ContentGenerationTask(account_id=account.id, result=RESULT)
    session.add(task)
    session.commit()
    return task


def set_item(result: Any) -> None:
    result["b"] = 2


def delete_item(result: Any) -> None:
    del result["success"]


def set_item_deep_inside(result: Any) -> None:
    result["parts"][0]["title"] = "Coffee"


def set_element(result: Any) -> None:
    result["parts"][0] = {}


def extend_in_place(result: Any) -> None:
    result["parts"] += [3]


CHANGES: list[Callable[[Any], object]] = [
    set_item,
    delete_item,
    set_item_deep_inside,
    set_element,
    extend_in_place,
    lambda result: result.update(b=2),
    lambda result: result.setdefault("b", 2),
    lambda result: result.pop("success"),
    lambda result: result.popitem(),
    lambda result: result.clear(),
    lambda result: result.__ior__({"b": 2}),
    lambda result: result["parts"].append(3),
    lambda result: result["parts"].extend([3]),
    lambda result: result["parts"].insert(0, 3),
    lambda result: result["parts"].pop(),
    lambda result: result["parts"].remove([1, 2]),
    lambda result: result["parts"].clear(),
    lambda result: result["parts"][1].sort(),
    lambda result: result["parts"].reverse(),
    lambda result: result["parts"].__imul__(2),
]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("loaded", [True, False], ids=["loaded", "just assigned"])
def test_change_in_place_is_refused(
    task: ContentGenerationTask, change: Callable[[Any], object], loaded: bool
) -> None:
    if not loaded:
        task.result = copy.deepcopy(RESULT)

    with pytest.raises(TypeError, match=r"assign a new value, such as task\.result = "):
        change(task.result)

    assert task.result == RESULT


def test_there_is_no_other_way_to_change_it(task: ContentGenerationTask) -> None:
    """Detects methods that later Python versions add to dict or list."""
    harmless = {"copy", "fromkeys", "get", "items", "keys", "values", "count", "index"}
    result: Any = task.result
    for value in (result, result["parts"]):
        plain = type(value).__base__
        methods = {name for name in dir(plain) if not name.startswith("_")} - harmless
        assert [name for name in methods if getattr(type(value), name) is getattr(plain, name)] == []


def test_new_value_is_stored(session: Session, task: ContentGenerationTask) -> None:
    task.result = {**task.result, "b": 2}
    session.commit()
    assert task.result == {**RESULT, "b": 2}

    changed = copy.deepcopy(task.result)
    changed["parts"][0]["title"] = "Coffee"
    task.result = changed
    session.commit()
    assert task.result["parts"][0] == {"title": "Coffee"}


def test_it_is_a_dict_for_everyone_else(task: ContentGenerationTask) -> None:
    class Result(BaseModel):
        success: bool
        parts: list[Any]

    result: Any = task.result

    assert isinstance(result, dict)
    assert isinstance(result["parts"], list)
    assert len(result) == 2
    assert json.loads(json.dumps(result)) == RESULT
    assert Result.model_validate(result).success
    assert TypeAdapter(dict[str, Any]).validate_python(result, strict=True) == RESULT
    assert result | {"b": 2} == {**RESULT, "b": 2}
    match result:
        case {"parts": [{"title": title}, *_]}:
            assert title == "Tea"
        case _:
            pytest.fail("it does not match")


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
def test_copy_is_an_ordinary_dict(task: ContentGenerationTask, copied: Callable[[Any], Any]) -> None:
    result = copied(task.result)

    assert result == RESULT
    result["b"] = 2
    assert "b" not in task.result


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
def test_deep_copy_can_be_changed_to_the_bottom(task: ContentGenerationTask, copied: Callable[[Any], Any]) -> None:
    result = copied(task.result)
    result["parts"][0]["title"] = "Coffee"
    result["parts"].append(3)

    assert result["parts"] == [{"title": "Coffee"}, [1, 2], 3]
    assert task.result == RESULT


@pytest.mark.parametrize("value", [5, "text", True, [1, {"a": 2}], 1.5, None])
def test_result_may_be_any_json(session: Session, task: ContentGenerationTask, value: Any) -> None:
    task.result = value
    session.commit()

    assert task.result == value


def test_queries_look_into_it(session: Session, task: ContentGenerationTask) -> None:
    Task = ContentGenerationTask

    assert session.scalars(select(Task).where(Task.result["success"].as_boolean())).all() == [task]
    title = session.scalar(select(Task.result[("parts", "0", "title")].as_string()))
    assert title == "Tea"
    assert session.scalars(select(Task).where(Task.attempt_errors == [])).all() == [task]


def test_json_null_is_still_to_be_had(session: Session, task: ContentGenerationTask) -> None:
    task.result = JSON.NULL
    session.commit()

    assert session.scalar(select(ContentGenerationTask.result.is_(None))) is False
    assert task.result is None


def test_none_leaves_the_defaults_of_the_table(session: Session, account: Account) -> None:
    """As a form sends empty fields."""
    task = ContentGenerationTask(
        account_id=account.id, result=None, attempt_errors=None, progress=None, priority=None, status=None
    )
    session.add(task)
    session.commit()

    assert (task.result, task.attempt_errors, task.progress) == (None, [], None)
    assert (task.priority, task.status) == (5, "pending")
