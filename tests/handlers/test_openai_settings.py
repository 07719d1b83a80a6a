"""Settings are parsed strictly: errors name the file and the key, before any task is claimed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from contentq.errors import HandlerUnusable
from contentq.handlers.openai import settings_file as openai_settings
from contentq.handlers.openai.client import endpoint
from contentq.handlers.openai.settings import ModelSettings, OpenAISettings, Price

ALL = """
model = "large"
base_url = "http://localhost:8000/v1"
temperature = 0.7
max_tokens = 2000
leave_out = ["stream_options"]
rename = {max_tokens = "max_new_tokens"}
system_role = "developer"
keep_reasoning = 500
max_characters = 50_000
timeout = 90
chunk_timeout = 12.5

[prices."large"]
input = 0.25
output = 2

[categories.blog]
model = "small"
temperature = 0

[categories."Slow Food"]
max_tokens = 99
"""


def read(file: Path, text: str) -> OpenAISettings:
    file.write_text(text, encoding="utf-8")
    return openai_settings.read(file)


def test_every_setting_is_read(settings_file: Path) -> None:
    assert read(settings_file, ALL) == OpenAISettings(
        model="large",
        base_url="http://localhost:8000/v1",
        temperature=0.7,
        max_tokens=2000,
        leave_out=["stream_options"],
        rename={"max_tokens": "max_new_tokens"},
        system_role="developer",
        keep_reasoning=500,
        max_characters=50_000,
        timeout=90.0,
        chunk_timeout=12.5,
        prices={"large": Price(input=0.25, output=2)},
        categories={
            "blog": ModelSettings(model="small", temperature=0),
            "slow-food": ModelSettings(max_tokens=99),
        },
    )
    assert read(settings_file, "") == openai_settings.read(None) == OpenAISettings()


def test_category_overrides_what_it_names_and_no_more(settings_file: Path) -> None:
    settings = read(settings_file, ALL)

    blog, food = settings.of_category(" Blog"), settings.of_category("slow food!")
    assert (blog.model, blog.temperature, blog.max_tokens, blog.timeout) == ("small", 0, 2000, 90)
    assert (food.model, food.temperature, food.max_tokens) == ("large", 0.7, 99)
    assert settings.of_category(None) == settings.of_category("news") == settings


def test_prices_of_a_file_are_added_and_those_of_the_settings_come_first(settings_file: Path) -> None:
    (settings_file.parent / "prices.toml").write_text(
        '[prices."large"]\ninput = 9\noutput = 9\n[prices."sm.all"]\ninput = 0.1\noutput = 0.4\n', encoding="utf-8"
    )

    settings = read(settings_file, 'prices_file = "prices.toml"\n' + ALL)

    assert settings.prices == {"large": Price(input=0.25, output=2), "sm.all": Price(input=0.1, output=0.4)}


@pytest.mark.parametrize(
    ("prices", "said"),
    [
        (None, "cannot be read: No such file or directory"),
        ("[prices", "are not TOML"),
        ("", 'there must be tables such as [prices."gpt-5.4-mini"], and nothing else'),
        ("[price.a]\ninput = 1", 'there must be tables such as [prices."gpt-5.4-mini"], and nothing else'),
        ("[prices.a]\ninput = 1", "prices.a.output: is missing"),
        ("[prices.a]\ninput = 1\noutput = -1", "prices.a.output: must be 0 or more"),
        ('[prices.a]\ninput = 1\noutput = "2"', "prices.a.output: must be a number, not a text"),
        ("[prices.gpt-5.4]\ninput = 1\noutput = 2", 'write a name that has dots in quotes: [prices."gpt-5.4"]'),
    ],
)
def test_file_of_prices_that_is_wrong_is_named_with_its_key(
    settings_file: Path, prices: str | None, said: str
) -> None:
    file = settings_file.parent / "prices.toml"
    if prices is not None:
        file.write_text(prices, encoding="utf-8")

    with pytest.raises(HandlerUnusable) as caught:
        read(settings_file, 'prices_file = "prices.toml"')

    assert str(caught.value).startswith(f"the prices '{file}'")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("price", "tokens", "cost"),
    [
        ((0.1, 0.2), (3, 0), 3e-7),
        ((0.1, 0.2), (1, 1), 3e-7),
        ((1.1, 2.2), (1_000_000, 1_000_000), 3.3),
        ((0.075, 0), (1, 0), 7.5e-8),
    ],
)
def test_cost_is_reckoned_in_decimals(price: tuple[float, float], tokens: tuple[int, int], cost: float) -> None:
    assert repr(Price(input=price[0], output=price[1]).cost(*tokens)) == repr(cost)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "modle = 'x'",
            "modle: there is no such setting; did you mean model? There are: model, models",
        ),
        ("model = 3", "model: must be a text, not a number"),
        ("model = ' '", "model: must be a text, not an empty one"),
        ("temperature = 'warm'", "temperature: must be a number, not a text"),
        ("temperature = true", "temperature: must be a number, not true or false"),
        ("temperature = nan", "temperature: must be a finite number"),
        ("temperature = -1", "temperature: must be 0 or more"),
        ("max_tokens = 0", "max_tokens: must be 1 or more"),
        ("max_tokens = 1.5", "max_tokens: must be a whole number, not a fraction"),
        ("leave_out = 'stream'", "leave_out: must be a list, not a text"),
        ("leave_out = ['n']", "leave_out.0: must be one of: stream, stream_options, temperature, max_tokens"),
        ("rename = ['n']", "rename: must be a table, not a list"),
        ("rename = {n = 'x'}", "rename.n: must be one of: temperature, max_tokens"),
        (
            "rename = {max_tokens = 'x y'}",
            "rename.max_tokens: must be the name of a parameter: letters, digits and",
        ),
        (
            "rename = {max_tokens = 'model'}",
            "rename: max_tokens: 'model' is the name of another parameter that is",
        ),
        ("rename = {max_tokens = 'temperature'}", "rename: max_tokens: 'temperature' is the name of another "),
        ("system_role = 'x'", "system_role: must be one of: system, developer, user"),
        ("[batch]\nmax_priority = 11", "batch.max_priority: must be 10 or less"),
        ("[batch]\nmax_tasks = 50_001", "batch.max_tasks: must be 50,000 or less"),
        ("[batch]\npoll_seconds = 0", "batch.poll_seconds: must be more than 0 seconds"),
        ("[batch]\nprice_factor = 2", "batch.price_factor: must be 1 or less"),
        ("[batch]\nmax_priorty = 3", "batch.max_priorty: there is no such setting; did you mean max_priority?"),
        ("batch = 3", "batch: must be a table, not a number"),
        ("keep_reasoning = -1", "keep_reasoning: must be 0 or more"),
        ("keep_reasoning = 1_000_000", "keep_reasoning: must be 100,000 or less"),
        ("keep_reasoning = true", "keep_reasoning: must be a whole number, not true or false"),
        ("timeout = 0", "timeout: must be more than 0 seconds"),
        ("timeout = inf", "timeout: must be a finite number"),
        ("base_url = 'localhost:8000'", "base_url: must be an address such as https://api.openai.com/v1"),
        ("base_url = 'http://h:x/v1'", "base_url: must have a number as its port"),
        ("base_url = 'https://[me:secret@h/v1'", "base_url: must be an address such as "),
        ("base_url = 'https://me:secret@h/v1'", "base_url: must not hold a user name or a password"),
        ("prices = 3", "prices: must be a table, not a number"),
        ("prices.large = 3", "prices.large: must be a table, not a number"),
        ("prices.large.input = 3", "prices.large.output: is missing; a price has input and output"),
        ("[prices.'gpt-5.4']\ninput = 1\noutput = -1", 'prices."gpt-5.4".output: must be 0 or more'),
        ("[prices.large]\ninput = 1\noutput = 1\ncached = 1", "prices.large.cached: there is no such setting"),
        (
            "[prices.gpt-5.4-mini]\ninput = 1\noutput = 2",
            'prices.gpt-5.4-mini: write a name that has dots in quotes: [prices."gpt-5.4-mini"]',
        ),
        ("[prices.a.5.4]\ninput = 1", 'prices.a.5: write a name that has dots in quotes: [prices."a.5.4"]'),
        ("[categories.a.b]", 'categories.a.b: write a name that has dots in quotes: [categories."a.b"]'),
        ("[categories.blog]\ntimeout = 3", "categories.blog.timeout: there is no such setting; there are: model,"),
        ("categories.blog = 'small'", "categories.blog: must be a table, not a text"),
        ("[categories.blog]\n[categories.Blog]", "categories: 'Blog' is listed twice"),
        ("models = ['a']", "models: 'a' has no table [deployments.a]; there is none yet"),
        (
            "models = ['b.1']\n[deployments.a]\n[deployments.c]",
            "models: 'b.1' has no table [deployments.\"b.1\"]; there are: a, c",
        ),
        ("models = []\n[deployments.a]", "models: must name at least one deployment"),
        ("models = ['a', 'a']\n[deployments.a]", "models: 'a' is listed twice"),
        ("models = 'a'", "models: must be a list, not a text"),
        ("models = [3]", "models.0: must be a text, not a number"),
        ("model = 'x'\nmodels = ['a']\n[deployments.a]", "model: models is set as well; leave one of them out"),
        ("[deployments.a]\nbase_url = 'a.example'", "deployments.a.base_url: must be an address such as "),
        ("[deployments.a]\napi_key = 'sk-1'", "deployments.a.api_key: keys do not belong into a file"),
        ("[deployments.a]\nbase = 'x'", "deployments.a.base: there is no such setting; did you mean base_url?"),
        ("[deployments.a]\nkey_variable = 'A KEY'", "deployments.a.key_variable: must be the name of a variable"),
        ("[deployments.a]\ngate = '*'", "deployments.a.gate: must be a key of up to 300 characters, and not *"),
        ("[deployments.a]\nprice = {input = 1}", "deployments.a.price.output: is missing; a price has input and"),
        ("[deployments.a]\nprice = {inputs = 1}", "deployments.a.price.inputs: there is no such setting; did you"),
        ("fall_through = ['x']", "fall_through.0: must be one of: unknown, context, filtered"),
        ("[accounts.Ada]\nmodel = 'x'", "accounts.Ada: must be the id of an account, a number"),
        ("[accounts.7]\nmax_tokens = 5", "accounts.7.max_tokens: there is no such setting; there are: model, mo"),
        ("[accounts.7]\nmodels = ['a']", "accounts.7.models: 'a' has no table [deployments.a]"),
        ("[categories.x]\nmodels = ['a']", "categories.x.models: 'a' has no table [deployments.a]"),
        (
            "[deployments.a]\ntimeout = 5",
            'deployments.a: no models names it; write models = ["a"], or leave it out',
        ),
        (
            "models = ['a']\n[deployments.a]\n[deployments.'b.1']",
            'deployments."b.1": no models names it; write mo',
        ),
        ("fall_through = ['context']", "fall_through: it needs models, of which the next one is asked"),
        ("[checks]\nlikeness_last = 5", "checks.likeness_last: it needs max_likeness, which is not set"),
        (
            "[checks]\nmin_words = 5\n[categories.Blog.checks]\nlikeness_last = 5\n"
            "[categories.news.checks]\nmax_likeness = 0.5",
            "categories.Blog.checks.likeness_last: it needs max_likeness, which is not set",
        ),
        (
            "[deployments.a]\nchecks = {min_words = 5}",
            "deployments.a.checks: there is no such setting; there are: ",
        ),
        (
            "[deployments.a.batch]\nmax_tasks = 5",
            "deployments.a.batch: there is no such setting; there are: model",
        ),
        ("[checks.blog]\nmin_words = 5", "checks.blog: there is no such setting; there are: min_words"),
        ("[categories.a.checks.b]\nmin_words = 5", "categories.a.checks.b: there is no such setting; there are: "),
    ],
    ids=lambda value: str(value)[:60],
)
def test_wrong_setting_is_named_with_its_file(settings_file: Path, text: str, said: str) -> None:
    with pytest.raises(HandlerUnusable) as caught:
        read(settings_file, text)

    where, _, why = str(caught.value).partition(": ")
    assert re.fullmatch(re.escape(f"the settings {str(settings_file)!r}") + r"(, line \d+)?", where)
    assert why.startswith(said)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("\n# temperature\nmodle = 'x'", 3),
        ("[categories.blog]\n\ntemperature = -1", 3),
        ("model = 'x'\n[prices.'gpt-5.4']  # a price\ninput = 1\noutput = -1", 4),
        ("model = 'x'\n[prices.'gpt-5.4']  # a price\ninput = 1", 2),
        ("leave_out = [\n  'stream',\n  'n',\n]", 1),
        ("[categories]\nblog = {timeout = 3}", 2),
        ("timeout = 5\ncategories.blog.timeout = 3", 2),
    ],
)
def test_wrong_setting_is_named_with_its_line(settings_file: Path, text: str, line: int) -> None:
    with pytest.raises(HandlerUnusable) as caught:
        read(settings_file, text)

    assert str(caught.value).startswith(f"the settings {str(settings_file)!r}, line {line}: ")


@pytest.mark.parametrize("text", [f"models = {5_000 * '['}{5_000 * ']'}", f"a = {3_000 * '{a='}1{3_000 * '}'}"])
def test_settings_that_are_nested_too_deeply_are_refused(settings_file: Path, text: str) -> None:
    with pytest.raises(HandlerUnusable, match=r"^the settings '.*' are (nested too deeply|not TOML)"):
        read(settings_file, text)


@pytest.mark.parametrize(
    "text",
    [
        "[checks]\nlikeness_last = 5\n[categories.blog.checks]\nmax_likeness = 0.0",
        "[checks]\nmax_likeness = 0.5\n[categories.blog.checks]\nlikeness_last = 5",
        "fall_through = ['context']\n[accounts.7]\nmodels = ['a']\n[deployments.a]",
        "[categories.blog]\nmodels = [' a ']\n[deployments.a]",
    ],
)
def test_setting_that_has_an_effect_somewhere_is_taken(settings_file: Path, text: str) -> None:
    read(settings_file, text)


SEVERAL = """
models = ["large", "spare"]
max_tokens = 500
key_variable = "MAIN_KEY"
fall_through = ["unknown"]

[prices]
"gpt-large" = {input = 1, output = 2}

[deployments.large]
model = "gpt-large"

[deployments.spare]
base_url = "https://spare.example/v1"
key_variable = "SPARE_KEY"
gate = "spare"
price = {input = 3, output = 4}
max_tokens = 100
leave_out = ["stream_options"]

[categories.blog]
models = ["spare", "large"]
temperature = 0

[categories.note]
model = "small"

[accounts.7]
models = ["spare"]

[accounts.8]
model = "own"
"""


@pytest.mark.parametrize(
    ("category", "account", "found"),
    [
        (None, 1, [("large", "gpt-large"), ("spare", "spare")]),
        ("Blog", 1, [("spare", "spare"), ("large", "gpt-large")]),
        ("note", 1, [(None, "small")]),
        ("blog", 7, [("spare", "spare")]),
        ("note", 8, [(None, "own")]),
    ],
)
def test_models_of_a_task_are_those_of_its_account_its_category_or_all(
    settings_file: Path, category: str | None, account: int, found: list[tuple[str | None, str]]
) -> None:
    chosen = read(settings_file, SEVERAL).chosen(category, account)

    assert [(each.deployment, each.settings.model) for each in chosen] == found


def test_deployment_has_what_it_names_and_else_what_the_file_and_the_category_have(settings_file: Path) -> None:
    spare, large = read(settings_file, SEVERAL).chosen("blog", None)

    assert (spare.gate, spare.settings.base_url, spare.settings.key_variable) == (
        "spare",
        "https://spare.example/v1",
        "SPARE_KEY",
    )
    assert (spare.settings.max_tokens, spare.settings.temperature) == (100, 0)
    assert spare.settings.prices["spare"] == Price(input=3, output=4)
    assert spare.settings.leave_out == ["stream_options"]
    assert (large.gate, large.settings.key_variable, large.settings.max_tokens) == (None, "MAIN_KEY", 500)
    assert read(settings_file, SEVERAL).unpriced() == ["small", "own"]


@pytest.mark.parametrize("key", ["api_key", "API-KEY", "OPENAI_API_KEY", "token"])
def test_key_in_the_file_is_refused_and_not_repeated(settings_file: Path, key: str) -> None:
    with pytest.raises(HandlerUnusable) as caught:
        read(settings_file, f"{key} = 'sk-secret'")

    said = f"{key}: keys do not belong into a file; set OPENAI_API_KEY instead, or key_variable"
    assert str(caught.value) == f"the settings {str(settings_file)!r}, line 1: {said}"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"model = ", r"are not TOML: Invalid value \(at end of document\)"),
        (b"model = 'caf\xe9'", "are not TOML: 'utf-8' codec can't decode byte"),
    ],
)
def test_file_that_cannot_be_read_is_named(settings_file: Path, content: bytes | None, said: str) -> None:
    if content is not None:
        settings_file.write_bytes(content)

    with pytest.raises(HandlerUnusable, match=rf"^the settings '.*openai\.toml' {said}"):
        openai_settings.read(settings_file)


@pytest.mark.parametrize(
    "address",
    [
        "http://h/v1?api_key=qsecret",
        "http://h/v1#qsecret",
        "http://h?qsecret",
        "http://me:qsecret@h/v1",
        "http://h:qsecret/v1",
        "http://[qsecret/v1",
    ],
)
def test_address_that_may_hold_a_secret_is_refused_and_not_repeated(settings_file: Path, address: str) -> None:
    with pytest.raises(HandlerUnusable, match=r"^OPENAI_BASE_URL must ") as in_environment:
        endpoint(OpenAISettings(), {"OPENAI_BASE_URL": address, "OPENAI_API_KEY": "sk-1"})
    with pytest.raises(HandlerUnusable, match="base_url: must ") as in_file:
        read(settings_file, f"base_url = '{address}'")

    assert "qsecret" not in f"{in_environment.value} {in_file.value}"
