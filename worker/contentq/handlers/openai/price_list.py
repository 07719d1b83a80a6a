"""Prices of models as the package genai-prices knows them, in the form of a prices file."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from contentq.errors import ContentQueueError

PACKAGE = "genai_prices"

BATCH = {"processing": "batch"}
"""What genai-prices calls the prices of a batch API."""


@dataclass(frozen=True)
class ListedPrice:
    """What a model costs for a million tokens, in US dollars."""

    model: str
    provider: str
    input: Decimal
    output: Decimal
    tier: str | None = None
    """From how many tokens of input on it costs more, and what; None when it does not."""


def find_prices(provider: str | None, models: Iterable[str], *, batch: bool = False) -> list[ListedPrice]:
    """The prices of these models; without any, of all models of the provider that have a price for text.

    batch: those of the provider's batch API, where they are known; else the usual ones.
    Raises ContentQueueError when the package is not installed, does not know the provider or one of the models, or
    has no price of them.
    """
    package = _load(PACKAGE)
    context = BATCH if batch else None
    named = list(dict.fromkeys(models))
    if not named:
        known = [(model.id, model.get_prices(datetime.now(UTC), context)) for model in _models_of(provider)]
        listed = [_listed(model, str(provider), price) for model, price in known]
        priced = [price for price in listed if price is not None]
        if not priced:
            raise ContentQueueError(f"genai-prices has no price for text of the provider {provider!r}")
        return priced
    found = []
    for model in named:
        try:
            usage = package.Usage(input_tokens=1, output_tokens=1)
            answer = package.calc_price(usage, model, provider_id=provider, price_context=context)
        except LookupError:
            raise ContentQueueError(_explain_unknown(provider, model)) from None
        price = _listed(model, answer.provider.id, answer.model_price)
        if price is None:
            raise ContentQueueError(f"genai-prices has no price for text of the model {model!r}")
        found.append(price)
    return found


def version() -> str:
    """The version of the package, whose prices are those of its release."""
    return str(_load(PACKAGE).__version__)


def as_toml(prices: Iterable[ListedPrice], source: str) -> str:
    """A prices file: a table for each model, and where they are from as a comment."""
    lines = [f"# {source}", "# For a million tokens, in US dollars.", ""]
    for price in prices:
        # A text in JSON is one in TOML.
        lines += [
            f"[prices.{json.dumps(price.model, ensure_ascii=False)}]  # {price.provider}",
            f"input = {_number(price.input)}",
            f"output = {_number(price.output)}",
            *([f"# {price.tier}"] if price.tier is not None else []),
            "",
        ]
    return "\n".join(lines).rstrip("\n")


def _load(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        raise ContentQueueError(
            "the package genai-prices is not installed; install it with: pip install 'contentq[prices]'"
        ) from None


def _providers() -> list[Any]:
    return list(_load(f"{PACKAGE}.data_snapshot").get_snapshot().providers)


def _models_of(provider: str | None) -> list[Any]:
    """All models of a provider that it still offers. Raises ContentQueueError when it is not known."""
    for known in _providers():
        if known.id == provider:
            return [model for model in known.models if not model.deprecated]
    raise ContentQueueError(_explain_unknown(provider, None))


def _explain_unknown(provider: str | None, model: str | None) -> str:
    providers = sorted(known.id for known in _providers())
    if provider is not None and provider not in providers:
        return f"genai-prices knows no provider {provider!r}; it knows: {', '.join(providers)}"
    of_provider = "" if provider is None else f" of the provider {provider}"
    return f"genai-prices knows no model {model!r}{of_provider}; write its price into the file yourself"


def _listed(model: str, provider: str, price: Any) -> ListedPrice | None:
    """What text costs; None of a model that is priced by other things, such as images."""
    found = {"input": price.input_mtok, "output": price.output_mtok}
    if None in found.values():
        return None
    tiers: dict[int, dict[str, Decimal]] = {}
    for kind, amount in found.items():
        for tier in getattr(amount, "tiers", ()):
            tiers.setdefault(tier.start, {})[kind] = tier.price
        found[kind] = getattr(amount, "base", amount)
    dearer = "; ".join(
        f"from {start} tokens of input on, which contentq does not count: "
        + ", ".join(f"{kind} {_number(amount)}" for kind, amount in sorted(at.items()))
        for start, at in sorted(tiers.items())
    )
    return ListedPrice(model, provider, found["input"], found["output"], dearer or None)


def _number(amount: Decimal) -> str:
    """As TOML writes it: without an exponent."""
    return f"{amount.normalize():f}"
