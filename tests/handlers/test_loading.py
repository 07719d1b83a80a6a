"""A handler is found by its name, or the error names the problem with the name or its target."""

from __future__ import annotations

import _thread
import asyncio
import functools
import importlib
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from contentq.errors import HandlerUnusable
from contentq.handlers.loading import load, wrap

Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Writes modules to the current folder of the test, and later removes them from the imports."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])

    def write_one(name: str, text: str) -> Path:
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(textwrap.dedent(text), encoding="utf-8")
        importlib.invalidate_caches()
        return file

    yield write_one
    for name, module in list(sys.modules.items()):
        if (getattr(module, "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


def refusal(name: str) -> str:
    with pytest.raises(HandlerUnusable) as caught:
        load(name)
    return str(caught.value)


@pytest.mark.parametrize("name", ["", "ours", "ours:", ":write", "ours.write", ":"])
def test_name_without_both_its_parts_is_refused_with_the_form_to_write(write: Write, name: str) -> None:
    write("ours.py", "def write(task, context): ...")

    known = "template, command, openai, openai-batch"
    assert refusal(name) == f"{name!r} does not name a handler; write module:function, or one of: {known}"


def test_module_that_is_not_there_is_named_with_where_it_was_looked_for(write: Write) -> None:
    here = write("shop/__init__.py", "").parents[1]

    places = f"in {here} or among the installed packages"
    assert refusal("nowhere:write") == f"handler 'nowhere:write': there is no module 'nowhere' {places}"
    assert refusal("shop.nowhere:f") == f"handler 'shop.nowhere:f': there is no module 'shop.nowhere' {places}"


@pytest.mark.parametrize("attribute", ["rite", "Writer.rite", "write.more"])
def test_attribute_that_is_not_there_is_named(write: Write, attribute: str) -> None:
    file = write("ours.py", "class Writer: ...\ndef write(task, context): ...")

    assert refusal(f"ours:{attribute}") == f"handler 'ours:{attribute}': module ours ({file}) has no {attribute!r}"


def test_module_of_the_standard_library_with_the_same_name_is_recognised(write: Write) -> None:
    write("queue.py", "def write(task, context): ...")

    assert "lib/python" in refusal("queue:write")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\n\nimport not_installed", "ModuleNotFoundError: No module named 'not_installed' ({file}, line 3)"),
        ("def f():\n    1 / 0\nf()", "ZeroDivisionError: division by zero ({file}, line 2)"),
        ("x = 1\ndef write(task, context:", "SyntaxError: '(' was never closed ({file}, line 2)"),
        ("def write():\nreturn", "IndentationError: {message} ({file}, line 2)"),
        ("raise SystemExit('no key')", "SystemExit: no key ({file}, line 1)"),
        ("raise ValueError('two\\n  lines')", "ValueError: two lines ({file}, line 1)"),
    ],
)
def test_module_that_cannot_be_imported_is_refused_with_error_file_and_line(
    write: Write, text: str, said: str
) -> None:
    file = write("ours.py", text)

    message = "expected an indented block after function definition on line 1"
    expected = said.format(file=file, message=message)
    assert refusal("ours:write") == f"handler 'ours:write': importing ours failed: {expected}"


def test_error_in_what_a_module_imports_is_told_with_the_place_where_it_arose(write: Write) -> None:
    write("ours.py", "import part")
    part = write("part.py", "\nraise KeyError('API_KEY')")

    assert refusal("ours:write").endswith(f"importing ours failed: KeyError: 'API_KEY' ({part}, line 2)")


def test_module_that_replaces_threads_is_refused(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_thread, "start_new_thread", _thread.start_new_thread)  # restored at the end
    write(
        "ours.py",
        "import _thread\n_thread.start_new_thread = lambda *given: 0\ndef write(task, context): ...",
    )

    assert "importing ours has replaced Python's threads" in refusal("ours:write")


@pytest.mark.parametrize("attribute", ["number", "Writer", "text"])
def test_what_is_not_a_function_is_refused(write: Write, attribute: str) -> None:
    write("ours.py", "number, text = 42, 'write'\nclass Writer:\n    def __init__(self, task, context): ...")

    assert refusal(f"ours:{attribute}") == (
        f"handler 'ours:{attribute}' is not a function; a handler is called with (task, context)"
    )


@pytest.mark.parametrize(
    "signature", ["()", "(task)", "(task, context, model)", "(task, *, context)", "(self, task, context)"]
)
def test_function_of_other_parameters_is_refused_with_what_it_takes(write: Write, signature: str) -> None:
    write("ours.py", f"async def write{signature}: ...")

    assert refusal("ours:write") == (
        f"handler 'ours:write' cannot be called with (task, context): it takes {signature}"
    )


@pytest.mark.parametrize(
    "signature", ["(task, context)", "(task, context, model='m', *, n=1)", "(*arguments)", "(job, _, /)"]
)
def test_function_that_can_take_a_task_and_a_context_is_a_handler(write: Write, signature: str) -> None:
    write("ours.py", f"def write{signature}: return 'written'")

    handler = load("ours:write")

    assert (handler.name, handler.is_async) == ("ours:write", False)
    assert handler.call(None, None) == "written"


def test_handler_may_be_in_a_package_a_class_or_an_object(write: Write) -> None:
    write("shop/__init__.py", "")
    write(
        "shop/articles.py",
        """
        class Writer:
            word = "written"
            @staticmethod
            async def short(task, context): return "short"
            async def long(self, task, context): return self.word
        writer = Writer()
        """,
    )

    short, long = load("shop.articles:Writer.short"), load("shop.articles:writer.long")

    assert short.is_async
    assert long.is_async
    assert asyncio.run(short.call(None, None)) == "short"
    assert asyncio.run(long.call(None, None)) == "written"


class Plain:
    def __call__(self, _task: Any, _context: Any) -> str:
        return "written"


class Async:
    async def __call__(self, _task: Any, _context: Any) -> str:
        return "written"


async def with_a_model(model: str, _task: Any, _context: Any) -> str:
    return model


def plain_with_a_model(model: str, _task: Any, _context: Any) -> str:
    return model


@pytest.mark.parametrize(
    ("function", "is_async"),
    [
        (Plain(), False),
        (Async(), True),
        (Async().__call__, True),
        (functools.partial(with_a_model, "written"), True),
        (functools.partial(plain_with_a_model, "written"), False),
        (functools.partial(functools.partial(with_a_model), "written"), True),
        (functools.partial(Async()), True),
        (lambda _task, _context: "written", False),
    ],
    ids=[
        "object",
        "async object",
        "method",
        "async partial",
        "partial",
        "partial of a partial",
        "partial of an async object",
        "lambda",
    ],
)
def test_whether_a_handler_is_async_is_seen_whatever_it_is(
    function: Callable[[Any, Any], Any], is_async: bool
) -> None:
    handler = wrap(function)

    assert handler.is_async == is_async
    outcome = handler.call(None, None)
    assert (asyncio.run(outcome) if is_async else outcome) == "written"


def test_module_of_the_current_folder_comes_before_an_installed_one(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("colorsys.py", "def write(task, context): return 'ours'")
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)

    assert load("colorsys:write").call(None, None) == "ours"


def test_built_in_handler_takes_the_folder_of_templates(tmp_path: Path) -> None:
    assert (load("template").name, load("template", templates=tmp_path).is_async) == (
        "template",
        False,
    )
    with pytest.raises(HandlerUnusable, match="is not a folder"):
        load("template", templates=tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("options", "name", "said"),
    [
        ({"settings": Path("x")}, "template", "--settings is for the handlers openai and openai-batch"),
        ({"settings": Path("x")}, "command", "--settings is for the handlers openai and openai-batch"),
        ({"settings": Path("x")}, "ours:write", "--settings is for the handlers openai and openai-batch"),
        (
            {"templates": Path("x")},
            "command",
            "--templates is for the handlers template and openai and openai-batch",
        ),
        (
            {"templates": Path("x")},
            "ours:write",
            "--templates is for the handlers template and openai and openai-batch",
        ),
        ({"command": ("x",)}, "openai", "--command is for the handler command"),
        ({"environment": ("x",)}, "template", "--env is for the handler command"),
    ],
)
def test_option_of_another_handler_is_refused_with_whose_it_is(
    options: dict[str, Any], name: str, said: str
) -> None:
    with pytest.raises(HandlerUnusable) as caught:
        load(name, **options)

    words = said.split()
    whose = " or ".join(
        f"--handler {taker}" for taker in ("template", "openai", "openai-batch", "command") if taker in words
    )
    assert str(caught.value) == f"{said}, not for {name!r}: add {whose}"
