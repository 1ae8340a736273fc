"""What is known of stars besides their spectra, and what of it is a measurement."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from astra.ingest.values import LARGEST_PARALLAX, LARGEST_PARALLAX_ERROR, gaia_release


@dataclass(frozen=True)
class Stars:
    """What catalogues say of N stars; arrays of shape (N,), NaN (or an empty text) where they say nothing.

    Names and numbers are those of the table of sources: magnitudes and E(B-V) [mag], parallaxes [mas],
    coordinates [deg], effective wavenumbers [um-1].
    """

    k_mag: np.ndarray
    e_k_mag: np.ndarray
    ebv: np.ndarray
    e_ebv: np.ndarray
    plx: np.ndarray
    e_plx: np.ndarray
    ra: np.ndarray
    dec: np.ndarray
    g_mag: np.ndarray
    nu_eff_used_in_astrometry: np.ndarray
    pseudocolour: np.ndarray
    astrometric_params_solved: np.ndarray
    gaia_release: np.ndarray

    @classmethod
    def of(cls, values: Mapping[str, Any], count: int) -> "Stars":
        """Stars from values by name, each one number for all stars or N of them; ``None`` is absent."""
        numbers = {
            name: np.broadcast_to(np.asarray(values.get(name, np.nan), float), (count,)) for name in NUMBERS
        }
        releases = np.asarray(values.get("gaia_release"), object)
        return cls(**numbers, gaia_release=np.broadcast_to(releases, (count,)))

    def __getitem__(self, part: slice) -> "Stars":
        """Some of the stars."""
        return Stars(*(getattr(self, field.name)[part] for field in dataclasses.fields(self)))

    def parallax(self) -> tuple[np.ndarray, np.ndarray]:
        """Gaia parallaxes and errors [mas]; both NaN unless both are measurements."""
        measured = (
            (np.abs(self.plx) < LARGEST_PARALLAX) & (self.e_plx > 0) & (self.e_plx < LARGEST_PARALLAX_ERROR)
        )
        return np.where(measured, self.plx, np.nan), np.where(measured, self.e_plx, np.nan)

    def astrometry_of(self, *releases: str) -> np.ndarray:
        """Whether the astrometry is of one of some releases, e.g. ``"dr3"``, also spelled ``Gaia DR3``."""
        return np.array([gaia_release(text) in releases for text in self.gaia_release], bool)


#: All that is used of a star; all but the release are numbers.
NAMES = tuple(field.name for field in dataclasses.fields(Stars))
NUMBERS = NAMES[:-1]


def error(value: ArrayLike, below: float) -> np.ndarray:
    """Errors to compute with: 0 where one is absent, not finite, negative or, from ``below`` on, a filler."""
    value = np.asarray(value, float)
    return np.where((value >= 0) & (value < below), value, 0.0)
