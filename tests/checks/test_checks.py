"""The individual checks: drafts that pass, and the message to the model about those that fail."""

from __future__ import annotations

import time
from typing import Any

import pytest
from contentq.checks import ForbiddenWords, Headings, Language, Links, MaxWords, MinWords, NoLeftovers
from contentq.checks.fences import without_fence
from contentq.content import PreviousContent

from tests.checks.conftest import problem

ARTICLE = "# Lentil soup\n\nIt warms.\n\n## 2. Sources\n\nSee [the shop](https://example.com/prices?a=1).\n"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("one two three", None),
        ("one two", "it has 2 words; write at least 3"),
        ("word", "it has 1 word; write at least 3"),
        ("三个字", None),
        ("二字", "it has 2 words; write at least 3"),
        ("", "it has 0 words; write at least 3"),
    ],
)
def test_words_are_counted_as_contentq_counts_them(body: str, said: str | None) -> None:
    assert problem(MinWords(3), body) == said


def test_too_many_words_are_told_with_their_number() -> None:
    assert problem(MaxWords(1000), "word " * 1234) == "it has 1,234 words; write at most 1,000"
    assert problem(MaxWords(1000), "word " * 1000) is None


@pytest.mark.parametrize(
    ("body", "missing"),
    [
        (ARTICLE, None),
        ("# A\n\n###### SOURCES:", None),
        ("Sources\n=======\n", None),
        ("Text\n\nSources\n---\n", None),
        ("## **Sources**", None),
        ("## 1.2. Sources", None),
        ("## Sources of income", "'Sources'"),
        ("Sources", "'Sources'"),
        ("```\n# Sources\n```", "'Sources'"),
        ("", "'Sources'"),
    ],
)
def test_heading_is_found_at_any_level(body: str, missing: str | None) -> None:
    expected = None if missing is None else f"there is no heading {missing}; add it"
    assert problem(Headings(["sources"]), body) == (expected and expected.replace("Sources", "sources"))


def test_all_missing_headings_are_told_at_once() -> None:
    assert problem(Headings(["Sources", "小结", "Lentil soup"]), ARTICLE) == "there is no heading '小结'; add it"
    assert problem(Headings(["A", "B"]), "text") == "there is no heading 'A' and 'B'; add them"


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("We delve deeper.", "'delve'"),
        ("DELVE! Delve?", "'delve'"),
        ("delved and un-delved, delve_it", None),
        ("a game  changer", "'game changer'"),
        ("a game\nchanger", "'game changer'"),
        ("game changers", None),
        ("这是最好的汤", "'最好'"),
        ("C++ and C", "'C++'"),
        ("cafe\u0301 at noon", "'café'"),
        ("CAFÉ", "'café'"),
        ("nothing", None),
        ("delve, game changer, 最好, C++, café", "'C++', 'café', 'delve', 'game changer' and '最好'"),
    ],
)
def test_forbidden_word_is_found_as_a_word(body: str, found: str | None) -> None:
    check = ForbiddenWords(["delve", "game changer", "最好", "C++", "café"])

    said = problem(check, body)

    assert said == (found and f"it contains {found}, which must not be in it; use other words")


@pytest.mark.parametrize("words", [[""], [" "], ["a", "\n"]])
def test_empty_word_is_refused(words: list[str]) -> None:
    with pytest.raises(ValueError, match="must not be empty"):
        ForbiddenWords(words)


@pytest.mark.parametrize(
    ("link", "body", "is_there"),
    [
        ("https://example.com/prices", "[p](https://example.com/prices)", True),
        ("https://example.com/prices", "<https://Example.com/prices>.", True),
        ("https://example.com/prices", "https://example.com/prices/", True),
        ("https://example.com/prices/", "https://example.com/prices", True),
        ("https://example.com", "See https://example.com.", True),
        ("https://example.com", "https://example.com/prices", False),
        ("https://example.com", "https://example.community", False),
        ("https://example.com/prices", "https://example.com/prices-old", False),
        ("https://example.com/prices", "https://example.com/prices?a=1", False),
        ("https://example.com/prices", "https://example.com/Prices", False),
        ("https://example.com/a", "https://example.com/ab https://example.com/a)", True),
    ],
)
def test_link_is_found_as_a_whole(link: str, body: str, is_there: bool) -> None:
    said = problem(Links([link]), body)

    assert said == (None if is_there else f"the link '{link}' is missing; link to it where it fits")


@pytest.mark.parametrize(
    "link", ["example.com", "/prices", "ftp://example.com", "https://", "https://a b", "http://["]
)
def test_link_that_is_no_address_is_refused(link: str) -> None:
    with pytest.raises(ValueError, match="must be an address"):
        Links([link])


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("# T\n\nAs an AI language model, I cannot taste.", "as an ai language model, i"),
        ("# T\n\nAs an AI, I cannot taste.", "as an ai, i"),
        ("# T\n\nI’m a language model.", "i'm a language model"),
        ("# T\n\n作为一个人工智能语言模型，我不能", "作为一个人工智能语言模型，"),
        ("Sure! Here is your article:\n\n# T", "Sure! Here is your article:"),
        ("Here’s a revised version of the article:\n\n# T", "Here’s a revised version of the article:"),
        ("好的，以下是文章：\n\n# 汤", "好的，以下是文章："),
        ("# T\n\nText.\n\nLet me know if you want changes!", "let me know if"),
        ("# T\n\nDear [Your Name],", "[Your Name]"),
        ("# T\n\n[Insert link here]", "[Insert link here]"),
        ("# T\n\n[公司名称] 欢迎", "[公司名称]"),
        ("# T\n\nBy <your name>", "<your name>"),
        ("# T\n\nIt costs [TODO: the price] now.", "[TODO: the price]"),
        ("# T\n\nIt costs [todo] now.", "[todo]"),
        ("# T\n\nIt costs [tbd - price] now.", "[tbd - price]"),
        ("Absolutely! Here it is.\n\n# T", "Absolutely! Here it is."),
        ("# T\n\nText.\n\nIf anything is unclear, feel free to ask!", "feel free to ask"),
        ("# T\n\nText.\n\nFeel free to ask me for more.", "feel free to ask"),
        ("# {{ topic }}", "{{ topic }}"),
        ("# {topic}", "{topic}"),
        ("# T\n\nLorem ipsum dolor", "lorem ipsum"),
    ],
)
def test_leftover_is_told_with_what_it_is(body: str, said: str) -> None:
    found = problem(NoLeftovers(), body)

    assert found is not None
    assert f"'{said}'" in found


@pytest.mark.parametrize(
    "body",
    [
        ARTICLE,
        "# T\n\nGPT, as an AI language model, writes. Siri is an AI.",
        "# T\n\nOf course, nobody knows. Here is the harbour.",
        "# Sure! Here is how to cook",
        "# T\n\n[Your rights](https://example.com) and [name]: [date][1]",
        "# T\n\n- [ ] a box\n- [x] another\n\nA footnote[1], and an array a[0].",
        "# T\n\nWrite `{{ topic }}` and `[Your Name]`:\n\n```\n{{ topic }} <your name>\n```\n",
        "# T\n\nx < y and y > z",
        "# T\n\n[Todoist] is an app, [todos los derechos] are rights, and [todo el mundo] is everybody.",
        "Absolutely. Paris is great.\n\nOf course. It is.",
        "# T\n\nIf a cut is unknown to you, feel free to ask your butcher.",
        "",
    ],
)
def test_honest_text_has_no_leftover(body: str) -> None:
    assert problem(NoLeftovers(), body) is None


PROMPT = (
    "You write articles that are published as they are, in Markdown.\n"
    "Requirements:\nEnd with this sentence: our shop is open every day from nine to five.\n"
    "The article to revise:\nThe old draft says that lentils need an hour in cold water."
)


@pytest.mark.parametrize(
    ("body", "is_of_prompt"),
    [
        ("You write articles that are  published as\nthey are, in Markdown.", True),
        ("End with this sentence: our shop is open every day from nine to five.", False),
        ("The old draft says that lentils need an hour in cold water.", False),
        ("Requirements:", False),
    ],
)
def test_sentence_of_the_prompt_is_found_unless_the_task_asks_for_it(body: str, is_of_prompt: bool) -> None:
    previous = PreviousContent(
        1, "T", "The old draft says that lentils need an hour in cold water.", 11, "rejected"
    )

    said = problem(
        NoLeftovers(),
        f"# T\n\n{body}",
        prompt=PROMPT,
        previous=previous,
        requirements="End with this sentence: our shop is open every day from nine to five.",
    )

    assert (said is not None and "a sentence of the prompt" in said) is is_of_prompt


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        ('```json\n{"a": 1}\n```', '{"a": 1}\n'),
        ('  ```\n{"a": 1}\n```  ', '{"a": 1}\n'),
        ('{"a": 1}', '{"a": 1}\n'),
        ("```python\nx\n```", "```python\nx\n```\n"),
        ("```json\n{}", "```json\n{}\n"),
        ("", ""),
    ],
)
def test_fence_around_json_is_taken_off(text: str, bare: str) -> None:
    assert without_fence(text) == bare


HOSTILE = {
    "spaces": "a" + " " * 100_000 + "b",
    "newlines": "\n" * 100_000,
    "brackets": "[" * 50_000 + "<" * 50_000,
    "braces": "{{" * 50_000 + "{%" * 10_000,
    "backticks": "`" * 100_000,
    "hashes": "#" * 100_000,
    "hash and spaces": "# a" + " " * 100_000 + "b",
    "fences": "```\n" * 25_000,
    "fenced": "```json" + " " * 100_000,
    "words": "game " * 20_000,
    "links": "https://example.com/prices" * 4_000,
    "addresses": "https://" + "x" * 100_000,
    "numbers": "## " + "1." * 50_000,
    "digits": "## " + "1" * 100_000,
    "underlines": "a\n-\n" * 25_000,
    "apostrophes": "a'" * 50_000,
    "as an": "as an " * 16_000,
    "combining": "e" + "\u0301\u0323" * 50_000,
    "letters": "x" * 100_000,
    "here is": "here is " + "a " * 50_000,
    "sentences": "You write articles that are published as they are. " * 2_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_checked_in_time_that_grows_with_its_length(name: str) -> None:
    body = HOSTILE[name]
    checks: list[Any] = [
        MinWords(1),
        Headings(["Sources"]),
        ForbiddenWords(["game changer", "delve", "最好"]),
        Links(["https://example.com/prices", "https://example.com"]),
        NoLeftovers(),
        Language("de"),
    ]
    began = time.process_time()
    for check in checks:
        problem(check, body, prompt=body)
    without_fence(body)

    assert time.process_time() - began < 5  # takes a tenth of this; quadratic time would take minutes
