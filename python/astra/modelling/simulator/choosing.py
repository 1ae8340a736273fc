"""The simulators that there are: that of the package, and the one from the files of published models."""

from pathlib import Path

from astra.errors import UsageError
from astra.modelling.simulator.compact import load
from astra.modelling.simulator.emulators.blended import read_blended
from astra.modelling.simulator.isochrones import read_padova
from astra.modelling.simulator.simulator import Simulator


def full_simulator(spectra_models: Path, isochrones: Path) -> Simulator:
    """The simulator from the published isochrones and emulators.

    Args:
        spectra_models: Folder with ``cannon_giants``, ``main_sequence`` and ``apg_rvsynthgrid.fits``.
        isochrones: Folder with ``padova_*.dat.gz``.

    Raises:
        ConfigError: A file is not there or is another.
    """
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
        return load()
    return full_simulator(spectra_models, isochrones)
