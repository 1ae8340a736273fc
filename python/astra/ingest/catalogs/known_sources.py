"""The identifiers and the positions of all sources, in arrays: a million of them need some 100 MB."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import peewee

from astra.database.connection import database
from astra.database.sql import batches, snapshot
from astra.ingest.catalogs.catalog import Identifiers, designation
from astra.ingest.catalogs.positions import Positions, epochs_of_2mass, positions_in_names
from astra.models import APOGEE, Source


class Keys(NamedTuple):
    """Identifiers of one kind as numbers, and the places of the rows or sources that have them."""

    places: np.ndarray
    numbers: np.ndarray


@dataclass(frozen=True)
class KnownSources:
    """All sources of a database.

    Attributes:
        pks: Their keys, in ascending order.
        keys: Their identifiers: ``sdss_id``, APOGEE ids including those of their spectra, and those of Gaia.
        positions: Where they are, if that was asked for.
    """

    pks: np.ndarray
    keys: list[Keys]
    positions: Positions | None

    def __len__(self) -> int:
        return len(self.pks)


def known_sources(*, with_positions: bool = False) -> KnownSources:
    """Read the identifiers of all sources, and where they are if that is asked for."""
    ids = {
        Source.pk: _numbers,
        Source.sdss_id: _numbers,
        Source.sdss4_apogee_id: _designations,
        Source.gaia_dr3_source_id: _numbers,
    }
    measured = dict.fromkeys((Source.ra, Source.dec, Source.pmra, Source.pmde), _floats)
    measured[Source.sdss4_apogee_id.alias("designation")] = positions_in_names
    with snapshot(database):
        pks, sdss_ids, own_names, gaia_ids, *places = _read(ids | (measured if with_positions else {}))
        of_spectra = [_read({model.source: _numbers, model.obj: _designations}) for model in APOGEE]
    owners, names_of_spectra = map(np.concatenate, zip(*of_spectra, strict=True))
    owned = np.flatnonzero((owners != 0) & (names_of_spectra != 0))
    owners = np.searchsorted(pks, owners[owned])
    all_names = present(own_names, also=(owners, names_of_spectra[owned]))
    positions = None
    if with_positions:
        *where, named = places
        positions = Positions(*where, epochs_of_2mass(where[0], where[1], named))
    return KnownSources(pks, [present(sdss_ids), all_names, present(gaia_ids)], positions)


def keys_of_rows(ids: Identifiers) -> list[np.ndarray]:
    """The identifiers in some rows as numbers, each kind as in ``KnownSources``; 0 where there is none."""
    return [_numbers(ids.sdss_ids), _hashes(ids.apogee_ids), _numbers(ids.gaia_ids)]


def present(numbers: np.ndarray, also: Iterable[np.ndarray] = ((), ())) -> Keys:
    """The identifiers of one kind without the absent ones, which are 0."""
    places = np.flatnonzero(numbers)
    more_places, more_numbers = (np.array(each, np.int64) for each in also)
    return Keys(np.concatenate([places, more_places]), np.concatenate([numbers[places], more_numbers]))


def _read(readers: dict[peewee.Field, Callable[[Sequence[Any]], np.ndarray]]) -> list[np.ndarray]:
    """Some columns of one table in the order of its keys, each by its reader."""
    first = next(iter(readers))
    query = first.model.select(*readers).order_by(first)
    parts = [[read([]) for read in readers.values()]]
    for rows in batches(database, query):
        columns = zip(*rows, strict=True)
        parts.append([read(column) for read, column in zip(readers.values(), columns, strict=True)])
    return [np.concatenate(columns) for columns in zip(*parts, strict=True)]


def _numbers(values: Sequence[int | None]) -> np.ndarray:
    return np.fromiter((value or 0 for value in values), np.int64, len(values))


def _floats(values: Sequence[float | None]) -> np.ndarray:
    return np.array(values, float)


def _hashes(names: Sequence[str | None]) -> np.ndarray:
    """APOGEE ids as numbers; two names with one number only cause a row to be looked at in vain."""
    # An mwmStar file need not say under which name its star was observed: that is an empty text.
    return np.fromiter((hash(name) or 1 if name else 0 for name in names), np.int64, len(names))


def _designations(names: Sequence[str | None]) -> np.ndarray:
    return _hashes(list(map(designation, names)))
