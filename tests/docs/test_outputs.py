"""The comparison of outputs ignores what changes from run to run, and nothing else."""

from __future__ import annotations

import pytest

from tests.docs.outputs import is_output


@pytest.mark.parametrize(
    ("printed", "documented"),
    [
        ("1  a  21s  Tea\n", "1  a  3m  Tea\n"),
        ("due in 00:09:57", "due in 00:10:00"),
        ("worker 12 (vm, pid 7) holds it", "worker 9 (host.example, pid 4242) holds it"),
        ("a\nb\nc\n", "a\nb\n…\n"),
    ],
)
def test_changing_parts_do_not_matter(printed: str, documented: str) -> None:
    assert is_output(printed, documented)


@pytest.mark.parametrize(
    ("printed", "documented"),
    [
        ("1  a  21s  Tea\n", "1  a  3m  Coffee\n"),
        ("limit 10m", "limit 20m"),
        ("a\nb\nc\n", "a\nb\n"),
        ("a\nx\nc\n", "a\nb\n…\n"),
        ("a\nb\n", "a\nb\n…\n"),
    ],
)
def test_other_parts_do(printed: str, documented: str) -> None:
    assert not is_output(printed, documented)
