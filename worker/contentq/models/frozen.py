"""JSON read from the database, which cannot be changed in place.

SQLAlchemy detects a new value, but not a change inside a value: `task.result["b"] = 2` would be lost without an
error. Therefore such changes raise an error. In all other respects these are a dict and a list, for json, Pydantic
and isinstance alike. Copies (copy.deepcopy, pickle) are ordinary dicts and lists.
"""

from __future__ import annotations

import copy
from typing import Any, NoReturn


def _refuse(*_values: Any, **_named: Any) -> NoReturn:
    raise TypeError(
        "JSON of a task cannot be changed in place, because the change would not be stored; assign a new value, "
        "such as task.result = {**task.result, 'reviewed': True}, or a changed copy.deepcopy(task.result)"
    )


class FrozenDict(dict[str, Any]):
    """A JSON object that cannot be changed."""

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __copy__(self) -> dict[str, Any]:
        """Returns an ordinary dict."""
        return dict(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[str, Any]:
        """Returns an ordinary dict of ordinary values."""
        return {key: copy.deepcopy(value, memo) for key, value in self.items()}

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)


class FrozenList(list[Any]):
    """A JSON array that cannot be changed."""

    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse
    append = clear = extend = insert = pop = remove = reverse = sort = _refuse

    def __copy__(self) -> list[Any]:
        """Returns an ordinary list."""
        return list(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> list[Any]:
        """Returns an ordinary list of ordinary values."""
        return [copy.deepcopy(value, memo) for value in self]

    def __reduce__(self) -> tuple[Any, ...]:
        return list, (list(self),)


def frozen(value: Any) -> Any:
    """Returns the value with each dict and list in it replaced by one that cannot be changed."""
    if isinstance(value, dict):
        return FrozenDict({key: frozen(item) for key, item in value.items()})
    if isinstance(value, (list, tuple)):
        return FrozenList(frozen(item) for item in value)
    return value
