"""The documentation site is complete, equals the Markdown, and loads nothing from other hosts."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from playwright.sync_api import Page, sync_playwright
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from tests.docs.markdown import ROOT, anchor, headings
from tests.support.browser import chromium, launch

pytestmark = pytest.mark.slow

PAGES = sorted((ROOT / "docs").rglob("*.md"))

_STRUCTURE = ("h1", "h2", "h3", "ul", "ol", "li", "table", "tr", "td", "pre", "blockquote", "img", "strong", "em")
"""Elements that GitHub and the site produce from the same Markdown."""

_LOADED = {"link": "href", "script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src"}
"""Elements that load a file, with the attribute that names it."""

_IN_STYLES = re.compile(r"""(?:@import\s*["']|url\(\s*["']?)\s*([^"')\s]+)""")


class _Elements(HTMLParser):
    """The elements of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attributes)))

    def loaded(self) -> Iterator[str]:
        """The addresses of files that a browser loads with the page."""
        for tag, attributes in self.found:
            address = attributes.get(_LOADED.get(tag, ""))
            if address and attributes.get("rel") not in ("canonical", "next", "prev"):
                yield address

    def ids(self) -> set[str | None]:
        """The ids, the targets of links."""
        return {attributes.get("id") for _, attributes in self.found}

    def structure(self) -> Counter[str]:
        """Counts of the elements that make up the text."""
        return Counter(tag for tag, _ in self.found if tag in _STRUCTURE)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the site, as built by `make docs`."""
    folder = tmp_path_factory.mktemp("site")
    done = _build("--site-dir", str(folder))
    assert done.returncode == 0, done.stderr
    return folder


def _name(page: Path) -> str:
    return page.relative_to(ROOT / "docs").as_posix()


def _built(site: Path, page: Path) -> str:
    path = site / page.relative_to(ROOT / "docs").with_suffix("")
    return (path.parent if path.name == "index" else path).joinpath("index.html").read_text(encoding="utf-8")


def test_site_loads_nothing_from_elsewhere(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    styles = sorted(site.rglob("*.css"))
    assert len(pages) > len(PAGES)
    assert styles
    loaded = [
        (page, address) for page in pages for address in _Elements(page.read_text(encoding="utf-8")).loaded()
    ]
    loaded += [
        (path, address)
        for path in [*pages, *styles]
        for address in _IN_STYLES.findall(path.read_text(encoding="utf-8"))
    ]

    assert len(loaded) > len(pages), "no stylesheet was found"
    assert [f"{path.relative_to(site)}: {address}" for path, address in loaded if "//" in address] == []


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_page_reads_the_same_on_the_site_as_on_github(site: Path, page: Path) -> None:
    built = _built(site, page)
    article = _Elements(built[built.index("<article") : built.index("</article>")])
    on_github = _Elements(MarkdownIt("commonmark").enable("table").render(page.read_text(encoding="utf-8")))

    assert article.structure() == on_github.structure()
    assert {anchor(heading) for heading in headings(page)} - article.ids() == set()


def test_site_is_searched_and_read_in_a_browser_without_a_request_to_anyone_else(site: Path) -> None:
    path = chromium()
    elsewhere: list[str] = []
    errors: list[str] = []
    with _serving(site) as address, sync_playwright() as playwright, launch(playwright, path) as browser:
        page = browser.new_page()
        page.set_default_timeout(60_000)
        page.on(
            "request", lambda request: None if request.url.startswith(address) else elsewhere.append(request.url)
        )
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"{address}/explanation/guarantees/")
        assert page.title() == f"{headings(ROOT / 'docs/explanation/guarantees.md')[0]} - contentq"
        _search(page, "heartbeat")
        page.wait_for_url(re.compile("h=heartbeat"))
        assert "heartbeat" in page.locator("article mark").first.inner_text().lower()

    assert elsewhere == []
    assert errors == []


def _search(page: Page, word: str) -> None:
    """Searches for a word and opens the first page found. Under load, a page may have to be loaded again."""
    box, found = page.get_by_role("textbox", name="Search"), page.locator(".md-search-result__link").first
    for _ in range(5):
        box.fill(word)
        with suppress(PlaywrightTimeout):
            found.click(timeout=15_000)
            return
        page.reload()
    said = page.locator(".md-search-result__meta").inner_text()
    pytest.fail(f"the search for {word} found nothing: {said}")


def test_broken_links_fail_the_build(tmp_path: Path) -> None:
    text = "# Home\n\n[Away](missing.md), [down](#missing), [out](../README.md)\n"
    done = _build_pages(tmp_path, {"index.md": text}, nav=["index.md"])

    assert done.returncode == 1
    assert "Aborted with 3 warnings in strict mode" in done.stdout
    assert "link 'missing.md', but the target is not found" in done.stderr
    assert "link '#missing', but there is no such anchor" in done.stderr
    assert "link '../README.md', but the target" in done.stderr


def test_page_that_is_missing_from_the_navigation_fails_the_build(tmp_path: Path) -> None:
    done = _build_pages(tmp_path, {"index.md": "# Home\n", "how-to/lost.md": "# Lost\n"}, nav=["index.md"])

    assert done.returncode == 1
    assert "Aborted with 1 warnings in strict mode" in done.stdout
    assert 'not included in the "nav" configuration:\n  - how-to/lost.md' in done.stderr


def _build_pages(folder: Path, pages: dict[str, str], nav: list[str]) -> subprocess.CompletedProcess[str]:
    """Builds a site from these pages with the settings of mkdocs.yml."""
    for name, text in pages.items():
        path = folder / "docs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    settings = folder / "mkdocs.yml"
    settings.write_text(json.dumps({"INHERIT": str(ROOT / "mkdocs.yml"), "nav": nav}), encoding="utf-8")
    return _build("--config-file", str(settings))


def _build(*options: str) -> subprocess.CompletedProcess[str]:
    """Runs the command of `make docs`."""
    found = re.search(r"-m mkdocs (.+) \$\(ARGS\)", (ROOT / "Makefile").read_text(encoding="utf-8"))
    assert found is not None
    command = [sys.executable, "-m", "mkdocs", *found[1].split(), *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


class _serving:
    """Serves a folder over HTTP; yields its address."""

    def __init__(self, folder: Path) -> None:
        handler = partial(_Quiet, directory=str(folder))
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.01])

    def __enter__(self) -> str:
        self._thread.start()
        return f"http://127.0.0.1:{self._server.server_port}"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass
