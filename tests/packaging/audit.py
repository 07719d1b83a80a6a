"""Looks up known advisories with pip-audit: python -m tests.packaging.audit

It audits the oldest versions that pyproject.toml allows, and the packages installed where it runs. The advisories
come from PyPI alone. If they are unavailable for a minute, it reports that and exits with 0, because the network
must not fail a build. It exits with 1 if a newer version fixes an advisory.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from tests.packaging.bounds import everything, oldest
from tests.packaging.building import make_environment

PROBE = "https://pypi.org/pypi/jinja2/3.1.5/json"
"""A release with known advisories.

An index without advisories for it has none for any package; pip-audit would then report that all is well.
"""

LIMIT = 60.0
"""Seconds for the whole audit."""

_OF_PYTHON = ("contentq", "pip", "setuptools", "wheel")
"""Installed packages that are not dependencies: contentq, and those that Python puts into an environment."""


class Unavailable(Exception):
    """The advisories are unavailable; the text states why."""


def main() -> int:
    """Runs the audit and returns the exit code."""
    give_up = time.monotonic() + LIMIT
    lists = {"the lower bounds": oldest(everything()), "what is installed": _installed()}
    try:
        _probe()
        with tempfile.TemporaryDirectory(prefix="contentq-audit-") as folder:
            program = _install(Path(folder), give_up)
            found = [line for what, versions in lists.items() for line in _audit(program, what, versions, give_up)]
    except Unavailable as why:
        print(f"SKIPPED pip-audit: {why}")
        return 0
    print("\n".join(found) if found else f"no known advisories: {' and '.join(lists)}")
    return 1 if found else 0


def advisories(what: str, report: Mapping[str, Any]) -> list[str]:
    """A line for each advisory in the JSON of pip-audit that a newer version fixes."""
    return [
        f"{what}: {each['name']} {each['version']}: {advisory['id']}, fixed in {advisory['fix_versions'][0]}"
        for each in report["dependencies"]
        for advisory in each.get("vulns", [])
        if advisory["fix_versions"]
    ]


def _installed() -> dict[str, str]:
    found = {each.metadata["Name"]: each.version for each in distributions()}
    return {name: version for name, version in found.items() if name.lower() not in _OF_PYTHON}


def _probe() -> None:
    try:
        with urllib.request.urlopen(PROBE, timeout=10) as answer:
            known = json.load(answer).get("vulnerabilities")
    except (OSError, ValueError, AttributeError) as error:
        raise Unavailable(f"{PROBE} cannot be read: {error}") from None
    if not known:
        raise Unavailable(f"{PROBE} names no advisories, and there are some")


def _install(folder: Path, give_up: float) -> Path:
    make_environment(folder)
    _run([folder / "bin/python", "-m", "pip", "install", "--quiet", "pip-audit"], give_up)
    return folder / "bin/pip-audit"


def _audit(program: Path, what: str, versions: Mapping[str, str], give_up: float) -> list[str]:
    options = ("--no-deps", "--disable-pip", "--format", "json", "--progress-spinner", "off", "--timeout", "10")
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as pinned:
        pinned.writelines(f"{name}=={version}\n" for name, version in versions.items())
        pinned.flush()
        printed = _run([program, "--requirement", pinned.name, *options], give_up, codes=(0, 1))
    try:
        report = json.loads(printed)
    except ValueError:
        raise Unavailable("pip-audit did not report") from None
    for each in report["dependencies"]:
        if "skip_reason" in each:
            print(f"not audited: {each['skip_reason']}")
    return advisories(what, report)


def _run(command: list[Any], give_up: float, codes: tuple[int, ...] = (0,)) -> str:
    program = " ".join(Path(str(part)).name for part in command[:4])
    try:
        left = max(give_up - time.monotonic(), 0.1)
        done = subprocess.run(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=left,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{program} did not end within {LIMIT:g} seconds of all") from None
    if done.returncode not in codes:
        raise Unavailable(f"{program} ended with {done.returncode}: {done.stderr.strip()[-300:]}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
