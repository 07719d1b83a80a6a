"""A file that names a handler for each category: its content and its errors."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from contentq.errors import HandlerUnusable
from contentq.handlers.by_category import HandlersByCategory, read

pytest.importorskip("openai")

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes the file, and a program and settings next to it; the current folder is another."""
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")

    def write_one(text: str, **settings: str) -> Path:
        program = tmp_path / "digest.sh"
        program.write_text("#!/bin/sh\necho '# Digest'\n")
        program.chmod(0o755)
        for name, host in settings.items():
            (tmp_path / f"{name}.toml").write_text(f'base_url = "http://{host}/v1"')
        file = tmp_path / "handlers.toml"
        file.write_text(textwrap.dedent(text), encoding="utf-8")
        return file

    return write_one


def refusal(file: Path) -> str:
    with pytest.raises(HandlerUnusable) as caught:
        read(file)
    message = str(caught.value)
    assert message.startswith(f"the handlers '{file}': ")
    return message.removeprefix(f"the handlers '{file}': ")


MIXED = """
    [default]
    handler = "template"
    [categories.news]
    handler = "openai"
    settings = "news.toml"
    [categories."Weekly digest"]
    handler = "command"
    command = "./digest.sh 'a b'"
    env = ["LANG"]
"""


def test_each_category_has_its_handler_and_paths_are_relative_to_the_file(write: Write) -> None:
    handlers = read(write(MIXED, news="localhost:11434"))

    assert [handlers.of(name).name for name in ("news", "Weekly digest", "other", None)] == [
        "openai",
        "command",
        "template",
        "template",
    ]
    assert (handlers.name, handlers.categories, handlers.gate) == ("handlers.toml", None, "localhost:11434")


def test_without_a_default_only_the_categories_that_are_named_are_claimed(write: Write) -> None:
    handlers = read(write("[categories.b]\nhandler = 'template'\n[categories.a]\nhandler = 'template'"))

    assert handlers.categories == ("b", "a")
    assert handlers.gate is None
    with pytest.raises(HandlerUnusable, match="there is none for the category 'c'; there are: b, a"):
        handlers.of("c")
    with pytest.raises(HandlerUnusable, match="for the category None"):
        handlers.of(None)


def test_each_logs_what_is_worth_knowing(write: Write, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")

    read(write(MIXED, news="localhost:11434")).introduce()

    assert "address=http://localhost:11434/v1" in caplog.text


def test_worker_has_the_gates_of_all_that_they_call(write: Write) -> None:
    two = """
        [default]
        handler = "openai"
        settings = "there.toml"
        [categories.news]
        handler = "openai"
        settings = "here.toml"
        [categories.faq]
        handler = "openai"
        settings = "here.toml"
        [categories.draft]
        handler = "template"
    """
    handlers: HandlersByCategory = read(write(two, here="here.example", there="there.example"))

    assert (handlers.gate, handlers.gates) == (None, ("there.example", "here.example"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it is empty; it needs a table [default] or [categories.NAME]"),
        ("[default", "are not TOML"),
        ("[news]\nhandler = 'template'", "news: there is no such table; there are: default, categories.NAME"),
        ("default = 'template'", "default: it must be a table"),
        ("categories = []", "categories: it must be a table"),
        ("[categories]\nnews = 'openai'", "categories.news: it must be a table"),
        (
            "[categories.news]\nmodel = 'm'",
            'categories.news: it needs the name of a handler, such as handler = "template"',
        ),
        (
            "[categories.news]\nhandler = 'template'\nsettings = 'x'",
            "categories.news.settings: the handler 'template' has no such setting; there are: handler, templates",
        ),
        (
            "[default]\nhandler = 'ours:write'\ntemplates = 'x'",
            "default.templates: the handler 'ours:write' has no such setting; there are: handler",
        ),
        ("[default]\nhandler = 'template'\ntemplates = 7", "default.templates: it must be a text"),
        (
            "[default]\nhandler = 'command'\ncommand = 'cat'\nenv = [1]",
            "default.env: it must be a list of texts",
        ),
        (
            "[default]\nhandler = 'command'\ncommand = 'a \"b'",
            "default.command: it cannot be split into words: No closing quotation",
        ),
        ("[default]\nhandler = 'command'\ncommand = ' '", "default.command: there is no program '' in the PATH"),
        (
            "[default]\nhandler = 'command'\ncommand = 'no-such'",
            "default.command: there is no program 'no-such' in the PATH",
        ),
        ("[default]\nhandler = 'command'", "default: the handler command needs a program"),
        (
            "[categories.a]\nhandler = 'nowhere:f'",
            "categories.a: handler 'nowhere:f': there is no module 'nowhere'",
        ),
        (
            "[categories.a]\nhandler = 'openai'\nsettings = 'bad.toml'",
            "categories.a: the settings '{folder}/bad.toml', line 1: base_url: must be an address",
        ),
    ],
)
def test_what_is_wrong_is_told_with_the_file_and_the_key(write: Write, text: str, said: str) -> None:
    file = write(text)
    (file.parent / "bad.toml").write_text("base_url = 'nowhere'")

    with pytest.raises(HandlerUnusable) as caught:
        read(file)

    assert f"the handlers '{file}'" in str(caught.value)
    assert said.format(folder=file.parent) in str(caught.value)


def test_program_beside_the_file_is_found_and_one_that_is_missing_is_named(write: Write) -> None:
    file = write("[default]\nhandler = 'command'\ncommand = 'bin/no-such'")

    assert f"default.command: there is no file '{file.parent}/bin/no-such'" in refusal(file)
    assert not os.path.exists("digest.sh")
    read(write("[default]\nhandler = 'command'\ncommand = './digest.sh'"))


def test_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(HandlerUnusable, match=r"none.toml' cannot be read: No such file or directory"):
        read(tmp_path / "none.toml")
