"""Rows that refer to a source or a spectrum that is merged into another one or deleted.

They are found by the foreign keys of the database, so that tables of other packages are treated like our own,
whether or not the package is installed. If such a table refuses, the batch goes on: its rows stay as they
are, and so do the rows that they refer to.
"""

import functools
from collections.abc import Iterator
from contextlib import contextmanager

import peewee

from astra.database.connection import database
from astra.database.schemas import ForeignKey, TableName, read_foreign_keys
from astra.models import TABLES, Source, Spectrum

_OURS = {TableName(model._meta.table_name) for model in TABLES}
_SOURCE, _SPECTRUM = (TableName(model._meta.table_name) for model in (Source, Spectrum))


class _Refused(Exception):
    """A table refuses a change of its rows; the message names the table and the reason."""


class References:
    """The rows that refer to sources and spectra; the foreign keys are read once, on first use."""

    def move(self, lost: int, kept: int) -> list[str]:
        """Make all rows that refer to one source refer to another.

        Returns:
            The tables of other packages that refused, with the reasons; their rows still refer to the first.
        """
        refusals = []
        for key in self._to(_SOURCE):
            if key.referred_columns != ("pk",):
                continue
            table = key.table.of(database)
            column = getattr(table.c, key.columns[0])
            moved = table.update({column: kept}).where(column == lost)
            if key.table in _OURS:
                moved.execute()
                continue
            try:
                with _refusable(key.table):
                    if _any(table, column == lost):
                        moved.execute()
            except _Refused as refused:
                refusals.append(str(refused))
        return refusals

    def delete_spectrum(self, pk: int) -> str | None:
        """Delete a spectrum with all rows that refer to it, or nothing.

        Returns:
            The table that refused, with the reason, or ``None``.
        """
        try:
            with database.atomic():
                self._delete(_SPECTRUM, _SPECTRUM.of(database).c.pk == pk)
        except _Refused as refused:
            return str(refused)
        return None

    @functools.cached_property
    def _keys(self) -> list[ForeignKey]:
        return read_foreign_keys(database)

    def _to(self, table: TableName) -> Iterator[ForeignKey]:
        return (key for key in self._keys if key.referred == table)

    def _delete(self, name: TableName, chosen: peewee.Expression, above: tuple[TableName, ...] = ()) -> None:
        table = name.of(database)
        for key in self._to(name):
            if key.acts_on_delete or key.table in (name, *above):
                continue
            columns = peewee.Tuple(*_columns(key.table.of(database), key.columns))
            deleted = table.select(*_columns(table, key.referred_columns)).where(chosen)
            self._delete(key.table, peewee.Expression(columns, peewee.OP.IN, deleted), (name, *above))
        with _refusable(name):
            if _any(table, chosen):
                table.delete().where(chosen).execute()


def _columns(table: peewee.Table, names: tuple[str, ...]) -> list[peewee.Column]:
    return [getattr(table.c, name) for name in names]


def _any(table: peewee.Table, chosen: peewee.Expression) -> bool:
    """Whether there are such rows; without any, this login needs no right to change them."""
    return bool(list(table.select(peewee.Value(1)).where(chosen).limit(1).tuples()))


@contextmanager
def _refusable(table: TableName) -> Iterator[None]:
    """A separate transaction that changes one table.

    Raises:
        _Refused: The table refused, and the changes were undone.
    """
    try:
        with database.atomic():
            yield
    except peewee.OperationalError:  # a lost connection, a full disk: not the fault of this table
        raise
    except peewee.DatabaseError as error:
        # Only the first line is the same for all rows.
        raise _Refused(f"{table} ({str(error).splitlines()[0]})") from error
