"""Articles as HTML: they contain no markup that is not ours, and load nothing."""

from __future__ import annotations

import re
import time
from html.parser import HTMLParser

import pytest
from contentq.web.markdown import MOST_CHARACTERS, to_html

ALLOWED = {
    *("h3", "h4", "h5", "h6", "p", "br", "hr", "em", "strong", "s", "code", "pre", "blockquote"),
    *("ul", "ol", "li", "a", "table", "thead", "tbody", "tr", "th", "td"),
}


class Tags(HTMLParser):
    """The tags of a text, with their attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_article_is_formatted() -> None:
    html = to_html(
        "# Tea\n\nIt is *good*.\n\n- one\n- two\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```py\nx < 1\n```\n"
    )
    tags = [tag for tag, _ in Tags(html).found]
    assert {"h3", "em", "ul", "table", "pre"} <= {*tags}
    assert "x &lt; 1" in html


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "a <img src=x onerror=alert(1)> b",
        "<style>* { display: none }</style>\n\n<form action=//evil.example><button>x</button></form>",
        "[a](javascript:alert(1))",
        "[a](JaVaScRiPt:alert(1))",
        "[a](java&#10;script:alert(1))",
        "[a](&#106;avascript:alert(1))",
        "[a](\u0001javascript:alert(1))",
        "[a](data:text/html,<script>alert(1)</script>)",
        "[a](vbscript:x) [b](file:///etc/passwd) [c](//evil.example) [d](/logout)",
        "<javascript:alert(1)>",
        "[a]: javascript:alert(1)\n\n[a]",
        "![x](https://evil.example/seen.png)",
        '![x"onerror="alert(1)](https://evil.example/"onerror="alert(1))',
        "![x](data:image/svg+xml,<svg/onload=alert(1)>)",
        '[a](https://example.com "x\\" onmouseover=\\"alert(1)")',
        '```"><script>alert(1)</script>\nx\n```',
        "|a|b|\n|:-:|--:|\n|1|2|",
        '``` x" onclick=alert(1)\nx\n```',
    ],
)
def test_article_is_neither_a_script_nor_a_request(text: str) -> None:
    for tag, attributes in Tags(to_html(text)).found:
        assert tag in ALLOWED
        assert set(attributes) <= {"href", "title", "rel", "class", "start"}
        if "href" in attributes:
            assert re.match(r"(?:https?://|mailto:)", attributes["href"] or "")
            assert attributes["rel"] == "noopener noreferrer nofollow"


def test_link_and_picture_lead_where_they_say() -> None:
    (link, picture) = Tags(to_html("[a](https://a.example/?x=1&y=2) ![b](https://b.example/b.png)")).found[1:]
    assert link[1]["href"] == "https://a.example/?x=1&y=2"
    assert (picture[0], picture[1]["href"]) == ("a", "https://b.example/b.png")


def test_what_cannot_be_seen_is_written() -> None:
    assert r"a\u202eb\x1b" in to_html("a\u202eb\x1b")
    assert "👩\u200d💻" in to_html("👩\u200d💻")


@pytest.mark.parametrize(
    "text",
    [
        "[" * 20_000,
        "*a " * 7_000,
        "> " * 10_000,
        "`" * 20_000 + "a",
        "**_" * 7_000,
        "![[]()" * 4_000,
        "<a " * 7_000,
    ],
    ids=lambda text: str(text[:6]),
)
def test_hostile_article_takes_no_long_time(text: str) -> None:
    began = time.process_time()
    to_html(text)
    assert time.process_time() - began < 2


def test_long_article_is_cut() -> None:
    assert to_html("a" * (MOST_CHARACTERS + 1)).endswith("<p>[…]</p>")


@pytest.mark.parametrize("link", ["[x]", "![x]"])
@pytest.mark.parametrize("defined", ["http://" + "a" * 5_000, "http://a '" + '"' * 5_000 + "'"])
def test_long_address_is_not_repeated_without_end(link: str, defined: str) -> None:
    html = to_html(f"[x]: {defined}\n\n" + f"{link} " * 3_000)
    assert len(html) < 4_000_000
    assert html.count("🖼" if link == "![x]" else "<a") == 3_000
