"""docs/reference/doctor.md lists every finding of `contentq doctor` with its severities; each has a test."""

from __future__ import annotations

import re
from pathlib import Path

from contentq.errors import EXIT_FOUND_ERRORS, EXIT_FOUND_WARNINGS
from contentq.finding import SEVERITIES

from tests.docs.markdown import ROOT
from tests.support.findings import IN_SQL, OF_THE_CLIENT

PAGE = (ROOT / "docs/reference/doctor.md").read_text(encoding="utf-8")
CODE = [
    *(ROOT / "sql/functions").glob("doctor*.sql"),
    ROOT / "worker/contentq/database/drift.py",
    ROOT / "worker/contentq/queue/diagnosis.py",
    ROOT / "worker/contentq/cli/doctor.py",
]
TESTS = [
    *ROOT.glob("tests/sql/test_doctor*.py"),
    ROOT / "tests/sql/test_drift.py",
    ROOT / "tests/cli/test_doctor.py",
]

_FOUND = re.compile(rf"""['"](?:{"|".join(SEVERITIES)})['"](?: END)?,\s+['"](\w+)['"]""")
"""A finding in SQL or Python, followed by its severity."""


def _texts(files: list[Path]) -> str:
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


def _listed() -> dict[str, set[str]]:
    """The findings on the page and their severities."""
    rows = re.findall(r"^\| `(\w+)` \| ([a-z, ]+) \| .+ \|$", PAGE, re.MULTILINE)
    return {finding: set(severities.split(", ")) for finding, severities in rows}


def test_every_finding_is_listed() -> None:
    assert set(_listed()) == IN_SQL | OF_THE_CLIENT
    assert all(severities <= set(SEVERITIES) for severities in _listed().values())


def test_every_finding_that_is_listed_is_in_the_code_and_the_other_way_round() -> None:
    code = _texts(CODE)
    assert [name for name in _listed() if not re.search(rf"""['"]{name}['"]""", code)] == []
    assert set(_FOUND.findall(code)) <= set(_listed())


def test_every_finding_has_a_test() -> None:
    tests = _texts(TESTS)
    assert [name for name in _listed() if f'"{name}"' not in tests] == []


def test_exit_codes_are_those_of_the_command() -> None:
    codes = {name: int(code) for name, code in re.findall(r"^\| (\w+) \| [^|]+ \| (\d+) \|$", PAGE, re.MULTILINE)}
    assert codes == {"error": EXIT_FOUND_ERRORS, "warning": EXIT_FOUND_WARNINGS, "advice": 0}
