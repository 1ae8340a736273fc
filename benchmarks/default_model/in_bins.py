"""Held-out stars of a survey's mix and of an even one, by class and in bins; spectra without a detector."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from expected import expected_section
from measuring import Measured, Model, measure
from table import Line, Section

from astra.modelling.simulator.sample import WARM, Sample, simulate_chunks
from astra.modelling.simulator.selection import mix_line
from astra.modelling.simulator.simulator import Conditions, Simulator
from astra.modelling.training.error_tables import without
from astra.modelling.training.evaluate import LARGEST_PULL, half_width
from astra.modelling.training.from_simulator import LUMINOSITIES
from astra.spectra.grid import DETECTORS

#: Edges in predicted absolute Ks magnitude [mag] and in signal-to-noise ratio.
EDGES = {"M_Ks": np.arange(-8.0, 8.1, 0.5), "S/N": np.array([20.0, 40, 60, 100, 200, 500])}

#: Largest median |r| of a class, and of dwarfs above ``WARM`` the largest |median r|.
SCATTER = {"rgb": 0.10, "red_clump": 0.07, "subgiant": 0.09, "dwarf": 0.055}
WARM_BIAS = 0.05

#: A bin with fewer stars says nothing of the bias and the width; one with fewer, nothing of the wings.
FEWEST, FEWEST_FOR_WINGS = 1_000, 3_000

BIAS, WIDTH, OUTLIERS = 0.03, (0.9, 1.1), 0.01

#: The share beyond three errors of all single stars, and of all with their pairs.
MOST_BEYOND = (OUTLIERS, 0.015)

#: Range of S/N in which noise alone must not flag, and the share of flagged stars there.
NOISY, MOST_FLAGGED = (20.0, 60.0), 0.3

#: Factors on all stated errors, for what another trade between flags and wings would cost.
SCALES = (0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0)

#: Stars that lose a detector; and the bias of what is left unflagged of them, if it is more than a few.
N_LOST, BIAS_OF_LOST, A_FEW = 2_000, 0.1, 5


@dataclass(frozen=True)
class Bin:
    """Stars in a bin; plain numbers."""

    axis: str
    low: float
    high: float
    n: int
    median_r: float
    pull_width: float
    outliers: float

    @property
    def is_shown(self) -> bool:
        """Whether it has enough stars."""
        return self.n >= FEWEST

    def __str__(self) -> str:
        return f"{self.axis} {self.low:g} to {self.high:g}, {self.n:,} stars"


def bins_of(found: Measured) -> list[Bin]:
    """All bins of these stars."""
    values = {"M_Ks": 5 * np.log10(found.fakemag) - 10, "S/N": found.snr}
    return [
        _bin(axis, low, high, found.take((values[axis] >= low) & (values[axis] < high)))
        for axis, edges in EDGES.items()
        for low, high in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
    ]


def _bin(axis: str, low: float, high: float, part: Measured) -> Bin:
    if not len(part):
        return Bin(axis, low, high, 0, math.nan, math.nan, math.nan)
    outliers = float(np.mean(~(np.abs(part.pull) <= LARGEST_PULL)))
    return Bin(axis, low, high, len(part), float(np.median(part.r)), half_width(part.pull), outliers)


def most_outliers(n: int) -> float:
    """The share beyond three errors that ``n`` stars may have where it is ``OUTLIERS``: two sigma more."""
    return OUTLIERS + 2 * math.sqrt(OUTLIERS * (1 - OUTLIERS) / n)


def bin_lines(bins: list[Bin]) -> list[Line]:
    """The worst bins of each axis."""
    lines = []
    for axis in EDGES:
        shown = [each for each in bins if each.axis == axis and each.is_shown]
        if not shown:
            continue
        biased = max(shown, key=lambda each: abs(each.median_r))
        off = max(shown, key=lambda each: abs(math.log(each.pull_width)))
        lines += [
            Line(f"worst bin of {axis}: median r", biased.median_r, -BIAS, BIAS, "+.3f", str(biased)),
            Line(f"worst bin of {axis}: width of the pulls", off.pull_width, *WIDTH, ".2f", str(off)),
        ]
        if large := [each for each in shown if each.n >= FEWEST_FOR_WINGS]:
            far = max(large, key=lambda each: each.outliers / most_outliers(each.n))
            limit = most_outliers(far.n)
            lines.append(
                Line(f"worst bin of {axis}: |pull| > 3", far.outliers, high=limit, form=".2%", note=str(far))
            )
    return lines


def in_bins_sections(
    model: Model, simulator: Simulator, patterns: np.ndarray, n: int, seed: int, luminosity: str
) -> list[Section]:
    """Draw stars of one of the luminosity functions with all S/N, predict, and look at them.

    Returns:
        A section of clean stars, which has targets, one of those that are good, and one by kinds of stars.
    """
    conditions = replace(Conditions(), **LUMINOSITIES[luminosity])
    name = f"{luminosity} luminosities"
    found = measure(model, simulate_chunks(simulator, n, seed, conditions, patterns), n, f"{name} {seed}")
    within = found.take(~found.stars.beyond)
    title = f"{name}: {n:,} held-out stars ({mix_line(found.stars.kind)})"
    return [
        _section(f"{title}; single and clean if not said", within, within.clean),
        _section(f"{name}, single and good", within, ~within.flagged, targets=False),
        expected_section(name, within),
    ]


def _section(title: str, found: Measured, chosen: np.ndarray, *, targets: bool = True) -> Section:
    """Figures of single ones of the chosen stars, and of all of these with their companions."""
    part = found.take(chosen & found.single)
    bins, with_pairs = bins_of(part), found.take(chosen)
    lines = [
        *_class_lines(part),
        *bin_lines(bins),
        Line(
            "with pairs: |pull| > 3",
            np.mean(np.abs(with_pairs.pull) > LARGEST_PULL),
            high=MOST_BEYOND[1],
            form=".2%",
        ),
        Line(
            f"flagged at S/N {NOISY[0]:g} to {NOISY[1]:g}",
            _noisy(found).flagged.mean(),
            high=MOST_FLAGGED,
            form=".0%",
        ),
    ]
    if not targets:
        lines = [replace(line, low=-math.inf, high=math.inf) for line in lines]
    details = {"bins": [vars(each) for each in bins if each.n], "trade_off": trade_off(found)}
    return Section(title, lines, details)


def trade_off(found: Measured) -> list[dict[str, float | None]]:
    """What flags and wings would be if all stated errors were larger or smaller by one of ``SCALES``."""
    points = []
    for scale in SCALES:
        scaled = replace(found, e_fakemag=scale * found.e_fakemag)
        kept = scaled.take(scaled.clean)
        pull, single = np.abs(kept.pull), np.abs(kept.pull[kept.single])
        points.append(
            {
                "scale": scale,
                "flagged": _share(_noisy(scaled).flagged),
                "within_one": _share(single <= 1),
                "outliers": _share(single > LARGEST_PULL),
                "outliers_with_pairs": _share(pull > LARGEST_PULL),
            }
        )
    return points


def _share(rows: np.ndarray) -> float | None:
    return float(rows.mean()) if len(rows) else None


def _noisy(found: Measured) -> Measured:
    """The single ones with noise that must not flag, and no detector lost."""
    return found.take(found.single & found.whole & (found.snr >= NOISY[0]) & (found.snr < NOISY[1]))


def _class_lines(part: Measured) -> list[Line]:
    lines = []
    for kind, largest in SCATTER.items():
        some = part.take(part.stars.kind == kind)
        if len(some):
            rest = f"{len(some):,} stars; median r {np.median(some.r):+.3f}"
            note = f"{rest}, width of the pulls {half_width(some.pull):.2f}"
            name = f"{kind.replace('_', ' ')}: median |r|"
            lines.append(Line(name, float(np.median(np.abs(some.r))), high=largest, note=note))
    warm = part.take((part.stars.kind == "dwarf") & (part.stars.teff > WARM))
    if len(warm):
        note, bias = f"{len(warm):,} stars", float(np.median(warm.r))
        lines.append(Line(f"dwarf above {WARM:.0f} K: median r", bias, -WARM_BIAS, WARM_BIAS, "+.3f", note))
    return lines


def lost_section(model: Model, simulator: Simulator, patterns: np.ndarray, n: int, seed: int) -> Section:
    """Take a detector after the other from single stars."""
    lines, n = [], min(n, N_LOST)
    for name, chip in zip(("blue", "green", "red"), DETECTORS, strict=True):
        chunks = simulate_chunks(simulator, n, seed, Conditions(snr=(50.0, 500.0), companions={}), patterns)
        found = measure(model, _without(chunks, chip, seed), n, f"without {name}")
        good = found.take(~found.flagged)
        note = f"{len(good) / len(found):.0%} not flagged"
        wrong = np.count_nonzero(np.abs(good.pull) > LARGEST_PULL) / len(found)
        lines.append(
            Line(f"without {name}: not flagged and |pull| > 3", wrong, high=OUTLIERS, form=".2%", note=note)
        )
        if len(good) > A_FEW:
            bias = float(np.median(good.r))
            lines.append(Line(f"without {name}: median r", bias, -BIAS_OF_LOST, BIAS_OF_LOST, "+.3f", note))
    return Section(f"spectra without a detector: {n:,}", lines)


def _without(chunks: Iterator[Sample], chip: tuple[int, int], seed: int) -> Iterator[Sample]:
    rng = np.random.default_rng(seed)
    return (without(chunk, chip, 1.0, rng) for chunk in chunks)
