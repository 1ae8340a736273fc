"""The columns as a table of astropy without rows, for what it writes better than we could."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from astra.catalogue.columns import Column, Kind

if TYPE_CHECKING:
    from astropy.table import Table

_TYPES = {Kind.LONG: "int64", Kind.INT: "int32", Kind.DOUBLE: "float64", Kind.LOGICAL: "bool"}


def described(columns: Sequence[Column]) -> "Table":
    """A table with no rows, whose columns have types, units, descriptions and UCDs."""
    from astropy.table import Column as AstropyColumn
    from astropy.table import Table

    return Table([_column(AstropyColumn, column) for column in columns])


def _column(make: type, column: Column) -> object:
    known = {"unit": column.unit, "description": column.description, "meta": {"ucd": column.ucd}}
    return make([], column.name, _TYPES.get(column.kind, "str"), **known)
