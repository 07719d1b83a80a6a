"""Finds the proxy for an address in the environment."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

PROXIES = "HTTPS_PROXY, HTTP_PROXY or ALL_PROXY"
"""The variables in which the client looks for a proxy; lower case works, too."""


def proxy_of(base_url: str) -> str | None:
    """Host and port of the proxy for this address, without its user and password; None if there is none.

    For messages only: the client reads the same variables itself.
    """
    return choose(base_url, getproxies(), is_bypassed=bool(proxy_bypass(urlsplit(base_url).netloc)))


def choose(base_url: str, proxies: Mapping[str, str], *, is_bypassed: bool) -> str | None:
    """As proxy_of(), for these proxies by scheme."""
    found = proxies.get(urlsplit(base_url).scheme) or proxies.get("all")
    if not found or is_bypassed:
        return None
    try:
        place = urlsplit(found if "://" in found else f"http://{found}")
        port = place.port
    except ValueError:
        return "in the environment"
    return f"{place.hostname}:{port}" if port else place.hostname
