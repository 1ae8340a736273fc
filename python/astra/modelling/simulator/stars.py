"""Stars as rows of labels, and how they are drawn from isochrones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Self

import numpy as np

from astra.modelling.simulator.selection import seen

#: The columns of :meth:`Stars.labels`: [K], [dex], [dex], [dex].
TEFF, LOGG, METALLICITY, ALPHA = range(4)

#: The classes that results are reported by; :func:`classify` says what they are.
KINDS = ("rgb", "red_clump", "subgiant", "dwarf", "m_dwarf", "hot", "young")

#: Share of each class among the stars that are drawn: every class well represented, not as in the sky. Where
#: there are no stars of a class, it is left out.
MIX = dict(zip(KINDS, (0.38, 0.18, 0.15, 0.22, 0.04, 0.03, 0.02), strict=True))

# Kelvin and dex, where one class ends and the next begins.
HOT, GIANT_HOT, M_DWARF = 7000.0, 5500.0, 4150.0
GIANT_LOGG, DWARF_LOGG = 3.5, 4.1

# Logarithm of the age [yr] at which stars of these masses [solar masses] have contracted to within 0.1 dex of
# their largest gravity: to 0.1 dex, what MIST (Choi et al. 2016, ApJ 823, 102), PARSEC (Bressan et al. 2012,
# MNRAS 427, 127) and Baraffe et al. 2015 (A&A 577, A42) give at solar metallicity.
_CONTRACTED_MASS = (0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.4, 2.0, 3.0, 4.0)
_CONTRACTED_LOG_AGE = (8.6, 8.25, 8.1, 7.9, 7.72, 7.53, 7.23, 6.95, 6.5, 6.2)

#: What the emulators of real and of synthetic spectra cover: temperatures [K], and the poorest stars [dex].
COVERED_TEFF, POOREST = (3500.0, 25_000.0), -2.0

# The number of stars in a range of luminosities is taken to this power; of some classes, to another.
_POWER, _POWERS = 0.25, {"red_clump": 0.85, "hot": 0.5}

# Above this the thick disc has few stars, below it the thin disc [dex].
DISCS_METALLICITY, DISCS_WIDTH = -0.35, 0.25


class StarColumns:
    """Base of dataclasses whose fields are arrays with one row for each star, or dataclasses of this kind."""

    def __len__(self) -> int:
        return len(next(iter(vars(self).values())))

    def take(self, indices: np.ndarray | slice) -> Self:
        """The stars at these indices, or where a mask is true."""
        columns = vars(self).values()
        return type(self)(*(c.take(indices) if isinstance(c, StarColumns) else c[indices] for c in columns))

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """The stars of one part after the other."""
        columns = zip(*(vars(part).values() for part in parts), strict=True)
        return cls(*(c[0].joined(c) if isinstance(c[0], StarColumns) else np.concatenate(c) for c in columns))


@dataclass(frozen=True)
class Stars(StarColumns):
    """Labels of N stars, arrays of shape (N,)."""

    teff: np.ndarray
    """Effective temperature [K]."""

    logg: np.ndarray
    """Logarithm of the surface gravity [dex, cgs]."""

    metallicity: np.ndarray
    """[Fe/H] [dex]."""

    alpha: np.ndarray
    """[alpha/Fe] [dex]."""

    mass: np.ndarray
    """Present mass [solar masses]."""

    log_age: np.ndarray
    """Logarithm of the age in years [dex]."""

    abs_j: np.ndarray
    """Absolute 2MASS J magnitude [mag]."""

    abs_h: np.ndarray
    """Absolute 2MASS H magnitude [mag]."""

    abs_ks: np.ndarray
    """Absolute 2MASS Ks magnitude [mag]."""

    kind: np.ndarray
    """One of ``KINDS``, or ``YOUNG``."""

    def labels(self) -> np.ndarray:
        """What an emulator needs: temperature, gravity, [Fe/H], [alpha/Fe], shape (N, 4)."""
        return np.stack([self.teff, self.logg, self.metallicity, self.alpha], axis=1)

    @property
    def beyond(self) -> np.ndarray:
        """Whether a star lies outside what any emulator covers, bool of shape (N,).

        Spectra of such stars are those at the edge. Young stars count as well: their spectra are emulated by
        those of older ones of the same labels, without the spots and the emission that real ones have.
        """
        coldest, hottest = COVERED_TEFF
        outside = (self.teff < coldest) | (self.teff > hottest) | (self.metallicity < POOREST)
        return outside | (self.kind == "young")


@dataclass(frozen=True)
class Tracks:
    """Segments of isochrones: from the star at index ``i`` of ``stars`` to the one at ``i + 1``."""

    stars: Stars
    """Vertices; ``metallicity`` is that of the scaled-solar mixture, ``alpha`` is 0."""

    start: np.ndarray
    """Index of the vertex where each of S segments begins, shape (S,)."""

    number: np.ndarray
    """Stars born in the segment per unit of mass formed, times the time it stands for, shape (S,)."""

    def __getstate__(self) -> dict[str, object]:
        """The fields alone: what was computed from them does not make it another population."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def draw(self, n: int, rng: np.random.Generator, mix: dict[str, float] | None = MIX) -> Stars:
        """Draw stars.

        Ages and masses are those of stars that form at a constant rate with Chabrier's mass function;
        metallicities are a wide normal distribution with a tail of poor stars. Within a class, rare
        luminosities are given more weight, so that the tip of the giant branch is nearly as well represented
        as its foot; less so in the clump, which has a magnitude of its own, and among hot stars.

        Args:
            n: How many stars.
            rng: Source of randomness.
            mix: Share of each class; ``None``: as many of each class and luminosity as a survey sees.
        """
        if mix is None:
            segments = self._seen.draw(n, rng)
        else:
            segments = draw_by_class(self._members, n, rng, mix)
        return _enriched(_between(self, segments, rng), rng)

    def of(self, kinds: Sequence[str]) -> Self:
        """The segments of these classes alone, in half the memory."""
        start = self.start[np.isin(self.stars.kind[self.start], kinds)]
        used = np.union1d(start, start + 1)
        columns = vars(self.stars.take(used)).items()
        narrow = {name: column if name == "kind" else column.astype(np.float32) for name, column in columns}
        number = self.number[np.isin(self.start, start)]
        return type(self)(Stars(**narrow), np.searchsorted(used, start), number)

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes that there are segments of."""
        return tuple(self._members)

    @cached_property
    def _members(self) -> "dict[str, Members]":
        kinds, magnitude = self.stars.kind[self.start], self.stars.abs_ks
        middles = 0.5 * (magnitude[self.start] + magnitude[self.start + 1])
        number = self.number * _abundance(self.stars.metallicity[self.start])
        members = {}
        for kind in np.unique(kinds).tolist():
            rows, power = np.flatnonzero(kinds == kind), _POWERS.get(kind, _POWER)
            members[kind] = Members.weighted(rows, _evened(middles[rows], number[rows], power))
        return members

    @cached_property
    def _seen(self) -> "Members":
        """The segments, as often as a survey sees their stars."""
        first, second = self.start, self.start + 1
        j, h, ks = (
            0.5 * (m[first] + m[second]) for m in (self.stars.abs_j, self.stars.abs_h, self.stars.abs_ks)
        )
        number = self.number * _abundance(self.stars.metallicity[first])
        return Members.weighted(np.arange(len(first)), seen(number, h, j - ks))


@dataclass(frozen=True)
class Members:
    """The rows of one class in a table of stars."""

    rows: np.ndarray
    """Shape (M,)."""

    chance: np.ndarray | None = None
    """The chance that it is this row or one before, shape (M,); ``None``: all are equal."""

    @classmethod
    def weighted(cls, rows: np.ndarray, weight: np.ndarray) -> Self:
        """Rows that are drawn as often as these weights say."""
        total = np.cumsum(weight / weight.sum())
        return cls(rows, total / total[-1])

    def draw(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Draw n of the rows, each perhaps more than once."""
        if self.chance is None:
            return rng.choice(self.rows, size=n)
        return self.rows[self.chance.searchsorted(rng.random(n), side="right")]


def draw_by_class(
    members: Mapping[str, Members], n: int, rng: np.random.Generator, mix: dict[str, float]
) -> np.ndarray:
    """Draw n rows of a table of stars, each perhaps more than once; of a class without any, none.

    Args:
        members: The rows of each class.
        n: How many.
        rng: Source of randomness.
        mix: Share of each class.
    """
    mix = {kind: share for kind, share in mix.items() if kind in members}
    wanted = rng.choice(len(mix), size=n, p=np.array(list(mix.values())) / sum(mix.values()))
    rows = np.empty(n, np.int64)
    for index, kind in enumerate(mix):
        chosen = np.flatnonzero(wanted == index)
        rows[chosen] = members[kind].draw(len(chosen), rng)
    return rows


def classify(teff: np.ndarray, logg: np.ndarray, burns_helium: np.ndarray) -> np.ndarray:
    """The class of each star, shape (N,).

    Args:
        teff, logg: Labels [K], [dex].
        burns_helium: Whether the core burns helium quietly (the clump and the horizontal branch).
    """
    conditions = {
        "hot": (teff > HOT) | ((logg < GIANT_LOGG) & (teff > GIANT_HOT)),
        "red_clump": burns_helium,
        "rgb": logg < GIANT_LOGG,
        "subgiant": logg < DWARF_LOGG,
        "m_dwarf": teff < M_DWARF,
    }
    return np.select(list(conditions.values()), list(conditions), default="dwarf").astype("U10")


def is_young(mass: np.ndarray, log_age: np.ndarray | float) -> np.ndarray:
    """Whether stars are still contracting towards the main sequence, bool.

    Args:
        mass: [solar masses].
        log_age: Logarithm of the age in years [dex].
    """
    arrival = np.interp(np.log10(mass), np.log10(_CONTRACTED_MASS), _CONTRACTED_LOG_AGE)
    return log_age < arrival


def _abundance(metallicity: np.ndarray) -> np.ndarray:
    """Relative number of stars of a metallicity [M/H] [dex]; sums over equal steps."""
    return np.exp(-0.5 * ((metallicity + 0.2) / 0.4) ** 2) + 0.06


def _evened(magnitude: np.ndarray, number: np.ndarray, power: float) -> np.ndarray:
    """Numbers such that their sum in a quarter of a magnitude is this power of what it was."""
    cell = np.floor(magnitude / 0.25).astype(int)
    cell -= cell.min()
    total = np.bincount(cell, number)
    return number * (np.where(total > 0, total, 1.0) ** (power - 1))[cell]


def _between(tracks: Tracks, segments: np.ndarray, rng: np.random.Generator) -> Stars:
    """A star somewhere on each segment."""
    start = tracks.start[segments]
    share = rng.uniform(size=len(segments))
    values = {
        name: column[start] * (1 - share) + column[start + 1] * share
        for name, column in vars(tracks.stars).items()
        if name != "kind"
    }
    return Stars(**values, kind=tracks.stars.kind[start])


def _enriched(stars: Stars, rng: np.random.Generator) -> Stars:
    """Give each star an alpha enhancement, and the [Fe/H] that goes with its total metallicity.

    An alpha-enhanced star lies on the scaled-solar isochrone of the same total metallicity: [M/H] = [Fe/H] +
    log10(0.638 x 10^[alpha/Fe] + 0.362) (Salaris, Chieffi & Straniero 1993, ApJ 414, 580, equation 3). Stars
    younger than 5 Gyr belong to the thin disc; older ones to the thick disc, the more likely the poorer
    in metals they are.
    """
    n = len(stars)
    total = stars.metallicity + rng.uniform(-0.05, 0.05, n)
    thick_share = 1 / (1 + np.exp((total - DISCS_METALLICITY) / (0.4 * DISCS_WIDTH)))
    is_thick = (stars.log_age > 9.7) & (rng.uniform(size=n) < 0.15 + 0.75 * thick_share)
    alpha = np.where(
        is_thick, rng.normal(0.24, 0.06, n), rng.normal(0.04, 0.04, n) - 0.06 * np.clip(total, 0, 1)
    )
    alpha = np.clip(alpha, -0.15, 0.45)
    return replace(stars, metallicity=total - np.log10(0.638 * 10**alpha + 0.362), alpha=alpha)
