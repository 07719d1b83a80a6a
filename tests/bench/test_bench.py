"""`make bench` works: runs two of its families at a twentieth of their sizes, without regard to the figures."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.programs import installed

pytestmark = pytest.mark.slow

NEEDS_PGBENCH = pytest.mark.skipif(
    not any(found.path("pgbench").is_file() for found in installed().values()), reason="pgbench is not installed"
)

BENCH = [sys.executable, "-m", "tests.bench"]


@NEEDS_PGBENCH
def test_bench_shows_each_figure_beside_its_limit_and_writes_json(tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    options = ["--quick", "--only", "drain", "--only", "insert to start", "--json", str(file)]
    ended = subprocess.run([*BENCH, *options], capture_output=True, text=True, timeout=180, check=False)

    assert ended.returncode == 0, f"{ended.stdout}\n{ended.stderr}"
    said = "drain, latency, claims: 1 round, a twentieth of the sizes, nothing is judged; "
    assert ended.stdout.startswith(said)
    figures = {figure["name"]: figure for figure in json.loads(file.read_text())["figures"]}
    drained = figures["drain, 1 process"]
    assert drained["contentq"][0] > 0
    assert drained["limit"][0] > 0
    assert figures["insert to start, median"]["unit"] == "ms"
    assert {figure["holds"] for figure in figures.values()} == {None}


@NEEDS_PGBENCH
def test_interrupted_bench_keeps_what_was_measured(tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    options = ["--quick", "--rounds", "1000", "--only", "drain, 1 process", "--json", str(file)]
    with subprocess.Popen(
        [*BENCH, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as bench:
        assert bench.stdout is not None
        before = []
        for line in bench.stdout:
            before.append(line)
            if line.startswith("round 2: "):
                break
        os.killpg(bench.pid, signal.SIGINT)  # as a terminal does
        out, err = bench.communicate(timeout=60)

    assert bench.returncode == 130, err
    assert err == ""
    found = json.loads(file.read_text())
    assert found["interrupted"]
    assert len(found["figures"][0]["contentq"]) >= 2
    assert "; interrupted" in out
    assert f"interrupted; what was measured until then is above and in {file}" in " ".join(out.split())


def test_no_round_is_wrong_usage() -> None:
    ended = subprocess.run([*BENCH, "--rounds", "0"], capture_output=True, text=True, timeout=60, check=False)

    assert ended.returncode == 2
    assert "at least one round is needed for a figure" in ended.stderr


def test_help_says_what_every_option_does() -> None:
    ended = subprocess.run([*BENCH, "--help"], capture_output=True, text=True, timeout=60, check=True)

    for option in ("--only NAME", "--list", "--quick", "--rounds N", "--minutes M", "--json FILE"):
        assert re.search(rf"^  {option}\s+\S", ended.stdout, re.MULTILINE), option
