"""Reads the combined spectra of APOGEE in an mwmStar file, which Astra makes for each star of DR19 and later.

HDU 3 is a table of the spectra from Apache Point, HDU 4 of those from Las Campanas, one spectrum in each row
and mostly one row; where a telescope has none, the table has no rows and columns of no pixels. The pixels are
those of apStar files. The mask is stored as floats, which hold its whole numbers.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from astra.errors import UnreadableSpectrum
from astra.spectra.combined import CombinedSpectrum, SpectrumFile, faults_of
from astra.spectra.grid import N_GRID, wavelength
from astra.system.processes import silenced

#: The HDUs of APOGEE by telescope; those before them are of BOSS.
TABLES = {"apo25m": 3, "lco25m": 4}
#: A wavelength is of the grid if its relative difference is smaller: a tenth of a pixel, 40 times as much as
#: a float of 4 bytes is off.
TOLERANCE = 1.4e-6

#: The columns of one value that are read; there may be others.
FACTS = (
    *("v_astra", "healpix", "apred", "obj", "telescope", "n_visits", "n_good_visits", "n_good_rvs"),
    *("snr", "spectrum_flags", "v_rad", "e_v_rad"),
)
_PIXELS = ("wavelength", "flux", "ivar", "pixel_flags")


def read_combined(path: str | Path, telescope: str, apred: str) -> CombinedSpectrum:
    """Read the combined spectrum of one telescope.

    Args:
        path: The file.
        telescope: ``apo25m`` or ``lco25m``.
        apred: The reduction of its visits.

    Raises:
        MissingSpectrum: The operating system refuses the file, or there is no memory to read it.
        UnreadableSpectrum: The file is damaged, is not an mwmStar file, or has no such spectrum.
    """
    with MwmStarFile.opened(path) as file:
        for row in file.rows(telescope):
            if (row.facts["telescope"], row.facts["apred"]) == (telescope, apred):
                return row.combined()
    raise UnreadableSpectrum(f"no spectrum of {telescope} in the reduction {apred}: {path}")


@dataclass(frozen=True)
class Row:
    """One combined spectrum.

    Attributes:
        facts: Those of ``FACTS`` that are there; texts without padding.
    """

    facts: dict[str, Any]
    _pixels: dict[str, np.ndarray]
    _what: str

    def combined(self) -> CombinedSpectrum:
        """The spectrum.

        Raises:
            UnreadableSpectrum: Its arrays are not those of a spectrum on the grid of apStar files.
        """
        for name in _PIXELS:
            if name not in self._pixels:
                raise UnreadableSpectrum(f"wrong shape: {self._what} has no column {name}")
            if self._pixels[name].shape != (N_GRID,) or self._pixels[name].dtype.kind not in "iuf":
                shape = self._pixels[name].shape
                raise UnreadableSpectrum(f"wrong shape: {name} in {self._what} is {shape}, not ({N_GRID},)")
        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
            grid, flux, ivar, flags = (self._pixels[name].astype(np.float64) for name in _PIXELS)
            if not (np.abs(grid / wavelength() - 1) < TOLERANCE).all():
                raise UnreadableSpectrum(f"wavelengths are not those of apStar files: {self._what}")
            if not (flags == flags.astype(np.int32)).all():
                raise UnreadableSpectrum(f"not a pixel mask: pixel_flags are not integers in {self._what}")
            error = np.where(np.isfinite(ivar) & (ivar > 0), ivar**-0.5, np.inf)
        return CombinedSpectrum(flux, error, flags.astype(np.int32))


class MwmStarFile(SpectrumFile):
    """An open and complete mwmStar file."""

    def rows(self, telescope: str | None = None) -> list[Row]:
        """The combined spectra of APOGEE in the table of a telescope; ``None`` takes both tables."""
        # The structure was checked, so other warnings of astropy do not matter.
        with faults_of(self.path), silenced():
            tables = (index for name, index in TABLES.items() if telescope in (None, name))
            return [row for index in tables for row in self._rows(index)]

    def _rows(self, index: int) -> Iterator[Row]:
        from astropy.io import fits

        what = f"HDU {index} of {self.path}"
        try:
            hdu = self._by_astropy[index]
        except IndexError:
            raise UnreadableSpectrum(f"truncated: {self.path} has no HDU {index}") from None
        if not isinstance(hdu, fits.BinTableHDU):
            raise UnreadableSpectrum(f"not an mwmStar file: {what} is not a table of spectra")
        if not hdu.header["NAXIS2"]:
            return
        there = {name.lower() for name in hdu.columns.names}
        if missing := sorted({"telescope", "apred"} - there):
            raise UnreadableSpectrum(f"not an mwmStar file: {what} has no column {' or '.join(missing)}")
        # Names of columns know no case.
        facts, pixels = (
            {name: np.asarray(hdu.data[name]) for name in names if name in there}
            for names in (FACTS, _PIXELS)
        )
        for number in range(hdu.header["NAXIS2"]):
            yield Row(
                {name: _plain(column[number]) for name, column in facts.items()},
                {name: np.asarray(column[number]) for name, column in pixels.items()},
                f"row {number} of {what}" if number else what,
            )


def _plain(value: Any) -> Any:
    """A number of numpy as it is, a text without padding."""
    return str(value).strip() if isinstance(value, (str, np.str_)) else value
