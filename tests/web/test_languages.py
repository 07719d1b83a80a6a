"""The whole page uses the language that the browser requests."""

from __future__ import annotations

import re
import shutil
import subprocess
from gettext import GNUTranslations
from pathlib import Path

import pytest
from contentq.web import i18n
from contentq.web.po import UnreadablePo, read_po

from tests.web.conftest import Client, Visit
from tests.web.messages import WEB, messages, translated

_PLACE = re.compile(r"%\((\w+)\)s")

OTHERS = [language for language in i18n.LANGUAGES if language != i18n.DEFAULT]


@pytest.mark.parametrize("language", OTHERS)
def test_every_message_is_translated_and_no_other(language: str) -> None:
    found, there = messages(), translated(language)
    assert len(found) > 50
    assert sorted(set(found) - set(there)) == []
    assert sorted(set(there) - set(found)) == []


@pytest.mark.parametrize("language", OTHERS)
def test_translation_has_the_places_of_its_message(language: str) -> None:
    for message, forms in translated(language).items():
        for form in forms:
            assert sorted(_PLACE.findall(form)) == sorted(_PLACE.findall(message)), message


@pytest.mark.parametrize("language", OTHERS)
def test_translations_are_read_as_gettext_reads_them(language: str, tmp_path: Path) -> None:
    if shutil.which("msgfmt") is None:
        pytest.skip("msgfmt of GNU gettext is not installed")
    file = WEB / "locale" / language / "LC_MESSAGES" / "contentq.po"
    subprocess.run(["msgfmt", "--check", "--output-file", tmp_path / "contentq.mo", file], check=True)
    with (tmp_path / "contentq.mo").open("rb") as compiled:
        theirs = GNUTranslations(compiled)
    ours = i18n.translations(language)
    for message, plural in messages().items():
        if plural is None:
            assert ours.gettext(message) == theirs.gettext(message)
        else:
            for number in (1, 2):
                assert ours.ngettext(message, plural, number) == theirs.ngettext(message, plural, number)


def test_translations_over_several_lines_and_with_escapes_are_read() -> None:
    text = '# a comment\nmsgid ""\n"one "\n"two"\nmsgstr "\\"eins\\"\\n"\n"zwei"\n\nmsgid "none"\nmsgstr ""\n'
    assert read_po(text) == {"one two": ['"eins"\nzwei']}


def test_line_that_is_none_of_a_file_of_translations_is_refused() -> None:
    with pytest.raises(UnreadablePo, match="line 2"):
        read_po('msgid "a"\nmsgstr b\n')


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("en-GB,en;q=0.9,zh;q=0.8", "en"),
        ("en;q=0.5, zh;q=0.7", "zh"),
        ("fr, zh;q=0.1", "zh"),
        ("fr, de", "en"),
        ("zh;q=0", "en"),
        ("zh;q=x, en", "en"),
        ("zh;q=9", "en"),
    ],
)
def test_language_is_the_one_that_the_browser_likes_best(header: str, language: str) -> None:
    assert i18n.accepted(header) == language


@pytest.mark.slow
def test_switch_changes_the_language_and_is_remembered(client: Client, visit: Visit) -> None:
    visitor = visit(client, locale="en-GB", java_script_enabled=False)
    page = visitor.open("/gates?x=1")
    page.get_by_role("link", name="中文").click()
    page.wait_for_url("**/gates?x=1&lang=zh")
    assert page.title().startswith("闸门")
    visitor.open("/workers")
    assert page.locator("html").get_attribute("lang") == "zh-Hans"
    page.get_by_role("link", name="English").click()
    page.wait_for_url("**/workers?lang=en")
    assert page.title() == "Workers · contentq"


def test_answer_says_its_language(client: Client) -> None:
    assert '<html lang="en">' in client.get("/").body
    assert '<html lang="zh-Hans">' in client.get("/?lang=zh").body
    assert '<html lang="en">' in client.get("/?lang=en").body
    assert '<html lang="en">' in client.get("/?lang=xx").body
