"""The languages of the page: that of the switch, else the one that the browser asks for.

What the database and its functions say, such as why a task waits, is English.
"""

from __future__ import annotations

import gettext
from functools import cache
from importlib.resources import files

from starlette.requests import Request

from contentq.web.po import read_po

LANGUAGES = {"en": "English", "zh": "中文"}
"""By their codes, as they call themselves."""

DEFAULT = "en"

COOKIE = "contentq_lang"

PARAMETER = "lang"
"""What the switch adds to an address."""


class Translations(gettext.NullTranslations):
    """Messages of one file of translations."""

    def __init__(self, messages: dict[str, list[str]]) -> None:
        super().__init__()
        self._messages = messages

    def gettext(self, message: str) -> str:
        """The message in this language; as it is when it is not translated."""
        return self._messages.get(message, [message])[0]

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        """The same of a number of things; Chinese has one form."""
        found = self._messages.get(msgid1)
        return super().ngettext(msgid1, msgid2, n) if found is None else found[0]


@cache
def translations(language: str) -> gettext.NullTranslations:
    """The messages of a language."""
    if language == DEFAULT:
        return gettext.NullTranslations()
    file = files("contentq.web").joinpath("locale", language, "LC_MESSAGES", "contentq.po")
    return Translations(read_po(file.read_text(encoding="utf-8")))


def mark(message: str) -> str:
    """Marks a message that is translated where it is shown."""
    return message


def chosen(request: Request) -> str | None:
    """The language of the switch, if it was used now."""
    language = request.query_params.get(PARAMETER)
    return language if language in LANGUAGES else None


def language_of(request: Request) -> str:
    """The language of an answer."""
    kept = request.cookies.get(COOKIE)
    return chosen(request) or (kept if kept in LANGUAGES else accepted(request.headers.get("Accept-Language", "")))


def accepted(header: str) -> str:
    """The language that a browser likes best (RFC 9110, 12.5.4)."""
    best, highest = DEFAULT, 0.0
    for part in header.split(","):
        tag, _, weight = part.partition(";")
        language = tag.strip().lower().partition("-")[0]
        try:
            quality = float(weight.strip().removeprefix("q=")) if weight.strip() else 1.0
        except ValueError:
            continue
        if language in LANGUAGES and highest < quality <= 1:
            best, highest = language, quality
    return best


def number(value: float) -> str:
    """A number with its thousands apart."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.10g}"
