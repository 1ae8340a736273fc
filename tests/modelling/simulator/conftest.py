"""The simulators, the files of models that they are made from, and samples of them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from astra.modelling.simulator import compact, published
from astra.modelling.simulator.emulators import EMULATED, QUADRATIC
from astra.modelling.simulator.masks import read_patterns
from astra.modelling.simulator.sample import Sample, simulate
from astra.modelling.simulator.simulator import Conditions, Simulator


@pytest.fixture(scope="session")
def spectra_models(shared: Path) -> Path:
    """The folder of published emulators."""
    return shared / "data" / "spectra_models"


@pytest.fixture(scope="session")
def isochrones(shared: Path) -> Path:
    """The folder of published isochrones."""
    return shared / "data" / "isochrones" / "padova_jhk"


@pytest.fixture(scope="session")
def made_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of emulators with random numbers, in the formats of the published ones."""
    folder, random = tmp_path_factory.mktemp("models"), np.random.default_rng(5)
    n = len(EMULATED)
    giants, stars = folder / "cannon_giants", folder / "main_sequence"
    for path in (giants, stars):
        path.mkdir()
    np.savetxt(giants / f"{QUADRATIC}.txt", random.normal(0, 1e-3, (15, n)), "%.6g")
    np.savetxt(giants / f"{QUADRATIC}_scatter.txt", random.uniform(0.005, 0.01, n), "%.6g")
    np.savetxt(giants / "baseline_labels.txt", [4500, 2, -0.3, 0.05], "%.6g")
    for name, labels in (("NN_normalized_spectra", 5), ("NN_unnormalized_spectra", 4)):
        shapes = {"w_array_0": (n, 5, labels), "b_array_0": (n, 5), "w_array_1": (n, 5), "b_array_1": (n,)}
        arrays = {key: random.normal(0, 1, shape) for key, shape in shapes.items()}
        low, high = np.array([4000, 4, -1, -0.5, 0][:labels]), np.array([7000, 5, 0.5, 0.5, 20][:labels])
        np.savez(stars / f"{name}.npz", **arrays, x_min=low, x_max=high)
    np.savez(stars / "cannon_cont_pixels_apogee.npz", pixels_cannon=random.random(n) < 0.2)
    nodes = [(m, t, g) for t in published.COOL for g in published.LOGGS for m in published.METALLICITIES]
    nodes = np.array(nodes + [(0.0, t, 4.0) for t in published.HOT])
    header = fits.Header([("CRVAL2", 4.178), ("CDELT2", 2e-5)])
    flux = fits.ImageHDU(random.uniform(0.5, 1, (2700, len(nodes))), header)
    fits.HDUList([fits.PrimaryHDU(), flux, *map(fits.ImageHDU, nodes.T.copy())]).writeto(
        folder / published.GRID
    )
    return folder


DAMAGES = {
    "absent": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "another": lambda path: path.write_bytes(b"7 words that are no model at all\n"),
}


@pytest.fixture(params=DAMAGES)
def damage(request: pytest.FixtureRequest) -> Callable[[Path], object]:
    """A function that damages a file, or removes it."""
    return DAMAGES[request.param]


@pytest.fixture(scope="session", params=["made", pytest.param("published", marks=pytest.mark.real)])
def models(request: pytest.FixtureRequest) -> Path:
    """A folder of emulators: one of our own, and the published one."""
    return request.getfixturevalue("made_models" if request.param == "made" else "spectra_models")


@pytest.fixture(scope="session")
def full(spectra_models: Path, isochrones: Path) -> Simulator:
    """The simulator from the published files."""
    return published.full_simulator(spectra_models, isochrones)


@pytest.fixture(scope="session", params=["compact", pytest.param("published", marks=pytest.mark.real)])
def simulator(request: pytest.FixtureRequest) -> Simulator:
    """The simulator of the package, and the one from the published files."""
    return compact.load() if request.param == "compact" else request.getfixturevalue("full")


@pytest.fixture(scope="session")
def patterns(shared: Path) -> np.ndarray:
    """The masks of the real spectra, shape (22, 8575)."""
    return read_patterns(shared / "data" / "apstar")


@pytest.fixture(scope="session")
def noisy(simulator: Simulator) -> Sample:
    """A few hundred stars as a survey would see them."""
    return simulate(simulator, 256, seed=1)


@pytest.fixture(scope="session")
def clean(simulator: Simulator) -> Sample:
    """The stars of ``noisy`` before there was noise."""
    return simulate(simulator, 256, seed=1, conditions=Conditions(noise=False))
