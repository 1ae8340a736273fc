"""The columns of a table that hold what we store, and their values in our units."""

import functools
import itertools
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from astra.errors import UsageError
from astra.ingest import spellings
from astra.ingest.records import Tally
from astra.ingest.values import (
    BAILER_JONES,
    MAX_TEXT,
    as_numbers,
    clean_column,
    inexact,
    too_long,
    unreadable,
)

# Fillers of columns in other units than ours, where the range of true values does not identify them.
_FILLERS = (-9999.0, -9999.99, -999999.0)

_WITH_ERRORS = (
    *("j_mag", "h_mag", "k_mag", "mag4_5", "w2_mag", "irac_4_5", "wise_4_5"),
    *("ebv", "ebv_sfd", "ebv_rjce_glimpse", "ebv_rjce_allwise"),
)
_MAGNITUDES = (
    *("g_mag", "bp_mag", "rp_mag", "bp_rp", "a_k", "ak_wise", "sfd_ebv", "e_targ_4_5", *_WITH_ERRORS),
    *("ebv_zhang_2023", "ebv_edenhofer_2023", "ebv_bayestar_2019"),
)
#: The unit of each number that has one.
UNITS = {
    **dict.fromkeys(("ra", "dec", "l", "b"), "deg"),
    **dict.fromkeys((*_MAGNITUDES, *(f"e_{name}" for name in _WITH_ERRORS)), "mag"),
    **dict.fromkeys(("plx", "e_plx"), "mas"),
    **dict.fromkeys(("pmra", "e_pmra", "pmde", "e_pmde"), "mas/yr"),
    **dict.fromkeys(("nu_eff_used_in_astrometry", "pseudocolour"), "1/um"),
    **dict.fromkeys(("v_rad", "e_v_rad"), "km/s"),
    **dict.fromkeys(BAILER_JONES, "pc"),
}
_NO_UNIT = {"", "-", "--", "---", "none", "null", "unknown", "[-]"}


# What is said of values that cannot be used, and how they are found.
_UNUSABLE = {
    "%s: column %s: %d of %d values are not numbers and count as absent, e.g. %r": unreadable,
    "%s: column %s: %d of %d values are not written as integers, so digits may be lost: "
    "they count as absent, e.g. %s": inexact,
    f"%s: column %s: %d of %d values have more than {MAX_TEXT} characters and count as absent, "
    "e.g. %s": too_long,
}


class ColumnUse(NamedTuple):
    """A column of a table, and what it is taken for.

    Attributes:
        column: Its name in the table.
        name: Our name.
        unit: The unit that the table states.
        factor: What its numbers are multiplied by.
        values: The number of its values; absent ones and fillers do not count.
    """

    column: str
    name: str
    unit: str | None
    factor: float
    values: int


class Columns:
    """The columns of one table by our names.

    Attributes:
        names: The names in the table by our names.
        needed: The columns to read.
    """

    def __init__(
        self,
        path: Path,
        units: Mapping[str, str | None],
        wanted: spellings.Spellings,
        tally: Tally,
        columns: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Find the columns of a table.

        Args:
            path: The table, for messages.
            units: The columns of the table, and the units that it states.
            wanted: Our names, and how tables spell them.
            tally: Warns once about unknown units and unreadable values.
            columns: Columns of the table that a user names for ours, by our names.

        Raises:
            UsageError: The unit of a column measures something else.
        """
        self._path, self._units, self._tally = path, units, tally
        self._unusable: dict[tuple[str, str], tuple[int, int, str | None]] = {}
        self.names = spellings.among(spellings.by_upper_case(units, columns), wanted)
        # Not every group of spellings has our own name among them: those of a release of Gaia have a prefix.
        self.names |= {ours: theirs for ours, theirs in columns.items() if ours in wanted}
        self.needed = {*self.names.values()}
        factors = {name: self._factor(name, column, units[column]) for name, column in self.names.items()}
        self._factors = {name: number for name, number in factors.items() if number != 1}

    def values(self, piece: Mapping[str, np.ndarray]) -> dict[str, list]:
        """The values of some rows in our units; absent ones are ``None``."""
        return {name: self._cleaned(name, piece[column]) for name, column in self.names.items()}

    def counted(self, piece: Mapping[str, np.ndarray]) -> Counter[str]:
        """The numbers of values in some rows that are not absent, by our names."""
        found = self.values(piece)
        return Counter({name: sum(value is not None for value in found[name]) for name in found})

    def uses(self, counts: Mapping[str, int]) -> Iterator[ColumnUse]:
        """What each column is taken for, with the number of its values."""
        for name, column in self.names.items():
            yield ColumnUse(column, name, self._units[column], self._factors.get(name, 1.0), counts[name])

    def examine(self, piece: Mapping[str, np.ndarray], found: Mapping[str, list]) -> None:
        """Take note of values that count as absent because they cannot be used.

        Args:
            piece: Some rows.
            found: What ``values`` gives for them.
        """
        for name, column in self.names.items():
            absent = piece[column][[value is None for value in found[name]]]
            for message, chosen in _UNUSABLE.items():
                unusable = chosen(name, absent)
                count, rows, example = self._unusable.get((column, message), (0, 0, None))
                example = example if count or not unusable else unusable[0]
                self._unusable[column, message] = count + len(unusable), rows + len(piece[column]), example

    def warn(self) -> None:
        """Warn of these values."""
        for (column, message), (count, rows, example) in self._unusable.items():
            if count:
                self._tally.warn(message, self._path, column, count, rows, example)

    def _factor(self, name: str, column: str, stated: str | None) -> float:
        """The factor that converts the numbers of a column to our unit."""
        expected, unit = UNITS.get(name), "" if stated is None else str(stated).strip()
        if expected is None or unit.lower() in _NO_UNIT:
            return 1.0
        try:
            factor = _conversion(unit, expected)
        except (ValueError, TypeError) as error:
            raise UsageError(
                f"{self._path}: column {column} is taken for {name}, but its unit {unit} cannot be converted "
                f"to {expected}: convert it, or give the column another name"
            ) from error
        if factor is None:
            message = "%s: column %s is in %r, a unit that is not known: taken for %s"
            self._tally.warn(message, self._path, column, stated, expected)
            return 1.0
        return factor

    def _cleaned(self, name: str, values: np.ndarray) -> list[Any]:
        if name not in self._factors:
            return clean_column(name, values)
        numbers = as_numbers(values)
        numbers[np.isclose(numbers[:, None], _FILLERS, rtol=1e-6).any(axis=1)] = np.nan
        return clean_column(name, numbers * self._factors[name])


@functools.cache
def _conversion(text: str, expected: str) -> float | None:
    """The factor from a unit to the expected one, or ``None`` if the unit is not known.

    Raises:
        ValueError, TypeError: The unit measures something else.
    """
    from astropy import units

    # Tables of the survey write "degrees".
    forms = itertools.product((text, text.removesuffix("s")), (None, "fits"))
    parsed = (units.Unit(word, format=syntax, parse_strict="silent") for word, syntax in forms)
    unit = next((each for each in parsed if not isinstance(each, units.UnrecognizedUnit)), None)
    if unit is None:
        return None
    # To astropy a magnitude is -0.4 dex, but a reddening in dex is something else.
    if expected == "mag" and "mag" not in unit.to_string():
        raise ValueError(text)
    # To 15 digits: 1000 instead of 999.9999999999999.
    return float(f"{unit.to(units.Unit(expected)):.15g}")
