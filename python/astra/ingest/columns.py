"""Which columns of a table hold what we store, and their values in our units."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from astra.errors import UsageError
from astra.ingest import spellings
from astra.ingest.records import Tally
from astra.ingest.units import UNITS, UnknownUnit, factor
from astra.ingest.values import as_numbers, clean_column, inexact, unreadable

# What stands for nothing in a column whose unit is not ours, so that no range of true values tells.
_FILLERS = (-9999.0, -9999.99, -999999.0)

Lists = dict[str, list]


class Columns:
    """The columns of one table by our names.

    Attributes:
        names: The names of the table by ours.
    """

    def __init__(
        self, path: Path, units: Mapping[str, str | None], wanted: spellings.Spellings, tally: Tally
    ) -> None:
        """Look up what a table has.

        Args:
            path: What messages call the table.
            units: The columns of the table, and the units that it states.
            wanted: What is looked for.
            tally: Warns once about units that are not known, and values that are not what they should be.

        Raises:
            UsageError: A column is in a unit of something else.
        """
        self._path, self._tally = path, tally
        self.names = spellings.among(spellings.by_upper_case(units), wanted)
        factors = {name: self._factor(name, column, units[column]) for name, column in self.names.items()}
        self._factors = {name: number for name, number in factors.items() if number != 1}

    @property
    def needed(self) -> set[str]:
        """The columns to be read."""
        return {*self.names.values()}

    def values(self, piece: Mapping[str, np.ndarray]) -> Lists:
        """What some rows say, in our units; absent values are ``None``."""
        return {name: self._cleaned(name, piece[column]) for name, column in self.names.items()}

    def warn(self, piece: Mapping[str, np.ndarray]) -> None:
        """Say what counts as absent although something is there."""
        for name, column in self.names.items():
            if texts := unreadable(name, piece[column]):
                message = "%s: column %s: %d of %d values are not numbers and count as absent, e.g. %r"
                self._tally.warn(message, self._path, column, len(texts), len(piece[column]), texts[0])
            if lossy := inexact(name, piece[column]):
                message = (
                    "%s: column %s: %d of %d values are not written as integers, so digits may be lost: "
                    "they count as absent, e.g. %s"
                )
                self._tally.warn(message, self._path, column, len(lossy), len(piece[column]), lossy[0])

    def _factor(self, name: str, column: str, unit: str | None) -> float:
        try:
            return factor(name, unit)
        except UnknownUnit:
            message = "%s: column %s is in %r, a unit that is not known: taken for %s"
            self._tally.warn(message, self._path, column, unit, UNITS[name])
            return 1.0
        except UsageError as error:
            reason = f"{error}: convert it, or give the column another name"
            raise UsageError(f"{self._path}: column {column} is taken for {name}, but {reason}") from error

    def _cleaned(self, name: str, values: np.ndarray) -> list[Any]:
        if name not in self._factors:
            return clean_column(name, values)
        numbers = as_numbers(values)
        numbers[np.isclose(numbers[:, None], _FILLERS, rtol=1e-6).any(axis=1)] = np.nan
        return clean_column(name, numbers * self._factors[name])
