"""What isochrones alone say of a star with known labels."""

from dataclasses import dataclass

import numpy as np

from astra.modelling.simulator.simulator import Population
from astra.modelling.simulator.stars import Stars

#: Stars drawn from the isochrones: the prior that the model was trained with.
N_STARS = 300_000

#: With fewer stars near the labels than this, the kernel is made wider.
FEWEST = 20.0

# Beyond this many widths nothing counts.
_REACH = 4.0

# Of the Sun (Prsa et al. 2016, AJ 152, 41): temperature [K], logarithm of the gravity [cgs], bolometric
# magnitude.
SOLAR_TEFF, SOLAR_LOGG, SOLAR_MBOL = 5772.0, 4.438, 4.74


@dataclass(frozen=True)
class Neighbours:
    """Stars drawn from isochrones, in order of gravity, and means over those close to some labels."""

    stars: Stars

    def abs_ks(self, labels: np.ndarray, widths: tuple[float, float, float]) -> np.ndarray:
        """Expected absolute Ks magnitude [mag], shape (N,), for labels (N, 4) with these errors.

        The mean over all stars drawn, each with the weight of a normal distribution in temperature, gravity
        and [Fe/H] about the labels. That is the mean of the posterior for somebody who knows the labels
        with these errors, and the same population of stars as the model. Where fewer than ``FEWEST`` stars
        count, the widths are doubled until enough do.
        """
        return self._mean(self.stars.abs_ks, labels, widths)

    def bolometric_correction(self, labels: np.ndarray, widths: tuple[float, float, float]) -> np.ndarray:
        """Expected difference of the bolometric and the Ks magnitude [mag], shape (N,)."""
        radius = radius_from_gravity(self.stars.mass, self.stars.logg)
        correction = bolometric(radius, self.stars.teff) - self.stars.abs_ks
        return self._mean(correction, labels, widths)

    def _mean(self, column: np.ndarray, labels: np.ndarray, widths: tuple[float, float, float]) -> np.ndarray:
        return np.array([self._mean_near(column, label, np.array(widths)) for label in labels])

    def _mean_near(self, column: np.ndarray, label: np.ndarray, widths: np.ndarray) -> float:
        near = slice(*np.searchsorted(self.stars.logg, label[1] + _REACH * widths[1] * np.array([-1, 1])))
        place = (self.stars.teff[near], self.stars.logg[near], self.stars.metallicity[near])
        squares = sum(((x - at) / width) ** 2 for x, at, width in zip(place, label, widths, strict=False))
        weight = np.exp(-0.5 * squares)
        total = weight.sum()
        if total == 0 or total**2 / (weight**2).sum() < FEWEST:
            return self._mean_near(column, label, 2 * widths)
        return float(weight @ column[near] / total)


def draw_neighbours(population: Population, seed: int) -> Neighbours:
    """Draw the stars."""
    stars = population.draw(N_STARS, np.random.default_rng([seed, 1]))
    return Neighbours(stars.take(np.argsort(stars.logg)))


def radius_from_gravity(mass: np.ndarray, logg: np.ndarray) -> np.ndarray:
    """Radius [solar radii] of a mass [solar masses] and a gravity [dex, cgs]."""
    return np.sqrt(mass * 10 ** (SOLAR_LOGG - logg))


def bolometric(radius: np.ndarray, teff: np.ndarray) -> np.ndarray:
    """Absolute bolometric magnitude of a radius [solar radii] and an effective temperature [K]."""
    return SOLAR_MBOL - 5 * np.log10(radius) - 10 * np.log10(teff / SOLAR_TEFF)
