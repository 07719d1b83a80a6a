"""Features shared by the model classes: their repr, and how they find each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Literal, TypeAlias

from sqlalchemy import Table
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import Mapper, class_mapper

Role: TypeAlias = Literal["account", "content", "task"]


class Row:
    """The base of the mixins."""

    _role: ClassVar[Role]
    _shown: ClassVar[tuple[str, ...]]

    def __repr__(self) -> str:
        # Loads nothing, so that it also works for expired and detached objects.
        values = (f" {name}={self.__dict__[name]!r}" for name in self._shown if name in self.__dict__)
        return f"<{type(self).__name__}{''.join(values)}>"


def related_class(cls: Any, role: Role) -> Callable[[], Any]:
    """Returns a function that finds the class of another table on the same Base and in the same schema."""

    def find() -> Any:
        here = class_mapper(cls, configure=False)
        found = [
            mapper.class_
            for mapper in here.registry.mappers
            if issubclass(mapper.class_, Row)
            and mapper.class_._role == role
            and mapper.inherits is None
            and _schema_of(mapper) == _schema_of(here)
        ]
        if len(found) == 1:
            return found[0]
        raise InvalidRequestError(
            f"{cls.__name__} needs exactly one class with {role.capitalize()}Mixin on the same Base and in the "
            f"same schema; found {len(found)}"
        )

    return find


def _schema_of(mapper: Mapper[Any]) -> str | None:
    table = mapper.local_table
    return table.schema if isinstance(table, Table) else None
