"""The language of the page: the one that the user selected, else the one that the browser prefers.

Messages from the database and its functions, such as why a task waits, are in English.
"""

from __future__ import annotations

import gettext
from functools import cache
from importlib.resources import files

from starlette.requests import Request

from contentq.web.po import read_po

LANGUAGES = {"en": "English", "zh": "中文"}
"""The languages by code, with their own names."""

DEFAULT = "en"

COOKIE = "contentq_lang"

PARAMETER = "lang"
"""The query parameter that selects a language."""


class Translations(gettext.NullTranslations):
    """The messages of a translation file."""

    def __init__(self, messages: dict[str, list[str]]) -> None:
        super().__init__()
        self._messages = messages

    def gettext(self, message: str) -> str:
        """Returns the translated message, or the message itself if there is no translation."""
        return self._messages.get(message, [message])[0]

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        """Translates a message with a number; Chinese has one form."""
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
    """Marks a message that is translated when it is shown."""
    return message


def chosen(request: Request) -> str | None:
    """The language that this request selects, if any."""
    language = request.query_params.get(PARAMETER)
    return language if language in LANGUAGES else None


def language_of(request: Request) -> str:
    """The language of the answer."""
    stored = request.cookies.get(COOKIE)
    header = request.headers.get("Accept-Language", "")
    return chosen(request) or (stored if stored in LANGUAGES else accepted(header))


def accepted(header: str) -> str:
    """The language that the browser prefers (RFC 9110, 12.5.4)."""
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
    """Formats a number with thousands separators."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.10g}"
