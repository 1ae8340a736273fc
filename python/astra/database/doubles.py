"""Arithmetic with doubles in SQL that means the same on SQLite and on PostgreSQL, and fails on neither.

PostgreSQL stops at the logarithm of a negative number, and at what is too large or too small for a double;
SQLite goes on with NULL, infinity or 0. So a ``Double`` knows of which size its values can be, and what could
leave the range of doubles is refused before there is a query. What has no value is NULL, as is all that is
computed from NULL. No operand stands twice in the SQL of an operation: so that grows no faster than the text.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import peewee
from peewee import fn

from astra.database.connection import is_postgresql
from astra.database.functions import JUST_BELOW_1, LARGEST_EXPONENT, PREFIX, RADIANS

#: A column's value that is larger counts as absent, and a smaller one as 0.
LARGEST, SMALLEST = 1e30, 1e-30

# Decimal logarithms, with some to spare: of the largest double, of the distance between two neighbours in
# units of the first, of twice, and of the sizes that logarithms, sines and large integers have.
_RANGE, _DIGITS, _TWICE = 300.0, 16.0, 0.31
_SMALL_LOGARITHM, _LARGE_LOGARITHM, _SMALL_COSINE, _LARGE_INTEGER = -17.0, 3.0, -20.0, 19.0
# Larger than any negative value, and no value.
_BELOW_ZERO = -1e-300


@dataclass(frozen=True)
class Double:
    """A number in a query.

    Attributes:
        database: The database.
        node: Its SQL.
        high, low: Decimal logarithms of the largest size that it can have, and of the smallest beside 0.
        step: Of the largest power of two of which all its values are multiples: no sum of them is smaller.

    Raises:
        OverflowError: It could be too large or too small for a double.
    """

    database: peewee.Database
    node: peewee.Node
    high: float
    low: float
    step: float

    def __post_init__(self) -> None:
        if self.high >= _RANGE or self.low <= -_RANGE:
            raise OverflowError

    def __neg__(self) -> "Double":
        return _constant(self.database, 0.0) - self

    def __add__(self, other: "Double") -> "Double":
        return self._summed("+", other)

    def __sub__(self, other: "Double") -> "Double":
        return self._summed("-", other)

    def __mul__(self, other: "Double") -> "Double":
        return self._scaled("*", other.node, other, self.high + other.high, self.low + other.low)

    def __truediv__(self, other: "Double") -> "Double":
        divisor = fn.NULLIF(other.node, 0)
        return self._scaled("/", divisor, other, self.high - other.low, self.low - other.high)

    def _summed(self, operator: str, other: "Double") -> "Double":
        step = min(self.step, other.step)
        node = peewee.Expression(self.node, operator, other.node)
        return Double(self.database, node, max(self.high, other.high) + _TWICE, step, step)

    def _scaled(self, operator: str, node: peewee.Node, other: "Double", high: float, low: float) -> "Double":
        # Each of the two is 0 or within its range.
        return _inexact(self.database, peewee.Expression(self.node, operator, node), high, low)


def constant(database: peewee.Database, value: float) -> Double:
    """A number that stands in the text."""
    return _constant(database, float(value))


def of_integers(database: peewee.Database, node: peewee.Node) -> Double:
    """A column of integers."""
    return Double(database, _cast(node), _LARGE_INTEGER, 0.0, 0.0)


def of_floats(database: peewee.Database, node: peewee.Node) -> Double:
    """A column of floats, without its impossible values."""
    size = fn.ABS(node)
    inside = [(size < SMALLEST, peewee.Value(0.0)), (size <= LARGEST, _cast(node))]
    return _inexact(database, peewee.Case(None, inside), math.log10(LARGEST), math.log10(SMALLEST))


def absolute(value: Double) -> Double:
    """Its size."""
    return Double(value.database, fn.ABS(value.node), value.high, value.low, value.step)


def square_root(value: Double) -> Double:
    """Its square root; of a negative number NULL."""
    node = value.node
    if is_postgresql(value.database):
        node = fn.NULLIF(fn.GREATEST(node, _float(_BELOW_ZERO)), _float(_BELOW_ZERO))
    return _inexact(value.database, fn.sqrt(node), value.high / 2, value.low / 2)


def logarithm(value: Double) -> Double:
    """The natural logarithm; of 0 and of a negative number NULL."""
    return _logarithm(value, "ln", f"{PREFIX}ln")


def decimal_logarithm(value: Double) -> Double:
    """The logarithm to base 10; of 0 and of a negative number NULL."""
    return _logarithm(value, "log10", "log10")


def exponential(value: Double) -> Double:
    """The exponential function; NULL where its argument is not between -200 and 200."""
    node, name = value.node, f"{PREFIX}exp"
    if is_postgresql(value.database):
        low, high, name = _float(-LARGEST_EXPONENT), _float(LARGEST_EXPONENT), "exp"
        node = fn.NULLIF(fn.NULLIF(fn.LEAST(fn.GREATEST(node, low), high), low), high)
    size = LARGEST_EXPONENT * math.log10(math.e)
    return _inexact(value.database, getattr(fn, name)(node), size, -size)


def least(*values: Double) -> Double:
    """The smallest of those that are not NULL."""
    return _chosen("least", values)


def greatest(*values: Double) -> Double:
    """The largest of those that are not NULL."""
    return _chosen("greatest", values)


def first_known(*values: Double) -> Double:
    """The first that is not NULL."""
    return _one_of(values, fn.COALESCE)


def separation(longitude: Double, latitude: Double, longitude_2: Double, latitude_2: Double) -> Double:
    """The angle between two places on the sky [deg], by the haversine formula.

    Unlike elsewhere, the SQL has some operands twice: give columns and constants.
    """
    places = (longitude, latitude, longitude_2, latitude_2)
    node = getattr(fn, f"{PREFIX}separation")(*(place.node for place in places))
    if is_postgresql(longitude.database):
        node = _separation(*(peewee.Expression(_float(RADIANS), "*", place.node) for place in places))
    # The square of the sine of the smallest difference, times two cosines.
    squared = 2 * min(place.step for place in places) + 2 * _SMALL_COSINE
    smallest = _inexact(longitude.database, node, _LARGE_LOGARITHM, squared)
    return _inexact(longitude.database, node, smallest.high, squared / 2)


def _separation(longitude: peewee.Node, latitude: peewee.Node, *other: peewee.Node) -> peewee.Node:
    across, along = (
        fn.sin(peewee.Expression(peewee.Expression(one, "-", two), "/", _float(2.0)))
        for one, two in zip((longitude, latitude), other, strict=True)
    )
    cosines = peewee.Expression(fn.cos(latitude), "*", fn.cos(other[1]))
    flat = peewee.Expression(cosines, "*", peewee.Expression(across, "*", across))
    squared = peewee.Expression(peewee.Expression(along, "*", along), "+", flat)
    half = fn.asin(peewee.Expression(fn.sqrt(squared), "*", _float(JUST_BELOW_1)))
    return peewee.Expression(peewee.Expression(_float(2.0), "*", half), "/", _float(RADIANS))


def _logarithm(value: Double, name: str, in_sqlite: str) -> Double:
    node = value.node
    if is_postgresql(value.database):
        node = fn.NULLIF(fn.GREATEST(node, _float(0.0)), _float(0.0))
    else:
        name = in_sqlite
    return _inexact(value.database, getattr(fn, name)(node), _LARGE_LOGARITHM, _SMALL_LOGARITHM)


def _chosen(name: str, values: Sequence[Double]) -> Double:
    plain = is_postgresql(values[0].database)
    return _one_of(values, getattr(fn, name if plain else f"{PREFIX}{name}"))


def _one_of(values: Sequence[Double], function: Callable[..., peewee.Node]) -> Double:
    high, low = max(value.high for value in values), min(value.low for value in values)
    node = function(*(value.node for value in values))
    return Double(values[0].database, node, high, low, min(value.step for value in values))


def _constant(database: peewee.Database, value: float) -> Double:
    size = math.log10(abs(value)) if value else 0.0
    return Double(database, _float(value), size, size, math.log10(math.ulp(value)) if value else 0.0)


def _inexact(database: peewee.Database, node: peewee.Node, high: float, low: float) -> Double:
    """A number of which only the sizes are known."""
    return Double(database, node, high, low, low - _DIGITS)


def _float(value: float) -> peewee.Node:
    return _cast(peewee.Value(value))


def _cast(node: peewee.Node) -> peewee.Node:
    return peewee.Cast(node, "double precision")
