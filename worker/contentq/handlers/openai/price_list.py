"""Prices of models from the package genai-prices, in the form of a prices file."""

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
"""The name of batch API prices in genai-prices."""


@dataclass(frozen=True)
class ListedPrice:
    """The price of a model per million tokens, in US dollars."""

    model: str
    provider: str
    input: Decimal
    output: Decimal
    tier: str | None = None
    """The number of input tokens from which the price is higher, and that price; None if there is none."""


def find_prices(provider: str | None, models: Iterable[str], *, batch: bool = False) -> list[ListedPrice]:
    """Returns the prices of these models; without names, of all models of the provider with a price for text.

    batch: prices of the provider's batch API where known; otherwise the usual ones. Raises ContentQueueError if
    the package is not installed, or does not know the provider, a model, or its price.
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
    """The version of the package; its prices are as of its release."""
    return str(_load(PACKAGE).__version__)


def as_toml(prices: Iterable[ListedPrice], source: str) -> str:
    """Formats a prices file: a table for each model; a comment names the source."""
    lines = [f"# {source}", "# For a million tokens, in US dollars.", ""]
    for price in prices:
        # A JSON string is also a TOML string.
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
    """All models that a provider still offers. Raises ContentQueueError if the provider is not known."""
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
    """The price of text; None for a model priced by other units, such as images."""
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
    """The number in TOML, without an exponent."""
    return f"{amount.normalize():f}"
