"""The simulator from the published files, read once, and samples of it."""

from pathlib import Path

import numpy as np
import pytest

from astra.modelling.simulator.conditions import Conditions
from astra.modelling.simulator.masks import read_patterns
from astra.modelling.simulator.sample import Sample, simulate, without_noise
from astra.modelling.simulator.simulator import Simulator
from astra.modelling.simulator.simulators import full_simulator


@pytest.fixture(scope="session")
def spectra_models(shared: Path) -> Path:
    """The folder of published emulators."""
    return shared / "data" / "spectra_models"


@pytest.fixture(scope="session")
def isochrones(shared: Path) -> Path:
    """The folder of published isochrones."""
    return shared / "data" / "isochrones" / "padova_jhk"


@pytest.fixture(scope="session")
def full(spectra_models: Path, isochrones: Path) -> Simulator:
    """The simulator from the published files."""
    return full_simulator(spectra_models, isochrones)


@pytest.fixture(scope="session")
def patterns(shared: Path) -> np.ndarray:
    """The masks of the real spectra, shape (22, 8575)."""
    return read_patterns(shared / "data" / "apstar")


@pytest.fixture(scope="session")
def noisy(full: Simulator) -> Sample:
    """A few hundred stars as a survey would see them."""
    return simulate(full, 256, seed=1)


@pytest.fixture(scope="session")
def clean(full: Simulator) -> Sample:
    """The stars of ``noisy`` before there was noise."""
    return simulate(full, 256, seed=1, conditions=without_noise(Conditions()))
