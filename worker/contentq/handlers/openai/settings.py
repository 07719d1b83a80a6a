"""The settings of the handler `openai`: a file in TOML, of which every key is known and has its type."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic_core import ErrorDetails

from contentq.errors import MAX_REVISIONS, HandlerUnusable
from contentq.handlers.categories import slug
from contentq.handlers.openai.checks import ChecksSettings, OnFailedChecks, Revisions

_NO_ADDRESS = "must be an address such as https://api.openai.com/v1"

_SECRETS = ("api_key", "apikey", "key", "token", "secret", "password", "openai_api_key", "authorization")

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
"""A key that TOML takes without quotes."""


def without_secrets(url: str) -> str:
    """A base URL as it is. Raises ValueError when it is no address, or holds more than one: a password, a query.

    The client adds the path of each call behind a query, so that no server would understand it. Messages show
    the address, but no error repeats one that is refused.
    """
    try:
        parts = urlsplit(url)
    except ValueError:  # whose message repeats it
        raise ValueError(_NO_ADDRESS) from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(_NO_ADDRESS)
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not hold a user name or a password")
    if "?" in url or "#" in url:
        raise ValueError("must end with its path, such as /v1: no query (?) and no fragment (#)")
    try:
        _ = parts.port
    except ValueError:
        raise ValueError("must have a number as its port") from None
    return url


def _by_slug(given: dict[str, ModelSettings]) -> dict[str, ModelSettings]:
    """Categories by the form in which they are compared. Raises ValueError when two are the same."""
    found: dict[str, ModelSettings] = {}
    for name, own in given.items():
        if not slug(name):
            raise ValueError(f"the name {name!r} has neither letters nor digits")
        if slug(name) in found:
            raise ValueError(f"{name!r} is there twice: upper case, spaces and punctuation make no difference")
        found[slug(name)] = own
    return found


_Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
_NotNegative = Annotated[float, Field(ge=0)]
_Count = Annotated[int, Field(ge=1)]
_Seconds = Annotated[float, Field(gt=0)]


_Role = Literal["system", "developer", "user"]
_Optional = Literal["stream", "stream_options", "temperature", "max_tokens"]
_RENAMED = ("temperature", "max_tokens")
_Renamed = Literal["temperature", "max_tokens"]
_Parameter = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


def _once(given: dict[str, str]) -> dict[str, str]:
    """New names of parameters. Raises ValueError when two would be sent under one name."""
    taken = {"model", "messages", "stream", "stream_options", *(name for name in _RENAMED if name not in given)}
    for name, new in given.items():
        if new in taken:
            raise ValueError(f"{name}: {new!r} is the name of another parameter that is sent")
        taken.add(new)
    return given


class _Table(BaseModel):
    """A table of the file: no key but those that it has, and no value of another type."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Price(_Table):
    """What a model costs, in the currency of your choice for a million tokens."""

    input: _NotNegative
    output: _NotNegative

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        """What a call of so many tokens costs, to the tenth decimal."""
        return round((prompt_tokens * self.input + completion_tokens * self.output) / 1_000_000, 10)


class ModelSettings(_Table):
    """What a category may have of its own."""

    model: _Text | None = None
    temperature: _NotNegative | None = None
    max_tokens: _Count | None = None
    leave_out: list[_Optional] | None = None
    rename: Annotated[dict[_Renamed, _Parameter], AfterValidator(_once)] | None = None
    system_role: _Role | None = None
    max_revisions: Revisions | None = None
    on_failed_checks: OnFailedChecks | None = None
    checks: ChecksSettings | None = None
    """Each of its keys takes the place of that of all."""


class OpenAISettings(_Table):
    """What can be set; the attributes are the keys of the file."""

    model: _Text = "gpt-5.4-mini"

    base_url: Annotated[_Text, AfterValidator(without_secrets)] | None = None
    """Where the API is, up to and with `/v1`; without it OPENAI_BASE_URL, else OpenAI itself."""

    temperature: _NotNegative | None = None
    """None leaves it to the provider; some models take none."""

    max_tokens: _Count | None = None
    """The longest answer, in tokens; None leaves it to the provider."""

    leave_out: list[_Optional] = []
    """Parameters that are not sent, since the model or the server refuses them."""

    rename: Annotated[dict[_Renamed, _Parameter], AfterValidator(_once)] = {}
    """Parameters that are sent under another name. Without it, max_tokens is max_completion_tokens to OpenAI and
    Azure, and max_tokens to all others."""

    system_role: _Role = "system"
    """The role of the system message; with `user`, it is the beginning of the user's."""

    keep_reasoning: Annotated[int, Field(ge=0, le=100_000)] = 0
    """Characters that are kept, in the result, of what a model thinks before it answers."""

    max_characters: _Count = 1_000_000
    """The longest answer, in characters; a longer one fails its task."""

    timeout: _Seconds = 600.0
    """Seconds for a whole call."""

    chunk_timeout: _Seconds = 180.0
    """Seconds of silence: without text or thoughts, whatever else comes."""

    max_revisions: Revisions = MAX_REVISIONS
    """How often a draft goes back when its checks fail."""

    on_failed_checks: OnFailedChecks = "fail"
    """What becomes of the last draft: the task fails with it, or it waits for a review."""

    checks: ChecksSettings = ChecksSettings()
    """What a draft must be."""

    prices: dict[str, Price] = {}
    """By model."""

    categories: Annotated[dict[str, ModelSettings], AfterValidator(_by_slug)] = {}
    """By category; what is None there is that of all."""

    def of_category(self, category: str | None) -> OpenAISettings:
        """The settings for a task of this category."""
        own = self.categories.get(slug(category))
        return (
            self if own is None else self.model_copy(update=own.model_dump(exclude_none=True, exclude={"checks"}))
        )

    def unpriced(self) -> list[str]:
        """The models, each once, that have no price."""
        models = [self.model, *(own.model for own in self.categories.values() if own.model is not None)]
        return [model for model in dict.fromkeys(models) if model not in self.prices]


def read(file: Path | None) -> OpenAISettings:
    """The settings of a file; those that ship without one. Raises HandlerUnusable, naming file and key."""
    if file is None:
        return OpenAISettings()
    try:
        with file.open("rb") as opened:
            given = tomllib.load(opened)
    except OSError as error:
        raise HandlerUnusable(f"the settings {str(file)!r} cannot be read: {error.strerror or error}") from None
    except ValueError as error:  # of the syntax, or of the encoding
        raise HandlerUnusable(f"the settings {str(file)!r} are not TOML: {error}") from None
    try:
        return OpenAISettings.model_validate(given)
    except ValidationError as error:
        # A key that does not exist is often why another is missing.
        errors = sorted(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
        where, why = _path(errors[0]["loc"]), _explain(errors[0])
    # Not as the cause: the values that pydantic shows may be secrets.
    raise HandlerUnusable(f"the settings {str(file)!r}: {where}: {why}")


def _path(parts: tuple[int | str, ...]) -> str:
    """A key as TOML writes it."""
    keys = [str(part) for part in parts if part != "[key]"]
    return ".".join(key if _BARE_KEY.fullmatch(key) else f'"{key}"' for key in keys)


def _explain(error: ErrorDetails) -> str:
    """What is wrong with a value and what is allowed, without the value itself."""
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    if kind == "extra_forbidden":
        return _explain_unknown(error["loc"], value)
    if kind == "missing":
        return "is missing; a price has input and output, each for a million tokens"
    wrong_type = {
        "string_type": "a text",
        "string_too_short": "a text",
        "float_type": "a number",
        "int_type": "a whole number",
        "model_type": "a table",
        "dict_type": "a table",
        "list_type": "a list",
        "bool_type": "true or false",
    }
    if kind in wrong_type:
        return f"must be {wrong_type[kind]}, not {_kind_of(value, wrong_type[kind])}"
    if kind == "finite_number":
        return "must be a finite number"
    if kind == "greater_than_equal":
        return f"must be {context['ge']:g} or more"
    if kind == "less_than_equal":
        return f"must be {int(context['le']):,} or less"
    if kind == "string_pattern_mismatch":
        return "must be the name of a parameter: letters, digits and _"
    if kind == "greater_than":
        return f"must be more than {context['gt']:g} seconds"
    if kind == "literal_error":
        return f"must be one of: {context['expected'].replace(chr(39), '').replace(' or ', ', ')}"
    return str(context.get("error", error["msg"]))


def _explain_unknown(path: tuple[int | str, ...], value: object) -> str:
    *table, key = map(str, path)
    known = list(_table_at(table).model_fields)
    if key.lower().replace("-", "_") in _SECRETS:
        return "keys do not belong into a file; set OPENAI_API_KEY instead"
    if table and isinstance(value, dict):
        return f"write a name that has dots in quotes: {_quote_name(table, key, value)}"
    close = get_close_matches(key.lower().replace("-", "_"), known, 1)
    hint = f"did you mean {close[0]}? There are" if close else "there are"
    return f"there is no such setting; {hint}: {', '.join(known)}"


def _table_at(path: list[str]) -> type[BaseModel]:
    """The model of the table at this path."""
    if not path:
        return OpenAISettings
    if path[-1] == "checks":
        return ChecksSettings
    return Price if path[0] == "prices" else ModelSettings


def _quote_name(table: list[str], key: str, value: Mapping[str, Any]) -> str:
    """The head of a table that TOML has taken for several, since the name in it has dots and no quotes."""
    parts = [*table[1:], key]
    while len(value) == 1 and isinstance(inner := next(iter(value.values())), dict):
        parts.append(next(iter(value)))
        value = inner
    return f'[{table[0]}."{".".join(parts)}"]'


def _kind_of(value: object, wanted: str) -> str:
    """The kind of a value, not the value itself, which may be anything."""
    if isinstance(value, str):
        return "a text" if value.strip() else "an empty one"
    if isinstance(value, float) and wanted == "a whole number":
        return "a fraction"
    kinds = {bool: "true or false", int: "a number", float: "a number", dict: "a table", list: "a list"}
    return next((shown for kind, shown in kinds.items() if isinstance(value, kind)), f"a {type(value).__name__}")
