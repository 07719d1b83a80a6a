"""Loads Jinja2 templates, from the user's folder first, then from the package; errors name the template."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import jinja2

from contentq.errors import HandlerUnusable, PermanentError


def environment(folder: Path | None = None) -> jinja2.Environment:
    """Templates of the package; those of the folder take precedence.

    Raises HandlerUnusable if it is not a folder.
    """
    if folder is not None and not folder.is_dir():
        raise HandlerUnusable(f"the template folder {str(folder)!r} is not a folder")
    loaders: list[jinja2.BaseLoader] = [jinja2.PackageLoader("contentq.handlers", "templates")]
    if folder is not None:
        loaders.insert(0, jinja2.FileSystemLoader(folder))
    return jinja2.Environment(
        loader=jinja2.ChoiceLoader(loaders),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,
        auto_reload=folder is not None,
    )


@contextmanager
def name_faults(names: Sequence[str]) -> Iterator[None]:
    """Converts an error in one of these templates to a PermanentError that names the file and the line.

    Does not convert an OSError, because the folder may be available again soon.
    """
    try:
        yield
    except PermanentError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and not isinstance(error, jinja2.TemplateError):
            raise
        place = _place(error) or " or ".join(names)
        raise PermanentError(f"template {place}: {_describe(error)}") from error


def _describe(error: Exception) -> str:
    if isinstance(error, jinja2.TemplateSyntaxError | jinja2.UndefinedError):
        return error.message or "it is broken"
    return f"{type(error).__name__}: {error}"


def _place(error: Exception) -> str:
    """The name and line of the template that raised an error; empty if it arose elsewhere."""
    if isinstance(error, jinja2.TemplateSyntaxError):
        return f"{error.name or error.filename}, line {error.lineno}"
    trace, place = error.__traceback__, ""
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if name.endswith(".j2"):
            place = f"{Path(name).name}, line {trace.tb_lineno}"
        trace = trace.tb_next
    return place
