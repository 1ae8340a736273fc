"""One emulator for all stars, from those that know some of them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from astra.modelling.simulator.emulators.giants_scale import OnGiantsScale
from astra.modelling.simulator.emulators.grid import NAME, GridEmulator, read_grid
from astra.modelling.simulator.emulators.labels import LOGG, TEFF, Emulator, Extended
from astra.modelling.simulator.emulators.neural import DWARF_BOX, SYNTHETIC_BOX, read_dwarfs, read_synthetic
from astra.modelling.simulator.emulators.quadratic import BOX, read_quadratic
from astra.modelling.simulator.pixels import EMULATED
from astra.spectra.grid import N_GRID

# Where one emulator hands over to the next: its weight falls from 1 to 0 between the two values.
GIANT_LOGG, GRID_TEFF, COOL_DWARF_TEFF = (3.5, 4.0), (6800.0, 7500.0), (4150.0, 3900.0)


_EDGES = np.setdiff1d(np.arange(N_GRID), EMULATED)


@dataclass(frozen=True)
class BlendedEmulator:
    """Giants and dwarfs fitted to real spectra where there were any, synthetic spectra elsewhere."""

    giants: Emulator
    dwarfs: Emulator
    synthetic: Emulator
    grid: GridEmulator

    scatter: np.ndarray
    """How much real stars differ from the emulators at each pixel, shape (8575,)."""

    def spectra(self, labels: np.ndarray) -> np.ndarray:
        """As in :class:`~astra.modelling.simulator.emulators.labels.Emulator`.

        The edges of the detectors, which only the grid covers, are the grid's.
        """
        teff, logg = labels[:, TEFF], labels[:, LOGG]
        giant = _falling(logg, GIANT_LOGG)
        grid = 1 - _falling(teff, GRID_TEFF)
        cool = (1 - grid) * (1 - giant) * (1 - _falling(-teff, (-COOL_DWARF_TEFF[0], -COOL_DWARF_TEFF[1])))
        flux = self.grid.spectra(labels)
        kept = flux[:, _EDGES]
        flux *= grid[:, None]
        shares = {
            "giants": (1 - grid - cool) * giant,
            "dwarfs": (1 - grid - cool) * (1 - giant),
            "synthetic": cool,
        }
        for name, share in shares.items():
            rows = np.flatnonzero(share > 0)
            if len(rows):
                flux[rows] += share[rows, None].astype(np.float32) * getattr(self, name).spectra(labels[rows])
        flux[:, _EDGES] = kept
        return np.clip(flux, 0.02, None)


def _falling(value: np.ndarray, between: tuple[float, float]) -> np.ndarray:
    """1 up to the first limit, 0 from the second on, smooth between."""
    share = np.clip((value - between[0]) / (between[1] - between[0]), 0, 1)
    return 1 - share * share * (3 - 2 * share)


def read_blended(folder: Path) -> BlendedEmulator:
    """Read all emulators below a folder of spectra models.

    Raises:
        ConfigError: A file is not there or is another.
    """
    giants = read_quadratic(folder / "cannon_giants")
    grid = read_grid(folder / NAME)
    synthetic = Extended(read_synthetic(folder / "main_sequence"), SYNTHETIC_BOX, grid)
    dwarfs = read_dwarfs(folder / "main_sequence")
    return BlendedEmulator(
        OnGiantsScale(Extended(giants, BOX, synthetic)),
        Extended(dwarfs, DWARF_BOX, synthetic),
        synthetic,
        grid,
        giants.scatter,
    )
