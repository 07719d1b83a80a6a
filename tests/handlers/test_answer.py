"""Title and Markdown are found in what models answer, however they wrap it."""

from __future__ import annotations

import time

import pytest
from contentq.handlers.openai.answer import body_of


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


@pytest.mark.parametrize("text", ["<think>" * 150_000, "<think>" + " " * 1_000_000], ids=["many", "long"])
def test_thoughts_without_an_end_take_no_time(text: str) -> None:
    begun = time.process_time()
    body_of(text)

    assert time.process_time() - begun < 2
