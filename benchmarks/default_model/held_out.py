"""Simulated stars that no training has seen, observed like real ones."""

from dataclasses import asdict, dataclass

import numpy as np
from measuring import Measured, Model, measure
from table import Line, Section, finite

from astra.modelling.simulator.sample import WARM, simulate_chunks
from astra.modelling.simulator.simulator import Conditions, Simulator
from astra.modelling.training.evaluate import (
    ALL,
    LARGEST_PULL,
    ClassMetrics,
    coverage,
    evaluate,
    flagged_by_error,
)
from astra.pipelines.astronn_dist.distances.distance import UNRELIABLE

#: The range of S/N that the figures are for.
SNR = (50.0, 500.0)

#: Lines of the two stars come apart from this difference in velocity on [km/s].
DOUBLE_LINED = 10.0

#: Intervals of |r| for the share of flagged stars.
EDGES = np.array([0, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, np.inf])

#: Limits of the stated relative error, for what is kept and how good it is.
LIMITS = np.array([0.05, 0.08, 0.1, 0.12, 0.15, 0.2, 0.25, 0.3, 0.4, 0.6, 1.0])


@dataclass(frozen=True)
class Target:
    """What is asked of a class."""

    median_abs_r: float
    unflagged: float | None
    """Share of the stars with S/N > 100 that must not be flagged."""


TARGETS = {
    "rgb": Target(0.10, 0.70),
    "red_clump": Target(0.08, 0.80),
    "subgiant": Target(0.11, None),
    "dwarf": Target(0.06, 0.90),
}
BIAS, PULL_WIDTH, OUTLIERS = 0.04, (0.85, 1.15), 0.01


def measured_held_out(
    model: Model, simulator: Simulator, patterns: np.ndarray, n: int, seed: int
) -> Measured:
    """Draw stars of a seed, observe them under all conditions, predict, and leave out two kinds.

    These are stars beyond the emulators, and spectra that lack a detector, which are measured apart.
    """
    chunks = simulate_chunks(simulator, n, seed, Conditions(snr=SNR), patterns)
    found = measure(model, chunks, n, f"held out {seed}")
    return found.take(~found.stars.beyond & found.whole)


def held_out_section(found: Measured) -> Section:
    """Figures of single stars class by class, then of those with companions."""
    single = found.take(found.single)
    metrics, metrics_all = metrics_of(single), metrics_of(found)
    lines = [line for kind in TARGETS if kind in metrics for line in _class_lines(kind, metrics[kind])]
    lines += [_other_line(kind, metrics[kind]) for kind in ("m_dwarf", "hot") if kind in metrics]
    lines += warm_lines(single) + _binary_lines(found)
    for kind in (kind for kind in (*TARGETS, ALL) if kind in metrics_all):
        entry = metrics_all[kind]
        width = f"width of the pulls {entry.pull_width:.2f}, beyond 3 {entry.pull_outliers:.2%}"
        note = f"{entry.n:,} stars; {width}"
        lines.append(Line(f"{_named(kind)} with companions: median |r|", entry.median_abs_r, note=note))
    spectra = f"{len(found):,}, S/N >= {SNR[0]:.0f}, masked, no detector lost"
    return Section(
        f"held-out simulated stars: {spectra}; single stars if not said",
        lines,
        {
            "single": plain(metrics),
            "with_companions": plain(metrics_all),
            "flagged_by_error": {kind: _flag_curve(single, kind) for kind in (*TARGETS, ALL)},
            "coverage": {kind: _curve_dict(*curve_of(single, kind)) for kind in (*TARGETS, ALL)},
        },
    )


def metrics_of(found: Measured) -> dict[str, ClassMetrics]:
    """As :func:`evaluate` gives them."""
    return evaluate(found.stars.kind, found.fakemag_true, found.fakemag, found.e_fakemag, found.snr)


def plain(metrics: dict[str, ClassMetrics]) -> dict[str, dict[str, float | None]]:
    """Metrics as plain numbers for JSON, which has no NaN."""
    return {
        kind: {
            name: finite(value) if isinstance(value, float) else value
            for name, value in asdict(entry).items()
        }
        for kind, entry in metrics.items()
    }


def curve_of(found: Measured, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """The share of the stars of a class that each of ``LIMITS`` lets through, and the median |r| of these."""
    part = of_kind(found, kind)
    return coverage(part.r, part.e_fakemag / part.fakemag, LIMITS)


def of_kind(found: Measured, kind: str) -> Measured:
    """The stars of one class; ``ALL`` gives all."""
    return found if kind == ALL else found.take(found.stars.kind == kind)


def warm_lines(found: Measured) -> list[Line]:
    """The bias of dwarfs whose few lines hardly distinguish them from subgiants and pairs."""
    part = found.take((found.stars.kind == "dwarf") & (found.stars.teff > WARM))
    if not len(part):
        return []
    entry = metrics_of(part)[ALL]
    width = f"width of the pulls {entry.pull_width:.2f}, flagged {entry.flagged:.0%}"
    note = f"{entry.n:,} stars; median |r| {entry.median_abs_r:.3f}, {width}"
    return [Line(f"dwarf above {WARM:.0f} K: median r", entry.median_r, form="+.3f", note=note)]


def _class_lines(kind: str, metrics: ClassMetrics) -> list[Line]:
    label, target = _named(kind), TARGETS[kind]
    half_width = f"{metrics.n:,} stars; half width (16-84 %) {metrics.half_width_r:.3f}"
    return [
        Line(f"{label}: median |r|", metrics.median_abs_r, high=target.median_abs_r, note=half_width),
        Line(f"{label}: median r", metrics.median_r, -BIAS, BIAS, form="+.3f"),
        Line(f"{label}: width of the pulls", metrics.pull_width, *PULL_WIDTH, form=".2f"),
        Line(f"{label}: |pull| > 3", metrics.pull_outliers, high=OUTLIERS, form=".2%"),
        Line(
            f"{label}: not flagged at S/N > 100",
            1 - metrics.flagged_bright,
            low=target.unflagged or -np.inf,
            form=".0%",
            note=f"{metrics.n_bright:,} stars; at all S/N {1 - metrics.flagged:.0%}",
        ),
    ]


def _other_line(kind: str, metrics: ClassMetrics) -> Line:
    note = f"{metrics.n:,} stars; width of the pulls {metrics.pull_width:.2f}, flagged {metrics.flagged:.0%}"
    return Line(f"{_named(kind)}: median |r|", metrics.median_abs_r, note=note)


def _binary_lines(found: Measured) -> list[Line]:
    lines = []
    double_lined = ~found.single & (np.abs(found.separation) >= DOUBLE_LINED)
    for label, rows in (
        ("double-lined binaries", double_lined),
        ("double-lined, companion over half as bright", double_lined & (found.flux_ratio > 0.5)),
        ("other binaries", ~found.single & ~double_lined),
    ):
        part = found.take(rows)
        metrics = metrics_of(part)[ALL]
        wrong = int((~part.flagged & ~(np.abs(part.pull) <= LARGEST_PULL)).sum())
        note = f"{metrics.n:,} stars; flagged {metrics.flagged:.0%}; not flagged and |pull| > 3: {wrong}"
        lines.append(Line(f"{label}: median |r|", metrics.median_abs_r, note=note))
    return lines


def _flag_curve(found: Measured, kind: str) -> list[dict]:
    part = of_kind(found, kind)
    shares = flagged_by_error(part.r, part.flagged, EDGES)
    return [
        {"from": low, "to": finite(high), "flagged": finite(share)}
        for low, high, share in zip(EDGES[:-1].tolist(), EDGES[1:], shares, strict=True)
    ]


def _curve_dict(shares: np.ndarray, medians: np.ndarray) -> list[dict]:
    return [
        {"limit": limit, "kept": finite(kept), "median_abs_r": finite(median), "flag": limit == UNRELIABLE}
        for limit, kept, median in zip(LIMITS.tolist(), shares, medians, strict=True)
    ]


def _named(kind: str) -> str:
    return kind.replace("_", " ")
