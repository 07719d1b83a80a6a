"""The address of the API, its key, and the client."""

from __future__ import annotations

import importlib
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import openai

from contentq.errors import HandlerUnusable
from contentq.handlers.openai.limits import bounding, stream_limit
from contentq.handlers.openai.proxies import PROXIES
from contentq.handlers.openai.settings import KEY_VARIABLE, OpenAISettings, without_secrets

OPENAI = "https://api.openai.com/v1"

NO_KEY = "none"
"""Sent to a server that needs no key, because the client requires one."""

CONNECT_TIMEOUT = 10.0
"""Seconds to connect to the server."""

_TELLING = ("openai", "httpx", "httpx2", "httpcore", "httpcore2")
"""Loggers of the client, which log each call and, at level debug, its content."""


@dataclass(frozen=True)
class Endpoint:
    """An API: its address, its key and its kind."""

    base_url: str
    key: str | None = field(repr=False)
    """None if the variable is not set."""

    key_variable: str = KEY_VARIABLE
    """The environment variable that holds the key."""

    @property
    def host(self) -> str:
        """The host, with the port if the address has one; also the gate of the handler."""
        parts = urlsplit(self.base_url)
        return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)

    @property
    def is_openai(self) -> bool:
        """Whether this is OpenAI itself, or its models on Azure."""
        return f".{urlsplit(self.base_url).hostname}".endswith((".openai.com", ".openai.azure.com"))

    @property
    def max_tokens_parameter(self) -> str:
        """The parameter for the length limit: OpenAI's newer models refuse the name that other servers use."""
        return "max_completion_tokens" if self.is_openai else "max_tokens"


def endpoint(settings: OpenAISettings, environment: Mapping[str, str] = os.environ) -> Endpoint:
    """The API of the settings, otherwise of OPENAI_BASE_URL, otherwise OpenAI; the key is from key_variable.

    Raises HandlerUnusable if the address is invalid, or the key is missing although needed or is malformed.
    """
    address = settings.base_url or environment.get("OPENAI_BASE_URL", "").strip() or OPENAI
    try:
        key = environment.get(settings.key_variable, "").strip() or None
        found = Endpoint(without_secrets(address), key, settings.key_variable)
    except ValueError as error:
        raise HandlerUnusable(f"OPENAI_BASE_URL {error}") from None
    if found.key is None and found.is_openai:
        raise HandlerUnusable(
            f"{found.host} needs a key: set {found.key_variable} in the environment of the worker; for another "
            "server, set OPENAI_BASE_URL, or base_url in the file given with --settings"
        )
    if found.key is not None and not (found.key.isascii() and found.key.isprintable() and " " not in found.key):
        raise HandlerUnusable(
            f"{found.key_variable} holds characters that no key has, such as a space or a line break"
        )
    return found


def make_client(at: Endpoint, settings: OpenAISettings, largest: int | None = None) -> openai.AsyncOpenAI:
    """Returns a client for all calls of a worker; call this on the event loop on which the client is used.

    The client does not retry, because the queue does. It follows no redirects, which would send the prompt to
    another server, or store that server's page as an article. It does not limit its connections: the slots of the
    worker are the limit. It reads at most `largest` bytes of an answer, by default the limits of limits.py.
    """
    timeout = openai.Timeout(settings.chunk_timeout, connect=min(CONNECT_TIMEOUT, settings.chunk_timeout))
    http = http_library()
    limits = http.Limits(max_connections=None, max_keepalive_connections=None)
    return openai.AsyncOpenAI(
        api_key=at.key or NO_KEY,
        base_url=at.base_url,
        max_retries=0,
        timeout=timeout,
        default_headers={"Accept-Encoding": "identity"},
        http_client=openai.DefaultAsyncHttpxClient(
            limits=limits,
            timeout=timeout,
            follow_redirects=False,
            event_hooks={"response": [bounding(http, largest or stream_limit(settings))]},
        ),
    )


def check_environment() -> None:
    """Raises HandlerUnusable if the environment names a proxy or certificates that the client cannot use."""
    try:
        openai.DefaultAsyncHttpxClient()
    except ImportError:  # only the package for SOCKS proxies may be missing
        raise HandlerUnusable(
            f"{PROXIES} names a SOCKS proxy, which needs a package that is not installed: pip install socksio"
        ) from None
    except (ValueError, http_library().InvalidURL):  # its message may repeat a password
        raise HandlerUnusable(
            f"{PROXIES} names a proxy that cannot be used; write http://HOST:PORT, https://HOST:PORT or "
            "socks5://HOST:PORT"
        ) from None
    except OSError as error:
        raise HandlerUnusable(
            f"the certificates of SSL_CERT_FILE or SSL_CERT_DIR cannot be read: {error.strerror or error}"
        ) from None


def http_library() -> Any:
    """The module with which the client makes its calls: httpx, or httpx2 in newer versions."""
    base = openai.DefaultAsyncHttpxClient.__mro__[1]
    return importlib.import_module(base.__module__.partition(".")[0])


def quieten() -> None:
    """Keeps the client's loggers quiet, unless a level was set for them.

    The worker logs failed calls. At level debug, these loggers would log whole prompts and answers.
    """
    for name in _TELLING:
        logger = logging.getLogger(name)
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.WARNING)
