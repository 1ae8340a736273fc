"""The same population seen by other simulators: synthetic spectra alone, other masks, other noise.

The grid has spectra at Teff 3500 (500) 5000 (1000) 10000 K, logg 2, 3.5, 5 and [M/H] -2, -1, 0, a smooth
curve between, and one mixture of abundances at each metallicity. Only stars inside that range are compared,
and with the held-out stars of the first simulator inside the same range.

Line lists and model atmospheres that were never fitted to real stars give other gravities for the same lines:
ASPCAP fits spectra of giants by synthetic ones whose gravity is 0.26 dex higher than the seismic one (the
median of its raw minus the seismic values in the APOKASC catalogue). So the simulators are also compared
with that much added to the gravity of giants before their synthetic spectra are made.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from held_out import TARGETS, metrics_of, plain, warm_lines
from measuring import Measured, Model, measure
from table import Line, Section

from astra.modelling.simulator.masks import MaskModel
from astra.modelling.simulator.observe import observe
from astra.modelling.simulator.sample import CHUNK, NO_PATTERNS, Sample
from astra.modelling.simulator.simulator import Conditions, Emulator, Simulator
from astra.modelling.simulator.stars import GIANT_LOGG, LOGG, Stars

#: Other noise and other differences from real spectra than in training; no companions.
CONDITIONS = replace(
    Conditions(),
    snr=(50.0, 300.0),
    mismatch=0.5,
    depth=(0.03, 0.02),
    velocity=0.7,
    turbulence=6.0,
    wiggle=0.012,
    telluric=0.03,
    sky=1.0,
    persistence=0.1,
    companions={},
)

#: Other masks: no real ones, and the sky lines of a spectrum cover 1.5 times as much.
MASKS = MaskModel(NO_PATTERNS, sky_cover=(0.21, 0.5))

#: Teff [K], logg [dex], [Fe/H] [dex], [alpha/Fe] [dex].
LOWEST, HIGHEST = (3500.0, 2.0, -2.0, -0.1), (7000.0, 5.0, 0.0, 0.1)

RATIO, PULL_WIDTH = 1.5, (0.7, 1.3)

#: What is added to the gravity of giants for the calibrated variants [dex].
GRAVITY_OFFSET = 0.26


@dataclass(frozen=True)
class Calibrated:
    """An emulator that is asked for higher gravities of giants than the stars have."""

    inner: Emulator

    def spectra(self, labels: np.ndarray) -> np.ndarray:
        """As in :class:`~astra.modelling.simulator.simulator.Emulator`."""
        labels = labels.copy()
        labels[:, LOGG] += np.where(labels[:, LOGG] < GIANT_LOGG, GRAVITY_OFFSET, 0.0)
        return self.inner.spectra(labels)


def second_sections(
    model: Model, simulator: Simulator, in_domain: Measured, n: int, seed: int
) -> list[Section]:
    """The grid, which has targets, and its variants, which have none.

    Args:
        model: The model.
        simulator: The first simulator, for its population; its emulator must be the blended one.
        in_domain: Held-out stars of the first simulator.
        n: How many stars for the grid; its variants get a tenth of them, or 100.
        seed: Another seed, other stars.
    """
    emulator = simulator.emulator
    variants = {
        "grid": emulator.grid,
        "grid, gravities calibrated": Calibrated(emulator.grid),
        "synthetic network": emulator.synthetic,
        "synthetic network, gravities calibrated": Calibrated(emulator.synthetic),
    }
    reference = in_domain.take(in_domain.single & inside(in_domain.stars))
    sections = []
    for name, variant in variants.items():
        has_target = name == "grid"
        total = n if has_target else max(n // 10, 100)
        chunks = _chunks(replace(simulator, emulator=variant), total, seed)
        found = measure(model, chunks, total, f"second simulator: {name}")
        sections.append(_section(name, found, reference, has_target))
    return sections


def inside(stars: Stars) -> np.ndarray:
    """Which stars lie inside the range of the grid and belong to a class with targets."""
    labels = stars.labels()
    return ((labels >= LOWEST) & (labels <= HIGHEST)).all(axis=1) & np.isin(stars.kind, list(TARGETS))


def _chunks(simulator: Simulator, total: int, seed: int) -> Iterator[Sample]:
    index = 0
    while total > 0:
        rng = np.random.default_rng([seed, 2, index])
        stars = simulator.population.draw(4 * CHUNK, rng)
        stars = stars.take(np.flatnonzero(inside(stars))[: min(CHUNK, total)])
        yield _observed(simulator, stars, rng)
        total -= len(stars)
        index += 1


def _observed(simulator: Simulator, stars: Stars, rng: np.random.Generator) -> Sample:
    labels = stars.labels() + rng.standard_normal((len(stars), 4)) * CONDITIONS.label_jitter
    flux = simulator.emulator.spectra(labels)
    seen = observe(flux, stars, simulator.scatter, MASKS, rng, CONDITIONS)
    nothing = np.zeros(len(stars))
    return Sample(stars=stars, abs_ks=stars.abs_ks, flux_ratio=nothing, separation=nothing, **seen)


def _section(name: str, found: Measured, reference: Measured, has_target: bool) -> Section:
    metrics, expected = metrics_of(found), metrics_of(reference)
    lines = []
    for kind in TARGETS:
        if kind not in metrics or kind not in expected:
            continue
        entry, first, label = metrics[kind], expected[kind], kind.replace("_", " ")
        errors = f"{entry.median_abs_r:.3f} ({entry.n:,}) over {first.median_abs_r:.3f} ({first.n:,})"
        rest = f"median r {entry.median_r:+.3f}, flagged {entry.flagged:.0%}"
        width = f"width of the pulls {entry.pull_width:.2f}, {rest}"
        ratio = Line(
            f"{label}: median |r| over that in domain",
            entry.median_abs_r / first.median_abs_r,
            high=RATIO if has_target else np.inf,
            form=".2f",
            note=errors if has_target else f"{errors}; {width}",
        )
        lines.append(ratio)
        if has_target:
            lines.append(
                Line(f"{label}: width of the pulls", entry.pull_width, *PULL_WIDTH, form=".2f", note=rest)
            )
    lines += warm_lines(found)
    details = {"metrics": plain(metrics)}
    return Section(f"second simulator: {name}, other masks, other noise", lines, details)
