"""A coarse grid of synthetic spectra that covers all pixels and stars up to 25000 K."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits

from astra.products.fits_structure import check_structure
from astra.products.grid import N_GRID, wavelength
from astra.simulator.emulators.labels import LOGG, METALLICITY, TEFF
from astra.simulator.reading import reading

NAME = "apg_rvsynthgrid.fits"

COOL = np.array([3500, 4000, 4500, 5000, 6000, 7000, 8000, 9000, 10000], float)
HOT = np.array([15000, 20000, 25000], float)
LOGGS, METALLICITIES = np.array([2, 3.5, 5.0]), np.array([-2.0, -1, 0])

# The grid has a resolution of 30000, the spectrograph of 22500: the Gaussian between them, in pixels.
BROADENING = 0.9


@dataclass(frozen=True)
class GridEmulator:
    """Linear interpolation in temperature, gravity and metallicity; alpha has no effect."""

    cool: np.ndarray
    """float32 of shape (9, 3, 3, 8575): temperature, gravity, metallicity."""

    hot: np.ndarray
    """float32 of shape (3, 8575), of one gravity and metallicity."""

    def spectra(self, labels: np.ndarray) -> np.ndarray:
        """As in :class:`~astra.simulator.emulators.labels.Emulator`; the nearest edge outside the grid."""
        temperatures = np.concatenate([COOL, HOT])
        flux = np.zeros((len(labels), N_GRID), np.float32)
        for t, share_t in _neighbours(temperatures, labels[:, TEFF]):
            is_hot = t >= len(COOL)
            flux[is_hot] += share_t[is_hot, None] * self.hot[t[is_hot] - len(COOL)]
            rows = np.flatnonzero(~is_hot & (share_t > 0))
            for g, share_g in _neighbours(LOGGS, labels[rows, LOGG]):
                for m, share_m in _neighbours(METALLICITIES, labels[rows, METALLICITY]):
                    share = share_t[rows] * share_g * share_m
                    used = np.flatnonzero(share > 0)
                    flux[rows[used]] += share[used, None] * self.cool[t[rows[used]], g[used], m[used]]
        return flux


def _neighbours(nodes: np.ndarray, values: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Index and weight of the node below each value and of the one above."""
    values = np.clip(values, nodes[0], nodes[-1])
    below = np.clip(np.searchsorted(nodes, values, side="right") - 1, 0, len(nodes) - 2)
    share = ((values - nodes[below]) / (nodes[below + 1] - nodes[below])).astype(np.float32)
    return [(below, 1 - share), (below + 1, share)]


def read_grid(path: Path) -> GridEmulator:
    """Read the published grid, on air wavelengths, and put it on the pixels of apStar.

    Raises:
        ConfigError: The file is not there or is another.
    """
    with reading("emulator", path, "give the folder of spectra models"):
        with path.open("rb") as file:
            check_structure(file, path.name)
        with fits.open(path) as hdus:
            header, flux = hdus[1].header, np.asarray(hdus[1].data.T, float)
            metallicity, teff, logg = (np.asarray(hdus[index].data) for index in (2, 3, 4))
            log_air = header["CRVAL2"] + header["CDELT2"] * np.arange(flux.shape[1])
        spectra = _on_pixels(flux, _vacuum(10**log_air))
        nodes = [(t, g, m) for t in COOL for g in LOGGS for m in METALLICITIES]
        cool = [spectra[(teff == t) & (logg == g) & (metallicity == m)][0] for t, g, m in nodes]
        hot = [spectra[(teff == t) & (np.abs(metallicity) < 0.1)][0] for t in HOT]
    shape = len(COOL), len(LOGGS), len(METALLICITIES), N_GRID
    return GridEmulator(np.array(cool, np.float32).reshape(shape), np.array(hot, np.float32))


def _vacuum(air: np.ndarray) -> np.ndarray:
    """Vacuum wavelength [Angstrom] of one in air (Ciddor 1996, Applied Optics 35, 1566)."""
    vacuum = air
    for _ in range(2):
        wavenumber = (1e4 / vacuum) ** 2
        vacuum = air * (1 + 0.05792105 / (238.0185 - wavenumber) + 0.00167917 / (57.362 - wavenumber))
    return vacuum


def _on_pixels(flux: np.ndarray, vacuum: np.ndarray) -> np.ndarray:
    """Spectra (N, …) at the wavelengths of apStar, at its resolution; 1 beyond their ends."""
    pixels = wavelength()
    x = np.arange(-5, 6)
    kernel = np.exp(-0.5 * (x / BROADENING) ** 2)
    kernel /= kernel.sum()
    resampled = [np.interp(pixels, vacuum, row, left=1.0, right=1.0) for row in flux]
    return np.stack([np.convolve(np.pad(row, 5, mode="edge"), kernel, mode="valid") for row in resampled])
