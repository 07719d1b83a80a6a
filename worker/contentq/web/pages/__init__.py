"""The pages: one module each, with its routes."""

from __future__ import annotations

from contentq.web.pages import accounts, gates, login, overview, workers

MODULES = (overview, accounts, gates, workers)
"""Those of the navigation, in its order: each has a PATH, a NAME and ROUTES."""

NAVIGATION = [(module.PATH, module.NAME) for module in MODULES]

ROUTES = [route for module in (*MODULES, login) for route in module.ROUTES]
