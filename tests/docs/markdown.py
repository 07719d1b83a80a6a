"""The documents of the project and the code blocks in them.

A comment before a block sets its options:

    <!-- account: My blog -->   an account of this name exists; it is not the first one
    <!-- worker -->              a worker with the handler `template` runs during the blocks of this section
    <!-- pooler -->              POOLER_URL leads to the database of this section through PgBouncer
    <!-- provider -->            OPENAI_BASE_URL leads to a server that behaves like OpenAI's, and a key is set
    <!-- batches -->             the same, but the server accepts batches and completes one when it is retrieved
    <!-- pip -->                 the section runs in a checkout and an empty environment, without a database
    <!-- checkout -->            the section has no database, and the project in the folder `contentq`
    <!-- background -->          the last line of this block keeps running
    <!-- file: handlers.py -->   the block is a file that later blocks of the section use
    <!-- copy of: examples/x -->  the block is this file of the project, word for word
    <!-- needs: node -->         from this block on, the section is skipped if this program is missing
    <!-- not run: why -->        the block is not run

Separate several options by commas. A ```text block after a block that was run shows the output of that block.

The blocks of a section share a folder, a database, and the variables that they export. `<!-- one run -->` at the
top of a page makes the whole page one section.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent

SECTION_OPTIONS = {"account", "worker", "pooler", "pip", "checkout", "provider", "batches"}
BLOCK_OPTIONS = {"background", "copy of", "file", "needs", "not run"}

TRANSLATED = {"README.zh.md": "README.md"}
"""Translations, whose blocks equal those of an original that is run."""

INSTALLS = {"javascript", "go"}
"""Languages whose driver for PostgreSQL is downloaded or compiled first."""

ONE_RUN = "<!-- one run -->"

_HEADING = re.compile(r"(#{1,6}) +(.+?) *$")
_FENCE = re.compile(r"(`{3,})(\w*) *$")
_COMMENT = re.compile(r"<!-- (.+) -->$")


@dataclass(frozen=True)
class Block:
    """One fenced block."""

    document: str
    line: int
    language: str
    text: str
    options: dict[str, str]

    @property
    def place(self) -> str:
        """Its position, for messages."""
        return f"{self.document}, line {self.line}"

    @property
    def is_run(self) -> bool:
        """Whether the block is run."""
        return self.language != "text" and not self.options.keys() & {"copy of", "not run", "file"}


@dataclass
class Section:
    """The content of one heading, up to the next heading of any level. Its blocks run in order."""

    document: str
    heading: str
    blocks: list[Block] = field(default_factory=list)

    @property
    def options(self) -> set[str]:
        """The options of its blocks that apply to the whole section."""
        return {name for block in self.blocks for name in block.options if name in SECTION_OPTIONS}

    @property
    def account(self) -> str | None:
        """The account that its blocks name."""
        return next((block.options["account"] for block in self.blocks if "account" in block.options), None)

    @property
    def installs(self) -> bool:
        """Whether running it installs or compiles a package."""
        return "pip" in self.options or any(block.is_run and block.language in INSTALLS for block in self.blocks)

    def __str__(self) -> str:
        return f"{self.document}: {self.heading}"


def documents() -> list[Path]:
    """All Markdown files of the project."""
    return [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def sections() -> Iterator[Section]:
    """All sections with blocks, without translations. A page with `one run` is one section."""
    for path in documents():
        if path.name in TRANSLATED:
            continue
        found = sections_of(path)
        if ONE_RUN in path.read_text(encoding="utf-8").splitlines():
            blocks = [block for section in found for block in section.blocks]
            found = [Section(found[0].document, "(all of it)", blocks)]
        yield from (section for section in found if section.blocks)


def sections_of(path: Path) -> list[Section]:
    """The sections of one document, in order."""
    name = path.relative_to(ROOT).as_posix()
    found = [Section(name, "(top)")]
    fence: str | None = None
    language, start, options = "", 0, dict[str, str]()
    inside: list[str] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if fence is not None:
            if line == fence:
                text = "".join(f"{each}\n" for each in inside)
                found[-1].blocks.append(Block(name, start, language, text, options))
                fence, inside, options = None, [], {}
            else:
                inside.append(line)
        elif opened := _FENCE.match(line):
            fence, language, start = opened[1], opened[2], number
        elif heading := _HEADING.match(line):
            found.append(Section(name, heading[2]))
        elif comment := _COMMENT.match(line):
            options = _options(comment[1])
        elif line.strip():
            options = {}
    assert fence is None, f"{name}: the block of line {start} is not closed"
    return found


def headings(path: Path) -> list[str]:
    """The texts of all headings of a document."""
    return [section.heading for section in sections_of(path)[1:]]


def anchor(heading: str) -> str:
    """The anchor of a heading, the same on GitHub and on the site."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def prose(path: Path) -> str:
    """A document without its blocks."""
    return re.sub(
        r"^(`{3,})\w* *\n.*?^\1 *$", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
    )


def _options(comment: str) -> dict[str, str]:
    if comment.startswith("not run:"):
        return {"not run": comment.partition(":")[2].strip()}
    parts = (part.partition(":") for part in comment.split(","))
    return {name.strip(): value.strip() for name, _, value in parts}
