"""Input from tasks, providers and programs is parsed in time linear in its length."""

from __future__ import annotations

import gc
import re
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from contentq import GeneratedContent
from contentq.content import count_words
from contentq.engine.results import error_text, outcome_of
from contentq.escaping import escape, escape_json
from contentq.handlers.categories import slug
from contentq.handlers.commands.answers import answer_of, object_or_nothing
from contentq.handlers.commands.exits import error_of
from contentq.handlers.commands.handler import CommandHandler
from contentq.handlers.commands.stderr import Lines
from contentq.handlers.loading import Handler, load
from contentq.handlers.openai.answer import body_of
from contentq.handlers.openai.events import Events
from contentq.handlers.openai.handler import OpenAIHandler
from contentq.handlers.openai.prompt import Prompt
from contentq.handlers.openai.refusals import refusal_of
from contentq.handlers.openai.retry_after import duration, retry_after
from contentq.handlers.openai.scrubbing import Scrubber
from contentq.handlers.openai.tokens import estimate
from contentq.handlers.template import TemplateHandler, _sentences, _topic, plain
from contentq.queue.outcomes import Failed, Held, Stored
from contentq.testing.fakes import FakeContext
from contentq.testing.trial import run_trial
from contentq.titles import heading_of, title_of

from tests.security.lag import longest_pause
from tests.support import provider as providers
from tests.support.provider_rules import Rule
from tests.support.tasks import context, task

pytestmark = pytest.mark.slow

Parser = Callable[[str], Any]

LONGEST = 1_000_000
"""Maximum length of an answer in characters (max_characters)."""

SHORTER = dict.fromkeys(("category", "topic", "keywords", "reason of a gate", "hiding of keys", "headers"), 50_000)
SHORTER |= dict.fromkeys(("requirements", "draft", "plain", "prompt", "program's log"), 200_000)
"""The same for input that is much shorter, or arrives in pieces."""

MEASURABLE = 0.02
"""Processor seconds that are always acceptable, regardless of growth."""

HELD = Held(1, 1, 1, "task-1")

TEXTS: dict[str, Callable[[int], str]] = {
    "spaces in a heading": lambda n: "# a" + " " * n + "b",
    "spaces": lambda n: " " * n,
    "tabs and a letter": lambda n: "\t" * n + "a",
    "line feeds": lambda n: "\n" * n,
    "carriage returns": lambda n: "a\r" * (n // 2),
    "hashes": lambda n: "#" * n,
    "closing hashes": lambda n: "# a" + " #" * (n // 2) + "b",
    "headings": lambda n: "#\n" * (n // 2),
    "underlines": lambda n: "=\n" * (n // 2),
    "stars": lambda n: "# " + "*" * n,
    "underscores": lambda n: "_" * n,
    "backslashes": lambda n: "# " + "\\" * n,
    "escaped NULs": lambda n: "\\u0000" * (n // 6),
    "backticks": lambda n: "`" * n,
    "open fences": lambda n: "```\n" * (n // 4),
    "fences in a fence": lambda n: "```\n" + "``` a\n```\n" * (n // 10) + "\n```",
    "long fences": lambda n: "\n".join("`" * k for k in range(3, int((2 * n) ** 0.5) + 3)),
    "fence around spaces": lambda n: "```" + " " * n + "\na\n" + " " * n + "```",
    "thoughts": lambda n: "<think>" * (n // 7),
    "thought of spaces": lambda n: "<think>" + " " * n,
    "thoughts that end": lambda n: "<think></think>" * (n // 15),
    "tags without end": lambda n: "<" * n,
    "tags": lambda n: "<a" * (n // 2),
    "entities": lambda n: "&" + "a" * n,
    "many entities": lambda n: "&#a" * (n // 3),
    "digits": lambda n: "1" * n,
    "digits and a unit": lambda n: "1" * n + "x",
    "numbers": lambda n: "1,2" * (n // 3),
    "dotted": lambda n: "a." * (n // 2) + "!",
    "dashes": lambda n: "a-" * (n // 2),
    "Hindi": lambda n: "\u0915\u093f" * (n // 2),
    "accents": lambda n: "e\u0301" * (n // 2) + "!",
    "Chinese": lambda n: "\u8336" * n,
    "keys": lambda n: "sk-" * (n // 3),
    "short keys": lambda n: "sk-abc " * (n // 7),
    "semicolons": lambda n: "; " * (n // 2),
    "bullets": lambda n: "- a\n" * (n // 4),
    "brackets": lambda n: "[" * n,
    "braces": lambda n: '{"a":' * (n // 5),
    "array of arrays": lambda n: "[" + "[]," * (n // 3) + "[]]",
    "object": lambda n: '{"title": "a", "body": "' + "\\n# " * (n // 4) + '"}',
    "string without end": lambda n: '{"title": "' + "\\" * n,
    "progress": lambda n: "contentq:progress" + " " * n + "x",
    "many progresses": lambda n: "contentq:progress 0.1\n" * (n // 22),
    "lines": lambda n: "y\n" * (n // 2),
    "events": lambda n: "data: {}\n\n" * (n // 10),
    "event of many lines": lambda n: "data:\n" * (n // 6),
    "surrogates": lambda n: "\ud800" * n,
    "zero-width": lambda n: "a\u200b" * (n // 2),
    "NULs": lambda n: "\0" * n,
    "times": lambda n: "Thu, " * (n // 5),
    "offsets": lambda n: "+" * n,
}


def _feed_lines(text: str) -> None:
    lines = Lines(lambda line: False, lambda line: None, lambda number: None)
    data = text.encode("utf-8", "replace")
    for start in range(0, len(data), 65_536):
        lines.feed(data[start : start + 65_536])
    lines.end()


def _feed_events(text: str) -> None:
    events = Events(10 * LONGEST)
    data = text.encode("utf-8", "replace")
    for start in range(0, len(data), 4_096):
        events.feed(data[start : start + 4_096])


def _of_program(text: str) -> None:
    try:
        answer_of(text.encode("utf-8", "replace"), "Tea")
    except Exception as error:
        str(error)


def _in_headers(text: str) -> None:
    for name in ("retry-after-ms", "retry-after", "date"):
        retry_after({name: text})
    retry_after({"retry-after": "Thu, 01 Jan 2026 00:00:00 GMT", "date": text})
    retry_after({"x-ratelimit-remaining-a": "0", "x-ratelimit-reset-a": text})


def _in_templates(text: str) -> None:
    of = task(requirements=text)
    TEMPLATES(of, context(of))


def _in_prompt(text: str) -> None:
    of = task(requirements=text)
    PROMPT.render(of, context(of))


def _content(text: str) -> None:
    outcome_of(HELD, GeneratedContent(text, text, result={"said": text}))


TEMPLATES, PROMPT = TemplateHandler(), Prompt()

PARSERS: dict[str, Parser] = {
    "title": title_of,
    "heading": heading_of,
    "answer": body_of,
    "words": count_words,
    "outcome": _content,
    "result": lambda text: outcome_of(HELD, {"said": text}),
    "text of an error": lambda text: error_text(RuntimeError(text)),
    "category": slug,
    "program's answer": _of_program,
    "program's failure": lambda text: error_of("write", 75, text.encode("utf-8", "replace"), text),
    "program's object": lambda text: object_or_nothing(text.encode("utf-8", "replace")),
    "program's log": _feed_lines,
    "events": _feed_events,
    "provider's message": lambda text: refusal_of("<" + text),
    "provider's error": lambda text: refusal_of({"error": {"message": text, "metadata": {"raw": text}}}),
    "estimate of tokens": estimate,
    "escaping": escape,
    "escaping of JSON": escape_json,
    "hiding of keys": Scrubber("sk-proj-Zq81mNv0").message,
    "headers": _in_headers,
    "duration": lambda text: duration(text[:100]),
    "plain": plain,
    "requirements": _sentences,
    "topic": lambda text: _topic(task(topic=text)),
    "keywords": lambda text: task(keywords=text).keyword_list,
    "draft": _in_templates,
    "prompt": _in_prompt,
}


def seconds(parser: Parser, text: str, runs: int = 1) -> float:
    """The minimum processor time of this many runs; other processes can only increase it."""
    least = float("inf")
    for _ in range(runs):
        began = time.thread_time()
        parser(text)
        least = min(least, time.thread_time() - began)
    return least


def growth(
    parser: Parser, make: Callable[[int], str], runs: Sequence[int] = (1, 5, 10, 20), longest: int = LONGEST
) -> str | None:
    """A sentence that describes growth beyond linear, or None."""
    n = 1_000
    while n < longest // 2 and seconds(parser, make(n)) < MEASURABLE:
        n = min(4 * n, longest // 2)
    said = None
    for number in runs:  # measured again, because the machine is shared
        once, twice = seconds(parser, make(n), number), seconds(parser, make(2 * n), number)
        if twice <= max(3 * once, MEASURABLE):
            return None
        said = f"{once:.4f} s at {n:,}, {twice:.4f} s at {2 * n:,}"
    return said


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    """Without garbage collection, which would count objects of other tests."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("parser", PARSERS)
def test_twice_the_text_takes_at_most_three_times_as_long(parser: str) -> None:
    longest = SHORTER.get(parser, LONGEST)
    found = {name: growth(PARSERS[parser], make, longest=longest) for name, make in TEXTS.items()}

    assert {name: said for name, said in found.items() if said is not None} == {}


@pytest.mark.parametrize(
    ("pattern", "text"), [(r"#\s+(.+?)\s*$", "spaces in a heading"), ("<[^>]*>", "tags without end")]
)
def test_growth_that_is_more_than_linear_is_seen(pattern: str, text: str) -> None:
    # Several measurements, because the machine is shared: repetition cannot make superlinear growth look linear.
    assert any(growth(re.compile(pattern).findall, TEXTS[text], (5,)) is not None for _ in range(5))


LARGE: dict[str, Callable[[int], str]] = {
    "Markdown": lambda n: "Tea is hot. " * (n // 12),
    "Chinese": lambda n: "\u8336\u53f6" * (n // 2),
    **{name: TEXTS[name] for name in ("spaces in a heading", "thoughts", "thought of spaces", "headings")},
}


@pytest.mark.parametrize("text", LARGE)
def test_other_tasks_go_on_while_an_answer_is_taken_apart(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-proj-Zq81mNv0")
    with providers.running(rules=[Rule(text=LARGE[text](900_000), pieces=100)]) as provider:
        monkeypatch.setenv("OPENAI_BASE_URL", provider.url)
        handler = OpenAIHandler()

        async def work() -> None:
            await to_outcome(handler)
            await handler.close()

        pause, taken = longest_pause(work)

    assert pause < max(0.1, taken / 3), f"{pause:.3f} of {taken:.3f} seconds"


@pytest.mark.parametrize("text", LARGE)
def test_other_tasks_go_on_while_the_output_of_a_program_is_taken_apart(tmp_path: Path, text: str) -> None:
    file = tmp_path / "answer.md"
    file.write_text(LARGE[text](3_000_000 // len("\u8336".encode())), encoding="utf-8")

    pause, taken = longest_pause(lambda: to_outcome(CommandHandler(["cat", str(file)])))

    assert pause < max(0.1, taken / 3), f"{pause:.3f} of {taken:.3f} seconds"


def test_other_tasks_go_on_while_a_long_draft_is_rendered() -> None:
    handler = load("template")
    of = task(requirements="; a" * 100_000)

    pause, taken = longest_pause(lambda: handler.call(of, context(of)))

    assert pause < max(0.1, taken / 3), f"{pause:.3f} of {taken:.3f} seconds"


async def to_outcome(handler: Any) -> None:
    """Has a worker process the answer: into content, or a failure if it contains none."""
    of = task()
    trial = await run_trial(Handler("handler", handler, is_async=True), FakeContext(of))
    is_thought = isinstance(trial.outcome, Failed) and "the model thought" in trial.outcome.message
    assert is_thought or isinstance(trial.outcome, Stored), trial.outcome
