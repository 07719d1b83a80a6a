"""One word per idea: the words that CONTRIBUTING.md rejects appear nowhere."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.docs.markdown import ROOT

WORDS = "## Words"
"""The section of CONTRIBUTING.md with the table."""

SUFFIXES = {".css", ".html", ".j2", ".js", ".json", ".md", ".py", ".sql", ".toml", ".yml"}

NOT_OURS = ("docs/example/topics.csv", "sql/schema.sql", "worker/contentq/web/static/htmx.min.js")
"""Exempt: topics of an example, a generated copy of sources checked elsewhere, and a library."""

OTHERS = (
    r"SpanKind\.CONSUMER|kind is consumer",  # OpenTelemetry
    r"4,000 jobs against",  # procrastinate, in a measurement
    r"\bjob_name: ",  # Prometheus
)
"""Names that belong to other programs."""

ABOUT_OTHERS = ("docs/how-to/coming-from-", "docs/how-to/kubernetes.md", "docs/how-to/pg-cron.md")
"""Pages that describe other programs in their own terms."""


def given_up() -> dict[str, str]:
    """The rejected words, and the word to use instead."""
    table = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition(f"\n{WORDS}\n")[2]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line[:1] == "|"
    ]
    return {
        word.strip(): instead or idea
        for instead, idea, words in rows[2:]
        for word in words.split(",")
        if word.strip()
    }


def uses(text: str, words: Sequence[str]) -> Iterator[tuple[int, str]]:
    """The lines with a rejected word, in prose or in an identifier, also across two lines."""
    text = re.sub("|".join(OTHERS), lambda name: "·" * len(name[0]), text).lower()
    for word in words:
        parts = re.findall("[a-z]+", word)
        if all(part in text for part in parts):
            spelled = r"[\s_.#-]+".join(parts)
            for found in re.finditer(rf"(?<![a-z]){spelled}(?:s|d|ed|ing)?(?![a-z])", text):
                yield text.count("\n", 0, found.start()) + 1, word


def _texts() -> list[Path]:
    folders = [ROOT / "docs", ROOT / "sql", ROOT / "worker/contentq"]
    files = [*ROOT.glob("*.md"), *(path for folder in folders for path in folder.rglob("*"))]
    left_out = (*NOT_OURS, *ABOUT_OTHERS)
    return sorted(
        path
        for path in files
        if path.suffix in SUFFIXES and not path.relative_to(ROOT).as_posix().startswith(left_out)
    )


@pytest.mark.slow
def test_words_that_were_given_up_are_used_nowhere() -> None:
    words = given_up()
    found = []
    for path in _texts():
        text = path.read_text(encoding="utf-8")
        if path == ROOT / "CONTRIBUTING.md":
            text = text.partition(f"\n{WORDS}\n")[0]
        name = path.relative_to(ROOT).as_posix()
        found += [f"{name}:{line}: {word!r}: use {words[word]!r}" for line, word in uses(text, [*words])]

    assert found == [], "\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ("A worker\nruns a job.", 2, "job"),
        ("job_ids", 1, "job"),
        ("Jobs", 1, "job"),
        ("The task is given\n-- back.", 1, "given back"),
        ("contentq.held_accounts()", 1, "held account"),
        ("it dequeued", 1, "dequeue"),
    ],
)
def test_word_that_was_given_up_is_found(text: str, line: int, word: str) -> None:
    assert list(uses(text, [*given_up()])) == [(line, word)]


@pytest.mark.parametrize(
    "text", ["A task.", "jobless", "SpanKind.CONSUMER", "an impulse", "amend", "(given) Back"]
)
def test_other_words_are_not_found(text: str) -> None:
    assert list(uses(text, [*given_up()])) == []
