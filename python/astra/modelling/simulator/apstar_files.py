"""Writes a simulated spectrum as an apStar file, in the layout of the survey's own.

HDU 1 flux, 2 error, 3 mask, 4 sky, 5 its error, 6 telluric transmission, 7 its error, each of n + 2 rows
for n visits, or of one dimension for a single one; 8 line spread function, 9 radial velocities.

The combined row is the simulated spectrum. The visits are noisier copies whose weighted mean is the
combined row, with noise like that of real visits. The same star gives the same bytes.
"""

import functools
import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from astra.ingest.values import A_K_PER_EBV
from astra.modelling.simulator.apstar_cards import (
    PLATE,
    WAVELENGTH_CARDS,
    Card,
    Visits,
    draw_visits,
    primary_cards,
)
from astra.modelling.simulator.noise import correlated
from astra.modelling.simulator.observables import Observables
from astra.modelling.simulator.observe import NO_DATA
from astra.modelling.simulator.sample import Sample
from astra.spectra import grid
from astra.spectra.fits_structure import BLOCK

#: The card by which a simulated file is known; in the first block of 2880 bytes.
SIMULATED = b"SIMULATE=                    T"

#: Flux at H = 0 [10^-17 erg / (s cm2 Angstrom)] (Cohen et al. 2003, AJ 126, 1090, Table 2).
H_ZERO_FLUX = 1.133e7

_BAD, _PERSISTENCE = range(grid.BADPIX, grid.NOSKY), (grid.PERSIST_HIGH, grid.PERSIST_MED, grid.PERSIST_LOW)

_STREAM = 0xF175
_UNITS = {
    "flux": "Flux (10^-17 erg/s/cm^2/Ang)",
    "error": "Error (10^-17 erg/s/cm^2/Ang)",
    "mask": "Flag Mask (bitwise)",
    "sky": "Sky (10^-17 erg/s/cm^2/Ang)",
    "sky error": "Sky error (10^-17 erg/s/cm^2/Ang)",
    "telluric": "Telluric",
    "telluric error": "Telluric error",
}
# As LSF_GH of the reduction reads them: binned, centre of the polynomials, five Hermite orders, the degree of
# each polynomial, their coefficients (a Gaussian of 1.37 pixels, R = 22,500), and no wings.
_LSF = (1, 4287, 5, 1, 1, 1, 1, 1, 0, 1.37, *[0] * 10, 1, 2, 0, 0, 0, 1)


def file_name(apogee_id: str) -> str:
    """The name of the file of a star."""
    return f"apStar-dr17-{apogee_id}.fits"


def render_apstar(sample: Sample, observables: Observables, index: int, *, seed: int) -> bytes:
    """The file of one star.

    Args:
        sample: Spectra.
        observables: What is known of the same stars.
        index: Which of them.
        seed: Decides about the visits, together with the running number of the star.

    Raises:
        ValueError: A pixel flag does not fit into the mask of a file.
    """
    from astropy.io import fits

    rng = np.random.default_rng([_STREAM, seed, int(observables.number[index])])
    flux, error, flags = calibrated(sample, observables, index)
    has_data = error < NO_DATA
    star = _described(sample, observables, index)
    visits = draw_visits(int(sample.n_visits[index]), star["snr"], star["v_helio"], rng)
    noise = correlated(len(visits), rng)
    for number, (begin, end) in enumerate(grid.DETECTORS):
        noise[:, begin:end] *= sample.understated[index, number]
    images = _images(flux, error, flags, visits, noise, rng)
    cards = primary_cards(star, visits, star_flags(flags, has_data, star["snr"]), has_data)
    parts = [fits.Header([*cards]).tostring().encode("ascii")]
    for name, rows in images.items():
        scale_and_unit = (*WAVELENGTH_CARDS, ("BUNIT", _UNITS[name]))
        parts.append(_extension(rows if len(visits) > 1 else rows[0], scale_and_unit))
    parts.append(_extension(np.array(_LSF, ">f8"), (("CTYPE1", "Parameters"), ("BUNIT", "LSF Coefficients"))))
    return b"".join([*parts, _extension(_velocity_row(star, visits))])


def calibrated(
    sample: Sample, observables: Observables, index: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Flux, error and mask of one star as its file has them, shape (8575,): float32, float32, int16.

    The median flux is that of a star of this H magnitude. Pixels without a measurement have the error
    ``NO_DATA``, and the flux 0 where it is not finite.

    Raises:
        ValueError: A pixel flag does not fit into the mask of a file.
    """
    flux, error, flags = sample.flux[index], sample.e_flux[index], sample.pixel_flags[index]
    if flags.min() < 0 or flags.max() >= 2 << grid.NOT_ENOUGH_PSF:
        raise ValueError(
            f"pixel flags from {flags.min()} to {flags.max()}: "
            f"the mask has the bits 0 to {grid.NOT_ENOUGH_PSF}"
        )
    has_data = np.isfinite(flux) & np.isfinite(error) & (error > 0) & (error < NO_DATA)
    level = np.median(flux[has_data]) if has_data.any() else 0.0
    scale = H_ZERO_FLUX * 10 ** (-0.4 * observables.h_mag[index]) / level if level > 0 else 1.0
    flux = np.where(np.isfinite(flux), flux * scale, 0.0)
    error = np.where(has_data, error * scale, NO_DATA)
    return flux.astype(np.float32), error.astype(np.float32), flags.astype(np.int16)


def star_flags(flags: np.ndarray, has_data: np.ndarray, snr: float) -> int:
    """STARFLAG: what the mask says of more than a fifth of the pixels, and S/N below 5.

    Args:
        flags: Pixel mask, shape (8575,).
        has_data: Pixels with a measurement, same shape.
        snr: Signal-to-noise ratio per pixel.
    """
    found = 1 << 4 if snr < 5 else 0
    for bit, bits in {0: _BAD, **{bit: (bit,) for bit in _PERSISTENCE}}.items():
        if has_data.any() and np.mean((flags[has_data] & _mask(bits)) != 0) > 0.2:
            found |= 1 << bit
    return found


def _described(sample: Sample, observables: Observables, index: int) -> dict[str, Any]:
    """The values for the header of a star, as numbers and texts of Python."""
    star = {name: values[index].item() for name, values in vars(observables).items()}
    for name in ("teff", "logg", "metallicity", "alpha"):
        star[name] = float(getattr(sample.stars, name)[index])
    return {**star, "snr": float(sample.snr[index]), "a_k": A_K_PER_EBV * star["ebv"]}


def _images(
    flux: np.ndarray,
    error: np.ndarray,
    flags: np.ndarray,
    visits: Visits,
    noise: np.ndarray,
    rng: np.random.Generator,
) -> dict[str, np.ndarray]:
    """The rows of HDU 1 to 7, big-endian, shape (n + 2, 8575), or (1, 8575) for a single visit.

    Args:
        flux, error, flags: The combined spectrum.
        visits: Its n visits.
        noise: That of each visit, in units of its error, shape (n, 8575).
        rng: Source of randomness.
    """
    has_data = error < NO_DATA
    sky = np.where(flags & _mask([grid.SKYLINE]), 400.0, 20.0) * has_data
    telluric = np.where(flags & _mask([grid.TELLURIC]), 0.8, 1.0) * has_data
    row = {"flux": flux, "error": error, "mask": flags}
    row |= {"sky": sky, "sky error": 0.05 * sky, "telluric": telluric, "telluric error": 0.01 * telluric}
    n = len(visits)
    images = {name: np.tile(values, (n + 2 if n > 1 else 1, 1)) for name, values in row.items()}
    if n > 1:
        images["flux"][2:, has_data] += _visit_noise(error[has_data], visits.weight, noise[:, has_data])
        images["error"][2:, has_data] = error[has_data] / np.sqrt(visits.weight)[:, None]
        images["mask"][2:] = seen = _visit_flags(flags, has_data, n, rng)
        images["mask"][1] = np.bitwise_and.reduce(seen)
    return {name: rows.astype(">i2" if name == "mask" else ">f4") for name, rows in images.items()}


def _visit_noise(error: np.ndarray, weight: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Differences of the visits from their weighted mean, shape (n, pixels).

    The errors of visits are error / sqrt(weight); noise of that size, less its weighted mean, whose own
    variance is error^2 and which is in the combined spectrum already.
    """
    noise = noise / np.sqrt(weight)[:, None]
    return error * (noise - weight @ noise)


def _visit_flags(flags: np.ndarray, has_data: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Masks of n visits whose bitwise or is the mask of all, shape (n, 8575).

    Persistence stays; every other flag is set in one of the visits, and in each other one by chance.
    """
    set_here = rng.random((n, grid.N_GRID), dtype=np.float32) < 0.6
    set_here[rng.integers(n, size=grid.N_GRID), np.arange(grid.N_GRID)] = True
    set_here[:, ~has_data] = True
    return np.where(set_here, flags, flags & _mask(_PERSISTENCE))


def _mask(bits: Iterable[int]) -> np.int16:
    return np.int16(sum(1 << bit for bit in bits))


# > HDU 9: the velocities of the visits, and how they would have been found

#: Shifts at which spectra are correlated with a template [pixels].
LAGS = np.arange(-200, 201)

_FIRST_WAVELENGTH = 15100.801541641493  # of the correlated part of real files [Angstrom]
_COMPARISONS = ("STABLERV_CHI2", "STABLERV_RCHI2", "CHI2_THRESHOLD", "STABLERV_CHI2_PROB")


def _velocity_row(star: dict[str, Any], visits: Visits) -> np.ndarray:
    """The one row of the table.

    Args:
        star: ``teff``, ``logg``, ``metallicity``, ``alpha`` and ``snr`` of the star.
        visits: Its visits.

    Returns:
        Structured array of shape (1,), big-endian, with the columns of DR14.
    """
    # Of a single visit, no column has a dimension for visits.
    n, lags = len(visits), (len(LAGS),)
    each, stack = ((n,), (n + 2, *lags)) if n > 1 else ((), lags)
    peak = 0.9 * np.exp(-0.5 * (LAGS / 3.1) ** 2)
    velocities = (("VREL", visits.v_rel), ("VHELIO", visits.v_helio), ("VRELERR", visits.e_v))
    columns = [
        ("FILE", "S32", each, visits.files),
        ("FIBER", ">i2", each, visits.fiber),
        ("PLATE", "S4", each, PLATE),
        ("MJD", ">i4", each, visits.mjd),
        ("LOCID", ">i2", each, 0),
        ("JD", ">f8", each, visits.jd),
        ("VREL", ">f4", each, visits.v_rel),
        ("VRELERR", ">f4", each, visits.e_v),
        ("VHELIO", ">f4", each, visits.v_helio),
        ("BC", ">f4", each, visits.bc),
        # The velocities of the visits are not compared with each other.
        ("BINARY", ">i2", (2,), -1),
        *((name, ">f4", (2,), -1) for name in _COMPARISONS),
        ("TEFF", ">f4", (), star["teff"]),
        ("LOGG", ">f4", (), star["logg"]),
        ("FEH", ">f4", (), star["metallicity"]),
        ("ALPHA", ">f4", (), star["alpha"]),
        ("CARBON", ">f4", (), 0),
        ("CHISQ", ">f4", each, 1.0),
        *((f"SYNTH{name}", ">f4", each, values) for name, values in velocities),
        *((f"OBS{name}", ">f4", each, values) for name, values in velocities),
        ("CCF", ">f4", stack, peak),
        ("CCFERR", ">f4", stack, 1 / star["snr"]),
        ("CCFLAG", ">f4", lags, LAGS),
        ("CCFW0", ">f8", (), _FIRST_WAVELENGTH),
        ("CCFDW", ">f8", (), grid.LOG_WAVELENGTH_STEP),
        ("AUTOCF", ">f4", lags, peak),
    ]
    row = np.zeros(1, [column[:3] for column in columns])
    for name, _, shape, value in columns:
        row[name][0] = np.reshape(value, shape) if np.size(value) == math.prod(shape) else value
    return row


# > Bytes

# Astropy writes the headers. That takes most of the time of a file, so headers are kept for the next files.


def _extension(array: np.ndarray, cards: tuple[Card, ...] = ()) -> bytes:
    """An extension: a binary table if the array is structured, else an image.

    Args:
        array: Big-endian numbers; packed if they are structured.
        cards: What the header of an image has besides the mandatory cards.
    """
    content = array.tobytes()
    return _header(array.shape, array.dtype, cards) + content + bytes(-len(content) % BLOCK)


@functools.lru_cache(maxsize=256)
def _header(shape: tuple[int, ...], kind: np.dtype, cards: tuple[Card, ...]) -> bytes:
    from astropy.io import fits

    zeros = np.zeros(shape, kind)
    header = (fits.BinTableHDU(zeros) if kind.names else fits.ImageHDU(zeros, fits.Header([*cards]))).header
    # Astropy also gives columns of one dimension a TDIM, which the survey's files do not have.
    for keyword in [card.keyword for card in header["TDIM*"].cards if "," not in card.value]:
        del header[keyword]
    return header.tostring().encode("ascii")
