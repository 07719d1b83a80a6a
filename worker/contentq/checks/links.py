"""Required links."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from contentq.checks.check import CheckOfText, Subject, quoted

_GOES_ON = re.compile(r"[\w%~&=+#?@-]|[./](?=[\w%~?#])")
"""Characters after an address that make it the beginning of a longer one."""


class Links(CheckOfText):
    """Each of these addresses is in the draft. Raises ValueError for one that does not begin with http:// or
    https://."""

    name = "links"

    def __init__(self, links: Sequence[str]) -> None:
        self.setting = list(links)
        for link in links:
            try:
                parts = urlsplit(link)
            except ValueError:
                parts = urlsplit("")
            if parts.scheme not in ("http", "https") or not parts.hostname or any(each.isspace() for each in link):
                raise ValueError("a link must be an address such as https://example.com/prices")

    def problem(self, subject: Subject) -> str | None:
        """The problem with the draft, or None."""
        missing = [link for link in self.setting if not _is_in(subject.body, link.rstrip("/"))]
        if not missing:
            return None
        what = "the link" if len(missing) == 1 else "the links"
        return f"{what} {quoted(missing)} {'is' if len(missing) == 1 else 'are'} missing; link to it where it fits"


def _is_in(body: str, link: str) -> bool:
    """Whether an address is in a text, not only as the beginning of a longer one."""
    scheme, _, rest = link.partition("://")
    host, slash, path = rest.partition("/")
    # Case is ignored in the host.
    pattern = re.compile(f"(?i:{re.escape(f'{scheme}://{host}')}){re.escape(slash + path)}")
    return any(not _GOES_ON.match(body, match.end()) for match in pattern.finditer(body))
