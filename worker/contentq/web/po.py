"""Reads translation files (.po) directly, so that they need not be compiled.

The format: https://www.gnu.org/software/gettext/manual/html_node/PO-Files.html. Contexts are not supported.
"""

from __future__ import annotations

import re

_LINE = re.compile(r'(?:(msgid|msgid_plural|msgstr|msgstr\[(\d+)\])\s+)?"(.*)"')

_ESCAPE = re.compile(r"\\(.)")

_ESCAPED = {"n": "\n", "t": "\t"}


class UnreadablePo(ValueError):
    """A line of a translation file cannot be parsed."""


def read_po(text: str) -> dict[str, list[str]]:
    """Returns each message with its translations, one per plural form; omits messages without a translation."""
    messages: dict[str, list[str]] = {}
    id_, forms, at = "", [""], ""
    for number, line in enumerate([*text.splitlines(), 'msgid ""'], 1):
        if not line.strip() or line.startswith("#"):
            continue
        found = _LINE.fullmatch(line.strip())
        if found is None:
            raise UnreadablePo(f"line {number} cannot be parsed: {line!r}")
        keyword, form, quoted = found.groups()
        value = _ESCAPE.sub(lambda escape: _ESCAPED.get(escape[1], escape[1]), quoted)
        if keyword == "msgid":
            if id_ and all(forms):
                messages[id_] = forms
            id_, forms = "", []
        elif keyword is not None and keyword.startswith("msgstr"):
            assert form is None or int(form) == len(forms)
            forms.append("")
        at = keyword or at
        if at == "msgid":
            id_ += value
        elif at.startswith("msgstr"):
            forms[-1] += value
    return messages
