"""What the documents say of commands, options, functions and settings is so."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from contentq import errors
from contentq.cli.main import COMMANDS, EXIT_CODES, main
from contentq.failures import EXIT_INTERRUPTED

from tests.bench.__main__ import options
from tests.bench.catalogue import MEASUREMENTS
from tests.docs.markdown import ROOT, documents, prose
from tests.support.databases import Connection

NUMBERS = {9: "nine", 10: "ten", 11: "eleven"}

_TABLE_ROW = re.compile(r"^\| `?([^|`]+?)`? \|", re.MULTILINE)


@pytest.fixture(scope="module")
def readme() -> str:
    return (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def operating() -> str:
    return (ROOT / "docs/how-to/operate.md").read_text(encoding="utf-8")


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


def test_operating_lists_every_option_of_the_worker_once(operating: str) -> None:
    worker = main.get_command(click.Context(main), "worker")
    assert worker is not None
    listed = re.findall(r"^\| `(--[a-z-]+)", operating, re.MULTILINE)
    there_are = {option for parameter in worker.params for option in parameter.opts if option.startswith("--")}
    assert sorted(listed) == sorted(there_are)


def test_exit_codes_in_the_readme_are_those_of_the_command_line(readme: str) -> None:
    listed = {int(row) for row in _TABLE_ROW.findall(readme) if row.isdigit()}
    in_help = {int(code) for code in re.findall(r"^ +(\d+) ", EXIT_CODES, re.MULTILINE)}
    in_code = {error.exit_code for error in vars(errors).values() if hasattr(error, "exit_code")}
    in_code |= {value for name, value in vars(errors).items() if name.startswith("EXIT_")}
    assert listed == in_help == in_code | {0, EXIT_INTERRUPTED}


def test_operating_lists_every_setting_with_its_default(operating: str, database: Connection) -> None:
    part = operating.partition("| setting | default |")[2].partition("\n\n")[0]
    listed = dict(re.findall(r"^\| `(\w+)` \| ([\w .]+?) \|", part, re.MULTILINE))
    for name, default in listed.items():
        row = database.execute(
            f"SELECT {name} IS NOT DISTINCT FROM %s FROM contentq.settings".encode(),
            [None if default == "none" else default],
        ).fetchone()
        assert row is not None
        assert row[0], name
    columns = database.execute("SELECT * FROM contentq.settings").description or []
    assert {*listed, "only_row"} == {column.name for column in columns}


def test_operating_lists_every_view(operating: str, database: Connection) -> None:
    rows = database.execute("SELECT viewname FROM pg_views WHERE schemaname = 'contentq'").fetchall()
    assert set(re.findall(r"^\| `contentq\.(\w+)`", operating, re.MULTILINE)) == {row[0] for row in rows}


def test_the_sql_contract_lists_every_function_as_it_is(database: Connection) -> None:
    rows = database.execute(
        """
        SELECT proname, pg_get_function_arguments(oid), pg_get_function_result(oid)
        FROM pg_proc
        WHERE pronamespace = 'contentq'::regnamespace
          AND obj_description(oid, 'pg_proc') !~ '^(Internal|Trigger):'"""
    ).fetchall()
    real = {f"`{name}({_without_casts(arguments)})` → `{result}`" for name, arguments, result in rows}
    text = " ".join(prose(ROOT / "docs/reference/sql-contract.md").split())
    assert set(re.findall(r"`\w+\([^`]*\)` → `[^`]+`", text)) == real


def _without_casts(arguments: str) -> str:
    return re.sub(r"::[a-z ]+(\[\])?", "", arguments)


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
