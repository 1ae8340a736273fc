"""Isochrones of several groups, and a population of stars that takes them in turn.

Groups differ in opacities, mixing, overshooting and the abundances of the Sun, and nobody knows which of them
is right. Stars drawn from all of them make the network unsure by as much as they differ. The package
lachesis-grids of PyPI holds their temperatures, gravities and luminosities in one form; the magnitudes are
those of ``bolometric``.
"""

import hashlib
import io
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np

from astra.errors import UsageError
from astra.modelling.simulator.bolometric import BANDS, BolometricCorrections
from astra.modelling.simulator.isochrones import (
    CLUMP_HEIGHT,
    HOTTEST,
    Isochrone,
    padova_isochrones,
    tracks_along,
)
from astra.modelling.simulator.simulator import reading
from astra.modelling.simulator.stars import DWARF_LOGG, HOT, KINDS, MIX, Stars, Tracks

#: The wheel, its sha256, and where its files are.
WHEEL = "lachesis_grids-0.0.9-py3-none-any.whl"
SHA256 = "87e2bb19abf65f701c20805ed6daab7411d287ef14667d9a1a111675b2638907"
_FOLDER = "lachesis_grids/grids"


@dataclass(frozen=True)
class Family:
    """The isochrones of one group."""

    source: str
    file: str | None
    """Below the folder of the wheel; ``None``: these are the isochrones that come with magnitudes."""

    kinds: tuple[str, ...]
    """Classes that stars are drawn of: those that it holds in full, and whose stars are like real ones."""

    last_phase: float = np.inf
    """Rows with a larger code of phase are left out: pulses on the asymptotic branch, and what follows."""

    every: int = 1
    """Of the evolutionary points, each of this number is read."""

    helium: tuple[float, float] | None = None
    """Codes of phase of core helium burning, from above the first to the second; ``None``: there are none."""


_OLD = ("rgb", "red_clump", "subgiant", "dwarf", "m_dwarf")


def _without(kind: str, kinds: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(one for one in kinds if one != kind)


#: The families by name. Not listed: BHAC15 has one metallicity; STAREVOL has gravities with two decimals, and
#: Geneva ends where the giant branch begins, as YaPSI does, but has no [M/H] below -0.33.
FAMILIES = {
    # It has no stars that still contract, and its M dwarfs are fainter by a magnitude than real ones.
    "padova": Family("Marigo et al. 2008, A&A 482, 883", None, _without("m_dwarf", KINDS)),
    "mist": Family(
        "MIST 2.5, v/v_crit 0.4: Choi et al. 2016, ApJ 823, 102; Dotter 2016, ApJS 222, 8",
        "mist_v2.5_vvcrit0.4.h5",
        KINDS,
        last_phase=4,
        helium=(2, 3),
    ),
    "parsec": Family(
        "PARSEC 1.2S: Bressan et al. 2012, MNRAS 427, 127; Chen et al. 2014, MNRAS 444, 2525",
        "parsec_v1.25.h5",
        KINDS,
        helium=(3, 6),
    ),
    "basti": Family("BaSTI: Hidalgo et al. 2018, ApJ 856, 125", "basti.h5", _OLD, every=4),
    "dartmouth": Family(
        "Dartmouth: Dotter et al. 2008, ApJS 178, 89", "dartmouth_dsep.h5", _without("red_clump", _OLD)
    ),
    "yapsi": Family("YaPSI: Spada et al. 2017, ApJ 838, 161", "yapsi.h5", ("subgiant", "dwarf")),
}

#: Those that agree with stars of known luminosity (``benchmarks/default_model/families.py``). The clump of
#: BaSTI is 0.11 magnitudes fainter than that of the neighbourhood of the Sun.
LET_IN = _without("basti", tuple(FAMILIES))

# The classes that most stars of a survey belong to.
_SEEN = {"rgb", "red_clump", "subgiant", "dwarf"}

#: Ages of the isochrones of these families, and the range of their metallicities [M/H], in steps of a tenth.
LOG_AGES, METALLICITIES, STEP = (5.975, 10.15), (-2.5, 0.3), 0.1

# Before this, every second isochrone serves: little changes, and few stars are that young.
_YOUNG = 8.5

# Isochrones whose last rows are further apart than this do not have the same evolutionary points.
_ALIKE = 100

# How far apart the vertices are kept: in magnitudes, in dex of gravity, or in tenths of a dex of temperature.
_SPACING = {"giant": 0.1, "dwarf": 0.2, "hot": 0.4, "burns_helium": 0.03}


@dataclass(frozen=True)
class Families:
    """Several populations of stars; each serves the classes that it has as often as the others do."""

    names: tuple[str, ...]
    tracks: tuple[Tracks, ...]

    def draw(self, n: int, rng: np.random.Generator, mix: dict[str, float] | None = MIX) -> Stars:
        """As in :class:`~.stars.Tracks`: these shares of the classes, each from all that have it alike.

        What a survey sees, ``None``, is drawn from those that have all of its classes.
        """
        mixes = [mix if mix is None else self._part(tracks, mix) for tracks in self.tracks]
        total = np.array(
            [
                float(_SEEN <= set(tracks.classes)) if part is None else sum(part.values())
                for tracks, part in zip(self.tracks, mixes, strict=True)
            ]
        )
        which = rng.choice(len(self.tracks), size=n, p=total / total.sum())
        parts = [
            tracks.draw(int((which == number).sum()), rng, part)
            for number, (tracks, part) in enumerate(zip(self.tracks, mixes, strict=True))
            if (which == number).any()
        ]
        return Stars.joined(parts).take(np.argsort(np.argsort(which, kind="stable"), kind="stable"))

    def _part(self, tracks: Tracks, mix: dict[str, float]) -> dict[str, float]:
        """What one of them adds to a mix."""
        return {
            kind: share / sum(kind in other.classes for other in self.tracks)
            for kind, share in mix.items()
            if kind in tracks.classes
        }


def read_families(padova: Path, wheel: Path, names: Sequence[str] = LET_IN) -> Families:
    """Read isochrones of several groups.

    Args:
        padova: Folder of ``padova_*.dat.gz``, which the magnitudes of all are from.
        wheel: The file of lachesis-grids.
        names: Names in ``FAMILIES``, in any order.

    Raises:
        UsageError: A name is unknown.
        ConfigError: A file is missing, or is not the published one.
    """
    chosen = tuple(name for name in FAMILIES if name in names)
    for name in names:
        if name not in FAMILIES:
            raise UsageError(f"isochrones of {name}: not a known family; choose from {', '.join(FAMILIES)}")
    files = _files_of(wheel)
    isochrones = padova_isochrones(padova)
    corrections = BolometricCorrections.fitted(isochrones)
    tracks = tuple(
        _tracks(isochrones, FAMILIES[name])
        if FAMILIES[name].file is None
        else _tracks(_with_magnitudes(_Grid.read(files, FAMILIES[name]), corrections), FAMILIES[name])
        for name in chosen
    )
    return Families(chosen, tracks)


def _tracks(isochrones: Sequence[Isochrone], family: Family) -> Tracks:
    ages = _chosen_ages(np.unique([each.log_age for each in isochrones]))
    times = dict(zip(ages, _times(ages), strict=True))
    chosen = [replace(each, time=times[each.log_age]) for each in isochrones if each.log_age in times]
    return tracks_along(chosen).of(family.kinds)


def _with_magnitudes(grid: "_Grid", corrections: BolometricCorrections) -> list[Isochrone]:
    isochrones = list(grid.isochrones())
    labels = ("log_teff", "logg", "log_l")
    log_teff, logg, log_l = (np.concatenate([each.columns[name] for each in isochrones]) for name in labels)
    sizes = [len(each.columns["logg"]) for each in isochrones]
    metallicity = np.repeat([each.metallicity for each in isochrones], sizes)
    magnitudes = corrections.magnitudes(log_teff, logg, metallicity, log_l)
    for each, rows in zip(isochrones, np.split(magnitudes, np.cumsum(sizes)[:-1]), strict=True):
        each.columns.update(zip(BANDS, rows.T, strict=True))
    return isochrones


# > The files


def _files_of(wheel: Path) -> zipfile.ZipFile:
    with reading("isochrones", wheel, f"give {WHEEL} as published on PyPI"):
        content = wheel.read_bytes()
        if (found := hashlib.sha256(content).hexdigest()) != SHA256:
            raise ValueError(f"its sha256 is {found[:12]}…, not {SHA256[:12]}…")
        return zipfile.ZipFile(io.BytesIO(content))


@dataclass(frozen=True)
class _Grid:
    """A file of isochrones: one after the other, metallicity slowest, then age."""

    family: Family
    metallicities: np.ndarray
    log_ages: np.ndarray

    rows: dict[str, np.ndarray]
    """Columns of all isochrones together."""

    ends: np.ndarray
    """Number of the first row after each isochrone."""

    @classmethod
    def read(cls, files: zipfile.ZipFile, family: Family) -> "_Grid":
        data = io.BytesIO(files.read(f"{_FOLDER}/{family.file}"))
        with h5py.File(data) as file:
            columns, values = list(file.attrs["columns"]), file["values"][()]
            metallicities, log_ages = file["feh_values"][()], file["age_values"][()]
            ends = np.cumsum(file["lengths"][()])
        wanted = ("eep", "initial_mass", "star_mass", "log_Teff", "log_g", "log_L", "phase")
        rows = {name: values[:, columns.index(name)].astype(float) for name in wanted}
        return cls(family, metallicities.astype(float), log_ages.astype(float), rows, ends)

    def isochrones(self) -> Iterator[Isochrone]:
        """All in ``METALLICITIES`` and ``LOG_AGES``, without magnitudes, and all of the same time."""
        low = max(METALLICITIES[0], self.metallicities[0])
        high = min(METALLICITIES[1], self.metallicities[-1])
        wanted = np.arange(np.ceil(low / STEP - 1e-6), np.floor(high / STEP + 1e-6) + 1) * STEP
        for age in np.flatnonzero(np.isin(self.log_ages, _chosen_ages(self.log_ages))):
            parts = [self._columns(number, age) for number in range(len(self.metallicities))]
            for metallicity in wanted:
                columns = _between(self.metallicities, parts, metallicity)
                if len(columns["eep"]) > 1:
                    part = self._named(columns)
                    yield Isochrone(float(metallicity), float(self.log_ages[age]), 1.0, part)

    def _columns(self, metallicity: int, age: int) -> dict[str, np.ndarray]:
        """The rows of one isochrone that can be used, in order of initial mass."""
        number = metallicity * len(self.log_ages) + age
        rows = slice(self.ends[number - 1] if number else 0, self.ends[number])
        part = {name: column[rows] for name, column in self.rows.items()}
        mass, phase = part["initial_mass"], part["phase"]
        good = np.isfinite([part[name] for name in part if name != "phase"]).all(axis=0)
        good &= ~(phase > self.family.last_phase) & (part["eep"] % self.family.every == 0)
        good &= part["log_Teff"] < np.log10(HOTTEST)
        # A few rows have a mass of somewhere else.
        following = np.minimum.accumulate(np.where(good, mass, np.inf)[::-1])[::-1]
        good &= mass <= following
        return {name: column[good] for name, column in part.items()}

    def _named(self, part: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        names = {"initial_mass": "initial_mass", "star_mass": "mass", "log_L": "log_l"}
        names |= {"log_Teff": "log_teff", "log_g": "logg"}
        columns = {ours: part[theirs] for theirs, ours in names.items()}
        if self.family.helium is not None:
            low, high = self.family.helium
            burns = (part["phase"] > low) & (part["phase"] <= high)
            columns["burns_helium"] = (burns & _quiet(columns["log_l"], burns)).astype(float)
        kept = _spaced(columns)
        return {name: column[kept] for name, column in columns.items()}


def _quiet(log_l: np.ndarray, burns: np.ndarray) -> np.ndarray:
    """Where the luminosity is that of the clump or the horizontal branch, as in ``isochrones``."""
    return log_l < np.min(log_l, where=burns, initial=np.inf) + CLUMP_HEIGHT


def _between(
    metallicities: np.ndarray, parts: list[dict[str, np.ndarray]], metallicity: float
) -> dict[str, np.ndarray]:
    """The isochrone of a metallicity, between those of a grid: linear at the same evolutionary point.

    Where two neighbours do not have the same points, because one star ignites helium in another way than the
    other, it is that of the nearer one.
    """
    upper = int(np.clip(np.searchsorted(metallicities, metallicity - 1e-6), 1, len(metallicities) - 1))
    pair, nodes = (parts[upper - 1], parts[upper]), metallicities[upper - 1 : upper + 1]
    share = (metallicity - nodes[0]) / (nodes[1] - nodes[0])
    nearer = pair[int(share > 0.5)]
    lasts = [part["eep"][-1] if len(part["eep"]) else np.inf for part in pair]
    if min(share, 1 - share) < 1e-3 or not abs(lasts[0] - lasts[1]) < _ALIKE:
        return nearer
    _, first, second = np.intersect1d(pair[0]["eep"], pair[1]["eep"], return_indices=True)
    mixed = {name: pair[0][name][first] * (1 - share) + pair[1][name][second] * share for name in nearer}
    return mixed | {"phase": (pair[0]["phase"][first], pair[1]["phase"][second])[int(share > 0.5)]}


def _chosen_ages(log_ages: np.ndarray) -> np.ndarray:
    inside = log_ages[(log_ages > LOG_AGES[0]) & (log_ages < LOG_AGES[1])]
    young = inside < _YOUNG
    return np.concatenate([inside[young][::2], inside[~young]])


def _times(log_ages: np.ndarray) -> np.ndarray:
    """The time that each isochrone stands for, to the middle between it and its neighbours, shape (n,).

    1 is a twentieth of a dex about a billion years.
    """
    ages = 10 ** (log_ages - 9)
    middles = 0.5 * (ages[1:] + ages[:-1])
    edges = np.concatenate([[2 * ages[0] - middles[0]], middles, [2 * ages[-1] - middles[-1]]])
    return np.diff(edges) / (0.05 * np.log(10))


def _spaced(columns: dict[str, np.ndarray]) -> np.ndarray:
    """Indices of vertices that are as far apart as a curve allows, the ends among them."""
    scales = {"log_teff": 10.0, "logg": 1.0, "log_l": 2.5}
    steps = np.max([np.abs(np.diff(columns[name])) * scale for name, scale in scales.items()], axis=0)
    spacing = np.where(columns["logg"] < DWARF_LOGG, _SPACING["giant"], _SPACING["dwarf"])
    spacing = np.where(columns["log_teff"] > np.log10(HOT), _SPACING["hot"], spacing)
    burns = columns.get("burns_helium", np.zeros(len(spacing))) > 0.5
    spacing = np.where(burns, _SPACING["burns_helium"], spacing)[1:]
    place = np.floor(np.append(0.0, np.cumsum(steps / spacing)))
    kept = np.append(True, np.diff(place) > 0)
    kept[-1] = True
    # Where helium burning begins and ends, no segment goes across.
    kept[1:] |= burns[1:] != burns[:-1]
    kept[:-1] |= burns[1:] != burns[:-1]
    return np.flatnonzero(kept)
