"""The results of vendors' answers and errors in all their variants (tests/support/vendors.py)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from contentq import GeneratedContent
from contentq.errors import HandlerError, RateLimited
from contentq.handlers.openai.errors import about
from contentq.handlers.openai.handler import OpenAIHandler

from tests.handlers.conftest import KEY, clear_environment
from tests.support import provider as providers
from tests.support.provider import Provider
from tests.support.provider_rules import Rule
from tests.support.tasks import context, task
from tests.support.vendors import ARTICLE, KINDS, VENDORS, Reply

CASES = [
    pytest.param(reply, id=f"{vendor}-{kind}")
    for vendor, replies in VENDORS.items()
    for kind, reply in replies.items()
]


@pytest.fixture(scope="module")
def vendor() -> Iterator[Provider]:
    with pytest.MonkeyPatch.context() as patch, providers.running(key=KEY) as running:
        clear_environment(patch)
        patch.setenv("OPENAI_BASE_URL", running.url)
        patch.setenv("OPENAI_API_KEY", KEY)
        yield running


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as made:
        yield made


@pytest.fixture(scope="module")
def handlers(
    vendor: Provider, runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, OpenAIHandler]]:
    """By settings; they share the connections of the module, as handlers of a worker do."""
    del vendor  # the environment leads to it
    folder = tmp_path_factory.mktemp("settings")
    made = {}
    for number, settings in enumerate(
        {reply.settings for replies in VENDORS.values() for reply in replies.values()}
    ):
        file: Path = folder / f"{number}.toml"
        file.write_text(f"keep_reasoning = 1000\nchunk_timeout = 20\n{settings}", encoding="utf-8")
        made[settings] = OpenAIHandler(None, file)
    yield made
    for handler in made.values():
        runner.run(handler.close())


def rule_of(reply: Reply) -> Rule:
    """How the test provider sends it."""
    if reply.status != 200:
        return Rule(status=reply.status, headers=reply.headers, body=reply.body)
    return Rule(raw=reply.body, headers=reply.headers, spoiled_after=0 if reply.is_cut else None)


@pytest.mark.parametrize("reply", CASES)
def test_each_server_is_read_right(
    vendor: Provider, runner: asyncio.Runner, handlers: dict[str, OpenAIHandler], reply: Reply
) -> None:
    vendor.answer(rule_of(reply))
    of = task("Tea")

    async def ask() -> GeneratedContent | HandlerError:
        try:
            return await handlers[reply.settings](of, context(of))
        except HandlerError as error:
            return error

    made = runner.run(ask())

    if reply.becomes is None:
        assert isinstance(made, GeneratedContent), repr(made)
        assert made.body == ARTICLE
        assert made.result.get("reasoning", "") == reply.thought
        usage = made.result
    else:
        assert type(made) is reply.becomes
        assert reply.said in str(made)
        assert about(made) == reply.about
        if isinstance(made, RateLimited):
            assert made.retry_after == (None if reply.wait is None else timedelta(seconds=reply.wait))
        usage = made.usage or {}
        assert usage or not reply.has_begun, "what was paid for is counted"
    if reply.tokens is None:
        assert not usage or usage["estimated_tokens"] is True
    elif usage:
        counted = usage["prompt_tokens"], usage["completion_tokens"]
        assert (counted, usage.get("estimated_tokens")) == (reply.tokens, None)


def test_every_server_has_every_kind() -> None:
    assert {name: set(KINDS) - set(replies) for name, replies in VENDORS.items() if name != "others"} == {
        name: set() for name in VENDORS if name != "others"
    }
