"""What a simulation is made from: stars and an emulator of their spectra; and the two that there are."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from astra.errors import UsageError
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


def full_simulator(spectra_models: Path, isochrones: Path) -> Simulator:
    """The simulator from the published isochrones and emulators.

    Args:
        spectra_models: Folder with ``cannon_giants``, ``main_sequence`` and ``apg_rvsynthgrid.fits``.
        isochrones: Folder with ``padova_*.dat.gz``.

    Raises:
        ConfigError: A file is not there or is another.
    """
    from astra.modelling.simulator.emulators.blended import read_blended
    from astra.modelling.simulator.isochrones import read_padova

    emulator = read_blended(spectra_models)
    return Simulator(
        read_padova(isochrones),
        emulator,
        emulator.scatter,
        "published isochrones and emulators",
        alternatives=(emulator.synthetic, emulator.grid),
    )


def choose_simulator(spectra_models: Path | None, isochrones: Path | None) -> Simulator:
    """The shipped simulator, or the one from the files of published models.

    Raises:
        UsageError: Only one of the two folders is given.
        ConfigError: A file is not there or is another.
    """
    if (spectra_models is None) != (isochrones is None):
        raise UsageError("--spectra-models and --isochrones go together: give both, or none of them")
    if spectra_models is None or isochrones is None:
        from astra.modelling.simulator.compact import load

        return load()
    return full_simulator(spectra_models, isochrones)
