"""The pages, one module each, with its routes."""

from __future__ import annotations

from contentq.web.pages import (
    accounts,
    batches,
    doctor,
    errors,
    gates,
    login,
    overview,
    review,
    task,
    tasks,
    workers,
)

MODULES = (overview, tasks, review, errors, batches, accounts, gates, workers, doctor)
"""The pages in the navigation, in order: each has a PATH, a NAME and ROUTES."""

NAVIGATION = [(module.PATH, module.NAME) for module in MODULES]

ROUTES = [route for module in (*MODULES, task, login) for route in module.ROUTES]
