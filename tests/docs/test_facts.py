"""The documents are correct about commands, options, functions and settings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from contentq.cli.main import COMMANDS, main

from tests.bench.__main__ import options
from tests.bench.catalogue import MEASUREMENTS
from tests.docs.markdown import ROOT, documents
from tests.support.databases import Connection

NUMBERS = {9: "nine", 10: "ten", 11: "eleven"}


def _make_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def _name(document: Path) -> str:
    return document.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("document", documents(), ids=_name)
def test_make_targets_that_a_document_names_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    named = {*re.findall(r"`make ([a-z-]+)", text), *re.findall(r"^make ([a-z-]+)", text, re.MULTILINE)}
    assert named <= _make_targets()


def test_help_lists_every_target_with_what_it_does() -> None:
    lines = (ROOT / "Makefile").read_text(encoding="utf-8").splitlines()
    described = {line.partition(":")[0] for line in lines if re.match(r"[a-z-]+:.*## ", line)}
    assert described == _make_targets() - {"database"}


@pytest.mark.parametrize("document", documents(), ids=_name)
def test_commands_and_options_that_a_document_names_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    known = {option for command in _commands(main) for parameter in command.params for option in parameter.opts}
    known |= {option for command in _commands(main) for each in command.params for option in each.secondary_opts}
    known |= _options_of_make_bench()
    assert set(re.findall(r"`(--[a-z-]+)", text)) <= known
    for command, subcommand in re.findall(r"`contentq ([a-z]+)(?: ([a-z]+))?", text):
        assert command in COMMANDS, f"contentq {command}"
        if command == "db" and subcommand:
            assert subcommand in _group("db").commands, f"contentq db {subcommand}"


@pytest.mark.parametrize("document", documents(), ids=_name)
def test_files_of_the_project_that_a_document_names_exist(document: Path) -> None:
    named = set(
        re.findall(r"`((?:alembic|docs|sql|tests|worker)/[\w./-]+)`", document.read_text(encoding="utf-8"))
    )
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_performance_lists_every_option_of_make_bench() -> None:
    performance = (ROOT / "docs/explanation/performance.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `(--[a-z-]+)", performance, re.MULTILINE))
    assert listed == _options_of_make_bench() - {"--help"}


def test_performance_counts_the_families_of_make_bench() -> None:
    performance = (ROOT / "docs/explanation/performance.md").read_text(encoding="utf-8")
    families = {measurement.family for measurement in MEASUREMENTS}
    assert re.findall(r"two of the (\w+) families", performance) == [NUMBERS[len(families)]]


@pytest.mark.slow
def test_the_sql_contract_describes_functions_that_exist_and_all_for_workers(database: Connection) -> None:
    rows = database.execute(
        """
        SELECT proname, proargnames[1] IN ('worker_id', 'hostname')
        FROM pg_proc
        WHERE pronamespace = 'contentq'::regnamespace
          AND obj_description(oid, 'pg_proc') !~ '^(Internal|Trigger):'"""
    ).fetchall()
    items = re.findall(
        r"^- (.+(?:\n  .+)*)", (ROOT / "docs/reference/sql-contract.md").read_text(encoding="utf-8"), re.M
    )
    described = {name for item in items for name in re.findall(r"`(\w+)`", item)}
    opened = {name for item in items for name in re.findall(r"^`(\w+)`", item)} - {"complete_until", "task_ids"}
    assert opened <= {name for name, _ in rows}
    assert {name for name, is_for_workers in rows if is_for_workers} <= described


def test_the_sql_contract_lists_every_error_code() -> None:
    sql = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "sql").rglob("*.sql"))
    contract = (ROOT / "docs/reference/sql-contract.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `(\w{5})`", contract, re.MULTILINE)
    raised = set(re.findall(r"ERRCODE = '(CQ\d{3})'", sql)) - {"CQ000"}  # which is caught where it is raised
    assert {code for code in listed if code.startswith("CQ")} == raised


def _options_of_make_bench() -> set[str]:
    return set(re.findall(r"--[a-z-]+", options().format_usage())) | {"--help"}


def _commands(command: click.Command) -> Iterator[click.Command]:
    yield command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from _commands(found)


def _group(name: str) -> click.Group:
    found = main.get_command(click.Context(main), name)
    assert isinstance(found, click.Group)
    return found
