"""Checks of a handler's draft before it is accepted: see docs/how-to/check-articles.md.

    from contentq.checks import Headings, MinWords, check

    async def write(task, context):
        draft = ...
        return await check(draft, [MinWords(300), Headings(["Sources"])], context)

JsonSchema is in contentq.checks.json_schema, because it needs the package `jsonschema`.
"""

from contentq.checks.check import Check, Checked, NotChecked, Subject
from contentq.checks.forbidden import ForbiddenWords
from contentq.checks.function import Function
from contentq.checks.headings import Headings
from contentq.checks.language import Language
from contentq.checks.leftovers import NoLeftovers
from contentq.checks.likeness import MaxLikeness
from contentq.checks.links import Links
from contentq.checks.running import check, check_in_thread, run_checks
from contentq.checks.words import MaxWords, MinWords

__all__ = [
    "Check",
    "Checked",
    "ForbiddenWords",
    "Function",
    "Headings",
    "Language",
    "Links",
    "MaxLikeness",
    "MaxWords",
    "MinWords",
    "NoLeftovers",
    "NotChecked",
    "Subject",
    "check",
    "check_in_thread",
    "run_checks",
]
