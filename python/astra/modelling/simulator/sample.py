"""Simulated observations: many stars, some of them with companions, their spectra, and their true labels."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from astra.modelling.simulator.masks import MaskModel
from astra.modelling.simulator.observe import broaden, observe
from astra.modelling.simulator.simulator import Conditions, Simulator
from astra.modelling.simulator.stars import StarColumns, Stars
from astra.spectra.grid import N_GRID

#: Stars drawn together. The n-th star of a seed is the same however many are drawn.
CHUNK = 256

NO_PATTERNS = np.zeros((0, N_GRID), np.int32)


@dataclass(frozen=True)
class Sample(StarColumns):
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
    """Signal-to-noise ratio per pixel that the visits state together; persistence makes that of the spectrum
    smaller."""

    n_visits: np.ndarray
    """Number of visits that the spectrum combines."""

    understated: np.ndarray
    """How many times larger the noise is than stated on each detector, shape (N, 3)."""

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
    return Sample.joined(list(simulate_chunks(simulator, n, seed, conditions, patterns))).take(slice(n))


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
    stars = simulator.population.draw(CHUNK, rng, None if conditions.natural else conditions.mix)
    return observed(simulator, stars, rng, conditions, patterns)


def observed(
    simulator: Simulator,
    stars: Stars,
    rng: np.random.Generator,
    conditions: Conditions,
    patterns: np.ndarray = NO_PATTERNS,
) -> Sample:
    """Observe these stars, some of them with a companion, as the conditions say."""
    flux = _emulated(simulator, stars, rng, conditions)
    pairs = add_companions(simulator, stars, flux, rng, conditions)
    masks = MaskModel(patterns, lost_detector=conditions.lost_detector)
    seen = observe(pairs.flux, stars, simulator.scatter, masks, rng, conditions)
    return Sample(stars=stars, **vars(pairs) | seen)


def _emulated(
    simulator: Simulator, stars: Stars, rng: np.random.Generator, conditions: Conditions
) -> np.ndarray:
    """Emulated spectra, some of them between those of two emulators for the same labels."""
    labels = stars.labels() + rng.standard_normal((len(stars), 4)) * conditions.label_jitter
    flux = simulator.emulator.spectra(labels)
    # Nearer to the alternative than to the first more often than not: real stars may be as unlike the first.
    is_foreign = rng.uniform(size=len(labels)) < [conditions.foreign.get(kind, 0.0) for kind in stars.kind]
    which, share = rng.integers(1 << 16, size=len(labels)), np.sqrt(rng.uniform(size=len(labels)))
    for number, emulator in enumerate(simulator.alternatives):
        rows = np.flatnonzero(is_foreign & (which % len(simulator.alternatives) == number))
        if len(rows):
            flux[rows] += share[rows, None].astype(np.float32) * (emulator.spectra(labels[rows]) - flux[rows])
    return flux


# > Companions

#: Lowest ratio of the masses; fainter companions change neither spectrum nor luminosity.
LOWEST_MASS_RATIO = 0.45

#: Above this [K] more dwarfs and subgiants have companions.
WARM = 6000.0

# Candidates to choose companions from, for one batch of stars: of dwarfs and subgiants, and of each class of
# giants. What is on an isochrone beside a giant, and adds to its light: seldom another giant, as that takes
# nearly the same mass.
_CANDIDATES = 600
_PARTNERS = {"dwarf": 0.6, "m_dwarf": 0.2, "subgiant": 0.2}
_GIANTS_PARTNERS = {
    "rgb": {"rgb": 0.15, "red_clump": 0.02, "subgiant": 0.45, "dwarf": 0.38},
    "red_clump": {"rgb": 0.45, "red_clump": 0.12, "subgiant": 0.43},
}

# Exposures in one spectrum that differ in the phase of the orbit.
_MOST_EXPOSURES = 6

# Where lines begin to come apart, and the widest that close pairs show, at their largest [km/s].
_SMALLEST_SEPARATION, _LARGEST_SEPARATION = 10.0, 250.0


@dataclass(frozen=True)
class Pairs:
    """N stars with the companions that some of them have; as in :class:`Sample`."""

    flux: np.ndarray
    abs_ks: np.ndarray
    flux_ratio: np.ndarray
    separation: np.ndarray


def add_companions(
    simulator: Simulator, stars: Stars, flux: np.ndarray, rng: np.random.Generator, conditions: Conditions
) -> Pairs:
    """Give some stars a companion of about the same age and composition.

    Args:
        simulator: Where companions and their spectra come from.
        stars: N stars.
        flux: Their spectra, shape (N, 8575).
        rng: Source of randomness.
        conditions: How many stars have a companion, and which companions.
    """
    n = len(stars)
    chance = np.array([conditions.companions.get(kind, 0.0) for kind in stars.kind])
    warm = (stars.teff > WARM) & np.isin(stars.kind, ("dwarf", "subgiant"))
    chance = np.where(warm & (chance > 0), np.maximum(chance, conditions.warm_companions), chance)
    rows = np.flatnonzero(rng.uniform(size=n) < chance)
    ratio, separation = np.zeros(n), np.zeros(n)
    partners = _partners(simulator, stars.take(rows), rng)
    is_twin = (rng.uniform(size=len(rows)) < conditions.twins) & ~np.isin(
        stars.kind[rows], list(_GIANTS_PARTNERS)
    )
    twins = 10 ** (-0.4 * rng.uniform(0, 0.1, len(rows)))
    others = np.minimum(1.0, 10 ** (0.4 * (stars.abs_ks[rows] - partners.abs_ks)))
    ratio[rows] = np.where(is_twin, twins, others)
    apart = rng.uniform(size=len(rows)) < conditions.double_lined
    speed = rng.uniform(_SMALLEST_SEPARATION, _LARGEST_SEPARATION, len(rows))
    separation[rows] = np.where(apart, speed, rng.uniform(0, _SMALLEST_SEPARATION, len(rows)))
    if len(rows):
        flux = flux.copy()
        second = simulator.emulator.spectra(partners.labels())
        second[is_twin] = flux[rows[is_twin]]
        flux[rows] = _combined(flux[rows], second, ratio[rows], separation[rows], rng)
    return Pairs(flux, stars.abs_ks - 2.5 * np.log10(1 + ratio), ratio, separation)


def _combined(
    first: np.ndarray, second: np.ndarray, ratio: np.ndarray, separation: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Spectra of pairs, averaged over exposures at other times of the orbit, shape (N, 8575).

    Each exposure is shifted by the velocity that was measured in it. In half of the pairs, that is the mean
    of both stars weighted with their light. In the others it is that of one star, which is drawn for each
    exposure, the fainter one less often: for two similar stars, both occur, and lines are smeared.
    """
    n = len(ratio)
    n_exposures = rng.integers(1, _MOST_EXPOSURES + 1, n)
    moment = rng.integers(0, n_exposures[:, None], (n, _MOST_EXPOSURES))
    phase = np.take_along_axis(rng.uniform(0, 2 * np.pi, (n, _MOST_EXPOSURES)), moment, axis=1)
    drawn = np.take_along_axis(rng.uniform(size=(n, _MOST_EXPOSURES)), moment, axis=1)
    apart = separation[:, None] * np.sin(phase)
    mean, chance_of_fainter = ratio / (1 + ratio), ratio**2 / (1 + ratio**2)
    resolved = rng.uniform(size=(n, 1)) < 0.5
    taken_out = apart * np.where(resolved, drawn < chance_of_fainter[:, None], mean[:, None])
    still, vsini = np.zeros(n), _synchronous(separation, rng)
    first = broaden(first, -taken_out, still, vsini)
    second = broaden(second, apart - taken_out, still, vsini)
    return (first + ratio[:, None] * second) / np.float32(1 + ratio)[:, None]


def _synchronous(separation: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Projected velocity of rotation [km/s], shape (N,), of stars that rotate once in each orbit.

    The velocity of an orbit falls with the third root of its period, that of such a rotation with the period
    itself. 200 km/s between two stars like the Sun are a period of 2.4 days, and so a rotation of 20 km/s.
    """
    size = 20.0 * (separation / 200.0) ** 3 * rng.lognormal(0.0, 0.4, len(separation))
    return np.where(size > 1.5, np.minimum(size, 100.0), 0.0)


def _partners(simulator: Simulator, stars: Stars, rng: np.random.Generator) -> Stars:
    """A companion of each star."""
    candidates = simulator.population.draw(_CANDIDATES, rng, _PARTNERS)
    chosen = _closest(stars, candidates, rng)
    parts = [candidates]
    for kind, mix in _GIANTS_PARTNERS.items():
        rows = np.flatnonzero(stars.kind == kind)
        if len(rows):
            more = simulator.population.draw(_CANDIDATES, rng, mix)
            chosen[rows] = sum(map(len, parts)) + _fainter(stars.take(rows), more, rng)
            parts.append(more)
    return Stars.joined(parts).take(chosen)


def _fainter(stars: Stars, candidates: Stars, rng: np.random.Generator) -> np.ndarray:
    """For each giant a fainter candidate of about its metallicity and age, of a few one by chance."""
    distance = (
        ((candidates.metallicity - stars.metallicity[:, None]) / 0.15) ** 2
        + ((candidates.log_age - stars.log_age[:, None]) / 0.15) ** 2
        + 2 * rng.exponential(size=(len(stars), len(candidates)))
    )
    distance[candidates.abs_ks <= stars.abs_ks[:, None]] += 1e3
    return distance.argmin(axis=1)


def _closest(stars: Stars, candidates: Stars, rng: np.random.Generator) -> np.ndarray:
    """For each star the candidate closest to a drawn mass and to its metallicity and age."""
    wanted = stars.mass * rng.uniform(LOWEST_MASS_RATIO, 1.0, len(stars))
    distance = (
        ((candidates.mass - wanted[:, None]) / 0.05) ** 2
        + ((candidates.metallicity - stars.metallicity[:, None]) / 0.15) ** 2
        + ((candidates.log_age - stars.log_age[:, None]) / 0.3) ** 2
    )
    distance[candidates.mass > stars.mass[:, None]] += 1e3
    return distance.argmin(axis=1)
