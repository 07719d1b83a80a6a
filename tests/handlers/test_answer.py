"""Title and Markdown are found in what models answer, however they wrap it."""

from __future__ import annotations

import pytest
from contentq.handlers.openai.answer import body_of, title_of


@pytest.mark.parametrize(
    ("text", "body"),
    [
        ("# Tea\n\nHot.", "# Tea\n\nHot.\n"),
        ("\n\n  # Tea\r\n\r\nHot.\r\n\n", "# Tea\n\nHot.\n"),
        ("```markdown\n# Tea\n\nHot.\n```", "# Tea\n\nHot.\n"),
        ("```\n# Tea\n```\n", "# Tea\n"),
        ("~~~md\n# Tea\n~~~", "# Tea\n"),
        ("````Markdown\n# Tea\n\n```sh\nboil\n```\n````", "# Tea\n\n```sh\nboil\n```\n"),
        ("```markdown\n# Tea\n\n```sh\nboil\n```\n\nHot.\n```", "# Tea\n\n```sh\nboil\n```\n\nHot.\n"),
        ("```\nboil\n```\nand\n```\npour\n```", "```\nboil\n```\nand\n```\npour\n```\n"),
        ("```python\nboil()\n```", "```python\nboil()\n```\n"),
        ("# Tea\n\n```\nboil\n```", "# Tea\n\n```\nboil\n```\n"),
        ("<think>Tea?\n\nTea.</think>\n\n# Tea", "# Tea\n"),
        ("# Tea <think>not a thought</think>", "# Tea <think>not a thought</think>\n"),
        ("", ""),
        (" \n\t\n", ""),
        ("```markdown\n\n```", ""),
        ("<think>nothing more</think>", ""),
    ],
)
def test_body_is_the_markdown_alone(text: str, body: str) -> None:
    assert body_of(text) == body


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
