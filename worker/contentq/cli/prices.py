"""`contentq prices`: writes a file of prices for the handler openai."""

from __future__ import annotations

import click

from contentq.cli.output import json_option, print_json, print_text


@click.command()
@click.option(
    "--provider", metavar="NAME", help="Whose prices, such as openai; without it the maker's of each model."
)
@click.option("--models", metavar="MODEL,...", help="These models; without it all of the provider.")
@click.option("--batch", is_flag=True, help="The prices of the provider's batch API, where it has any.")
@json_option
def prices(provider: str | None, models: str | None, batch: bool, as_json: bool) -> None:
    """Print what models cost, as a file of prices in TOML.

    The settings of the handler openai name it as prices_file. The prices are those of the package genai-prices
    that is installed (pip install 'contentq[prices]'): to renew them, upgrade it. Nothing is looked up in the
    network. Check them against the list of your provider.
    """
    from contentq.handlers.openai import price_list

    named = [name for part in (models or "").split(",") if (name := part.strip())]
    if provider is None and not named:
        raise click.UsageError("name --provider NAME, --models MODEL,... or both")
    found = price_list.find_prices(provider, named, batch=batch)
    if as_json:
        shown = ("model", "provider", "input", "output")
        print_json([{name: getattr(each, name) for name in shown} for each in found])
        return
    source = f"Written by contentq prices from genai-prices {price_list.version()}"
    print_text(price_list.as_toml(found, source + (", prices of batch APIs." if batch else ".")))
