"""Which columns of an allStar table hold what: every release spells some of them in its own way."""

import re
from collections.abc import Container, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from astra.ingest import spellings
from astra.ingest.extinction import COLUMNS as EXTINCTION
from astra.ingest.extinction import Preference, reddening
from astra.ingest.values import clean_column

_PRODUCT = spellings.PRODUCT | {
    "file_name": ("FILE",),
    "obj": ("APOGEE_ID",),
    "telescope": ("TELESCOPE",),
    "location_id": ("LOCATION_ID",),
}
_SPECTRUM = spellings.SPECTRUM | {"v_rad": ("VHELIO_AVG", "VRAD")}
# Columns named so after one of the prefixes: a table joined to another one has a parallax of its own.
_GAIA = {
    "gaia_dr3_source_id": ("SOURCE_ID", "SOURCEID"),
    "plx": ("PARALLAX", "PLX"),
    "e_plx": ("PARALLAX_ERROR", "PLX_ERROR"),
    "pmra": ("PMRA",),
    "e_pmra": ("PMRA_ERROR",),
    "pmde": ("PMDEC",),
    "e_pmde": ("PMDEC_ERROR",),
    "g_mag": ("PHOT_G_MEAN_MAG", "GMAG"),
    "bp_mag": ("PHOT_BP_MEAN_MAG", "BPMAG"),
    "rp_mag": ("PHOT_RP_MEAN_MAG", "RPMAG"),
    "ruwe": ("RUWE",),
}
# The last prefix is that of DR16, and of SDSS-V, which says in a column which release it took.
_GAIA_RELEASES = {"GAIAEDR3_": "edr3", "GAIADR3_": "dr3", "GAIA_": "dr2"}
_GAIA_RELEASE = "GAIA_RELEASE"

Lists = dict[str, list]


class Row(NamedTuple):
    """What one row says, by our names; absent values are ``None``."""

    product: dict[str, Any]
    sdss_id: int | None
    star: dict[str, Any]
    spectrum: dict[str, Any]


class Columns:
    """The columns of one table, by what they mean to us."""

    def __init__(self, table: Container[str], preference: Preference) -> None:
        """Look up what a table has.

        Args:
            table: Tells which columns it has, in upper case.
            preference: Where the extinction is taken from.
        """
        self._preference: Preference = preference
        self._product, self._spectrum, self._star = (
            _present(table, wanted) for wanted in (_PRODUCT, _SPECTRUM, spellings.STAR)
        )
        self._gaia, self._gaia_release = {}, None
        for prefix, release in _GAIA_RELEASES.items():
            wanted = {name: tuple(prefix + column for column in columns) for name, columns in _GAIA.items()}
            if not self._gaia and (found := _present(table, wanted)):
                self._gaia, self._gaia_release = found, release
        self._extinction = [column for column in EXTINCTION if column in table]
        self._has_release = _GAIA_RELEASE in table

    @property
    def needed(self) -> set[str]:
        """The columns to be read."""
        groups = (self._product, self._spectrum, self._star, self._gaia)
        needed = {column for group in groups for column in group.values()} | {*self._extinction}
        return needed | {_GAIA_RELEASE} if self._has_release else needed

    def rows(self, piece: Mapping[str, np.ndarray]) -> list[Row]:
        """What a piece of the table says, row by row."""
        size = len(next(iter(piece.values())))
        extinction = reddening({column: piece[column] for column in self._extinction}, self._preference, size)
        star = _cleaned(piece, self._star) | self._gaia_values(piece, size) | extinction
        sdss_ids = star.pop("sdss_id", [None] * size)
        product, spectrum = _cleaned(piece, self._product), _cleaned(piece, self._spectrum)
        return list(map(Row, _by_row(product, size), sdss_ids, _by_row(star, size), _by_row(spectrum, size)))

    def _gaia_values(self, piece: Mapping[str, np.ndarray], size: int) -> Lists:
        values = _cleaned(piece, self._gaia)
        if not values:
            return {}
        stated = clean_column("gaia_release", piece[_GAIA_RELEASE]) if self._has_release else [None] * size
        releases = [
            (_release(said) if said else self._gaia_release)
            if any(value is not None for value in row)
            else None
            for said, row in zip(stated, zip(*values.values(), strict=True), strict=True)
        ]
        # A source has another number in DR2.
        ids = values.pop("gaia_dr3_source_id", [None] * size)
        ids = [
            number if release in ("dr3", "edr3") else None
            for number, release in zip(ids, releases, strict=True)
        ]
        return values | {"gaia_dr3_source_id": ids, "gaia_release": releases}


def _present(table: Container[str], wanted: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    found = {
        name: next((column for column in columns if column in table), None)
        for name, columns in wanted.items()
    }
    return {name: column for name, column in found.items() if column is not None}


def _cleaned(piece: Mapping[str, np.ndarray], columns: Mapping[str, str]) -> Lists:
    return {name: clean_column(name, piece[column]) for name, column in columns.items()}


def _by_row(columns: Lists, size: int) -> Iterator[dict[str, Any]]:
    if not columns:
        return iter([{}] * size)
    return (dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True))


def _release(text: str) -> str:
    found = re.search(r"e?dr\d+", text.lower())
    return found[0] if found else text.lower()
