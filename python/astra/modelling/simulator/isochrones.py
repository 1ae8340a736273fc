"""Reads isochrones from files."""

import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from astra.errors import ConfigError
from astra.modelling.simulator.simulator import reading
from astra.modelling.simulator.stars import (
    COVERED_TEFF,
    GIANT_LOGG,
    Stars,
    Tracks,
    classify,
    is_young,
)

#: Columns of the files of CMD 2.3 (Marigo et al. 2008, A&A 482, 883) with J, H, Ks after six other bands.
COLUMNS = {"log_age": 0, "initial_mass": 1, "mass": 2, "log_l": 3, "log_teff": 4, "logg": 5}
COLUMNS |= {"abs_j": 13, "abs_h": 14, "abs_ks": 15}

#: From 1 million to 13 billion years.
LOG_AGES = (5.99, 10.15)

# The last stages on the asymptotic giant branch have neither emulators nor reliable magnitudes. Stars that
# have lost their envelope are left out as well.
COOLEST, BRIGHTEST_KS = 3400.0, -7.5

#: No emulator knows hotter stars [K].
HOTTEST = COVERED_TEFF[1]

#: Core helium burning lasts until the luminosity has risen by this above its lowest [dex].
CLUMP_HEIGHT = 0.25

# Into how many parts a segment between two classes is cut, unless the star jumps over it [dex of luminosity].
_PARTS, _JUMP = 8, 0.3


@dataclass(frozen=True)
class Isochrone:
    """Stars of one age and metallicity in order of their initial mass."""

    metallicity: float
    """[M/H] [dex]."""

    log_age: float
    """Logarithm of the age in years [dex]."""

    time: float
    """Relative time that it stands for, to the isochrones next to it."""

    columns: dict[str, np.ndarray]
    """As in ``COLUMNS``, each of shape (n,); ``burns_helium`` (1 or 0) where the file says it."""


def read_padova(folder: Path) -> Tracks:
    """Read the ``padova_<[M/H]>.dat.gz`` files of a folder.

    Raises:
        ConfigError: The folder holds none, or one of another format.
    """
    isochrones = padova_isochrones(folder)
    return tracks_along([each for each in isochrones if LOG_AGES[0] < each.log_age < LOG_AGES[1]])


def padova_isochrones(folder: Path) -> list[Isochrone]:
    """The isochrones of all ages, 4 million years and more, in the ``padova_<[M/H]>.dat.gz`` of a folder.

    They begin on the main sequence; where stars do not yet live there, they have none.

    Raises:
        ConfigError: The folder holds none, or one of another format.
    """
    paths = sorted(folder.glob("padova_*.dat.gz"))
    if not paths:
        raise ConfigError(f"isochrones: no padova_*.dat.gz in {folder}; give the folder that holds them")
    return [isochrone for path in paths for isochrone in _read(path)]


def tracks_along(isochrones: Sequence[Isochrone]) -> Tracks:
    """The segments between neighbouring stars of each isochrone."""
    stars, numbers = zip(*map(_vertices, isochrones), strict=True)
    # Nothing is drawn between the last vertex of one isochrone and the first of the next.
    number = np.concatenate([np.append(number, 0.0) for number in numbers])
    start = np.flatnonzero(number > 0)
    return Tracks(Stars.joined(stars), start, number[start])


def _read(path: Path) -> list[Isochrone]:
    with reading("isochrones", path, "give files of CMD 2.3 as published"):
        metallicity = float(path.name.removeprefix("padova_").removesuffix(".dat.gz"))
        with gzip.open(path, "rt") as lines:
            rows = [line for line in lines if line.strip() and not line.startswith("#")]
        if not rows:
            raise ValueError("it has no rows")
        table = np.loadtxt(rows, usecols=tuple(COLUMNS.values()), ndmin=2)
        # These isochrones know no stars that still contract: those of low mass are there as they will be.
        arrived = ~is_young(
            table[:, list(COLUMNS).index("initial_mass")], table[:, list(COLUMNS).index("log_age")]
        )
        columns = dict(zip(COLUMNS, table[arrived].T, strict=True))
        ages = np.unique(columns["log_age"])
        if not ((ages > LOG_AGES[0]) & (ages < LOG_AGES[1])).any():
            raise ValueError("it has no isochrone of 1 million to 13 billion years")
    return [
        Isochrone(metallicity, age, 10 ** (age - 9), {name: column[rows] for name, column in columns.items()})
        for age in ages
        for rows in [columns["log_age"] == age]
    ]


def _vertices(isochrone: Isochrone) -> tuple[Stars, np.ndarray]:
    """Stars along one isochrone, in order of their initial mass, and the number in each segment."""
    part = _refined(isochrone.columns)
    teff, kind, n = 10 ** part["log_teff"], _kinds(part), len(part["log_teff"])
    kind[is_young(part["initial_mass"], isochrone.log_age)] = "young"
    copied = {name: part[name] for name in ("logg", "mass", "abs_j", "abs_h", "abs_ks")}
    same = {"metallicity": isochrone.metallicity, "alpha": 0.0, "log_age": isochrone.log_age}
    stars = Stars(teff=teff, kind=kind, **copied, **{name: np.full(n, value) for name, value in same.items()})
    # Chabrier's mass function between neighbours; the file's own integral is rounded too coarsely on the
    # giant branch, where initial masses differ by 1e-10.
    mass = part["initial_mass"]
    number = np.diff(mass) * _mass_function(0.5 * (mass[1:] + mass[:-1]))
    stripped = (part["mass"] < 0.7 * mass) & (teff > 5000)
    outside = (teff < COOLEST) | (teff > HOTTEST) | (part["abs_ks"] < BRIGHTEST_KS) | stripped
    number[outside[1:] | outside[:-1] | (kind[1:] != kind[:-1])] = 0.0
    return stars, np.clip(number, 0, None) * isochrone.time


def _kinds(part: dict[str, np.ndarray]) -> np.ndarray:
    burns_helium = part["burns_helium"] > 0.5 if "burns_helium" in part else _burns_helium(part)
    return classify(10 ** part["log_teff"], part["logg"], burns_helium)


def _refined(part: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The isochrone with more points where one class goes over into another.

    A segment between two classes belongs to neither, and nothing is drawn from it: it has to be short, or
    stars of these temperatures and gravities would be missing.
    """
    kind, n = _kinds(part), len(part["log_l"])
    between = np.flatnonzero((kind[1:] != kind[:-1]) & (np.abs(np.diff(part["log_l"])) < _JUMP))
    added = between[:, None] + np.arange(1, _PARTS) / _PARTS
    places = np.sort(np.concatenate([np.arange(n), added.ravel()]))
    return {name: np.interp(places, np.arange(n), column) for name, column in part.items()}


def _mass_function(mass: np.ndarray) -> np.ndarray:
    """Stars per solar mass of initial mass (Chabrier 2003, PASP 115, 763, equation 17), arbitrary scale."""
    lognormal = 0.158 / mass * np.exp(-0.5 * ((np.log10(mass) - np.log10(0.079)) / 0.69) ** 2)
    return np.where(mass < 1, lognormal, 0.0443 * mass**-2.3)


def _burns_helium(part: dict[str, np.ndarray]) -> np.ndarray:
    """Which points of an isochrone, in order of mass, burn helium in the core, bool of shape (n,).

    After the tip of the giant branch the luminosity falls; core burning lasts until it has risen by a
    quarter of a dex again, and the asymptotic branch begins. The luminosity of these isochrones also falls
    where tracks of different masses were joined, and later in pulses: of all falls, core burning is the one
    that stars of the widest range of initial masses are in, because it takes longest.
    """
    log_l, mass = part["log_l"], part["initial_mass"]
    is_giant = part["logg"] < GIANT_LOGG
    burns = np.zeros(len(log_l), bool)
    candidates = np.flatnonzero(is_giant & (part["log_teff"] < np.log10(5600)))
    if not len(candidates):
        return burns
    longest = 0.0
    for top in candidates[0] + np.flatnonzero(np.diff(log_l[candidates[0] :]) < 0):
        rest = log_l[top + 1 :]
        lowest = np.argmin(rest[: _rise(rest)])
        low = rest < rest[lowest] + CLUMP_HEIGHT
        begin, end = np.argmax(low), lowest + np.argmin(np.append(low[lowest:], False))
        duration = mass[top + end] - mass[top + 1 + begin]
        if log_l[top] - rest[lowest] > CLUMP_HEIGHT and duration > longest:
            longest = duration
            burns[:] = False
            burns[top + 1 + begin : top + 1 + end] = True
    return burns & is_giant


def _rise(log_l: np.ndarray) -> int:
    """Number of points before the luminosity has risen half a dex above its lowest so far."""
    risen = log_l > np.minimum.accumulate(log_l) + 0.5
    return int(np.argmax(risen)) if risen.any() else len(log_l)
