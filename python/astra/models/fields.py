"""Columns that say what they hold.

Every field takes its help text from the glossary unless it has its own; the unit stands in
brackets at its end. Column names are lower case, so that SQL needs no quotes in PostgreSQL; the
attribute keeps its spelling.
"""

import enum
import functools
import math
import numbers
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

import peewee

from astra.database.connection import now_sql
from astra.models.glossary import Glossary

_UNIT = re.compile(r"\[([^\[\]]+)\]$")


class Kind(enum.Enum):
    """The values of a column, as Arrow calls them; every format and database has its own type for each."""

    LONG = "int64"
    INT = "int32"
    DOUBLE = "float64"
    LOGICAL = "bool"
    TEXT = "string"
    TIME = "timestamp[us]"  # in UTC


# By the type of a field, as peewee calls it.
_KINDS = {
    "BOOL": Kind.LOGICAL,
    "DATETIME": Kind.TIME,
    **dict.fromkeys(("FLOAT", "DOUBLE"), Kind.DOUBLE),
    **dict.fromkeys(("CHAR", "VARCHAR", "TEXT"), Kind.TEXT),
    **dict.fromkeys(("BIGAUTO", "BIGINT"), Kind.LONG),
    **dict.fromkeys(("AUTO", "INT", "SMALLINT"), Kind.INT),
}


def kind_of(field: peewee.Field) -> Kind | None:
    """The kind of the values of a column; ``None`` for those that are no single value, as JSON and bytes."""
    return _KINDS.get(field.field_type)


class _Described:
    """What every column of the package has in common: a wording, a unit, a lower-case name."""

    help_text: str | None

    def bind(self, model: type[peewee.Model], name: str, set_attribute: bool = True) -> None:
        self.help_text = self.help_text or getattr(Glossary, name, None)
        self.column_name = self.column_name or name.lower()
        super().bind(model, name, set_attribute)

    @property
    def unit(self) -> str | None:
        """The unit at the end of the help text, e.g. ``"pc"``; ``None`` where there is none."""
        found = _UNIT.search(self.help_text or "")
        return found.group(1) if found else None


class AutoField(_Described, peewee.BigAutoField):
    """A primary key of 8 bytes: reruns of a survey use up more than 4 hold."""


class ForeignKeyField(_Described, peewee.ForeignKeyField):
    """A reference to a row of another table."""


class TextField(_Described, peewee.TextField):
    """Text of any length."""


class IntegerField(_Described, peewee.IntegerField):
    """An integer of 4 bytes."""


class SmallIntegerField(_Described, peewee.SmallIntegerField):
    """An integer of 2 bytes."""


class BigIntegerField(_Described, peewee.BigIntegerField):
    """An integer of 8 bytes."""


class BooleanField(_Described, peewee.BooleanField):
    """True or false."""


class DateTimeField(_Described, peewee.DateTimeField):
    """A moment in UTC, written with microseconds, so that SQLite's text sorts as time does."""

    def db_value(self, value: Any) -> Any:
        value = super().db_value(value)
        is_moment = isinstance(value, datetime)
        return value.isoformat(sep=" ", timespec="microseconds") if is_moment else value


class StampField(DateTimeField):
    """A moment that the database fills in by its own clock, in a row that is inserted without one."""

    def ddl(self, ctx: peewee.Context) -> peewee.NodeList:
        """The definition of the column in ``CREATE TABLE``."""
        clock = now_sql(self.model._meta.database)
        return peewee.NodeList((super().ddl(ctx), peewee.SQL(f"DEFAULT ({clock})")))


def _ordering(name: str) -> Callable[[Any, Any], peewee.Expression]:
    """A comparison of a column of floats, e.g. ``"__lt__"``, which refuses what is not finite."""

    def compare(field: Any, other: Any) -> peewee.Expression:
        return getattr(super(FloatField, field), name)(field._comparable(other))

    return compare


class FloatField(_Described, peewee.DoubleField):
    """A float of 8 bytes: NaN in Python is NULL in SQL, and infinity is not a value either.

    NaN is NULL in SQLite but larger than every number in PostgreSQL, so neither database gets one.
    Comparing with NaN in a query means ``IS NULL``.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("null", True)
        if kwargs["null"]:
            kwargs.setdefault("default", math.nan)
        super().__init__(*args, **kwargs)

    def db_value(self, value: Any) -> float | None:
        if value is None:
            return None
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise ValueError(f"{self.model.__name__}.{self.name} takes a number, not {value!r}") from None
        return number if math.isfinite(number) else None

    def python_value(self, value: Any) -> float:
        return math.nan if value is None else float(value)

    def __eq__(self, other: Any) -> peewee.Expression:
        return self.is_null() if _is_nan(other) else super().__eq__(self._comparable(other))

    def __ne__(self, other: Any) -> peewee.Expression:
        return self.is_null(False) if _is_nan(other) else super().__ne__(self._comparable(other))

    __lt__, __le__, __gt__, __ge__ = map(_ordering, ("__lt__", "__le__", "__gt__", "__ge__"))
    __hash__ = peewee.DoubleField.__hash__

    def _comparable(self, value: Any) -> Any:
        if isinstance(value, numbers.Real) and not math.isfinite(value):
            # As a parameter it would be NULL, and the comparison true for no row at all.
            raise ValueError(
                f"{self.name} cannot be compared with {value}: absent values are NULL, use is_null()"
            )
        return value


def floats(count: int) -> list[FloatField]:
    """Several columns of floats, whose texts are those of the glossary."""
    return [FloatField() for _ in range(count)]


def _is_nan(value: Any) -> bool:
    return isinstance(value, numbers.Real) and math.isnan(value)


# peewee makes a class of its own for every flag.
_PeeweesFlag: Any = type(peewee.BitField().flag())


class Flag(_PeeweesFlag):
    """One bit of a column: true or false on an instance, a condition in a query.

    Unlike peewee's, a flag that a model inherits is a bit of that model's own column.
    """

    def __init__(self, field: "BitField", value: int, help_text: str | None) -> None:
        super().__init__(field, value)
        self.field, self.value, self.help_text = field, value, help_text

    @property
    def bit(self) -> int:
        """The number of the bit, from 0."""
        return self.value.bit_length() - 1

    def __get__(self, row: peewee.Model | None, model: type[peewee.Model]) -> Any:
        if row is not None:
            return super().__get__(row, model)
        own = model._meta.fields[self.field.name]
        return self if own is self.field else Flag(own, self.value, self.help_text)


class BitField(_Described, peewee.BitField):
    """Bits with a meaning each; a flag works on an instance and in a query."""

    def flag(self, value: int | None = None, help_text: str | None = None) -> Flag:
        """Name one bit.

        Args:
            value: The bit, e.g. ``2**11``; ``None`` takes the one after that of the last flag. Name the bit
                in what is published: without it, it changes with the order of the lines.
            help_text: What it means when it is set.

        Raises:
            TypeError: The value is not one bit.
        """
        if value is not None and (value <= 0 or value & (value - 1)):
            raise TypeError(f"flag({value}): a flag is one bit, e.g. 2**3")
        return Flag(self, super().flag(value)._value, help_text)


class GeneratedField(_Described, peewee.BigIntegerField):
    """A column that the database computes from others, and that nobody writes."""

    def __init__(self, expression: str, **kwargs: Any) -> None:
        stored = peewee.SQL(f"GENERATED ALWAYS AS ({expression}) STORED")
        super().__init__(null=True, constraints=[stored], **kwargs)


@functools.cache
def flags_of(model: type[peewee.Model], column: str | None = None) -> dict[str, Flag]:
    """The flags of a model by their names, in the order of their bits.

    Args:
        model: The model.
        column: Only those of this column.
    """
    named = {name: getattr(model, name) for name in dir(model) if name.startswith("flag_")}
    flags = {name: flag for name, flag in named.items() if isinstance(flag, Flag)}
    chosen = [(name, flag) for name, flag in flags.items() if column in (None, flag.field.name)]
    return dict(sorted(chosen, key=lambda item: item[1].bit))
