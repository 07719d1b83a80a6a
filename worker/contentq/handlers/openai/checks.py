"""The settings [checks] of the handler `openai`, and the checks of its drafts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from contentq.checks.check import Check
from contentq.checks.fences import without_fence
from contentq.checks.likeness import EXTENSION, MaxLikeness
from contentq.checks.running import check
from contentq.checks.settings import make_checks
from contentq.content import GeneratedContent
from contentq.errors import HandlerUnusable
from contentq.handlers.categories import slug
from contentq.handlers.openai.lines import line_of

_Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
_Texts = list[_Text]
_Number = Annotated[int, Field(ge=0, le=10_000_000)]

OnFailedChecks = Literal["fail", "review"]
"""What happens to the last draft when its checks fail."""

Revisions = Annotated[int, Field(ge=0, le=1000)]


class ChecksSettings(BaseModel):
    """The requirements for a draft; a check that is not set does not run.

    The attributes are the keys of the file.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    min_words: _Number | None = None
    max_words: _Number | None = None
    language: _Text | None = None
    headings: _Texts | None = None
    forbidden_words: _Texts | None = None
    links: _Texts | None = None
    no_leftovers: bool | None = None
    json_schema: _Text | None = None
    """The path of a file, relative to the folder of the settings."""

    max_likeness: Annotated[float, Field(ge=0, le=1)] | None = None
    likeness_last: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Number of contents of the account to compare with; 50 by default."""

    function: _Text | None = None
    """module:function of your own."""


class DraftChecks:
    """The checks of drafts, by category. Raises HandlerUnusable for a bad setting, naming file and key.

    everywhere: the checks of all categories. own: by category; each key replaces that of all categories. file: the
    file of the settings.
    """

    def __init__(
        self, everywhere: ChecksSettings, own: Mapping[str, ChecksSettings | None], file: Path | None
    ) -> None:
        base = _as_dict(everywhere)
        self._everywhere = _made(base, ["checks"], file)
        self._by_category = {
            category: _made({**base, **_as_dict(settings)}, ["categories", category, "checks"], file)
            for category, settings in own.items()
            if settings is not None
        }

    @property
    def extensions(self) -> tuple[str, ...]:
        """The extensions of PostgreSQL that the checks need."""
        every = [*self._everywhere, *(each for checks in self._by_category.values() for each in checks)]
        return (EXTENSION,) if any(isinstance(each, MaxLikeness) for each in every) else ()

    def names(self) -> list[str]:
        """The names of the checks that run in every category without its own settings."""
        return [each.name for each in self._everywhere]

    def body_of(self, body: str, category: str | None) -> str:
        """A draft as it is checked and stored: a JSON draft loses the fence around it."""
        return without_fence(body) if any(each.name == "json_schema" for each in self._of(category)) else body

    async def check(
        self,
        draft: GeneratedContent,
        context: Any,
        prompt: str,
        max_revisions: int,
        on_failed_checks: OnFailedChecks,
    ) -> GeneratedContent:
        """Returns a draft that has passed its checks. Raises CheckFailed."""
        checks = self._of(context.task.category)
        if not checks:
            return draft
        return await check(
            draft,
            checks,
            context,
            prompt=prompt,
            max_revisions=max_revisions,
            keep_for_review=on_failed_checks == "review",
        )

    def _of(self, category: str | None) -> list[Check]:
        return self._by_category.get(slug(category), self._everywhere)


def _as_dict(settings: ChecksSettings) -> dict[str, Any]:
    return settings.model_dump(exclude_none=True)


def _made(settings: dict[str, Any], table: list[str], file: Path | None) -> list[Check]:
    try:
        return make_checks(settings, Path() if file is None else file.parent)
    except HandlerUnusable as error:
        key, _, why = str(error).partition(": ")
        line = None if file is None else line_of(file.read_text(encoding="utf-8"), [*table, key])
        where = "" if line is None else f", line {line}"
        raise HandlerUnusable(f"the settings {str(file)!r}{where}: {'.'.join([*table, key])}: {why}") from None
