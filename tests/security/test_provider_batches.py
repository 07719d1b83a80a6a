"""What workers of one login can do with provider batches of another login, and with text that is no request.

docs/explanation/security.md names these tests.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from contentq.handlers.openai_batch.lines import request_line
from contentq.queue.batches import Line

from tests.sql.batches import PROVIDER, answer, ask, next_batch, open_batch, snooze
from tests.support.logins import Logins
from tests.support.queue import Held, Queue

LEASE_LOST, NO_PARAMETER = "CQ004", "22023"


@dataclass
class Scene:
    """A login whose task waits for a batch, and another login with a worker of its own."""

    owner: Queue
    honest: Queue
    honest_id: int
    other: Queue
    other_id: int
    task: Held

    @property
    def batch(self) -> dict[str, Any]:
        [batch] = self.owner.rows("SELECT * FROM contentq.provider_batches")
        return batch


@pytest.fixture
def scene(owner: Queue, logins: Logins) -> Scene:
    honest, other = (logins.add_open(name, "contentq_worker") for name in ("honest", "other"))
    id_ = owner.add()
    honest_id, other_id = honest.register(), other.register()
    [row] = honest.claim(honest_id)
    task = Held(honest_id, id_, row["attempt"])
    assert ask(honest, task)
    snooze(honest, task)
    return Scene(owner, honest, honest_id, other, other_id, task)


def test_worker_neither_sends_nor_tends_batches_of_another_login(scene: Scene) -> None:
    other, other_id = scene.other, scene.other_id

    assert open_batch(other, other_id) is None

    batch = open_batch(scene.honest, scene.honest_id)
    scene.honest.run("SELECT contentq.deregister_worker(%s)", scene.honest_id)
    scene.owner.run("UPDATE contentq.provider_batches SET tended_until = now() - interval '1 second'")
    assert next_batch(other, other_id) is None
    for call in (
        "contentq.hold_batch({0})",
        "contentq.note_batch({0}, due_in => '1000 years')",
        "contentq.close_batch({0}, 'completed')",
        "count(*) FROM contentq.batch_lines({0})",
        "count(*) FROM contentq.batch_sizes({0}, '{{}}', '{{}}')",
    ):
        with pytest.raises(psycopg.Error) as error:
            other.run("SELECT " + call.format(f"{other_id}, {batch['id']}, {batch['tending']}"))
        assert error.value.sqlstate == LEASE_LOST
    with pytest.raises(psycopg.Error) as error:
        answer(other, other_id, batch, [scene.task], '{"cost": 5}')
    assert error.value.sqlstate == LEASE_LOST
    # Even with the lease of such a batch, which no function gives it.
    scene.owner.run("UPDATE contentq.provider_batches SET tended_by = %s, tended_until = now()", other_id)
    with pytest.raises(psycopg.Error) as error:
        answer(other, other_id, batch, [scene.task], '{"cost": 5}')
    assert error.value.sqlstate == LEASE_LOST

    # Another worker of the same login takes the batch over.
    assert next_batch(scene.honest, scene.honest.register())["id"] == batch["id"]


def test_batch_has_only_requests_of_its_login(scene: Scene) -> None:
    own = _ask_of(scene)

    batch = open_batch(scene.other, scene.other_id)

    assert batch["requests"] == 1
    lines = "SELECT id FROM contentq.batch_lines(%s, %s, %s)"
    assert scene.other.values(lines, scene.other_id, batch["id"], batch["tending"]) == [own.id]
    # Nor does it answer requests of others along with its own.
    assert answer(scene.other, scene.other_id, batch, [own, scene.task]) == 1
    waiting = "SELECT id FROM contentq.batch_requests WHERE answered_at IS NULL"
    assert scene.owner.values(waiting) == [scene.task.id]


def _ask_of(scene: Scene) -> Held:
    """A task whose request the other login made."""
    id_ = scene.owner.add()
    [row] = scene.other.claim(scene.other_id)
    task = Held(scene.other_id, id_, row["attempt"])
    assert ask(scene.other, task)
    snooze(scene.other, task)
    return task


@pytest.mark.parametrize("body", ["x", "[]", "null", '"{}"', '{"a": 1}}\n{"custom_id": "2-1"', '{"a": "\n"}', ""])
def test_request_that_is_no_json_object_is_refused(scene: Scene, body: str) -> None:
    id_ = scene.owner.add()
    [row] = scene.other.claim(scene.other_id)

    with pytest.raises(psycopg.DataError) as error:
        ask(scene.other, Held(scene.other_id, id_, row["attempt"]), body=body)

    if error.value.sqlstate == NO_PARAMETER:
        assert "the body of a request must be a JSON object, not " in str(error.value)
    assert scene.owner.row(id_)["handler_state"] is None


def test_request_is_one_line_with_the_same_members(scene: Scene) -> None:
    id_ = scene.owner.add()
    [row] = scene.other.claim(scene.other_id)
    body = '{\n\t"z": "a\\nb \u2028",\r\n  "a": [1,\r2]\n}'

    assert ask(scene.other, Held(scene.other_id, id_, row["attempt"]), body=body)

    stored = scene.owner.value("SELECT body FROM contentq.batch_requests WHERE id = %s", id_)
    assert list(json.loads(stored).items()) == [("z", "a\nb \u2028"), ("a", [1, 2])]
    [line, rest] = request_line(Line(id_, 1, stored)).split(b"\n")
    assert (json.loads(line)["body"], rest, b"\r" in line) == (json.loads(body), b"", False)


@pytest.mark.parametrize("delay", ["1000 years", "-1000 years"])
def test_batch_and_its_requests_are_due_within_a_day(scene: Scene, delay: str) -> None:
    batch = open_batch(scene.honest, scene.honest_id)
    note = "SELECT contentq.note_batch(%s, %s, %s, due_in => %s::interval)"
    scene.honest.run(note, scene.honest_id, batch["id"], batch["tending"], delay)
    within = "due_at BETWEEN now() - interval '1 minute' AND now() + interval '1 day'"
    assert scene.owner.value(f"SELECT {within} FROM contentq.provider_batches")

    scene.owner.run("UPDATE contentq.provider_batches SET due_at = now()")
    batch = next_batch(scene.honest, scene.honest_id)
    close = "SELECT contentq.close_batch(%s, %s, %s, 'expired', NULL, %s::interval)"
    scene.honest.run(close, scene.honest_id, batch["id"], batch["tending"], delay)
    assert scene.owner.value(f"SELECT {within} FROM contentq.batch_requests")


@pytest.mark.parametrize("usage", ["[]", "1", '"{}"', json.dumps({"model": 9000 * "m"})])
def test_usage_that_is_no_small_object_is_refused_with_its_answer(scene: Scene, usage: str) -> None:
    batch = open_batch(scene.honest, scene.honest_id)

    with pytest.raises(psycopg.DataError) as error:
        answer(scene.honest, scene.honest_id, batch, [scene.task], usage)

    assert error.value.sqlstate == NO_PARAMETER


def test_state_that_another_login_gave_a_task_does_not_stop_its_batch(scene: Scene) -> None:
    batch = open_batch(scene.honest, scene.honest_id)
    scene.owner.run("UPDATE content_generation_tasks SET scheduled_at = NULL")
    [row] = scene.other.claim(scene.other_id)
    state = json.dumps({"asked_by_attempt": 1, "more": 8100 * "x"})
    scene.other.run(
        "SELECT contentq.snooze(%s, %s, %s, now(), state => %s)", scene.other_id, row["id"], row["attempt"], state
    )

    note = "SELECT contentq.note_batch(%s, %s, %s, provider_id => %s)"
    scene.honest.run(note, scene.honest_id, batch["id"], batch["tending"], 500 * "b")

    assert scene.batch["provider_id"] == 500 * "b"
    with pytest.raises(psycopg.DataError, match="the id of a batch has 501 characters; at most 500 are stored"):
        scene.honest.run(note, scene.honest_id, batch["id"], batch["tending"], 501 * "b")


def test_batch_of_a_login_without_workers_is_given_up_after_three_days(scene: Scene) -> None:
    batch = open_batch(scene.honest, scene.honest_id)
    sweep = "SELECT contentq.sweep_batches(%s)"
    age = "UPDATE contentq.provider_batches SET due_at = now() - %s::interval, tended_until = now() - %s::interval"
    waiting = "SELECT count(*) FROM contentq.batch_requests"

    for due, tended, session, worker in (
        ("2 days", "2 days", scene.other, scene.other_id),
        ("4 days", "1 hour", scene.other, scene.other_id),
        ("4 days", "4 days", scene.honest, scene.honest_id),
    ):
        scene.owner.run(age, due, tended)
        session.run(sweep, worker)
        assert (scene.batch["ended_at"], scene.owner.value(waiting)) == (None, 1)

    scene.other.run(sweep, scene.other_id)

    assert (scene.batch["id"], scene.batch["status"]) == (batch["id"], "abandoned")
    assert scene.batch["error"] == "no worker of its login has looked at it for three days"
    assert scene.owner.value(waiting) == 0

    # The task makes a new request with the login that takes it next.
    scene.owner.run("UPDATE content_generation_tasks SET scheduled_at = NULL")
    [row] = scene.other.claim(scene.other_id)
    held = Held(scene.other_id, row["id"], row["attempt"])
    assert (
        scene.other.rows("SELECT * FROM contentq.batch_answer(%s, %s, %s)", scene.other_id, held.id, held.attempt)
        == []
    )
    assert ask(scene.other, held)
    assert open_batch(scene.other, scene.other_id)["requests"] == 1


def test_request_of_a_login_without_workers_is_given_up_after_three_days(scene: Scene) -> None:
    sweep, waiting = "SELECT contentq.sweep_batches(%s)", "SELECT count(*) FROM contentq.batch_requests"
    scene.other.run(sweep, scene.other_id)
    scene.owner.run("UPDATE contentq.batch_requests SET due_at = now() - interval '4 days'")
    scene.honest.run(sweep, scene.honest_id)
    assert scene.owner.value(waiting) == 1

    scene.other.run(sweep, scene.other_id)

    assert scene.owner.value(waiting) == 0


def test_address_of_the_provider_separates_nothing_between_logins(scene: Scene) -> None:
    """Two logins with the same provider and model have two batches."""
    _ask_of(scene)
    opened = [open_batch(scene.honest, scene.honest_id), open_batch(scene.other, scene.other_id)]

    assert [batch["provider"] for batch in opened] == [PROVIDER, PROVIDER]
    assert [batch["requests"] for batch in opened] == [1, 1]
    assert opened[0]["login"] != opened[1]["login"]
