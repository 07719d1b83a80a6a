"""Column types beyond SQLAlchemy's own."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime, Dialect, Numeric, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeDecorator, TypeEngine

from contentq.models.frozen import frozen

NOW = text("CURRENT_TIMESTAMP")
WHEN = DateTime(timezone=True)


class Key(BigInteger):
    """A key of 4 bytes, as contentq creates it, or of 8 bytes in a host's table.

    CREATE TABLE uses INTEGER. Values are sent as bigint, for which PostgreSQL can use an index of either type;
    `$1::integer`, which SQLAlchemy writes for an Integer, would fail for larger keys.
    """

    __visit_name__ = "integer"


class Real(Numeric[float]):
    """A 4-byte float that form libraries see as a Numeric, which SQLAlchemy's REAL is no longer since 2.1."""

    __visit_name__ = "REAL"

    def __init__(self) -> None:
        super().__init__(asdecimal=False)


class FrozenJson(TypeDecorator[Any]):
    """JSON whose values cannot be changed in place; None is NULL."""

    impl = JSON(none_as_null=True)
    cache_ok = True

    def coerce_compared_value(self, op: Any, value: Any) -> TypeEngine[Any]:
        """Returns the type for comparisons: JSON has separate types for keys of paths."""
        return self.impl_instance.coerce_compared_value(op, value)

    def process_result_value(self, value: Any, _dialect: Dialect) -> Any:
        """Freezes a value that was read."""
        return frozen(value)


class FrozenJsonb(FrozenJson):
    """The same in a column of type jsonb."""

    impl = JSONB(none_as_null=True)
    cache_ok = True
