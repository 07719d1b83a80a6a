"""`make bench` works: a twentieth of its sizes, since here the figures do not matter."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.programs import installed


@pytest.mark.skipif(
    not any(found.path("pgbench").is_file() for found in installed().values()), reason="pgbench is not installed"
)
def test_bench_shows_each_figure_beside_its_limit_and_writes_json(tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    options = ["--quick", "--rounds", "1", "--only", "drain", "--only", "insert to start", "--json", str(file)]
    ended = subprocess.run(
        [sys.executable, "-m", "tests.bench", *options], capture_output=True, text=True, timeout=180, check=False
    )

    assert ended.returncode == 0, f"{ended.stdout}\n{ended.stderr}"
    figures = {figure["name"]: figure for figure in json.loads(file.read_text())["figures"]}
    drained = figures["drain, 1 process"]
    assert drained["contentq"][0] > 0
    assert drained["limit"][0] > 0
    assert figures["insert to start, median"]["unit"] == "ms"
