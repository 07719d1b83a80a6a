"""The environment of handlers: a local model provider, and programs."""

from __future__ import annotations

import asyncio
import os
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
from contentq import GeneratedContent
from contentq.handlers.openai.handler import OpenAIHandler

from tests.handlers.programs import Script
from tests.support import provider as providers
from tests.support.tasks import context, task
from tests.support.traces import Trace

KEY = "sk-proj-Zq81mNv0Rt5Lx2Kd"


def clear_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Removes variables that lead to a provider or a proxy."""
    for name in list(os.environ):
        if name.startswith("OPENAI_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[providers.Provider]:
    """A provider that accepts this key; the environment leads to it."""
    clear_environment(monkeypatch)
    with providers.running(key=KEY) as running:
        monkeypatch.setenv("OPENAI_BASE_URL", running.url)
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        yield running


@pytest.fixture
def settings_file(tmp_path: Path) -> Path:
    """The name of a settings file that does not exist yet."""
    return tmp_path / "openai.toml"


class Ask(Protocol):
    def __call__(
        self, settings: str = "", *, templates: Path | None = None, **columns: Any
    ) -> GeneratedContent: ...


@pytest.fixture
def ask(provider: providers.Provider, settings_file: Path) -> Ask:
    """Runs the handler once, on a task with these columns, with these settings; returns its result or raises its
    error.
    """
    del provider  # the environment leads to it

    def asked(settings: str = "", *, templates: Path | None = None, **columns: Any) -> GeneratedContent:
        settings_file.write_text(settings, encoding="utf-8")
        previous, progress = columns.pop("previous_content", None), columns.pop("progress", lambda *_: None)

        async def once() -> GeneratedContent:
            handler = OpenAIHandler(templates, settings_file)
            try:
                of = task(**columns)
                return await handler(of, context(of, previous, progress))
            finally:
                await handler.close()

        return asyncio.run(once())

    return asked


@pytest.fixture
def script(tmp_path: Path) -> Script:
    """Writes a Bash script and returns its path."""

    def write(text: str) -> str:
        path = tmp_path / "write.sh"
        path.write_text(f"#!/usr/bin/env bash\n{textwrap.dedent(text)}", encoding="utf-8")
        path.chmod(0o755)
        return str(path)

    return write


@pytest.fixture
def trace(tmp_path: Path) -> Iterator[Trace]:
    """Reports whether processes are alive."""
    made = Trace(tmp_path / "trace")
    yield made
    made.close()
