"""docs/reference/metrics.md: the metrics as worker/contentq/metrics/families.py declares them."""

from __future__ import annotations

from collections.abc import Iterable

from contentq.metrics.families import Family

from tests.reference.page import code, prose, table


def families(declared: Iterable[Family]) -> str:
    """A row for each metric."""
    return table(
        ["metric", "kind", "labels", "what it is"],
        [
            [
                code(family.name),
                family.kind,
                ", ".join(code(label) for label in family.labels),
                prose(family.help + " With --by-account only." * family.on_demand),
            ]
            for family in declared
        ],
    )
