"""Which rows of a table are at the positions of which sources.

A row belongs to the nearest source within the radius, if there is no nearer row for that source. Rows at
exactly the same position are rows of one star.

Stars move, so positions of two epochs differ. The epoch of a source is known where its position is that in
its 2MASS designation: that survey observed from 1997 to 2001. The headers and the tables of the survey have
such positions up to DR17; what they state of them, J2000, is the equinox. The epoch of a row is known if the
table or the user states it. Where both are known, the proper motion of the row, else of the source, is
applied; other positions are compared as they stand.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

#: The epoch of positions in 2MASS, within two years [yr].
EPOCH_OF_2MASS = 2000.0
#: The latest epoch in catalogues that are in use: Gaia DR3 [yr].
LATEST_EPOCH = 2016.0

_ARCSEC, _MAS = np.radians(1 / 3600), np.radians(1 / 3.6e6)
# A position of 2MASS differs by less from its designation, which has the digits 0.01 s and 0.1 arcsec: by
# 0.06 arcsec at most in the headers of 23 stars from DR12 to DR17 [arcsec].
_TOLERANCE = 0.25
# Trees in memory.
_TREES = 4
# Two distances that differ by less are equal [arcsec].
_EQUAL = 1e-6
_DESIGNATION = re.compile(r"2M(\d\d)(\d\d)(\d{4})([+-])(\d\d)(\d\d)(\d{3})")


@dataclass(frozen=True)
class Positions:
    """Where some stars are, each an array of shape (n,); NaN is unknown.

    Attributes:
        ra, dec: Right ascension and declination [deg].
        pmra, pmde: Proper motion in both, that in right ascension times cos(dec) [mas/yr].
        epochs: The epochs of the positions [yr].
    """

    ra: np.ndarray
    dec: np.ndarray
    pmra: np.ndarray
    pmde: np.ndarray
    epochs: np.ndarray

    def __len__(self) -> int:
        return len(self.ra)

    def at(self, chosen: np.ndarray) -> "Positions":
        """Those that are chosen by their places or by a mask."""
        return Positions(*(values[chosen] for values in vars(self).values()))

    def proper_motion(self) -> np.ndarray:
        """The total proper motion [mas/yr]."""
        return np.hypot(self.pmra, self.pmde)

    def vectors(self, epochs: np.ndarray | float = np.nan) -> np.ndarray:
        """The directions as unit vectors, of shape (n, 3).

        Args:
            epochs: The epochs to which they are moved along a great circle [yr]; where this, the epoch or the
                proper motion is unknown, the position stays.
        """
        ra, dec = np.radians(self.ra), np.radians(self.dec)
        east = np.stack([-np.sin(ra), np.cos(ra), np.zeros(len(ra))], axis=1)
        north = np.stack([-np.sin(dec) * np.cos(ra), -np.sin(dec) * np.sin(ra), np.cos(dec)], axis=1)
        there = np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=1)
        years = (epochs - self.epochs)[:, None] * _MAS
        shift = years * (self.pmra[:, None] * east + self.pmde[:, None] * north)
        moved = there + np.where(np.isfinite(shift), shift, 0)
        return moved / np.linalg.norm(moved, axis=1)[:, None]


@dataclass(frozen=True)
class Pairs:
    """The rows that are at the position of a source.

    Attributes:
        rows, sources: The numbers of the rows in ascending order, and the places of their sources.
        near_two_sources: Rows within the radius of more than one source.
        near_two_rows: Sources within the radius of more than one row.
        equally_near: Pairs left out because there is another at the same distance.
    """

    rows: np.ndarray
    sources: np.ndarray
    near_two_sources: int
    near_two_rows: int
    equally_near: int


class Sky:
    """The positions of sources, to which rows are compared piece by piece.

    Attributes:
        rows: The number of rows that were compared.
        undated_rows: Those of an unknown epoch.
    """

    def __init__(self, sources: Positions, radius: float, epoch: float | None = None) -> None:
        """Take the sources.

        Args:
            sources: Their positions; without one, a source is nowhere.
            radius: The largest distance of a row from its source [arcsec].
            epoch: The epoch of rows whose own is unknown [yr].
        """
        self._epoch = np.nan if epoch is None else epoch
        self._radius = radius
        self._sources = sources
        there = np.isfinite(sources.ra) & np.isfinite(sources.dec)
        dated = np.isfinite(sources.epochs)
        self._dated, self._undated = np.flatnonzero(there & dated), np.flatnonzero(there & ~dated)
        self._trees: dict[tuple[bool, float | None], Any] = {}
        self._found: list[np.ndarray] = []
        self._motions: list[np.ndarray] = []
        self.rows = self.undated_rows = 0

    def compare(self, numbers: np.ndarray, rows: Positions) -> None:
        """Compare rows with the sources.

        Args:
            numbers: The numbers of the rows.
            rows: Where they are.
        """
        rows = replace(rows, epochs=np.where(np.isnan(rows.epochs), self._epoch, rows.epochs))
        self.rows += len(rows)
        self.undated_rows += int(np.isnan(rows.epochs).sum())
        self._motions.append(rows.proper_motion())
        self._pair(numbers, rows, rows.vectors(), self._undated, np.nan)
        moving = np.isfinite(rows.epochs) & np.isfinite(rows.proper_motion())
        at_2mass = rows.at(moving)
        self._pair(numbers[moving], at_2mass, at_2mass.vectors(EPOCH_OF_2MASS), self._dated, np.nan)
        # So that a table with an epoch for each row does not need a tree for each.
        epochs = np.round(rows.epochs, 1)
        for epoch in np.unique(epochs[~moving]):
            same = ~moving & ((epochs == epoch) | (np.isnan(epochs) & np.isnan(epoch)))
            part = rows.at(same)
            self._pair(numbers[same], part, part.vectors(), self._dated, float(epoch))

    def pairs(self) -> Pairs:
        """The rows that are at the position of a source, of all that were compared."""
        found = np.concatenate([*self._found, np.zeros((0, 5))])
        # Rows at the same position are one.
        _, places = np.unique(found[:, 3:], axis=0, return_inverse=True)
        places = places.ravel()
        pairs = np.unique(np.stack([places, found[:, 1], found[:, 2]], axis=1), axis=0)
        # Their proper motions may differ: the smallest distance counts.
        pairs = pairs[np.unique(pairs[:, :2], axis=0, return_index=True)[1]]
        by_place, two_sources, equal_sources = _nearest(pairs, 0)
        by_source, two_rows, equal_rows = _nearest(pairs, 1)
        chosen = pairs[by_place & by_source]
        source_of_place = np.full(int(places.max(initial=-1)) + 1, -1)
        source_of_place[chosen[:, 0].astype(int)] = chosen[:, 1]
        numbers, first = np.unique(found[:, 0].astype(np.int64), return_index=True)
        sources = source_of_place[places[first]]
        numbers, sources = numbers[sources >= 0], sources[sources >= 0]
        return Pairs(numbers, sources, two_sources, two_rows, equal_sources + equal_rows)

    def shift(self, years: float) -> tuple[float, int, int]:
        """How far the stars move in so many years, by the sources' proper motions, else by the rows'.

        Returns:
            The median [arcsec]; how many move by more than the radius; how many have a proper motion.
        """
        motions = self._sources.proper_motion()
        motions = motions[np.isfinite(motions)]
        if not len(motions):
            motions = np.concatenate([*self._motions, []])
            motions = motions[np.isfinite(motions)]
        if not len(motions):
            return np.nan, 0, 0
        shifts = motions * years / 1000
        return float(np.median(shifts)), int((shifts > self._radius).sum()), len(shifts)

    def undated_sources(self) -> int:
        """The number of sources whose position is of an unknown epoch."""
        return len(self._undated)

    def _pair(
        self, numbers: np.ndarray, rows: Positions, vectors: np.ndarray, among: np.ndarray, epoch: float
    ) -> None:
        from scipy.spatial import cKDTree

        if not len(among) or not len(rows):
            return
        key = (among is self._dated, epoch if np.isfinite(epoch) else None)
        if key not in self._trees:
            if len(self._trees) >= _TREES:
                self._trees.clear()
            self._trees[key] = cKDTree(self._sources.at(among).vectors(epoch))
        chord = 2 * np.sin(self._radius * _ARCSEC / 2)
        near = cKDTree(vectors).sparse_distance_matrix(self._trees[key], chord, output_type="ndarray")
        places, distances = near["i"], 2 * np.arcsin(near["v"] / 2) / _ARCSEC
        columns = [numbers[places], among[near["j"]], distances, rows.ra[places], rows.dec[places]]
        self._found.append(np.stack(columns, axis=1).astype(float))


def epochs_of_2mass(ra: np.ndarray, dec: np.ndarray, named: np.ndarray) -> np.ndarray:
    """The epochs of positions: that of 2MASS where they are those in their designations, else NaN [yr].

    Args:
        ra: Right ascensions, of shape (n,) [deg].
        dec: Declinations, likewise.
        named: The positions in the designations, of shape (n, 2), as by ``positions_in_names``.
    """
    east = (ra - named[:, 0] + 180) % 360 - 180
    distance = np.hypot(east * np.cos(np.radians(dec)), dec - named[:, 1]) * 3600
    return np.where(distance < _TOLERANCE, EPOCH_OF_2MASS, np.nan)


def positions_in_names(names: Sequence[str | None]) -> np.ndarray:
    """Right ascension and declination in APOGEE ids, of shape (n, 2); NaN where there is none [deg]."""
    return np.array([_named_position(name) for name in names]).reshape(-1, 2)


def _named_position(name: str | None) -> tuple[float, float]:
    """The middle of what a 2MASS designation with cut-off digits allows [deg]."""
    found = _DESIGNATION.fullmatch(name) if name else None
    if found is None:
        return np.nan, np.nan
    hours, minutes, hundredths, sign, degrees, arcmin, tenths = found.groups()
    ra = 15 * (int(hours) + int(minutes) / 60 + (int(hundredths) + 0.5) / 360_000)
    dec = int(degrees) + int(arcmin) / 60 + (int(tenths) + 0.5) / 36_000
    return ra, -dec if sign == "-" else dec


def _nearest(pairs: np.ndarray, side: int) -> tuple[np.ndarray, int, int]:
    """The pairs that are the nearest of their row (side 0) or source (side 1).

    Returns:
        Which they are; of how many there is another within the radius; and at the same distance, so that
        neither counts.
    """
    order = np.lexsort((pairs[:, 2], pairs[:, side]))
    sides, distances = pairs[order, side], pairs[order, 2]
    starts = np.flatnonzero(np.diff(sides, prepend=-1))
    counts = np.diff(starts, append=len(sides))
    several = counts > 1
    following = np.minimum(starts + 1, max(len(sides) - 1, 0))
    equal = several & (distances[following] - distances[starts] < _EQUAL)
    nearest = np.zeros(len(pairs), bool)
    nearest[order[starts[~equal]]] = True
    return nearest, int(several.sum()), int(equal.sum())
