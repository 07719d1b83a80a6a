"""The settings of the handler `openai`: a TOML file in which every key is known and typed."""

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
"""The environment variable with the key, unless the settings name another."""

LONGEST_KEY = 300
"""Maximum length of the key of a gate, in characters."""

_NO_ADDRESS = "must be an address such as https://api.openai.com/v1"


def without_secrets(url: str) -> str:
    """Returns a base URL unchanged.

    Raises ValueError if it is invalid, or has a user name, password, query or fragment: the client would append
    the path of each call to a query, and no server would understand it. Messages show the address; the error for a
    refused address does not repeat it.
    """
    try:
        parts = urlsplit(url)
    except ValueError:  # its message repeats it
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
    """Categories in their normalized form. Raises ValueError if two are the same."""
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
    """New names of parameters. Raises ValueError if two parameters get the same name."""
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
    """The key of a gate. Raises ValueError if it cannot be one."""
    if key == "*" or len(key) > LONGEST_KEY:
        raise ValueError(
            f"must be a key of up to {LONGEST_KEY} characters, and not *, which is every worker's gate"
        )
    return key


def each_once(names: list[str]) -> list[str]:
    """Names of deployments. Raises ValueError for an empty list or a duplicate."""
    if not names:
        raise ValueError("must name at least one deployment")
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{name!r} is listed twice")
    return names


_Names = Annotated[list[_Text], AfterValidator(each_once)]


class Table(BaseModel):
    """A table of the file: it refuses unknown keys and values of another type."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Price(Table):
    """The price of a model per million tokens, in the currency of your choice."""

    input: _NotNegative
    output: _NotNegative

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        """The cost of a call with these tokens, to the twelfth decimal, as usage stores it.

        Calculated in decimals, so that 0.1 is exactly a tenth.
        """
        cost = prompt_tokens * Decimal(repr(self.input)) + completion_tokens * Decimal(repr(self.output))
        return float(round(cost / 1_000_000, 12))


class DeploymentSettings(Table):
    """A model at a provider. None means the value of the file or the category."""

    model: _Text | None = None
    """None for the name of the table."""

    base_url: Annotated[_Text, AfterValidator(without_secrets)] | None = None
    key_variable: _Variable | None = None
    gate: Annotated[_Text, AfterValidator(_own_gate)] | None = None
    """None for the host of the address."""

    price: Price | None = None
    """None for the price in the table prices."""

    temperature: _NotNegative | None = None
    max_tokens: _Count | None = None
    leave_out: list[_Optional] | None = None
    rename: Annotated[dict[_Renamed, _Parameter], AfterValidator(_once)] | None = None
    system_role: _Role | None = None
    timeout: _Seconds | None = None
    chunk_timeout: _Seconds | None = None


class AccountSettings(Table):
    """The settings that an account can override; they take precedence over those of a category."""

    model: _Text | None = None
    models: _Names | None = None


class ModelSettings(Table):
    """The settings that a category can override."""

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
    """Each key replaces that of all categories."""


class BatchSettings(Table):
    """The settings of the handler `openai-batch`."""

    max_priority: Annotated[int, Field(ge=1, le=10)] = 4
    """Tasks above this priority call the model directly."""

    min_time_left: _NotNegative = 90_000.0
    """Seconds: tasks with less time left call the model directly, because a batch may take a day."""

    max_tasks: Annotated[int, Field(ge=1, le=50_000)] = 10_000
    """Maximum number of tasks in a batch."""

    gather_seconds: _NotNegative = 60.0
    """How long the first task of a batch waits for others."""

    poll_seconds: _Seconds = 60.0
    """The interval between two polls of a batch."""

    completion_window: _Text = "24h"
    """The provider's time limit for a batch, in its own format."""

    price_factor: Annotated[float, Field(ge=0, le=1)] = 0.5
    """The fraction of the prices that a batch costs."""


class OpenAISettings(Table):
    """All settings; the attributes are the keys of the file."""

    model: _Text = "gpt-5.4-mini"

    models: list[_Text] = []
    """Names of deployments, in order of preference; empty for `model` alone."""

    fall_through: list[_About] = []
    """Permanent errors about the model after which the next model is called.

    The model is unknown, the prompt is too long for it, or the model or a content filter refuses the prompt.
    """

    key_variable: _Variable = KEY_VARIABLE
    """The environment variable that holds the key."""

    base_url: Annotated[_Text, AfterValidator(without_secrets)] | None = None
    """The base URL of the API, including `/v1`; by default OPENAI_BASE_URL, otherwise OpenAI itself."""

    temperature: _NotNegative | None = None
    """None uses the provider's default; some models accept no value."""

    max_tokens: _Count | None = None
    """Maximum length of the answer, in tokens; None uses the provider's default."""

    leave_out: list[_Optional] = []
    """Parameters that are not sent, because the model or the server refuses them."""

    rename: Annotated[dict[_Renamed, _Parameter], AfterValidator(_once)] = {}
    """Parameters that are sent under another name.

    By default, max_tokens becomes max_completion_tokens for OpenAI and Azure, and stays max_tokens for all others.
    """

    system_role: _Role = "system"
    """The role of the system message; with `user`, it is prepended to the user's message."""

    keep_reasoning: Annotated[int, Field(ge=0, le=100_000)] = 0
    """Characters of the model's reasoning that are stored in the result."""

    max_characters: _Count = 1_000_000
    """Maximum length of the answer, in characters; a longer answer fails its task."""

    timeout: _Seconds = 600.0
    """Seconds for a whole call."""

    chunk_timeout: _Seconds = 180.0
    """Seconds without text or reasoning, regardless of other data."""

    max_revisions: Revisions = MAX_REVISIONS
    """How often a draft is revised when its checks fail."""

    on_failed_checks: OnFailedChecks = "fail"
    """What happens to the last draft: the task fails, or the draft waits for a review."""

    checks: ChecksSettings = ChecksSettings()
    """The requirements for a draft."""

    prices: dict[str, Price] = {}
    """Prices by model."""

    batch: BatchSettings = BatchSettings()
    """The settings of the handler `openai-batch`."""
    prices_file: _Text | None = None
    """A file with more prices, relative to the folder of the settings; prices in the settings take precedence."""

    categories: Annotated[dict[str, ModelSettings], AfterValidator(_by_slug)] = {}
    """Settings by category; None means the value of all categories."""

    deployments: dict[str, DeploymentSettings] = {}
    """Models at providers, by the names used in `models`."""

    accounts: dict[_AccountId, AccountSettings] = {}
    """Settings by the id of the account."""

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
        """The models for a task, in order of preference."""
        settings = self.of_category(category)
        account = None if account_id is None else self.accounts.get(str(account_id))
        names, model = settings.models, settings.model
        if account is not None and (account.models or account.model):
            names, model = account.models or [], account.model or model
        if not names:
            return [Chosen(None, None, settings.model_copy(update={"model": model}))]
        return [settings._deployment(name) for name in names]

    def all_lists(self) -> list[list[Chosen]]:
        """The list of models of every possible task, first that of a task without its own list."""
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
        """The categories with their own models, and the names of these models."""
        return _shown(self.categories.items())

    def shown_accounts(self) -> Iterator[tuple[str, str]]:
        """The accounts with their own models, and the names of these models."""
        return _shown(self.accounts.items())

    def unpriced(self) -> list[str]:
        """The models without a price, each once."""
        settings = [chosen.settings for chosen_of_task in self.all_lists() for chosen in chosen_of_task]
        return list(dict.fromkeys(each.model for each in settings if each.model not in each.prices))


@dataclass(frozen=True)
class Chosen:
    """A model that a task may use. deployment: its name in the settings; None for `model`. gate: as set."""

    deployment: str | None
    gate: str | None
    settings: OpenAISettings

    def __hash__(self) -> int:
        return hash((self.deployment, self.settings.model))


def _shown(tables: Iterable[tuple[str, ModelSettings | AccountSettings]]) -> Iterator[tuple[str, str]]:
    for name, own in tables:
        if own.models or own.model:
            yield name, "+".join(own.models or []) or str(own.model)
