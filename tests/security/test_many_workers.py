"""However many workers a login registers, views and other logins are unaffected."""

from __future__ import annotations

import psycopg
import pytest

from tests.support.logins import Logins
from tests.support.queue import Queue

REGISTER = "SELECT contentq.register_worker('host', s, 1, 'template', 'gate') FROM generate_series(1, %s) AS s"

CALLS = """
    SELECT coalesce(sum(calls), 0)::integer FROM pg_stat_xact_user_functions
    WHERE funcname IN ('gate_state', 'gate_running', 'gate_totals', 'judge_gate')"""
"""Number of full scans of the workers in this transaction or one of the last."""


def test_login_registers_as_many_workers_as_the_settings_allow(owner: Queue, logins: Logins) -> None:
    one, other = (logins.add_open(name, "contentq_worker") for name in ("one", "other"))
    owner.run("UPDATE contentq.settings SET max_workers_per_login = 3")
    first, *_ = [one.register() for _ in range(3)]

    with pytest.raises(psycopg.errors.ConfigurationLimitExceeded, match="already has 3 registered workers"):
        one.register()

    other.register()
    one.run("SELECT contentq.deregister_worker(%s)", first)
    one.register()


def test_lists_of_gates_of_a_login_have_a_limit(logins: Logins) -> None:
    evil, other = (logins.add_open(name, "contentq_worker") for name in ("evil", "other"))
    register = (
        "SELECT contentq.register_worker('host', n, 1, 'x', gates => "
        "ARRAY(SELECT format('%%s of %%s', g, n) FROM generate_series(1, 100) AS g)) "
        "FROM generate_series(%s::integer, %s) AS n"
    )
    evil.run(register, 1, 20)

    with pytest.raises(psycopg.errors.ConfigurationLimitExceeded, match="already has workers with lists of 2000"):
        evil.run(register, 21, 21)

    evil.run(register, 20, 20)
    other.run(register, 21, 21)


@pytest.mark.parametrize("of", ["{{a},{b}}", "dimensions", "large"])
def test_categories_are_one_list_of_limited_size(logins: Logins, of: str) -> None:
    """Others read them: explain, worker_status, the page."""
    evil = logins.add_open("evil", "contentq_worker")
    categories = {"dimensions": "[2:3][1:1]={{a},{b}}", "large": "{" + "x" * 100_001 + "}"}.get(of, of)

    with pytest.raises(psycopg.errors.CheckViolation, match="workers_categories_check"):
        evil.run("SELECT contentq.register_worker('host', 1, 1, 'x', categories => %s::text[])", categories)


@pytest.mark.parametrize("view", ["worker_status", "gate_status"])
def test_view_evaluates_no_gate_that_has_never_limited_anything(owner: Queue, view: str) -> None:
    owner.run("SET track_functions = 'all'")
    owner.run(
        "SELECT contentq.register_worker('host', 1, 1, 'x', gates => "
        "ARRAY(SELECT 'gate ' || n FROM generate_series(1, 50) AS n))"
    )

    with owner.connection.transaction():
        before = owner.value(CALLS)
        assert owner.value(f"SELECT count(*) FROM contentq.{view}") == (1 if view == "worker_status" else 50)
        assert owner.value(CALLS) == before


@pytest.mark.parametrize("view", ["worker_status", "gate_status"])
def test_view_looks_at_each_gate_once_however_many_workers_have_it(
    owner: Queue, logins: Logins, view: str
) -> None:
    evil = logins.add_open("evil", "contentq_worker")
    owner.run("SET track_functions = 'all'")
    owner.run("SELECT contentq.set_gate(key, max_running => 1) FROM unnest('{*,gate}'::text[]) AS k (key)")
    looks = []
    for number in (2, 200):
        evil.run(REGISTER, number)
        with owner.connection.transaction():
            before = owner.value(CALLS)
            assert owner.value(f"SELECT count(*) FROM contentq.{view}")
            looks.append(owner.value(CALLS) - before)

    assert 0 < looks[0] == looks[1]


@pytest.mark.parametrize("view", ["worker_status", "gate_status"])
def test_view_looks_for_workers_that_are_gone_once_however_many_gates_there_are(owner: Queue, view: str) -> None:
    owner.run("SET track_functions = 'all'")
    counted = (
        "SELECT coalesce(sum(calls), 0) FROM pg_stat_xact_user_functions WHERE funcname = 'unregistered_running'"
    )
    owner.run("SELECT contentq.set_gate('gate ' || n, max_running => 1) FROM generate_series(1, 50) AS n")
    owner.run(
        "SELECT contentq.register_worker('host', n, 1, 'template', 'gate ' || n) FROM generate_series(1, 50) AS n"
    )

    with owner.connection.transaction():
        before = owner.value(counted)
        assert owner.value(f"SELECT count(*) FROM contentq.{view}") == 50
        assert owner.value(counted) - before == 1


def test_gate_looks_only_at_its_own_workers(owner: Queue) -> None:
    owner.run(
        "SELECT contentq.register_worker('host', n, 1, 'template', 'gate ' || n) FROM generate_series(1, 200) AS n"
    )
    read = (
        "SELECT coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) FROM pg_stat_xact_user_tables "
        "WHERE relid = 'contentq.workers'::regclass"
    )

    with owner.connection.transaction():
        before = owner.value(read)
        assert owner.value("SELECT contentq.gate_running('gate 7')") == 0
        assert owner.value(read) - before == 1


def test_worker_status_says_what_waits_for_says(owner: Queue) -> None:
    for gate in ("a", "b"):
        owner.run("SELECT contentq.set_gate(%s, max_running => 1)", gate)
    workers = [owner.register(gate=gate) for gate in ("a", "b", None)]
    workers += [owner.value("SELECT contentq.register_worker('h', 1, 1, 'x', gates => '{a,b}')")]
    owner.running(workers[0])
    owner.run(
        "UPDATE contentq.claimers SET quick_failures = 9, failed_at = 'infinity' WHERE worker_id = %s", workers[2]
    )

    shown = owner.rows("SELECT id, waits_for, contentq.waits_for(id) AS said FROM contentq.worker_status")

    assert {row["id"]: row["waits_for"] for row in shown} == {row["id"]: row["said"] for row in shown}
    assert [row["waits_for"] is None for row in sorted(shown, key=lambda row: workers.index(row["id"]))] == [
        False,
        True,
        False,
        True,
    ]
