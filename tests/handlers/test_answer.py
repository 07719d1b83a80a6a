"""Title and Markdown are found in answers of models, in any wrapping."""

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
        ("Tea?\nTea.\n</think>\n\n# Tea", "# Tea\n"),
        ("Tea? ```\nTea.\n</think>\n\n# Tea", "# Tea\n"),
        ("It says <think> first.\n\nTea.\n</think>\n# Tea", "# Tea\n"),
        ("Tea.</think># Tea", "# Tea\n"),
        ("</think>\n\n# Tea", "# Tea\n"),
        ("<THINK>Tea</THINK>\n<think>hot?</think># Tea", "# Tea\n"),
        ("<think>Tea <think>hot</think>\nmore\n</think>\n# Tea", "# Tea\n"),
        ("<think>Tea</think># Tea\n\n<think>\nHot?\n</think>\nHot.", "# Tea\n\n\nHot.\n"),
        ("[THINK]Tea?[/THINK]# Tea", "# Tea\n"),
        ("<|START_THINKING|>Tea?<|END_THINKING|># Tea", "# Tea\n"),
        ("\u25c1think\u25b7Tea?\u25c1/think\u25b7# Tea", "# Tea\n"),
        (
            "<|channel|>analysis<|message|>Tea?<|end|><|start|>assistant<|channel|>final<|message|># T<|return|>",
            "# T\n",
        ),
        ("```markdown\n<think>Tea?</think>\n# Tea\n```", "# Tea\n"),
        ("<think>\n```\nhalf a block\n</think>\n# Tea\n\n```\nboil\n```", "# Tea\n\n```\nboil\n```\n"),
        ("<think>Tea?", ""),
        ("# Tea\n\n[Think](https://example.com) first", "# Tea\n\n[Think](https://example.com) first\n"),
        ("# Tags\n\nAfter `</think>` comes", "# Tags\n\nAfter `</think>` comes\n"),
        ('# Tags\n\nAfter "</think>" comes', '# Tags\n\nAfter "</think>" comes\n'),
        ('Say "tea"</think>"Tea" is hot', '"Tea" is hot\n'),
        ('Say "tea"</think>', ""),
        ("<think>Tags</think># Tags\n\nAfter </think> comes", "# Tags\n\nAfter </think> comes\n"),
        ("# Tags\n\n```\n<think>\na\n</think>\n```\n", "# Tags\n\n```\n<think>\na\n</think>\n```\n"),
    ],
)
def test_body_is_the_markdown_alone(text: str, body: str) -> None:
    assert body_of(text).answer == body


@pytest.mark.parametrize(
    ("text", "thoughts", "is_unfinished"),
    [
        ("<think>Tea?\n</think># Tea", "Tea?", False),
        ("<think>Tea?", "Tea?", True),
        ("# Tea\n\n<think>Hot?", "Hot?", True),
        ("Tea?\n</think>\n# Tea", "Tea?", False),
        ("<think>a</think><think>b</think># Tea", "a\n\nb", False),
        ("# Tea", "", False),
        ("<think>a<think>b</think>c</think># Tea", "a<think>b</think>c", False),
        ("<think>a<think>b<think>c</think></think>d</think># Tea", "a<think>b<think>c</think></think>d", False),
        ("[THINK]a[THINK]b[/THINK]c[/THINK]# Tea", "a[THINK]b[/THINK]c", False),
        ("<think>a<thinking>b</think># Tea", "a<thinking>b", False),
        ("<think>Is it <think> or not?</think># Tea", "Is it <think> or not?", False),
        ("<think>No `<think>`.</think># Tea\n\n<think>\nHot?\n</think>\n", "No `<think>`.\n\nHot?", False),
        ("<think>`<think>` and `</think>`?</think># Tea", "`<think>` and `</think>`?", False),
        ("<think>a<think>b</think># Tea\n\n<think>\nHot?\n</think>\n", "a<think>b\n\nHot?", False),
    ],
)
def test_thoughts_are_told_apart(text: str, thoughts: str, is_unfinished: bool) -> None:
    found = body_of(text)

    assert (found.thoughts, found.is_unfinished) == (thoughts, is_unfinished)
    assert is_unfinished or found.answer.strip() == "# Tea"


LONG = {
    "many": "<think>" * 150_000,
    "in each other": "<think>" * 60_000 + "</think>" * 60_000,
    "quoted": "<think><think>" + "`</think>`" * 100_000,
    "spaces": "<think>" + " " * 1_000_000,
    "pairs": "<think></think>" * 60_000,
    "closings": "</think>" * 120_000,
    "mentions": "a " + "`<think>` " * 100_000,
    "one line": "a <think> " + "b </think> " * 90_000,
    "fences": "```\n" * 200_000 + "</think>",
    "lines": "a\n<think>\nb\n</think>\n" * 40_000,
}


@pytest.mark.slow
@pytest.mark.parametrize("text", LONG.values(), ids=LONG.keys())
def test_thoughts_take_no_time(text: str) -> None:
    begun = time.process_time()
    body_of(text)

    assert time.process_time() - begun < 2
