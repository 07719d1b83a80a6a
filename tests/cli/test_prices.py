"""contentq prices: a file of prices for the handler openai, from the package genai-prices."""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import click
import pytest
from contentq.cli.main import execute
from contentq.handlers.openai import price_list
from contentq.handlers.openai.settings_file import read, read_prices


def run(capsys: pytest.CaptureFixture[str], arguments: Sequence[str]) -> str:
    assert execute(["prices", *arguments]) == 0
    return capsys.readouterr().out


def test_without_the_package_it_is_said_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, price_list.PACKAGE, None)

    assert execute(["prices", "--provider", "openai"]) == 1

    assert "pip install 'contentq[prices]'" in capsys.readouterr().err


def test_it_wants_to_know_of_what(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["prices"]) == click.UsageError.exit_code
    assert "no prices selected: give --provider NAME, --models MODEL,... or both" in capsys.readouterr().err


class TestWithThePackage:
    @pytest.fixture(autouse=True)
    def package(self) -> None:
        pytest.importorskip(price_list.PACKAGE)

    def test_file_that_it_writes_is_read_by_the_handler(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        written = run(capsys, ["--models", "gpt-4o, gpt-4o-2024-08-06"])
        (tmp_path / "prices.toml").write_text(written, encoding="utf-8")
        (tmp_path / "settings.toml").write_text(
            'model = "gpt-4o"\nprices_file = "prices.toml"\n[prices.local]\ninput = 0\noutput = 0\n',
            encoding="utf-8",
        )

        settings = read(tmp_path / "settings.toml")

        assert set(settings.prices) == {"gpt-4o", "gpt-4o-2024-08-06", "local"}
        assert settings.unpriced() == []
        assert settings.prices["gpt-4o"].output > settings.prices["gpt-4o"].input > 0
        assert written.startswith("# Written by contentq prices from genai-prices ")

    def test_all_models_of_a_provider_are_priced(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        written = run(capsys, ["--provider", "openai"])
        (tmp_path / "prices.toml").write_text(written, encoding="utf-8")

        prices = read_prices(tmp_path / "prices.toml")

        assert len(prices) > 20
        assert all(price.input >= 0 and price.output >= 0 for price in prices.values())

    def test_batches_cost_less(self, capsys: pytest.CaptureFixture[str]) -> None:
        usual, batch = (
            tomllib.loads(run(capsys, ["--provider", "openai", "--models", "gpt-5.4-mini", *more]))["prices"]
            for more in ([], ["--batch"])
        )
        assert batch["gpt-5.4-mini"]["output"] < usual["gpt-5.4-mini"]["output"]

    def test_price_of_long_prompts_is_a_comment(self, capsys: pytest.CaptureFixture[str]) -> None:
        written = run(capsys, ["--models", "claude-sonnet-4-5"])
        assert "# from 200000 tokens of input on, which contentq does not count: input 6, output 22.5" in written

    def test_json_has_the_same(self, capsys: pytest.CaptureFixture[str]) -> None:
        (price,) = json.loads(run(capsys, ["--models", "gpt-4o", "--json"]))
        assert (price["model"], price["provider"]) == ("gpt-4o", "openai")
        assert price["output"] > price["input"] > 0

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["--models", "nonesuch"], "genai-prices knows no model 'nonesuch'; write its price"),
            (["--models", "nonesuch", "--provider", "openai"], "knows no model 'nonesuch' of the provider openai"),
            (["--provider", "nonesuch"], "knows no provider 'nonesuch'; it knows: anthropic, "),
            (["--provider", "nonesuch", "--models", "gpt-4o"], "knows no provider 'nonesuch'"),
            (["--models", "whisper-1"], "has no price for text of the model 'whisper-1'"),
        ],
    )
    def test_what_it_does_not_know_is_named(
        self, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
    ) -> None:
        assert execute(["prices", *arguments]) == 1
        assert said in capsys.readouterr().err

    @pytest.mark.parametrize("more", [[], ["--batch"], ["--json"]])
    def test_provider_without_a_price_is_an_error_and_no_empty_file(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, more: list[str]
    ) -> None:
        monkeypatch.setattr(price_list, "_models_of", lambda _provider: [])

        assert execute(["prices", "--provider", "voyageai", *more]) == 1

        printed = capsys.readouterr()
        assert printed.out == ""
        assert "genai-prices has no price for text of the provider 'voyageai'" in printed.err


def test_name_of_a_model_is_quoted() -> None:
    odd = 'a"b\\c\nd.e'
    price = price_list.ListedPrice(odd, "p", Decimal("1E-7"), Decimal("1E+2"))

    text = price_list.as_toml([price], "source")

    assert tomllib.loads(text) == {"prices": {odd: {"input": 1e-7, "output": 100}}}
