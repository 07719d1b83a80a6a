"""Renders articles as HTML. They cannot contain markup of their own, scripts, or requests to other sites."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markupsafe import Markup, escape

from contentq import escaping

SCHEMES = ("http", "https", "mailto")
"""The allowed schemes of links."""

MOST_CHARACTERS = 100_000
"""Maximum length of the rendered part of an article; the rest is omitted."""

MOST_OF_LINKS = 500_000
"""Maximum characters of all links of an article, which may use a long address ten thousand times."""

LINKED = "contentq_linked"
"""The key that counts the characters of links while an article is rendered."""

ABOVE = 2
"""Levels of headings of the page above those of an article."""


def to_html(text: str) -> Markup:
    """Renders an article in Markdown as HTML. Its HTML is shown as text; images become links."""
    seen = escaping.escape(text[:MOST_CHARACTERS], escaping.PROSE)
    html = Markup(_parser().render(seen))
    return html if len(text) <= MOST_CHARACTERS else html + Markup("<p>[…]</p>")


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    parser.validateLink = _is_harmless  # type: ignore[method-assign]
    parser.add_render_rule("image", _picture)
    parser.add_render_rule("link_open", _link)
    parser.add_render_rule("heading_open", _heading)
    parser.add_render_rule("heading_close", _heading)
    parser.add_render_rule("th_open", _cell)
    parser.add_render_rule("td_open", _cell)
    return parser


def _is_harmless(url: str) -> bool:
    try:
        scheme = urlsplit(url.strip()).scheme.lower()
    except ValueError:
        return False
    return scheme in SCHEMES


def _picture(
    _self: RendererHTML, tokens: Sequence[Token], index: int, _options: Any, env: MutableMapping[str, Any]
) -> str:
    """Renders an image as a link, so that the reviewer's browser sends no request."""
    token = tokens[index]
    source = str(token.attrs.get("src", ""))
    if _is_too_much(source, env):
        return f"🖼 {escape(token.content)}"
    return f'<a href="{escape(source)}" rel="noopener noreferrer nofollow">🖼 {escape(token.content or source)}</a>'


def _link(
    self: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: MutableMapping[str, Any]
) -> str:
    attributes = tokens[index].attrs
    if _is_too_much("".join(map(str, attributes.values())), env):
        attributes.clear()  # the text stays
    else:
        attributes["rel"] = "noopener noreferrer nofollow"
    return self.renderToken(tokens, index, options, env)


def _is_too_much(link: str, env: MutableMapping[str, Any]) -> bool:
    """Whether a link is omitted because the links before it are too long in total."""
    env[LINKED] = env.get(LINKED, 0) + len(link)
    return bool(env[LINKED] > MOST_OF_LINKS)


def _heading(
    self: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: MutableMapping[str, Any]
) -> str:
    """Renders a heading below the levels of the page itself, to keep the heading structure for screen readers."""
    tokens[index].tag = f"h{min(int(tokens[index].tag[1:]) + ABOVE, 6)}"
    return self.renderToken(tokens, index, options, env)


def _cell(
    self: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: MutableMapping[str, Any]
) -> str:
    """Renders a cell without an alignment style, which the page's policy forbids; numbers get a class."""
    if tokens[index].attrs.pop("style", "") == "text-align:right":
        tokens[index].attrSet("class", "number")
    return self.renderToken(tokens, index, options, env)
