"""Rows of two tables that change places, by the database alone; within a transaction of the caller.

Rows with the same spectrum and version are counterparts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import peewee

from astra.database.connection import is_postgresql, moved_on_sql

# Where SQLite keeps rows meanwhile.
_ASIDE = "temp.astra_swapped"


@dataclass(frozen=True)
class Swapped:
    """Two tables of results.

    Attributes:
        database: The open database.
        first, second: The tables.
        version: The version of the rows that change places, as in ``v_astra_major_minor``.
        swapped: The columns whose values counterparts swap.
        moved: The columns of a row that moves.
    """

    database: peewee.Database
    first: str
    second: str
    version: int
    swapped: Sequence[str]
    moved: Sequence[str]

    def swap(self) -> int:
        """Swap the values of counterparts; gives their number."""
        if is_postgresql(self.database):
            # Both see the tables as they were before.
            other = f"WITH other AS ({self._update(self.first, self.second)})"
            return self._execute(f"{other} {self._update(self.second, self.first)}")
        columns = ", ".join(
            f'mine."{name}"' for name in ("spectrum_pk", "v_astra_major_minor", *self.swapped)
        )
        both = f'"{self.first}" AS mine JOIN "{self.second}" AS theirs ON {self._counterparts}'
        with_aside = f"CREATE TEMP TABLE astra_swapped AS SELECT {columns} FROM {both}"
        self._execute(with_aside)
        self._execute("CREATE UNIQUE INDEX temp.astra_swapped_key ON astra_swapped (spectrum_pk)")
        number = self._execute(self._update(self.first, self.second))
        self._execute(self._update(self.second, "astra_swapped"))
        self._execute(f"DROP TABLE {_ASIDE}")
        return number

    def move(self, condition: str, *parameters: Any) -> int:
        """Move rows of the first table without a counterpart to the second; gives their number.

        Args:
            condition: Which of them, in SQL.
            *parameters: Its parameters.
        """
        return self._move(self.first, self.second, f"({condition})", parameters)

    def move_back(self) -> int:
        """Move rows of the second table without a counterpart to the first; gives their number."""
        return self._move(self.second, self.first, "1 = 1")

    @property
    def _counterparts(self) -> str:
        versions = (f"{side}.v_astra_major_minor = {self.version:d}" for side in ("mine", "theirs"))
        return f"mine.spectrum_pk = theirs.spectrum_pk AND {' AND '.join(versions)}"

    def _update(self, table: str, other: str) -> str:
        values = ", ".join(f'"{name}" = theirs."{name}"' for name in self.swapped)
        moment = moved_on_sql(self.database, "mine.modified")
        return (
            f'UPDATE "{table}" AS mine SET {values}, modified = {moment} '
            f'FROM "{other}" AS theirs WHERE {self._counterparts}'
        )

    def _move(self, table: str, other: str, condition: str, parameters: Sequence[Any] = ()) -> int:
        listed = ", ".join(f'"{name}"' for name in self.moved)
        there = f'SELECT 1 FROM "{other}" AS theirs WHERE {self._counterparts}'
        alone = f"v_astra_major_minor = {self.version:d} AND {condition} AND NOT EXISTS ({there})"
        if is_postgresql(self.database):
            gone = f'DELETE FROM "{table}" AS mine WHERE {alone} RETURNING {listed}'
            return self._execute(
                f'WITH gone AS ({gone}) INSERT INTO "{other}" ({listed}) SELECT {listed} FROM gone',
                parameters,
            )
        aside = f'CREATE TEMP TABLE astra_swapped AS SELECT task_pk, {listed} FROM "{table}" AS mine'
        self._execute(f"{aside} WHERE {alone}", parameters)
        self._execute(f'INSERT INTO "{other}" ({listed}) SELECT {listed} FROM {_ASIDE}')
        number = self._execute(f'DELETE FROM "{table}" WHERE task_pk IN (SELECT task_pk FROM {_ASIDE})')
        self._execute(f"DROP TABLE {_ASIDE}")
        return number

    def _execute(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        return self.database.execute_sql(sql, parameters).rowcount
