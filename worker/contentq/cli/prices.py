"""`contentq prices`: writes a price file for the handler openai."""

from __future__ import annotations

import click

from contentq.cli.output import json_option, print_json, print_text


@click.command()
@click.option(
    "--provider",
    metavar="NAME",
    help="The provider, such as openai. Default: the maker of each model.",
)
@click.option("--models", metavar="MODEL,...", help="Only these models. Default: all models of the provider.")
@click.option("--batch", is_flag=True, help="Print the prices of the provider's batch API, if it has one.")
@json_option
def prices(provider: str | None, models: str | None, batch: bool, as_json: bool) -> None:
    """Print model prices as a TOML file.

    Name the file as prices_file in the settings of the handler openai. The prices come from the installed package
    genai-prices (pip install 'contentq[prices]'); upgrade that package to update them. The command makes no
    network request. Compare the prices with your provider's price list.
    """
    from contentq.handlers.openai import price_list

    named = [name for part in (models or "").split(",") if (name := part.strip())]
    if provider is None and not named:
        raise click.UsageError("no prices selected: give --provider NAME, --models MODEL,... or both")
    found = price_list.find_prices(provider, named, batch=batch)
    if as_json:
        shown = ("model", "provider", "input", "output")
        print_json([{name: getattr(each, name) for name in shown} for each in found])
        return
    source = f"Written by contentq prices from genai-prices {price_list.version()}"
    print_text(price_list.as_toml(found, source + (", prices of batch APIs." if batch else ".")))
