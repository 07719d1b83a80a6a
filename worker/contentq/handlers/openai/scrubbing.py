"""Removes secrets from texts that are shown or stored."""

from __future__ import annotations

import re

SHORTEST = 6
"""Minimum length of a secret, in characters: a value such as `none` is not a secret, and occurs in many texts."""

_LIKE_A_KEY = re.compile(r"\bsk-[\w*.\-]{8,}")
"""The form of OpenAI's keys, also with stars in the middle, as its messages quote them."""

HIDDEN = "[key hidden]"


class Scrubber:
    """Replaces every occurrence of a secret in a text."""

    def __init__(self, secret: str | None) -> None:
        self._secret = secret if secret and len(secret) >= SHORTEST else None

    def message(self, text: str) -> str:
        """A provider's message without the secret, and without anything that looks like a key."""
        return _LIKE_A_KEY.sub(HIDDEN, self.text(text))

    def text(self, text: str) -> str:
        """A text without the secret."""
        return text.replace(self._secret, HIDDEN) if self._secret else text
