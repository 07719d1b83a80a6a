"""JSON that has been read from the database, and cannot be changed in place.

SQLAlchemy sees that a value is replaced, not that something inside it has changed: `task.result["b"] = 2` would be
lost without a word. So it is refused, with a sentence. For everything else these are a dict and a list: json,
Pydantic and isinstance take them as such. A copy of any kind (copy.deepcopy, pickle) is an ordinary dict or list.
"""

from __future__ import annotations

import copy
from typing import Any, NoReturn


def _refuse(*_values: Any, **_named: Any) -> NoReturn:
    raise TypeError(
        "JSON of a task cannot be changed in place, since the change would not be stored; assign a new value, "
        "such as task.result = {**task.result, 'reviewed': True}, or a changed copy.deepcopy(task.result)"
    )


class FrozenDict(dict[str, Any]):
    """A JSON object that refuses to be changed."""

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __copy__(self) -> dict[str, Any]:
        """The same, as an ordinary dict."""
        return dict(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[str, Any]:
        """The same, as an ordinary dict of ordinary values."""
        return {key: copy.deepcopy(value, memo) for key, value in self.items()}

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)


class FrozenList(list[Any]):
    """A JSON array that refuses to be changed."""

    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse
    append = clear = extend = insert = pop = remove = reverse = sort = _refuse

    def __copy__(self) -> list[Any]:
        """The same, as an ordinary list."""
        return list(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> list[Any]:
        """The same, as an ordinary list of ordinary values."""
        return [copy.deepcopy(value, memo) for value in self]

    def __reduce__(self) -> tuple[Any, ...]:
        return list, (list(self),)


def frozen(value: Any) -> Any:
    """The value, with each dict and list in it replaced by one that cannot be changed."""
    if isinstance(value, dict):
        return FrozenDict({key: frozen(item) for key, item in value.items()})
    if isinstance(value, (list, tuple)):
        return FrozenList(frozen(item) for item in value)
    return value
