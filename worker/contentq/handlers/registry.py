"""The handlers that ship with contentq, and their settings.

The command line creates its options from this list. loading.py creates the handler, and imports its module only
then.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """The type of a setting on the command line."""

    PATH = "path"
    WORDS = "words"
    """A command in one argument, quoted as for a shell."""
    NAMES = "names"
    """An option that may be repeated."""


@dataclass(frozen=True)
class Setting:
    """A setting of handlers. name: the keyword argument of the handler's factory."""

    name: str
    flag: str
    kind: Kind
    help: str
    metavar: str | None = None

    @property
    def key(self) -> str:
        """Its key in a file of handlers (handlers/by_category.py)."""
        return self.flag.lstrip("-")


@dataclass(frozen=True)
class BuiltIn:
    """A handler that ships.

    factory: module:callable that creates it from its settings. The handler may have `gate`, the key of the gate of
    its provider, or `gates`, those of several providers of which each task enters one; and introduce(), which logs
    its main settings before the first task. extra: the extra of contentq that installs its imports. packages: the
    packages of that extra.
    """

    factory: str
    summary: str
    settings: tuple[Setting, ...]
    extra: str | None = None
    packages: tuple[str, ...] = ()


_TEMPLATES = Setting(
    "templates",
    "--templates",
    Kind.PATH,
    "Folder of your own Jinja2 templates, which replace built-in ones of the same name",
)
_OPENAI_SETTINGS = Setting(
    "settings", "--settings", Kind.PATH, "TOML file with the model, prices and other settings"
)

BUILT_IN = {
    "template": BuiltIn(
        "contentq.handlers.template:template_handler",
        "writes a draft from a template, without a model",
        (_TEMPLATES,),
    ),
    "command": BuiltIn(
        "contentq.handlers.commands.handler:CommandHandler",
        "runs your program",
        (
            Setting(
                "command",
                "--command",
                Kind.WORDS,
                "The program to run on each task, with its arguments quoted as for a shell; no shell runs it",
                "'PROGRAM ARGUMENT…'",
            ),
            Setting(
                "environment",
                "--env",
                Kind.NAMES,
                "Name of a further environment variable to pass to the program; repeatable",
                "NAME",
            ),
        ),
    ),
    "openai": BuiltIn(
        "contentq.handlers.openai.handler:OpenAIHandler",
        "calls a model",
        (
            _TEMPLATES,
            _OPENAI_SETTINGS,
        ),
        extra="openai",
        packages=("openai", "pydantic", "pydantic_core"),
    ),
    "openai-batch": BuiltIn(
        "contentq.handlers.openai_batch.handler:OpenAIBatchHandler",
        "calls a model in provider batches, at half the price",
        (
            _TEMPLATES,
            _OPENAI_SETTINGS,
        ),
        extra="openai",
        packages=("openai", "pydantic", "pydantic_core"),
    ),
}
"""The handlers by the name for --handler."""


def all_settings() -> dict[Setting, list[str]]:
    """Every setting, each with the names of the handlers that take it."""
    found: dict[Setting, list[str]] = {}
    for name, handler in BUILT_IN.items():
        for setting in handler.settings:
            found.setdefault(setting, []).append(name)
    return found
