"""Locates alembic/ and sql/: inside the installed package, or next to worker/ in a checkout."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent


def _folder(name: str) -> Path:
    installed = _PACKAGE / name
    return installed if installed.is_dir() else _PACKAGE.parent.parent / name


ALEMBIC = _folder("alembic")
"""The folder with env.py and versions/."""

SQL = _folder("sql")
"""The folder with migrations/, functions/, views/ and inspect/."""
