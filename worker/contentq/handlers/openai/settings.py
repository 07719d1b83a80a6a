"""The settings of the handler `openai`: a file in TOML, of which every key is known and has its type."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from contentq.errors import MAX_REVISIONS
from contentq.handlers.categories import slug
from contentq.handlers.openai.checks import ChecksSettings, OnFailedChecks, Revisions

KEY_VARIABLE = "OPENAI_API_KEY"
"""The variable that holds the key, unless another is set."""

LONGEST_KEY = 300
"""Characters of the key of a gate."""

_NO_ADDRESS = "must be an address such as https://api.openai.com/v1"


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
            raise ValueError(f"the name {name!r} has no letters or digits")
        if slug(name) in found:
            raise ValueError(f"{name!r} is listed twice: case, spaces and punctuation are ignored")
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
PATTERNS = {
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


def each_once(names: list[str]) -> list[str]:
    """Names of deployments. Raises ValueError when there is none, or one twice."""
    if not names:
        raise ValueError("must name at least one deployment")
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{name!r} is listed twice")
    return names


_Names = Annotated[list[_Text], AfterValidator(each_once)]


class Table(BaseModel):
    """A table of the file: no key but those that it has, and no value of another type."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Price(Table):
    """What a model costs, in the currency of your choice for a million tokens."""

    input: _NotNegative
    output: _NotNegative

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        """What a call of so many tokens costs, to the twelfth decimal, as usage keeps it.

        It is reckoned in decimals: 0.1 is a tenth.
        """
        cost = prompt_tokens * Decimal(repr(self.input)) + completion_tokens * Decimal(repr(self.output))
        return float(round(cost / 1_000_000, 12))


class DeploymentSettings(Table):
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


class AccountSettings(Table):
    """What an account may have of its own; it comes before what a category has."""

    model: _Text | None = None
    models: _Names | None = None


class ModelSettings(Table):
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


class BatchSettings(Table):
    """What the handler `openai-batch` goes by."""

    max_priority: Annotated[int, Field(ge=1, le=10)] = 4
    """Tasks above this priority call the model directly."""

    min_time_left: _NotNegative = 90_000.0
    """Seconds: tasks with less time left call the model directly; a batch may take a day."""

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


class OpenAISettings(Table):
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
