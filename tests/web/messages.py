"""The messages of the page, from its templates and modules: translations must contain all of them.

python -m tests.web.messages prints the missing messages, as lines to paste into the translation files.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from contentq.web import i18n, templating
from contentq.web.po import read_po

WEB = Path(i18n.__file__).parent

FUNCTIONS = ("gettext", "ngettext", "mark")


def messages() -> dict[str, str | None]:
    """Each message, and its plural if any."""
    return dict([*_in_templates(), *_in_modules()])


def translated(language: str) -> dict[str, list[str]]:
    """The messages in a translation file."""
    file = WEB / "locale" / language / "LC_MESSAGES" / "contentq.po"
    return read_po(file.read_text(encoding="utf-8"))


def _in_templates() -> Iterator[tuple[str, str | None]]:
    environment = templating.environment(i18n.DEFAULT)
    for file in sorted((WEB / "templates").glob("*.html")):
        for _, _, found in environment.extract_translations(file.read_text(encoding="utf-8")):  # type: ignore[attr-defined]
            singular, plural = found[:2] if isinstance(found, tuple) else (found, None)
            if singular:
                yield singular, plural


def _in_modules() -> Iterator[tuple[str, str | None]]:
    for file in sorted(WEB.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and _name(node.func) in FUNCTIONS:
                texts = [each.value for each in node.args[:2] if isinstance(each, ast.Constant)]
                if texts and isinstance(texts[0], str):
                    plural = texts[1] if _name(node.func) == "ngettext" else None
                    yield texts[0], str(plural) if plural else None


def _name(function: ast.expr) -> str | None:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", None)


def main() -> None:
    for language in i18n.LANGUAGES:
        if language == i18n.DEFAULT:
            continue
        there = translated(language)
        for singular, plural in messages().items():
            if singular not in there:
                second = f'msgid_plural "{plural}"\nmsgstr[0] ""' if plural else 'msgstr ""'
                sys.stdout.write(f'msgid "{singular}"\n{second}\n\n')


if __name__ == "__main__":
    main()
