"""Checks that Jinja2 templates can be read and parsed, before they are rendered."""

from __future__ import annotations

from collections.abc import Iterable

import jinja2
from jinja2 import meta, nodes

from contentq.errors import HandlerUnusable


def check_syntax(templates: jinja2.Environment, names: Iterable[str]) -> None:
    """Reads these templates and those that they refer to. Raises HandlerUnusable with file and line.

    A missing template is not an error here: only rendering shows whether it is needed.
    """
    seen: set[str] = set()
    waiting = sorted(names, reverse=True)
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        try:
            templates.get_template(name)
            waiting += [named for named in meta.find_referenced_templates(tree_of(templates, name)) if named]
        except jinja2.TemplateNotFound:
            continue
        except jinja2.TemplateSyntaxError as error:
            raise at_fault(error.filename or name, error.lineno, error.message or "it is broken") from None
        except UnicodeDecodeError:
            raise HandlerUnusable(f"the template {name!r} is not UTF-8") from None
        except OSError as error:
            raise HandlerUnusable(f"the template {name!r} cannot be read: {error.strerror or error}") from None


def tree_of(templates: jinja2.Environment, name: str) -> nodes.Template:
    """Parses a template. Raises TemplateNotFound, TemplateSyntaxError."""
    assert templates.loader is not None
    source, file, _ = templates.loader.get_source(templates, name)
    return templates.parse(source, name, file)


def file_of(templates: jinja2.Environment, name: str) -> str:
    """The path of a template, for messages. Raises TemplateNotFound."""
    assert templates.loader is not None
    return templates.loader.get_source(templates, name)[1] or name


def at_fault(file: str, line: int, why: str) -> HandlerUnusable:
    """The error for a template."""
    return HandlerUnusable(f"the template {file!r}, line {line}: {why}")
