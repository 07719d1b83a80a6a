"""The environment of the handler `openai`: address, key, proxy, certificates and packages."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from contentq.errors import HandlerUnusable
from contentq.handlers.loading import load
from contentq.handlers.openai.client import endpoint
from contentq.handlers.openai.settings import OpenAISettings

from tests.support.provider import Provider


@pytest.mark.parametrize(
    ("base_url", "environment", "address", "gate"),
    [
        (None, {}, "https://api.openai.com/v1", "api.openai.com"),
        (None, {"OPENAI_BASE_URL": " "}, "https://api.openai.com/v1", "api.openai.com"),
        (None, {"OPENAI_BASE_URL": "https://eu.example.com/v1"}, "https://eu.example.com/v1", "eu.example.com"),
        ("http://Here:8000/v1", {"OPENAI_BASE_URL": "http://x"}, "http://Here:8000/v1", "here:8000"),
        ("http://[::1]:11434/v1", {}, "http://[::1]:11434/v1", "::1:11434"),
    ],
)
def test_address_is_that_of_the_file_then_of_the_environment_then_openai(
    base_url: str | None, environment: dict[str, str], address: str, gate: str
) -> None:
    found = endpoint(OpenAISettings(base_url=base_url), {"OPENAI_API_KEY": "sk-1", **environment})

    assert (found.base_url, found.host, found.key) == (address, gate, "sk-1")
    assert "sk-1" not in repr(found)


def test_openai_needs_a_key_and_a_server_of_ones_own_does_not() -> None:
    for environment in ({}, {"OPENAI_API_KEY": " "}, {"OPENAI_BASE_URL": "https://eu.api.openai.com/v1"}):
        with pytest.raises(HandlerUnusable, match=r"api\.openai\.com needs a key: set OPENAI_API_KEY in the env"):
            endpoint(OpenAISettings(), environment)

    assert endpoint(OpenAISettings(base_url="http://localhost:11434/v1"), {}).key is None


@pytest.mark.parametrize("key", ["sk-two words", "sk-line\nbreak", "sk-clé"])
def test_key_that_can_be_none_is_refused_and_not_repeated(key: str) -> None:
    with pytest.raises(HandlerUnusable, match=r"^OPENAI_API_KEY holds characters that no key has") as caught:
        endpoint(OpenAISettings(), {"OPENAI_API_KEY": key})
    assert key not in str(caught.value)


def test_address_in_the_environment_that_is_none_is_refused() -> None:
    with pytest.raises(HandlerUnusable, match=r"^OPENAI_BASE_URL must be an address such as "):
        endpoint(OpenAISettings(), {"OPENAI_BASE_URL": "localhost:11434", "OPENAI_API_KEY": "sk-1"})


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("https://api.openai.com/v1", "max_completion_tokens"),
        ("https://us.openai.azure.com/openai/v1", "max_completion_tokens"),
        ("https://notopenai.com/v1", "max_tokens"),
        ("http://localhost:8000/v1", "max_tokens"),
    ],
)
def test_longest_answer_has_the_name_that_the_provider_knows(address: str, name: str) -> None:
    assert endpoint(OpenAISettings(base_url=address), {"OPENAI_API_KEY": "sk-1"}).max_tokens_parameter == name


def test_handler_is_loaded_with_its_gate(monkeypatch: pytest.MonkeyPatch, settings_file: Path) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    settings_file.write_text("base_url = 'https://llm.example.com/v1'")

    handler = load("openai", settings=settings_file)

    assert (handler.name, handler.is_async, handler.gate) == ("openai", True, "llm.example.com")


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "http_proxy", "ALL_PROXY"])
@pytest.mark.parametrize(
    ("proxy", "said"),
    [
        ("socks5://me:qsecret@h:1080", "a SOCKS proxy, which needs a package that is not installed: pip install "),
        ("gopher://me:qsecret@h:70", "a proxy that cannot be used; write http://HOST:PORT, https://HOST:PORT or "),
        ("http://me:qsecret@h:qsecret", "a proxy that cannot be used; write http://HOST:PORT"),
    ],
)
def test_proxy_that_cannot_be_used_stops_the_worker_at_its_start(
    provider: Provider, monkeypatch: pytest.MonkeyPatch, variable: str, proxy: str, said: str
) -> None:
    monkeypatch.setitem(sys.modules, "socksio", None)
    monkeypatch.setenv(variable, proxy)

    with pytest.raises(HandlerUnusable) as caught:
        load("openai")

    assert str(caught.value).startswith(f"HTTPS_PROXY, HTTP_PROXY or ALL_PROXY names {said}")
    assert "qsecret" not in str(caught.value)
    assert provider.opened == 0


@pytest.mark.usefixtures("provider")
def test_certificates_that_cannot_be_read_stop_the_worker_at_its_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))

    with pytest.raises(
        HandlerUnusable, match=r"^the certificates of SSL_CERT_FILE or SSL_CERT_DIR cannot be read: "
    ):
        load("openai")


@pytest.mark.parametrize("package", ["openai", "pydantic"])
def test_without_a_package_it_is_said_how_to_install_it(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    for name in [name for name in sys.modules if name.startswith("contentq.handlers.openai.")]:
        monkeypatch.delitem(sys.modules, name)

    with pytest.raises(HandlerUnusable, match=r"which is not installed: pip install 'contentq\[openai\]'$"):
        load("openai")


def test_template_needs_no_package() -> None:
    assert load("template").gate is None
