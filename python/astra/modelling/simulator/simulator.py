"""What a simulation is made from: a population of stars, and an emulator of their spectra."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from astra.modelling.simulator.emulators.labels import Emulator
from astra.modelling.simulator.stars import MIX, Stars


class Population(Protocol):
    """Where stars are drawn from."""

    def draw(self, n: int, rng: np.random.Generator, mix: dict[str, float] = MIX) -> Stars:
        """Draw n stars with these shares of the classes."""


@dataclass(frozen=True)
class Simulator:
    """Stars and their spectra before they are observed."""

    population: Population
    emulator: Emulator

    scatter: np.ndarray
    """How much real spectra differ from the emulator's at each pixel, shape (8575,)."""

    name: str
    """For the provenance of what is made with it."""

    alternatives: tuple[Emulator, ...] = ()
    """Others, less like real spectra, between which and the first one the truth may lie."""
