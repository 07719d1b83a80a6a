"""Renders the prompt: a Jinja2 template with the system text and the user's message.

The template is `<category>.prompt.j2` or `prompt.j2`, from the user's folder or, if missing there, from the
package. Its block `system` becomes the system message, its block `user` the user's message. A template without
these blocks is the whole user's message. A template that extends `prompt.j2` needs only the block that it changes.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from jinja2 import Environment

from contentq.errors import PermanentError
from contentq.handlers import jinja_templates
from contentq.handlers.categories import slug
from contentq.handlers.jinja_checks import check_syntax
from contentq.handlers.openai.blocks import check_blocks
from contentq.task import Task

ROLES = ("system", "user")

Message = dict[str, str]


class Prompt:
    """Renders the template that matches a task.

    folder: its templates take precedence over those of the package. Raises HandlerUnusable if it is not a folder,
    or if a template has a syntax error or a block that is never rendered.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._templates: Environment = jinja_templates.environment(folder)
        self._is_the_users = folder is not None
        if folder is not None:
            names = sorted(each.name for each in folder.glob("*.j2") if f".{each.name}".endswith(".prompt.j2"))
            check_syntax(self._templates, names)
            for name in names:
                check_blocks(self._templates, name, ROLES)

    async def messages(self, task: Task, context: Any) -> list[Message]:
        """The messages of a task. Raises PermanentError, naming template and line, for an error in the template.

        Renders a user's template in a thread, because it may take long and delay other tasks.
        """
        if self._is_the_users:
            return await asyncio.to_thread(self.render, task, context)
        return self.render(task, context)

    def render(self, task: Task, context: Any) -> list[Message]:
        """As messages()."""
        names = _names(task)
        with jinja_templates.name_faults(names):
            template = self._templates.select_template(names)
            values = template.new_context(_values(task, context))
            try:
                whole = "".join(template.root_render_func(values))
                # By now the blocks of its parent templates are known as well; the first of each name counts.
                blocks = {role: "".join(values.blocks[role][0](values)) for role in ROLES if role in values.blocks}
            except Exception:
                self._templates.handle_exception()  # raises the error with the lines of the templates
        if not blocks:
            blocks = {"user": whole}
        messages = [{"role": role, "content": text.strip()} for role, text in blocks.items() if text.strip()]
        if not messages or messages[-1]["role"] != "user":
            raise PermanentError(f"template {template.name}: it has no prompt; write a block named user")
        return messages


def _values(task: Task, context: Any) -> dict[str, Any]:
    """The variables of a template; missing values of a task are an empty text."""
    return {
        "task": task,
        "topic": " ".join((task.topic or "").split()),
        "keywords": task.keyword_list,
        "category": (task.category or "").strip(),
        "requirements": (task.requirements or "").strip(),
        "tone": (task.tone or "").strip(),
        "account_id": task.account_id,
        "previous_error": context.previous_error,
        "previous_content": context.previous_content,
        "revision_note": (task.revision_note or "").strip(),
    }


def _names(task: Task) -> list[str]:
    category = slug(task.category)
    return [f"{category}.prompt.j2", "prompt.j2"] if category else ["prompt.j2"]
