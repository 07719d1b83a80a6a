"""The title of a Markdown text: one rule for all handlers and commands, and fast for any text."""

from __future__ import annotations

import time

import pytest
from contentq.titles import heading_of, title_of


@pytest.mark.parametrize(
    ("body", "title"),
    [
        ("# Tea\n\n## Leaves", "Tea"),
        ("A remark.\n\n## Tea ##\n", "Tea"),
        ("# **Tea**", "Tea"),
        ("# *Tea* and _more_", "*Tea* and _more_"),
        (r"# C\# and \*stars\*", "C# and *stars*"),
        ("```sh\n# boil\n```\n\n# Tea", "Tea"),
        ("~~~\n# boil\n~~~\n# Tea", "Tea"),
        ("#hashtag\n\n# Tea", "Tea"),
        ("#\n# Tea", "Tea"),
        ("    # code\n# Tea", "Tea"),
        ("No heading.", "The  topic"),
        ("", "The  topic"),
        ("# 茶", "茶"),
    ],
)
def test_title_is_the_first_heading_else_the_topic(body: str, title: str) -> None:
    assert title_of(body, "The  topic") == (title if title != "The  topic" else "The topic")


@pytest.mark.parametrize("topic", [None, "", " \n"])
def test_without_heading_and_topic_it_is_untitled(topic: str | None) -> None:
    assert title_of("Text.", topic) == "Untitled"


@pytest.mark.parametrize(
    ("markdown", "heading"),
    [
        ("Tea\n===\n", "Tea"),
        ("\n===\n# Tea", "Tea"),
        ("# ***Tea***", "Tea"),
        ("# **A** and **B**", "**A** and **B**"),
        ("## #", None),
        ("####### seven", None),
        ("~~~~\n~~~\n# code\n~~~~\n# Tea", "Tea"),
    ],
)
def test_heading_is_what_a_reader_sees(markdown: str, heading: str | None) -> None:
    assert heading_of(markdown) == heading


@pytest.mark.parametrize(
    "text",
    [
        "# a" + " " * 1_000_000 + "b",
        "# " + "*" * 1_000_000,
        "#" * 1_000_000,
        "=\n" * 500_000,
        "```\n" + "` " * 500_000,
        "# a" + " #" * 500_000 + "b",
        "# " + "\\" * 1_000_000,
    ],
    ids=["spaces", "stars", "hashes", "underlines", "open fence", "closing hashes", "backslashes"],
)
def test_title_of_a_million_characters_takes_no_time(text: str) -> None:
    begun = time.process_time()
    title_of(text)

    assert time.process_time() - begun < 2
