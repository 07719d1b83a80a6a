"""Finds blocks of prompt templates that are never rendered.

Most are misspelled, and the task would pay for a default prompt.
"""

from __future__ import annotations

from collections.abc import Sequence

import jinja2
from jinja2 import nodes

from contentq.handlers.jinja_checks import at_fault, file_of, tree_of


def check_blocks(templates: jinja2.Environment, name: str, roles: Sequence[str]) -> None:
    """Raises HandlerUnusable if a block of this template is never rendered.

    The error names it and the blocks that are rendered. roles: the blocks that become messages. If the template
    has any of them, only these and their contents are rendered. Otherwise the base template, at the end of the
    chain of `extends`, is rendered as a whole.
    """
    chain = _chain(templates, name)
    if chain is None:
        return
    defined: dict[str, list[nodes.Block]] = {}
    for tree in chain:
        for block in tree.find_all(nodes.Block):
            defined.setdefault(block.name, []).append(block)
    waiting = [role for role in roles if role in defined] or sorted(_named_in(chain[-1]))
    known = {role for role in roles if role in waiting}
    while waiting:
        reached = waiting.pop()
        known.add(reached)
        # All definitions, because one may include the definition that it replaces, with super().
        within = {each for block in defined.get(reached, ()) for each in _named_in(block)}
        waiting += within - known
    for block in chain[0].find_all(nodes.Block):
        if block.name not in known:
            others = [*(role for role in roles if role in known), *sorted(known.difference(roles))]
            why = f"there is no block {block.name!r} to replace; there are: {', '.join(others) or 'none'}"
            raise at_fault(file_of(templates, name), block.lineno, why)


def _chain(templates: jinja2.Environment, name: str) -> list[nodes.Template] | None:
    """A template and all that it extends, the base last; None if the chain is only known during rendering.

    Raises HandlerUnusable if a template extends itself.
    """
    chain: list[nodes.Template] = []
    names = [name]
    while True:
        try:
            tree = tree_of(templates, names[-1])
        except jinja2.TemplateNotFound:
            return None
        chain.append(tree)
        extended = list(tree.find_all(nodes.Extends))
        if not extended:
            return chain
        parent = extended[0].template
        if len(extended) > 1 or extended[0] not in tree.body or not isinstance(parent, nodes.Const):
            return None
        if parent.value in names:
            why = (
                f"it extends {parent.value!r}, and so itself; one that extends prompt.j2 is named after a category"
            )
            raise at_fault(file_of(templates, names[-1]), extended[0].lineno, why)
        names.append(parent.value)


def _named_in(part: nodes.Node) -> set[str]:
    """The blocks rendered with this part of a template: those inside it, and those it refers to as self.x()."""
    within = {block.name for block in part.find_all(nodes.Block)}
    of_names = (each for each in part.find_all(nodes.Getattr) if isinstance(each.node, nodes.Name))
    return within | {each.attr for each in of_names if getattr(each.node, "name", "") == "self"}
