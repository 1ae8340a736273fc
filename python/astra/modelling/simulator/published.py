"""The simulator from published models: isochrones, and one emulator of all stars made from several.

The grid of synthetic spectra covers all pixels and stars up to 25000 K; where there is a better emulator, its
spectra replace those of the grid.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits
from scipy.interpolate import CubicSpline

from astra.errors import UsageError
from astra.modelling.simulator.emulators import NOT_EMULATED, read_emulators, rising
from astra.modelling.simulator.families import LET_IN, read_families
from astra.modelling.simulator.isochrones import read_padova
from astra.modelling.simulator.simulator import Emulator, Population, Simulator, reading
from astra.modelling.simulator.stars import LOGG, METALLICITY, TEFF
from astra.spectra.fits_structure import structure_of
from astra.spectra.grid import N_GRID, wavelength
from astra.spectra.lines import to_vacuum

# Where one emulator hands over to the next: its weight falls from 1 to 0 between the two values.
GIANT_LOGG, GRID_TEFF, COOL_DWARF_TEFF = (3.5, 4.0), (6800.0, 7500.0), (4150.0, 3900.0)


def full_simulator(
    spectra_models: Path, *isochrones: Path, families: Sequence[str] | None = None
) -> Simulator:
    """The simulator from the published isochrones and emulators.

    Args:
        spectra_models: Folder with ``cannon_giants``, ``main_sequence`` and ``apg_rvsynthgrid.fits``.
        isochrones: Folder with ``padova_*.dat.gz``, and the wheel of lachesis-grids if stars of several
            families of isochrones are wanted.
        families: Which of them; by default those that agree with real stars.

    Raises:
        ConfigError: A file is missing, or is not the published one.
        UsageError: There is not one folder and at most one file of isochrones, or a family is unknown.
    """
    emulator = read_blended(spectra_models)
    population, name = _population(isochrones, families)
    alternatives = (emulator.synthetic, emulator.grid)
    return Simulator(population, emulator, emulator.scatter, name, alternatives)


def _population(isochrones: Sequence[Path], families: Sequence[str] | None) -> tuple[Population, str]:
    wheels = [path for path in isochrones if path.suffix == ".whl"]
    folders = [path for path in isochrones if path.suffix != ".whl"]
    if len(folders) != 1 or len(wheels) > 1:
        raise UsageError("--isochrones: give the folder of padova_*.dat.gz, and at most one .whl beside")
    if wheels:
        found = read_families(folders[0], wheels[0], families or LET_IN)
        return found, f"published isochrones ({', '.join(found.names)}) and emulators"
    if families:
        raise UsageError("--families: give the wheel of lachesis-grids as a second --isochrones")
    return read_padova(folders[0]), "published isochrones and emulators"


# > All emulators as one


@dataclass(frozen=True)
class BlendedEmulator:
    """Giants and dwarfs fitted to real spectra where there were any, synthetic spectra elsewhere."""

    giants: Emulator
    dwarfs: Emulator
    synthetic: Emulator
    grid: "GridEmulator"

    scatter: np.ndarray
    """How much real stars differ from the emulators at each pixel, shape (8575,)."""

    def spectra(self, labels: np.ndarray) -> np.ndarray:
        """As in :class:`~.simulator.Emulator`.

        The edges of the detectors, which only the grid covers, are the grid's.
        """
        teff, logg = labels[:, TEFF], labels[:, LOGG]
        giant, warm = 1 - rising(logg, GIANT_LOGG), 1 - rising(teff, COOL_DWARF_TEFF)
        below_grid = 1 - rising(teff, GRID_TEFF)
        grid = 1 - below_grid
        cool = (1 - grid) * (1 - giant) * (1 - warm)
        flux = self.grid.spectra(labels)
        kept = flux[:, NOT_EMULATED]
        flux *= grid[:, None]
        for emulator, share in (
            (self.giants, (1 - grid - cool) * giant),
            (self.dwarfs, (1 - grid - cool) * (1 - giant)),
            (self.synthetic, cool),
        ):
            rows = np.flatnonzero(share > 0)
            if len(rows):
                flux[rows] += share[rows, None].astype(np.float32) * emulator.spectra(labels[rows])
        flux[:, NOT_EMULATED] = kept
        return np.clip(flux, 0.02, None)


def read_blended(folder: Path) -> BlendedEmulator:
    """Read all emulators below a folder of spectra models.

    Raises:
        ConfigError: A file is missing, or is not the published one.
    """
    grid = read_grid(folder / GRID)
    giants, dwarfs, synthetic, scatter = read_emulators(folder, grid)
    return BlendedEmulator(giants, dwarfs, synthetic, grid, scatter)


# > The grid

GRID = "apg_rvsynthgrid.fits"

COOL = np.array([3500, 4000, 4500, 5000, 6000, 7000, 8000, 9000, 10000], float)
HOT = np.array([15000, 20000, 25000], float)
LOGGS, METALLICITIES = np.array([2, 3.5, 5.0]), np.array([-2.0, -1, 0])

# The grid has a resolution of 30000, the spectrograph of 22500: the Gaussian between them, in pixels.
BROADENING = 0.9


@dataclass(frozen=True)
class GridEmulator:
    """Interpolation in temperature, gravity and metallicity; alpha has no effect.

    Smooth up to 10,000 K: a cubic spline in temperature, parabolas in gravity and metallicity. Such curves
    come nearer to the spectra between the nodes than straight lines do, by a factor of two (Meszaros &
    Allende Prieto 2013, MNRAS 430, 3285). Linear in temperature above, where there is one gravity.
    """

    cool: np.ndarray
    """float32 of shape (9, 3, 3, 8575): temperature, gravity, metallicity."""

    hot: np.ndarray
    """float32 of shape (3, 8575), of one gravity and metallicity."""

    def spectra(self, labels: np.ndarray) -> np.ndarray:
        """As in :class:`~.simulator.Emulator`; outside the grid, the nearest edge."""
        weights = [
            _smooth(nodes, labels[:, index])
            for nodes, index in ((COOL, TEFF), (LOGGS, LOGG), (METALLICITIES, METALLICITY))
        ]
        shares = np.einsum("nt,ng,nm->ntgm", *weights).reshape(len(labels), -1).astype(np.float32)
        flux = shares @ self.cool.reshape(-1, N_GRID)
        rows = np.flatnonzero(labels[:, TEFF] > COOL[-1])
        if len(rows):
            hot = _linear(np.concatenate([COOL[-1:], HOT]), labels[rows, TEFF]).astype(np.float32)
            flux[rows] = hot[:, :1] * flux[rows] + hot[:, 1:] @ self.hot
        return flux


def _smooth(nodes: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Weights of the nodes, (N,) -> (N, nodes): a cubic spline, of three nodes the parabola through them."""
    spline = CubicSpline(nodes, np.eye(len(nodes)))
    return spline(np.clip(values, nodes[0], nodes[-1]))


def _linear(nodes: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Weights of the nodes, linear from node to node."""
    return np.stack([np.interp(values, nodes, unit) for unit in np.eye(len(nodes))], axis=1)


def read_grid(path: Path) -> GridEmulator:
    """Read the published grid, on air wavelengths, and put it on the pixels of apStar.

    Raises:
        ConfigError: The file is missing, or is not the published one.
    """
    with reading("emulator", path, "give the folder of spectra models"):
        with path.open("rb") as file:
            structure_of(file, path.name)
        with fits.open(path) as hdus:
            header, flux = hdus[1].header, np.asarray(hdus[1].data.T, float)
            metallicity, teff, logg = (np.asarray(hdus[index].data) for index in (2, 3, 4))
            log_air = header["CRVAL2"] + header["CDELT2"] * np.arange(flux.shape[1])
        spectra = _on_pixels(flux, to_vacuum(10**log_air))
        nodes = itertools.product(COOL, LOGGS, METALLICITIES)
        cool = [spectra[(teff == t) & (logg == g) & (metallicity == m)][0] for t, g, m in nodes]
        hot = [spectra[(teff == t) & (np.abs(metallicity) < 0.1)][0] for t in HOT]
    shape = len(COOL), len(LOGGS), len(METALLICITIES), N_GRID
    return GridEmulator(np.array(cool, np.float32).reshape(shape), np.array(hot, np.float32))


def _on_pixels(flux: np.ndarray, vacuum: np.ndarray) -> np.ndarray:
    """Spectra (N, …) at the wavelengths of apStar, at its resolution; 1 beyond their ends."""
    pixels = wavelength()
    x = np.arange(-5, 6)
    kernel = np.exp(-0.5 * (x / BROADENING) ** 2)
    kernel /= kernel.sum()
    resampled = [np.interp(pixels, vacuum, row, left=1.0, right=1.0) for row in flux]
    return np.stack([np.convolve(np.pad(row, 5, mode="edge"), kernel, mode="valid") for row in resampled])
