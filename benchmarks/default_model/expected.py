"""What to expect of the distance of a star, by its kind, its S/N and its luminosity: docs/expect.md."""

from collections.abc import Callable

import numpy as np
from measuring import Measured
from table import Line, Section

from astra.modelling.simulator.sample import WARM
from astra.modelling.training.evaluate import LARGEST_PULL, half_width

#: With fewer stars, nothing is said.
FEWEST = 30

#: Limits of luminosity between red giants [mag], brightest first.
GIANTS = (-8.0, -4.0, -2.5, -1.0, 4.0)

#: Limits of S/N.
SNR = (20.0, 40.0, 60.0, 100.0, 500.0)

#: True luminosities beside the red clump [mag]: stars there are taken for it.
BESIDE_CLUMP = ((-2.5, -1.8), (-1.4, -0.5))

Rows = Callable[[Measured], np.ndarray]


def expected_section(name: str, found: Measured) -> Section:
    """Figures of whole spectra, by group; of those that are clean, if it is not the share of flagged ones.

    Args:
        name: What stars they are.
        found: The stars, none of them beyond the emulators.
    """
    whole = found.take(found.whole)
    lines = [line for label, rows in _groups().items() for line in _lines(label, whole.take(rows(whole)))]
    return Section(f"{name}: what to expect of a distance", lines)


def _groups() -> dict[str, Rows]:
    groups = {
        **{
            f"red giants of M_Ks {low:g} to {high:g}": _both(_kind("rgb"), _luminosity(low, high))
            for low, high in zip(GIANTS[:-1], GIANTS[1:], strict=True)
        },
        "red clump": _kind("red_clump"),
        "subgiants": _kind("subgiant"),
        f"dwarfs up to {WARM:.0f} K": _both(_kind("dwarf"), lambda stars: stars.stars.teff <= WARM),
        f"dwarfs above {WARM:.0f} K": _both(_kind("dwarf"), lambda stars: stars.stars.teff > WARM),
        "M dwarfs": _kind("m_dwarf"),
        "hot stars": _kind("hot"),
        **{
            f"S/N {low:g} to {high:g}": _snr(low, high)
            for low, high in zip(SNR[:-1], SNR[1:], strict=True)
        },
        **{f"true M_Ks {low:g} to {high:g}": _luminosity(low, high) for low, high in BESIDE_CLUMP},
    }  # fmt: skip
    single = {label: _both(rows, lambda stars: stars.single) for label, rows in groups.items()}
    return single | {
        "pairs of a giant": _both(_kind("rgb", "red_clump"), lambda stars: ~stars.single),
        "pairs of a dwarf or subgiant": _both(
            _kind("dwarf", "m_dwarf", "subgiant"), lambda stars: ~stars.single
        ),
    }


def _both(one: Rows, other: Rows) -> Rows:
    return lambda stars: one(stars) & other(stars)


def _kind(*kinds: str) -> Rows:
    return lambda stars: np.isin(stars.stars.kind, kinds)


def _luminosity(low: float, high: float) -> Rows:
    def rows(stars: Measured) -> np.ndarray:
        magnitude = 5 * np.log10(stars.fakemag_true) - 10
        return (magnitude >= low) & (magnitude < high)

    return rows


def _snr(low: float, high: float) -> Rows:
    return lambda stars: (stars.snr >= low) & (stars.snr < high)


def _lines(label: str, part: Measured) -> list[Line]:
    clean = part.take(part.clean)
    if len(clean) < FEWEST:
        return []
    stated = np.median(clean.e_fakemag / clean.fakemag)
    width = f"width of the pulls {half_width(clean.pull):.2f}"
    wings = f"|pull| > 3 {np.mean(np.abs(clean.pull) > LARGEST_PULL):.1%}"
    bias = f"median r {np.median(clean.r):+.3f}, stated error {stated:.3f}, {width}, {wings}"
    note = f"{len(part):,} stars, {part.flagged.mean():.0%} flagged; {bias}"
    return [Line(f"{label}: median |r|", float(np.median(np.abs(clean.r))), note=note)]
