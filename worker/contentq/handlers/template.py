"""The `template` handler: a readable draft in Markdown from a Jinja2 template, without network.

It serves to try everything out, and to fall back on. A template folder of the user's comes before the one
that ships; the template is, in this order, `<category>.md.j2`, `draft.zh.md.j2` when the topic is Chinese,
or `draft.md.j2`. The first line of what it renders, a Markdown heading, becomes the title.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2

from contentq.content import GeneratedContent
from contentq.errors import HandlerUnusable, PermanentError
from contentq.queue.task import Task

_CHINESE = re.compile(r"[\u4e00-\u9fff]")
_JAPANESE_OR_KOREAN = re.compile(r"[\u3040-\u30ff\uac00-\ud7af]")
_FULL_STOP = re.compile(r"(?<![.…])(?<!\.\w)[.。]$")  # but not that of "…" or "U.S."
_BULLET = re.compile(r"^(?:[-*](?:\s|$)|[•·]|\d+(?:[.)]\s|、))\s*")
_MARKUP = re.compile(r"[\\`*<\[~]|(?<!\w)_|_(?!\w)|&(?=#?\w+;)|(?<!\S)#")
_ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])")


class TemplateHandler:
    """Renders the template that fits a task. folder: one whose templates come before those that ship."""

    def __init__(self, folder: Path | None = None) -> None:
        if folder is not None and not folder.is_dir():
            raise HandlerUnusable(f"the template folder {str(folder)!r} is not a folder")
        loaders: list[jinja2.BaseLoader] = [jinja2.PackageLoader("contentq.handlers", "templates")]
        if folder is not None:
            loaders.insert(0, jinja2.FileSystemLoader(folder))
        self._templates = jinja2.Environment(
            loader=jinja2.ChoiceLoader(loaders),
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            autoescape=False,
            auto_reload=folder is not None,
        )
        self._templates.filters["plain"] = plain

    def __call__(self, task: Task, context: Any) -> GeneratedContent:
        """Renders the draft. Raises PermanentError, naming template and line, when the template is at fault."""
        try:
            template = self._templates.select_template(_names(task))
            text = template.render(
                task=task,
                topic=_topic(task),
                keywords=task.keyword_list,
                category=task.category,
                requirements=_sentences(task.requirements),
                tone=(task.tone or "neutral").strip().lower(),
                pick=_Picker(task),
            )
        except Exception as error:
            if isinstance(error, OSError) and not isinstance(error, jinja2.TemplateError):
                raise  # the folder may be back soon
            place = _place(error) or " or ".join(_names(task))
            raise PermanentError(f"template {place}: {_said(error)}") from error
        body = re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"
        return GeneratedContent(title=_title(body), body=body, result={"handler": "template"})


def template_handler(folder: Path | None = None) -> Callable[[Task, Any], Any]:
    """The handler, which runs in threads, since a template of the user's may take its time and block others.

    Without a folder it is async: the templates that ship take a tenth of a millisecond, less than a change of
    threads.
    """
    handler = TemplateHandler(folder)

    async def template(task: Task, context: Any) -> GeneratedContent:
        return handler(task, context)

    return handler if folder is not None else template


def plain(text: str) -> str:
    """A text as Markdown that shows it as it is: `List<String>` is no HTML and `a * b * c` no emphasis."""
    return _MARKUP.sub(r"\\\g<0>", text)


class _Picker:
    """Picks one of several phrasings, always the same for the same task, so that drafts are not all alike."""

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
    category = re.sub(r"[^\w-]+", "-", task.category or "").strip("-").lower()
    if category:
        names.insert(0, f"{category}.md.j2")
    return names


def _topic(task: Task) -> str:
    """The topic in one line, without the full stop that a heading does not have."""
    return _FULL_STOP.sub("", " ".join((task.topic or "").split())).rstrip(" ,;:，；：、") or "Untitled"


def _sentences(text: str | None) -> list[str]:
    """Requirements as a list: one a line or separated by semicolons, without bullets and numbers of their own."""
    parts = (_BULLET.sub("", part.strip()) for part in re.split(r"[\n;；]+", text or ""))
    return [part for part in parts if part]


def _title(body: str) -> str:
    """The first line as text: without the marks of a heading and of plain()."""
    return _ESCAPED.sub(r"\1", re.sub(r"^#+\s*", "", body.partition("\n")[0]).strip()) or "Untitled"


def _said(error: Exception) -> str:
    if isinstance(error, jinja2.TemplateSyntaxError | jinja2.UndefinedError):
        return error.message or "it is broken"
    return f"{type(error).__name__}: {error}"


def _place(error: Exception) -> str:
    """The name and line of the template in which an error arose; empty when it arose in none."""
    if isinstance(error, jinja2.TemplateSyntaxError):
        return f"{error.name or error.filename}, line {error.lineno}"
    trace, place = error.__traceback__, ""
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if name.endswith(".j2"):
            place = f"{Path(name).name}, line {trace.tb_lineno}"
        trace = trace.tb_next
    return place
