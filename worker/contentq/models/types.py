"""The types of columns that need more than SQLAlchemy's own."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime, Dialect, Numeric, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeDecorator, TypeEngine

from contentq.models.frozen import frozen

NOW = text("CURRENT_TIMESTAMP")
WHEN = DateTime(timezone=True)


class Key(BigInteger):
    """A key of 4 bytes, as contentq makes it, that may have 8 in a host's table.

    It is INTEGER in CREATE TABLE, and its values are sent as bigint, which PostgreSQL looks up in the index of
    either: `$1::integer`, which SQLAlchemy writes for an Integer, would refuse those of a larger key.
    """

    __visit_name__ = "integer"


class Real(Numeric[float]):
    """A float of 4 bytes that is a Numeric to programs that make forms; SQLAlchemy's REAL is none since 2.1."""

    __visit_name__ = "REAL"

    def __init__(self) -> None:
        super().__init__(asdecimal=False)


class FrozenJson(TypeDecorator[Any]):
    """JSON whose values cannot be changed in place; None is NULL."""

    impl = JSON(none_as_null=True)
    cache_ok = True

    def coerce_compared_value(self, op: Any, value: Any) -> TypeEngine[Any]:
        """What a value is compared as: JSON has a type of its own for the keys of paths."""
        return self.impl_instance.coerce_compared_value(op, value)

    def process_result_value(self, value: Any, _dialect: Dialect) -> Any:
        """What is read."""
        return frozen(value)


class FrozenJsonb(FrozenJson):
    """The same in a column of type jsonb."""

    impl = JSONB(none_as_null=True)
    cache_ok = True
