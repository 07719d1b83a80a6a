"""The settings of the handler `openai`: a file in TOML, of which every key is known and has its type."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from contentq.errors import HandlerUnusable
from contentq.handlers.categories import slug

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

T = TypeVar("T")

_NO_ADDRESS = "must be an address such as https://api.openai.com/v1"

_SECRETS = ("api_key", "apikey", "key", "token", "secret", "password", "openai_api_key", "authorization")


@dataclass(frozen=True)
class Price:
    """What a model costs, in the currency of your choice for a million tokens."""

    input: float
    output: float

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        """What a call of so many tokens costs, to the tenth decimal."""
        return round((prompt_tokens * self.input + completion_tokens * self.output) / 1_000_000, 10)


@dataclass(frozen=True)
class ModelSettings:
    """What a category may have of its own."""

    model: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None


@dataclass(frozen=True)
class OpenAISettings:
    """What can be set; the attributes are the keys of the file."""

    model: str = "gpt-5.4-mini"

    base_url: str | None = None
    """Where the API is, up to and with `/v1`; without it OPENAI_BASE_URL, else OpenAI itself."""

    temperature: float | None = None
    """None leaves it to the provider; some models take none."""

    max_tokens: int | None = None
    """The longest answer, in tokens; None leaves it to the provider."""

    max_tokens_parameter: str | None = None
    """The name under which it is sent, `max_tokens` or `max_completion_tokens`; None chooses by the provider."""

    max_characters: int = 1_000_000
    """The longest answer, in characters; a longer one fails its task."""

    timeout: float = 600.0
    """Seconds for a whole call."""

    chunk_timeout: float = 180.0
    """Seconds of silence: until the first piece of the answer, and from one to the next."""

    prices: Mapping[str, Price] = field(default_factory=dict)
    """By model."""

    categories: Mapping[str, ModelSettings] = field(default_factory=dict)
    """By category; what is None there is that of all."""

    def of_category(self, category: str | None) -> OpenAISettings:
        """The settings for a task of this category."""
        own = self.categories.get(slug(category))
        if own is None:
            return self
        return replace(self, **{name: value for name, value in vars(own).items() if value is not None})

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
    return _Reader(file).settings(given)


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


class _Reader:
    """Takes settings apart; what is wrong is said with the file and the key."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def settings(self, given: Mapping[str, Any]) -> OpenAISettings:
        """The whole file."""
        return OpenAISettings(
            **self._table(
                "",
                given,
                {
                    **_MODEL,
                    "base_url": _url,
                    "max_tokens_parameter": _choice("max_tokens", "max_completion_tokens"),
                    "max_characters": _whole,
                    "timeout": _seconds,
                    "chunk_timeout": _seconds,
                    "prices": self._prices,
                    "categories": self._categories,
                },
            )
        )

    def _prices(self, given: object) -> dict[str, Price]:
        found = {}
        for model, price in _tables(given).items():
            where = f'prices."{model}"'
            known = self._table(where, price, {"input": _price, "output": _price})
            if len(known) < 2:
                raise self._refusal(where, "needs both input and output, the price of a million tokens")
            found[model] = Price(**known)
        return found

    def _categories(self, given: object) -> dict[str, ModelSettings]:
        found: dict[str, ModelSettings] = {}
        for name, own in _tables(given).items():
            if not slug(name) or slug(name) in found:
                raise self._refusal(f"categories.{name}", "is empty" if not slug(name) else "is there twice")
            found[slug(name)] = ModelSettings(**self._table(f"categories.{name}", own, _MODEL))
        return found

    def _table(
        self, where: str, given: Mapping[str, Any], known: Mapping[str, Callable[[Any], Any]]
    ) -> dict[str, Any]:
        read: dict[str, Any] = {}
        for key, value in given.items():
            path = f"{where}.{key}" if where else key
            if key not in known:
                if key.lower().replace("-", "_") in _SECRETS:
                    raise self._refusal(path, "keys do not belong into a file; set OPENAI_API_KEY instead")
                if where and isinstance(value, dict):
                    raise self._refusal(
                        path, f"write a name that has dots in quotes: {_quoted(where, key, value)}"
                    )
                raise self._refusal(path, f"there is no such setting; there are: {', '.join(known)}")
            try:
                read[key] = known[key](value)
            except ValueError as error:
                raise self._refusal(path, str(error)) from None
        return read

    def _refusal(self, key: str, why: str) -> HandlerUnusable:
        return HandlerUnusable(f"the settings {str(self._file)!r}: {key}: {why}")


def _quoted(where: str, key: str, value: Mapping[str, Any]) -> str:
    """The head of a table that TOML has taken for several, since the name in it has dots and no quotes."""
    table, _, name = where.partition(".")
    parts = [name.strip('"'), key]
    while len(value) == 1 and isinstance(inner := next(iter(value.values())), dict):
        parts.append(next(iter(value)))
        value = inner
    return f'[{table}."{".".join(parts)}"]'


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"must be a text, not {_shown(value)}")
    return value.strip()


def _url(value: object) -> str:
    return without_secrets(_text(value))


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"must be a number, not {_shown(value)}")
    if not math.isfinite(value):
        raise ValueError("must be a finite number")
    return value


def _temperature(value: object) -> float:
    return _at_least(0, _number(value))


def _price(value: object) -> float:
    return _at_least(0, _number(value))


def _seconds(value: object) -> float:
    if _number(value) <= 0:
        raise ValueError("must be more than 0 seconds")
    return float(_number(value))


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        shown = "a fraction" if isinstance(value, float) else _shown(value)
        raise ValueError(f"must be a whole number, not {shown}")
    return int(_at_least(1, value))


def _at_least(least: float, value: float) -> float:
    if value < least:
        raise ValueError(f"must be {least} or more")
    return value


def _choice(*names: str) -> Callable[[object], str]:
    def chosen(value: object) -> str:
        if value not in names:
            raise ValueError(f"must be one of: {', '.join(names)}")
        return str(value)

    return chosen


def _tables(value: object) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(each, dict) for each in value.values()):
        raise ValueError("must be a table of tables")
    return value


def _shown(value: object) -> str:
    """The kind of a value, not the value itself, which may be anything."""
    if isinstance(value, str) and not value.strip():
        return "an empty one"
    kinds = {
        bool: "true or false",
        str: "a text",
        int: "a number",
        float: "a number",
        dict: "a table",
        list: "a list",
    }
    return next((shown for kind, shown in kinds.items() if isinstance(value, kind)), f"a {type(value).__name__}")


_MODEL: dict[str, Callable[[Any], Any]] = {"model": _text, "temperature": _temperature, "max_tokens": _whole}
