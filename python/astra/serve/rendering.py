"""Cells of the pages: flags in words, numbers with as many digits as can be read, links to other rows.

What is downloaded as JSON or CSV has the values as they are.
"""

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import peewee
from markupsafe import Markup

from astra.models import AstroNNdist, Distance
from astra.models.base import BaseModel
from astra.models.explain import OF_DISTANCES
from astra.models.fields import Flag, flags_of
from astra.system.printable import printable

if TYPE_CHECKING:
    from datasette.app import Datasette

# Digits of a number: those of a coordinate to a hundredth of an arc second.
_DIGITS = 8


class Cells:
    """How the cells of the described tables, and of queries, are shown."""

    def __init__(self, models: Mapping[str, type[BaseModel]]) -> None:
        self._models = models
        self._links = {table: _keys(model) for table, model in models.items()}
        # A row of the view has the keys of the rows that it is made of.
        of_results = _keys(AstroNNdist) | {"task_pk": AstroNNdist._meta.table_name}
        self._links[Distance._meta.table_name] = of_results

    def shown(self, value: Any, column: str, table: str | None, database: str, datasette: "Datasette") -> Any:
        """The HTML of a value; ``None`` where datasette shows it well."""
        if isinstance(value, float):
            return self._number(value, column, table)
        if not isinstance(value, int):
            is_hidden = isinstance(value, str) and not value.isprintable()
            return printable(value) if is_hidden else None
        if (other := self._links.get(table or "", {}).get(column)) is not None:
            address = datasette.urls.row(database, other, str(value))
            return Markup('<a href="{}">{}</a>').format(address, value)
        return _in_words(value, self._flags(table, column)) if value else None

    def _number(self, value: float, column: str, table: str | None) -> Markup:
        # A column of a query that is called like one of the view is one of the view, or made from it.
        field = self._models.get(table or "", Distance)._meta.columns.get(column)
        unit = getattr(field, "unit", None) or ""
        span = Markup('<span title="{}" data-unit="{}">{}</span>')
        return span.format(f"{value!r} {unit}".strip(), unit, f"{value:.{_DIGITS}g}")

    def _flags(self, table: str | None, column: str) -> dict[str, Flag]:
        """The flags of a column: those of its own table, else those of the distances."""
        for model in (self._models.get(table or ""), *OF_DISTANCES):
            if model is not None and isinstance(model._meta.columns.get(column), peewee.BitField):
                return _named(model, model._meta.columns[column].name)
        return {}


_named = cache(flags_of)


def _keys(model: type[BaseModel]) -> dict[str, str]:
    """The tables whose keys the columns of a table are."""
    fields = (field for field in model._meta.sorted_fields if isinstance(field, peewee.ForeignKeyField))
    return {field.column_name: field.rel_model._meta.table_name for field in fields}


def _in_words(value: int, flags: Mapping[str, Flag]) -> Markup | None:
    texts = {name: flag.help_text or "" for name, flag in flags.items() if value & flag.value}
    words = ", ".join(name.removeprefix("flag_") for name in texts)
    meanings = "; ".join(texts.values())
    return Markup('{} <small title="{}">{}</small>').format(value, meanings, words) if texts else None
