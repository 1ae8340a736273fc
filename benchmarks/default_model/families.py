"""Measure the isochrones of each family against stars whose luminosity is known without them.

    python benchmarks/default_model/families.py lachesis_grids-0.0.9-py3-none-any.whl [--shared DIR]

Ends with one table. Exit codes: 0 all families that stars are drawn from meet all targets, 1 one does not,
2 wrong usage, 78 no data. A family that misses a target is left out of ``LET_IN`` in the simulator's
``families.py``, or does not serve the class that misses it.

- The Sun: Ks of stars with its labels (3.27: Willmer 2018, ApJS 236, 47).
- The red clump: the median Ks of stars that were born at a constant rate between 1 and 10 billion years ago,
  with metallicities -0.1 +- 0.2; -1.61 near the Sun (Hawkins et al. 2017, MNRAS 471, 722).
- M dwarfs: Ks of dwarfs of 5 billion years with solar metallicity at 3500 to 4100 K, against radii by
  temperature, and Ks by radius (Mann et al. 2015, ApJ 804, 64, tables 1 and 2; erratum 2016, ApJ 819, 87).
- Giants with parallaxes of Hipparcos and a good Ks, giants with seismic radii, members of clusters: distances
  from the labels alone, as in the benchmark of the default model. Labels of clusters are those of the first
  releases, and put most open clusters too near. A family without a clump gets that of Padova.
- The magnitudes: those of isochrones that have them, without those that the corrections were fitted to.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from catalogs import (
    APOKASC_ERRORS,
    HIPPARCOS_ERRORS,
    MESZAROS_ERRORS,
    Labelled,
    read_apokasc,
    read_hipparcos,
    read_meszaros,
)
from clusters import CLUSTERS
from isochrone_labels import SOLAR_LOGG, SOLAR_TEFF, Neighbours, draw_neighbours
from table import Line, Section, all_met, printed

from astra.errors import AstraError
from astra.modelling.simulator.bolometric import BANDS, BolometricCorrections
from astra.modelling.simulator.families import FAMILIES, LET_IN, Families, read_families
from astra.modelling.simulator.isochrones import (
    BRIGHTEST_KS,
    COOLEST,
    Isochrone,
    padova_isochrones,
    tracks_along,
)
from astra.modelling.simulator.stars import Stars, Tracks, classify
from astra.modelling.training.evaluate import distance_error

ROOT = Path(__file__).resolve().parents[2]

SEED = 77

#: Absolute Ks magnitudes, and how far a family may be from them [mag].
SUN, SUN_LIMIT = 3.27, 0.10
CLUMP, CLUMP_LIMIT = -1.61, 0.05
M_DWARF_LIMIT = 0.35

#: Largest median |r| and |median r| of giants with parallaxes, and |median r| of others.
HIPPARCOS, HIPPARCOS_BIAS, SEISMIC_BIAS, GLOBULARS, OPEN = 0.14, 0.07, 0.05, 0.20, 0.25

#: Largest root mean square of the corrections [mag].
CORRECTIONS = 0.01

# Classes of the corrections: giants with dust or carbon, and hot supergiants.
_UNSURE = ("giants below 4000 K", "hot")

_SOLAR_ERRORS = (50.0, 0.05, 0.05)


def main() -> int:
    """Print a table; 1 if a family that is let in misses a target."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("wheel", type=Path, help="the file of lachesis-grids")
    shared = os.environ.get("ASTRA_SHARED", ROOT.parent / "shared")
    parser.add_argument("--shared", type=Path, default=shared, help="folder above data")
    arguments = parser.parse_args()
    data = arguments.shared / "data"
    padova = data / "isochrones" / "padova_jhk"
    try:
        families = read_families(padova, arguments.wheel, tuple(FAMILIES))
        tracks = dict(zip(families.names, families.tracks, strict=True))
        isochrones = padova_isochrones(padova)
        # Also those that no stars are drawn from.
        stars = {name: one.stars for name, one in tracks.items()}
        stars["padova"] = tracks_along([each for each in isochrones if each.metallicity == 0]).stars
        sections = {name: _family(name, tracks, stars[name], data / "catalogs") for name in tracks}
        corrections = _corrections(isochrones)
    except AstraError as error:
        print(f"families: error: {' '.join(str(error).split())}", file=sys.stderr)
        return error.exit_code
    print(printed([*sections.values(), corrections]))
    return 0 if all_met([corrections, *(sections[name] for name in LET_IN)]) else 1


def _family(name: str, tracks: dict[str, Tracks], stars: Stars, catalogs: Path) -> Section:
    own = tracks[name]
    lines = []
    if "red_clump" in own.classes:
        low, middle, high = _clump(own)
        limits, width = (CLUMP - CLUMP_LIMIT, CLUMP + CLUMP_LIMIT), 0.5 * (high - low)
        lines.append(Line("red clump: median Ks", middle, *limits, note=f"half width {width:.2f}"))
        population = Families((name,), (own,))
    else:
        population = Families((name, "padova"), (own, tracks["padova"].of(["red_clump"])))
    neighbours = draw_neighbours(population, SEED)
    sun = neighbours.abs_ks(np.array([[SOLAR_TEFF, SOLAR_LOGG, 0.0, 0.0]]), _SOLAR_ERRORS)[0]
    lines.append(Line("the Sun: Ks", sun, SUN - SUN_LIMIT, SUN + SUN_LIMIT))
    difference, limit = _m_dwarfs(stars), M_DWARF_LIMIT if "m_dwarf" in own.classes else np.inf
    if np.isfinite(difference):
        lines.append(Line("M dwarfs: mean Ks - that of real ones", difference, -limit, limit, form="+.2f"))
    if "rgb" in own.classes:
        lines += _giants(neighbours, catalogs)
    state = "" if name in LET_IN else "; left out"
    return Section(f"{name}: {', '.join(own.classes)}{state}", lines)


def _clump(tracks: Tracks) -> tuple[float, float, float]:
    """Percentiles 16, 50, 84 of Ks of the population that the docstring states."""
    first, second = tracks.stars.take(tracks.start), tracks.stars.take(tracks.start + 1)
    rows = (first.kind == "red_clump") & (first.log_age > 8.99) & (first.log_age < 10.01)
    weight = tracks.number[rows] * np.exp(-0.5 * ((first.metallicity[rows] + 0.1) / 0.2) ** 2)
    magnitude = 0.5 * (first.abs_ks[rows] + second.abs_ks[rows])
    order = np.argsort(magnitude)
    share = np.cumsum(weight[order]) / weight.sum()
    return tuple(float(magnitude[order][np.searchsorted(share, level)]) for level in (0.16, 0.5, 0.84))


def _m_dwarfs(stars: Stars) -> float:
    """Mean difference of Ks from that of real M dwarfs at the same temperatures [mag]; NaN without any."""
    chosen = (np.abs(stars.metallicity) < 0.01) & (np.abs(stars.log_age - 9.7) < 0.03) & (stars.logg > 4.3)
    stars = stars.take(np.flatnonzero(chosen))
    order, teff = np.argsort(stars.teff), np.arange(3500.0, 4101.0, 100.0)
    if not len(order) or stars.teff[order[0]] > teff[0] + 50:
        return np.nan
    return float((np.interp(teff, stars.teff[order], stars.abs_ks[order]) - real_m_dwarfs(teff)).mean())


def real_m_dwarfs(teff: np.ndarray) -> np.ndarray:
    """Absolute Ks [mag] of M dwarfs of 2700 to 4100 K, by Mann et al. (2015)."""
    radius = np.polyval([-11.5928, 35.1909, -33.7546, 10.5440], teff / 3500)
    magnitude = np.linspace(4.0, 10.0, 601)
    radii = np.polyval([0.01680, -0.3520, 1.9515], magnitude)
    return np.interp(-radius, -radii, magnitude)


def _giants(neighbours: Neighbours, catalogs: Path) -> list[Line]:
    hipparcos = read_hipparcos(catalogs)
    r = _errors(neighbours, hipparcos, HIPPARCOS_ERRORS)[hipparcos.group == "good Ks"]
    lines = [
        Line("Hipparcos, good Ks: median |r|", np.median(np.abs(r)), high=HIPPARCOS, note=f"{len(r)} stars"),
        Line("Hipparcos, good Ks: median r", np.median(r), -HIPPARCOS_BIAS, HIPPARCOS_BIAS, form="+.3f"),
    ]
    apokasc = read_apokasc(catalogs, neighbours)
    r = _errors(neighbours, apokasc, APOKASC_ERRORS)
    for group in ("rgb", "red_clump"):
        rows = apokasc.group == group
        label, note = f"APOKASC, {group.replace('_', ' ')}: median r", f"{rows.sum()} stars"
        lines.append(Line(label, np.median(r[rows]), -SEISMIC_BIAS, SEISMIC_BIAS, form="+.3f", note=note))
    members = read_meszaros(catalogs)
    r = _errors(neighbours, members, MESZAROS_ERRORS)
    for label, is_globular, limit in (("globular", True, GLOBULARS), ("open", False, OPEN)):
        medians = [
            np.median(r[members.group == name])
            for name, cluster in CLUSTERS.items()
            if cluster.is_globular == is_globular and (members.group == name).any()
        ]
        label = f"{len(medians)} {label} clusters: median of their medians"
        lines.append(Line(label, np.median(medians), -limit, limit, form="+.3f"))
    return lines


def _errors(neighbours: Neighbours, catalog: Labelled, errors: tuple[float, float, float]) -> np.ndarray:
    return distance_error(catalog.fakemag, 10 ** (0.2 * neighbours.abs_ks(catalog.labels, errors) + 2))


def _corrections(isochrones: Sequence[Isochrone]) -> Section:
    """How well the corrections give the magnitudes of isochrones that they were not fitted to."""
    lines = []
    for label, left_out in (
        ("every fifth isochrone left out", [number % 5 == 0 for number in range(len(isochrones))]),
        ("[M/H] -0.5 left out", [each.metallicity == -0.5 for each in isochrones]),
    ):
        rest = [each for each, out in zip(isochrones, left_out, strict=True) if not out]
        held = [each for each, out in zip(isochrones, left_out, strict=True) if out]
        kinds, differences = _differences(BolometricCorrections.fitted(rest), held)
        for kind in np.unique(kinds).tolist():
            rms = np.sqrt((differences[kinds == kind] ** 2).mean(axis=0))
            note = f"J {rms[0]:.4f}, H {rms[1]:.4f}; {(kinds == kind).sum():,} stars"
            limit = np.inf if kind in _UNSURE else CORRECTIONS
            lines.append(Line(f"{label}, {kind}: rms of Ks", rms[2], high=limit, form=".4f", note=note))
    return Section("magnitudes of Padova's isochrones from their luminosities [mag]", lines)


def _differences(
    corrections: BolometricCorrections, isochrones: Sequence[Isochrone]
) -> tuple[np.ndarray, np.ndarray]:
    """The class of each star, and what its J, H, Ks are off by."""
    names = ("log_teff", "logg", "log_l", *BANDS)
    columns = {name: np.concatenate([each.columns[name] for each in isochrones]) for name in names}
    sizes = [len(each.columns["logg"]) for each in isochrones]
    metallicity = np.repeat([each.metallicity for each in isochrones], sizes)
    found = corrections.magnitudes(columns["log_teff"], columns["logg"], metallicity, columns["log_l"])
    difference = found - np.stack([columns[band] for band in BANDS], axis=1)
    teff = 10 ** columns["log_teff"]
    kinds = classify(teff, columns["logg"], np.zeros(len(teff), bool)).astype("U20")
    kinds[kinds == "rgb"] = "giants"
    kinds[(kinds == "giants") & (teff < 4000)] = "giants below 4000 K"
    kept = (teff > COOLEST) & (columns["abs_ks"] > BRIGHTEST_KS)
    return kinds[kept], difference[kept]


if __name__ == "__main__":
    sys.exit(main())
