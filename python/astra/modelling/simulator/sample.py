"""Simulated observations: many stars, their spectra, and the truth about them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from astra.modelling.simulator.companions import add_companions
from astra.modelling.simulator.conditions import Conditions
from astra.modelling.simulator.masks import MaskModel
from astra.modelling.simulator.observe import observe
from astra.modelling.simulator.simulator import Simulator
from astra.modelling.simulator.stars import Columns, Stars
from astra.spectra.grid import N_GRID

#: Stars drawn together. The n-th star of a seed is the same however many are drawn.
CHUNK = 256

NO_PATTERNS = np.zeros((0, N_GRID), np.int32)


@dataclass(frozen=True)
class Sample(Columns):
    """N observed stars; arrays of shape (N,) or (N, 8575)."""

    stars: Stars
    """The stars, or the primaries."""

    abs_ks: np.ndarray
    """Absolute Ks magnitude of the star and its companion together [mag]."""

    flux_ratio: np.ndarray
    """Ks flux of the companion divided by that of the primary; 0 without one."""

    separation: np.ndarray
    """Largest difference in velocity between the two [km/s]; 0 without a companion."""

    flux: np.ndarray
    """Flux on the apStar grid, float32, arbitrary counts."""

    e_flux: np.ndarray
    """Its standard deviation, as the reduction would report it."""

    pixel_flags: np.ndarray
    """apStar mask bits, int32."""

    snr: np.ndarray
    """Signal-to-noise ratio per pixel."""

    n_visits: np.ndarray
    """Number of visits that the spectrum combines."""

    @property
    def fakemag(self) -> np.ndarray:
        """Pseudo-luminosity of the star and its companion together [mas], shape (N,)."""
        return 10 ** (0.2 * self.abs_ks + 2)


def simulate(
    simulator: Simulator,
    n: int,
    *,
    seed: int = 0,
    conditions: Conditions | None = None,
    patterns: np.ndarray = NO_PATTERNS,
) -> Sample:
    """Draw stars and observe them.

    Args:
        simulator: Where stars and their spectra come from.
        n: How many stars.
        seed: The same seed gives the same stars, also when more of them are drawn.
        conditions: How they are observed; the defaults if ``None``.
        patterns: Masks of real spectra to take patterns from, shape (M, 8575).
    """
    conditions = conditions or Conditions()
    return joined(list(simulate_chunks(simulator, n, seed, conditions, patterns)), n)


def simulate_chunks(
    simulator: Simulator, n: int, seed: int, conditions: Conditions, patterns: np.ndarray = NO_PATTERNS
) -> Iterator[Sample]:
    """The stars of :func:`simulate` one chunk at a time; the last may go beyond ``n``."""
    for index in range(-(-n // CHUNK)):
        yield simulate_chunk(simulator, seed, index, conditions, patterns)


def simulate_chunk(
    simulator: Simulator, seed: int, index: int, conditions: Conditions, patterns: np.ndarray = NO_PATTERNS
) -> Sample:
    """The ``CHUNK`` stars number ``index * CHUNK`` and following of a seed."""
    rng = np.random.default_rng([seed, index])
    stars = simulator.population.draw(CHUNK, rng, conditions.mix)
    return observed(simulator, stars, rng, conditions, patterns)


def observed(
    simulator: Simulator,
    stars: Stars,
    rng: np.random.Generator,
    conditions: Conditions,
    patterns: np.ndarray = NO_PATTERNS,
) -> Sample:
    """Observe given stars; those that the conditions give a companion get one."""
    labels = stars.labels() + rng.standard_normal((len(stars), 4)) * conditions.label_jitter
    flux = _varied(simulator, labels, stars.kind, rng, conditions)
    pairs = add_companions(simulator, stars, flux, rng, conditions)
    seen = observe(pairs.flux, stars, simulator.scatter, MaskModel(patterns), rng, conditions)
    return Sample(
        stars=stars,
        abs_ks=pairs.abs_ks,
        flux_ratio=pairs.flux_ratio,
        separation=pairs.separation,
        **seen,
    )


def _varied(
    simulator: Simulator,
    labels: np.ndarray,
    kinds: np.ndarray,
    rng: np.random.Generator,
    conditions: Conditions,
) -> np.ndarray:
    """Emulated spectra, some of them on the way to what another emulator makes of the same labels."""
    flux = simulator.emulator.spectra(labels)
    # Nearer to the alternative than to the first more often than not: real stars may be as unlike the first.
    is_foreign = rng.uniform(size=len(labels)) < [conditions.foreign.get(kind, 0.0) for kind in kinds]
    which, share = rng.integers(1 << 16, size=len(labels)), np.sqrt(rng.uniform(size=len(labels)))
    for number, emulator in enumerate(simulator.alternatives):
        rows = np.flatnonzero(is_foreign & (which % len(simulator.alternatives) == number))
        if len(rows):
            flux[rows] += share[rows, None].astype(np.float32) * (emulator.spectra(labels[rows]) - flux[rows])
    return flux


def joined(parts: list[Sample], n: int) -> Sample:
    """The first n stars of several samples as one."""
    return Sample.joined(parts).take(slice(n))


def without_noise(conditions: Conditions) -> Conditions:
    """The same conditions, before photon noise."""
    return replace(conditions, noise=False)
