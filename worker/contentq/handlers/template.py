"""The `template` handler: renders a readable draft in Markdown from a Jinja2 template, without network.

Use it to try contentq out, and as a fallback. Templates in the user's folder take precedence over those of the
package. The template is, in this order, `<category>.md.j2`, `draft.zh.md.j2` if the topic is Chinese, or
`draft.md.j2`. The first heading of the rendered text becomes the title.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from contentq.content import GeneratedContent
from contentq.handlers import jinja_templates
from contentq.handlers.categories import slug
from contentq.handlers.jinja_checks import check_syntax
from contentq.task import Task
from contentq.titles import UNTITLED, title_of

_CHINESE = re.compile(r"[\u4e00-\u9fff]")
_JAPANESE_OR_KOREAN = re.compile(r"[\u3040-\u30ff\uac00-\ud7af]")
_FULL_STOP = re.compile(r"(?<![.…])(?<!\.\w)[.。]$")  # but not the one of "…" or "U.S."
_BULLET = re.compile(r"^(?:[-*](?:\s|$)|[•·]|\d+(?:[.)]\s|、))\s*")
_MARKUP = re.compile(r"[\\`*<\[~]|(?<!\w)_|_(?!\w)|&(?=#?\w+;)|(?<!\S)#")


LARGE = 5_000
"""Length of requirements, in characters, from which a draft is rendered in a thread to not delay other tasks."""


class TemplateHandler:
    """Renders the template that matches a task.

    folder: its templates take precedence over those of the package. Raises HandlerUnusable if it is not a folder,
    or one of its templates has a syntax error.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._templates = jinja_templates.environment(folder)
        self._templates.filters["plain"] = plain
        if folder is not None:
            check_syntax(self._templates, (each.name for each in folder.glob("*.md.j2")))

    def __call__(self, task: Task, _context: Any) -> GeneratedContent:
        """Renders the draft. Raises PermanentError with template and line for an error in the template."""
        names = _names(task)
        with jinja_templates.name_faults(names):
            text = self._templates.select_template(names).render(
                task=task,
                topic=_topic(task),
                keywords=task.keyword_list,
                category=task.category,
                requirements=_sentences(task.requirements),
                tone=(task.tone or "neutral").strip().lower(),
                pick=_Picker(task),
            )
        body = re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"
        return GeneratedContent(title=title_of(body, _topic(task)), body=body, result={"handler": "template"})


def template_handler(templates: Path | None = None) -> Callable[[Task, Any], Any]:
    """The handler. It runs in threads, because a user's template may take long and delay other tasks.

    Without a folder it is async: the templates of the package take a tenth of a millisecond, less than a switch of
    threads, unless the requirements are long.
    """
    handler = TemplateHandler(templates)

    async def template(task: Task, context: Any) -> GeneratedContent:
        if len(task.requirements or "") > LARGE:
            return await asyncio.to_thread(handler, task, context)
        return handler(task, context)

    return handler if templates is not None else template


def plain(text: str) -> str:
    """The text escaped for Markdown: `List<String>` is not HTML, and `a * b * c` is not emphasis."""
    return _MARKUP.sub(r"\\\g<0>", text)


class _Picker:
    """Picks one of several phrasings, always the same for the same task, so that drafts vary."""

    def __init__(self, task: Task) -> None:
        self._seed = f"{task.topic}|{task.tone}"

    def __call__(self, *phrasings: str) -> str:
        digest = hashlib.sha256(f"{self._seed}|{phrasings[0]}".encode("utf-8", "replace")).digest()
        return phrasings[digest[0] % len(phrasings)]


def _names(task: Task) -> list[str]:
    names = ["draft.md.j2"]
    topic = task.topic or ""
    if _CHINESE.search(topic) and not _JAPANESE_OR_KOREAN.search(topic):
        names.insert(0, "draft.zh.md.j2")
    if category := slug(task.category):
        names.insert(0, f"{category}.md.j2")
    return names


def _topic(task: Task) -> str:
    """The topic on one line, without the full stop at the end."""
    return _FULL_STOP.sub("", " ".join((task.topic or "").split())).rstrip(" ,;:，；：、") or UNTITLED


def _sentences(text: str | None) -> list[str]:
    """Requirements as a list: one per line, or separated by semicolons, without their own bullets and numbers."""
    parts = (_BULLET.sub("", part.strip()) for part in re.split(r"[\n;；]+", text or ""))
    return [part for part in parts if part]
