"""A simulator of a few lines and stars, for tests of what is done with simulated spectra."""

import numpy as np

from astra.modelling.simulator.sample import Sample, simulate
from astra.modelling.simulator.simulator import Simulator
from astra.modelling.simulator.stars import KINDS, MIX, Stars

# Ks magnitude, temperature, gravity and mass in the middle of each kind.
_MIDDLES = {
    "rgb": (-4.0, 4300, 1.8, 1.2),
    "red_clump": (-1.6, 4800, 2.5, 1.2),
    "subgiant": (1.8, 5500, 3.8, 1.1),
    "dwarf": (3.6, 5600, 4.5, 0.9),
    "m_dwarf": (5.5, 3700, 4.8, 0.5),
    "hot": (0.5, 9000, 4.1, 2.2),
    "young": (4.0, 3900, 4.2, 0.6),
}


class ToyPopulation:
    """Stars around the middle of each kind."""

    def draw(self, n: int, rng: np.random.Generator, mix: dict[str, float] | None = MIX) -> Stars:
        """Draw n stars with these shares of the kinds; as a survey sees them, half are dwarfs."""
        mix = mix or {"dwarf": 0.5, "rgb": 0.5}
        kinds = rng.choice(list(mix), size=n, p=np.array(list(mix.values())) / sum(mix.values()))
        abs_ks, teff, logg, mass = np.array([_MIDDLES[kind] for kind in kinds]).reshape(-1, 4).T
        abs_ks = abs_ks + rng.normal(0, 0.4, n)
        return Stars(
            teff=teff + rng.normal(0, 100, n),
            logg=logg + rng.normal(0, 0.1, n),
            metallicity=rng.normal(-0.2, 0.2, n),
            alpha=rng.uniform(0, 0.3, n),
            mass=mass + rng.uniform(-0.1, 0.1, n),
            log_age=np.full(n, 9.5),
            abs_j=abs_ks + 0.6,
            abs_h=abs_ks + 0.1,
            abs_ks=abs_ks,
            kind=kinds.astype("U10"),
        )


class ToyEmulator:
    """A line every 90 pixels, deeper in cooler stars."""

    def spectra(self, labels: np.ndarray) -> np.ndarray:
        """Flux divided by the continuum, shape (N, 8575)."""
        lines = np.exp(-0.5 * ((np.arange(8575) % 90 - 45) / 2.5) ** 2)
        depth = np.clip(1500 / labels[:, 0], 0.1, 0.6)
        return (1 - depth[:, None] * lines).astype(np.float32)


def toy_simulator() -> Simulator:
    """A simulator that needs no files."""
    return Simulator(ToyPopulation(), ToyEmulator(), np.full(8575, 0.01, np.float32), "toy")


def a_sample(n: int = 8, seed: int = 0) -> Sample:
    """A few observed stars, of all kinds if there are enough."""
    assert set(_MIDDLES) == set(KINDS)
    return simulate(toy_simulator(), n, seed=seed)
