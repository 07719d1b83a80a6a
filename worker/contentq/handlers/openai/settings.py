"""The settings of the handler `openai`: a file in TOML, of which every key is known and has its type."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic_core import ErrorDetails

from contentq.errors import MAX_REVISIONS, HandlerUnusable
from contentq.handlers.categories import slug
from contentq.handlers.openai.checks import ChecksSettings, OnFailedChecks, Revisions
from contentq.handlers.openai.lines import line_of

KEY_VARIABLE = "OPENAI_API_KEY"
"""The variable that holds the key, unless another is set."""

LONGEST_KEY = 300
"""Characters of the key of a gate."""

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


_VARIABLE, _ACCOUNT_ID = r"^[A-Za-z_]+[A-Za-z0-9_]*$", r"^[1-9][0-9]{0,18}$"
_PATTERNS = {
    _VARIABLE: "must be the name of a variable of the environment: letters, digits and _",
    _ACCOUNT_ID: "must be the id of an account, a number",
}
_Variable = Annotated[str, StringConstraints(pattern=_VARIABLE)]
_AccountId = Annotated[str, StringConstraints(pattern=_ACCOUNT_ID)]
_About = Literal["unknown", "context", "filtered"]


def _own_gate(key: str) -> str:
    """A key of a gate. Raises ValueError for what is no provider's."""
    if key == "*" or len(key) > LONGEST_KEY:
        raise ValueError(
            f"must be a key of up to {LONGEST_KEY} characters, and not *, which is every worker's gate"
        )
    return key


def _each_once(names: list[str]) -> list[str]:
    """Names of deployments. Raises ValueError when there is none, or one twice."""
    if not names:
        raise ValueError("must name one deployment at least")
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{name!r} is there twice")
    return names


_Names = Annotated[list[_Text], AfterValidator(_each_once)]


class _Table(BaseModel):
    """A table of the file: no key but those that it has, and no value of another type."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


_AnyTable = TypeVar("_AnyTable", bound=_Table)


class Price(_Table):
    """What a model costs, in the currency of your choice for a million tokens."""

    input: _NotNegative
    output: _NotNegative

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        """What a call of so many tokens costs, to the twelfth decimal, as usage keeps it.

        It is reckoned in decimals: 0.1 is a tenth.
        """
        cost = prompt_tokens * Decimal(repr(self.input)) + completion_tokens * Decimal(repr(self.output))
        return float(round(cost / 1_000_000, 12))


class DeploymentSettings(_Table):
    """A model at a provider: what it has of its own. What is None is that of the file, or of the category."""

    model: _Text | None = None
    """None for the name of the table."""

    base_url: Annotated[_Text, AfterValidator(without_secrets)] | None = None
    key_variable: _Variable | None = None
    gate: Annotated[_Text, AfterValidator(_own_gate)] | None = None
    """None for the host of the address."""

    price: Price | None = None
    """None for that in the table prices."""

    temperature: _NotNegative | None = None
    max_tokens: _Count | None = None
    leave_out: list[_Optional] | None = None
    rename: Annotated[dict[_Renamed, _Parameter], AfterValidator(_once)] | None = None
    system_role: _Role | None = None
    timeout: _Seconds | None = None
    chunk_timeout: _Seconds | None = None


class AccountSettings(_Table):
    """What an account may have of its own; it comes before what a category has."""

    model: _Text | None = None
    models: _Names | None = None


class ModelSettings(_Table):
    """What a category may have of its own."""

    model: _Text | None = None
    models: _Names | None = None
    temperature: _NotNegative | None = None
    max_tokens: _Count | None = None
    leave_out: list[_Optional] | None = None
    rename: Annotated[dict[_Renamed, _Parameter], AfterValidator(_once)] | None = None
    system_role: _Role | None = None
    max_revisions: Revisions | None = None
    on_failed_checks: OnFailedChecks | None = None
    checks: ChecksSettings | None = None
    """Each of its keys takes the place of that of all."""


class BatchSettings(_Table):
    """What the handler `openai-batch` goes by."""

    max_priority: Annotated[int, Field(ge=1, le=10)] = 4
    """Tasks above this priority are asked for directly."""

    min_time_left: _NotNegative = 90_000.0
    """Seconds: tasks whose deadline is nearer are asked for directly; a batch may take a day."""

    max_tasks: Annotated[int, Field(ge=1, le=50_000)] = 10_000
    """The most tasks in one batch."""

    gather_seconds: _NotNegative = 60.0
    """How long the first task of a batch waits for others."""

    poll_seconds: _Seconds = 60.0
    """The interval between two looks at a batch."""

    completion_window: _Text = "24h"
    """How long the provider may take, in its own words."""

    price_factor: Annotated[float, Field(ge=0, le=1)] = 0.5
    """What is paid of the prices."""


class OpenAISettings(_Table):
    """What can be set; the attributes are the keys of the file."""

    model: _Text = "gpt-5.4-mini"

    models: list[_Text] = []
    """Names of deployments, in the order in which they are asked; empty for `model` alone."""

    fall_through: list[_About] = []
    """Permanent errors that are about the model, after which the next one is asked: it is unknown, the prompt is
    too long for it, or it refuses or a content filter does."""

    key_variable: _Variable = KEY_VARIABLE
    """The variable of the environment that holds the key."""

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

    batch: BatchSettings = BatchSettings()
    """For the handler `openai-batch`."""
    prices_file: _Text | None = None
    """A file with more prices, by its path from the settings; those of the settings come first."""

    categories: Annotated[dict[str, ModelSettings], AfterValidator(_by_slug)] = {}
    """By category; what is None there is that of all."""

    deployments: dict[str, DeploymentSettings] = {}
    """Models at providers, by the names that `models` has."""

    accounts: dict[_AccountId, AccountSettings] = {}
    """By the id of the account."""

    def of_category(self, category: str | None) -> OpenAISettings:
        """The settings for a task of this category."""
        own = self.categories.get(slug(category))
        if own is None:
            return self
        given = own.model_dump(exclude_none=True, exclude={"checks"})
        if own.model is not None:
            given["models"] = []
        return self.model_copy(update=given)

    def chosen(self, category: str | None, account_id: int | None) -> list[Chosen]:
        """The models for a task, in the order in which they are asked."""
        settings = self.of_category(category)
        account = None if account_id is None else self.accounts.get(str(account_id))
        names, model = settings.models, settings.model
        if account is not None and (account.models or account.model):
            names, model = account.models or [], account.model or model
        if not names:
            return [Chosen(None, None, settings.model_copy(update={"model": model}))]
        return [settings._deployment(name) for name in names]

    def all_lists(self) -> list[list[Chosen]]:
        """The models of every task that there can be, list by list; first those of a task without its own."""
        accounts = [None, *map(int, self.accounts)]
        return [self.chosen(category, account) for account in accounts for category in [None, *self.categories]]

    def _deployment(self, name: str) -> Chosen:
        """These settings for a deployment."""
        own = self.deployments[name]
        given: dict[str, Any] = own.model_dump(exclude_none=True, exclude={"gate", "price"})
        given["model"] = own.model or name
        if own.price is not None:
            given["prices"] = {**self.prices, given["model"]: own.price}
        return Chosen(name, own.gate, self.model_copy(update=given))

    def shown_categories(self) -> Iterator[tuple[str, str]]:
        """The categories with models of their own, and which."""
        return _shown(self.categories.items())

    def shown_accounts(self) -> Iterator[tuple[str, str]]:
        """The accounts with models of their own, and which."""
        return _shown(self.accounts.items())

    def unpriced(self) -> list[str]:
        """The models, each once, that have no price."""
        settings = [chosen.settings for chosen_of_task in self.all_lists() for chosen in chosen_of_task]
        return list(dict.fromkeys(each.model for each in settings if each.model not in each.prices))


@dataclass(frozen=True)
class Chosen:
    """A model that a task may have. deployment: its name there; None for `model`. gate: as it is set."""

    deployment: str | None
    gate: str | None
    settings: OpenAISettings

    def __hash__(self) -> int:
        return hash((self.deployment, self.settings.model))


def _shown(tables: Iterable[tuple[str, ModelSettings | AccountSettings]]) -> Iterator[tuple[str, str]]:
    for name, own in tables:
        if own.models or own.model:
            yield name, "+".join(own.models or []) or str(own.model)


class _Prices(_Table):
    """A file of prices."""

    prices: dict[str, Price]


def read(file: Path | None) -> OpenAISettings:
    """The settings of a file; those that ship without one. Raises HandlerUnusable, naming file, line and key."""
    if file is None:
        return OpenAISettings()
    name = f"the settings {str(file)!r}"
    text, given = _load(name, file)
    settings = _validate(OpenAISettings, name, text, given)
    problem = _problem(settings, given)
    if problem is not None:
        raise _refusal(name, text, *problem)
    if settings.prices_file is None:
        return settings
    return settings.model_copy(
        update={"prices": {**read_prices(file.parent / settings.prices_file), **settings.prices}}
    )


def read_prices(file: Path) -> dict[str, Price]:
    """The prices of a file, by model. Raises HandlerUnusable, naming file, line and key."""
    name = f"the prices {str(file)!r}"
    text, given = _load(name, file)
    if list(given) != ["prices"]:
        raise HandlerUnusable(f'{name}: there must be tables such as [prices."gpt-5.4-mini"], and nothing else')
    return _validate(_Prices, name, text, given).prices


def _load(name: str, file: Path) -> tuple[str, dict[str, Any]]:
    """The text of a file, and what it says."""
    try:
        text = file.read_bytes().decode()
        return text, tomllib.loads(text)
    except OSError as error:
        raise HandlerUnusable(f"{name} cannot be read: {error.strerror or error}") from None
    except ValueError as error:  # of the syntax, or of the encoding
        raise HandlerUnusable(f"{name} are not TOML: {error}") from None


def _validate(table: type[_AnyTable], name: str, text: str, given: Mapping[str, Any]) -> _AnyTable:
    try:
        found = table.model_validate(given)
    except ValidationError as error:
        # A key that does not exist is often why another is missing.
        errors = sorted(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
        keys, why = _keys(errors[0]["loc"]), _explain(errors[0])
    else:
        return found
    # Not as the cause: the values that pydantic shows may be secrets.
    raise _refusal(name, text, keys, why)


def _refusal(name: str, text: str, keys: list[str], why: str) -> HandlerUnusable:
    line = line_of(text, keys)
    where = "" if line is None else f", line {line}"
    return HandlerUnusable(f"{name}{where}: {_path(keys)}: {why}")


def _problem(settings: OpenAISettings, given: Mapping[str, Any]) -> tuple[list[str], str] | None:
    """What is wrong between settings that are right each by itself: the path of the key, and why."""
    tables: list[tuple[list[str], Mapping[str, Any]]] = [([], given)]
    for kind in ("categories", "accounts"):
        tables += [([kind, name], own) for name, own in given.get(kind, {}).items()]
    there_are = f"there are: {', '.join(settings.deployments)}" if settings.deployments else "there is none yet"
    for path, table in tables:
        names = table.get("models")
        if names is None:
            continue
        if "model" in table:
            return [*path, "model"], "models is set as well; leave one of them out"
        try:
            _each_once([name.strip() for name in names])
        except ValueError as error:
            return [*path, "models"], str(error)
        for name in names:
            if name.strip() not in settings.deployments:
                return [*path, "models"], f"{name!r} has no table [deployments.{_path([name])}]; {there_are}"
    return None


def _keys(parts: Iterable[int | str]) -> list[str]:
    """The path of a key, as pydantic has it."""
    return [str(part) for part in parts if part != "[key]"]


def _path(keys: Iterable[str]) -> str:
    """A key as TOML writes it."""
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
        return _PATTERNS.get(context["pattern"], "must be the name of a parameter: letters, digits and _")
    if kind == "greater_than":
        return f"must be more than {context['gt']:g} seconds"
    if kind == "literal_error":
        return f"must be one of: {context['expected'].replace(chr(39), '').replace(' or ', ', ')}"
    return str(context.get("error", error["msg"]))


def _explain_unknown(path: tuple[int | str, ...], value: object) -> str:
    *table, key = map(str, path)
    known = list(_table_at(table).model_fields)
    if key.lower().replace("-", "_") in _SECRETS:
        return f"keys do not belong into a file; set {KEY_VARIABLE} instead, or key_variable"
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
    tables: dict[str, type[_Table]] = {
        "prices": Price,
        "deployments": Price if path[-1] == "price" and len(path) > 2 else DeploymentSettings,
        "accounts": AccountSettings,
        "batch": BatchSettings,
    }
    return tables.get(path[0], ModelSettings)


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
