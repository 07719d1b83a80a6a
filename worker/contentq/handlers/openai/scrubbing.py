"""Keeping a secret out of what is shown or stored."""

from __future__ import annotations

import re

SHORTEST = 6
"""Characters of the shortest secret that is looked for: `none` is no secret, and part of many a text."""

_LIKE_A_KEY = re.compile(r"\bsk-[\w*.\-]{8,}")
"""The form of OpenAI's keys, also with stars in the middle, as its messages quote them."""

HIDDEN = "[key hidden]"


class Scrubber:
    """Replaces a secret wherever it turns up in a text."""

    def __init__(self, secret: str | None) -> None:
        self._secret = secret if secret and len(secret) >= SHORTEST else None

    def message(self, text: str) -> str:
        """A message of a provider's without the secret, and without what looks like a key of any kind."""
        return _LIKE_A_KEY.sub(HIDDEN, self.text(text))

    def text(self, text: str) -> str:
        """A text without the secret."""
        return text.replace(self._secret, HIDDEN) if self._secret else text
