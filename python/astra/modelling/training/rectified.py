"""Rectified spectra of a database, kept in one file on disk, so that training opens each FITS file once.

A folder holds the rows of the spectra that could be read (``flux``), and one byte for every spectrum
(``states``). Until it is complete its name ends in ``.part``; the next process goes on from what a killed one
has left.
"""

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from astra.errors import ConfigError, Interrupted, MissingSpectrum, SpectrumError
from astra.modelling.training.examples import Progress
from astra.modelling.training.work_folder import ROW, STORED, check_space, explained
from astra.models.apogee import ApogeeCoaddedSpectrumInApStar
from astra.spectra.grid import N_PIXELS
from astra.spectra.rectify import rectify, usable

if TYPE_CHECKING:
    from astra.spectra.combined import CombinedSpectrum

log = logging.getLogger("astra")

GOOD, UNREADABLE, MISSING = 1, 2, 3

#: Spectra in one chunk; a process that is killed loses two of these at most.
CHUNK = 200
#: A larger share of files that cannot be read stops the work.
TOLERATED = 1 / 5
#: A chunk may lose this many files, however small it is.
FEW = 10

_LARGEST = float(np.finfo(STORED).max)


def rectified_spectra(
    keys: np.ndarray,
    fingerprint: str,
    work: Path,
    on_progress: Progress = lambda done, total: None,
) -> tuple[np.ndarray, np.ndarray]:
    """Read and rectify spectra, or take them from an earlier run with the same fingerprint.

    Args:
        keys: ``spectrum_pk`` of N spectra.
        fingerprint: Of the pixels of all of them, in this order.
        work: Folder for the file, 15 kB per spectrum.
        on_progress: Called with how many were read, and N. If it raises, what was read before stays.

    Returns:
        Rectified flux minus 1 of those that could be read, float16 of shape (n, 7514), mapped, read only; and
        which of the N these are, bool of shape (N,).

    Raises:
        Interrupted: More than a fifth of some files in a row are not there: the disk is lost.
        ConfigError: More than a fifth of all hold no spectrum, or the folder cannot be written.
    """
    folder = work / f"spectra-{fingerprint[:32]}"
    with explained(work, ConfigError, "choose another with --work"):
        kept = folder.exists()
        if not kept:
            part = folder.with_suffix(".part")
            part.mkdir(parents=True, exist_ok=True)
            _fill(part, keys, on_progress)
            part.rename(folder)
        states = np.fromfile(folder / "states", np.uint8)
        if kept and (missing := int((states == MISSING).sum())):
            log.warning(
                "spectra that were missing when %s was made stay left out: %d; if they are back, remove it",
                folder,
                missing,
            )
        good = states == GOOD
        return np.memmap(folder / "flux", STORED, "r", shape=(int(good.sum()), N_PIXELS)), good


def _fill(part: Path, keys: np.ndarray, on_progress: Progress) -> None:
    n_before = _cut_to_what_is_complete(part)
    check_space(part, len(keys) - n_before, "spectra")
    # A chunk is stored when the next one was read: the files before those on a lost disk may be lost too.
    held = None
    for start in range(n_before, len(keys), CHUNK):
        on_progress(start, len(keys))
        chunk = _read_chunk(keys[start : start + CHUNK])
        if held is not None:
            _append(part, *held)
        held = chunk
    if held is not None:
        _check_share(np.concatenate([np.fromfile(part / "states", np.uint8), held[0]]))
        _append(part, *held)
    on_progress(len(keys), len(keys))


def _cut_to_what_is_complete(part: Path) -> int:
    """Drop what a killed process left of a last chunk; returns how many spectra are complete."""
    for name in ("flux", "states"):
        (part / name).touch()
    rows, states = (part / "flux").stat().st_size // ROW, np.fromfile(part / "states", np.uint8)
    states = states[np.cumsum(states == GOOD) <= rows]
    os.truncate(part / "flux", int((states == GOOD).sum()) * ROW)
    os.truncate(part / "states", len(states))
    return len(states)


def _append(part: Path, states: np.ndarray, flux: np.ndarray) -> None:
    """A row of flux is on disk before the state that counts it."""
    for name, array in (("flux", flux), ("states", states)):
        with (part / name).open("ab") as file:
            file.write(array.tobytes())
            file.flush()
            os.fsync(file.fileno())


def _read_chunk(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The states of some spectra, and the rows of the good ones.

    Raises:
        Interrupted: Too many are missing.
    """
    model = ApogeeCoaddedSpectrumInApStar
    spectra = {row.spectrum_pk: row for row in model.select().where(model.spectrum_pk << keys.tolist())}
    states, pixels = np.full(len(keys), MISSING, np.uint8), []
    for place, key in enumerate(keys.tolist()):
        if key in spectra:
            states[place], read = _read(spectra[key])
            pixels += read
    missing = int((states == MISSING).sum())
    if missing > max(FEW, TOLERATED * len(keys)):
        raise Interrupted(
            f"{missing} of {len(keys)} files in a row are not there or cannot be read: is the disk mounted? "
            "Run again when it is back; what was read before is kept"
        )
    return states, _rectified(pixels)


def _read(spectrum: ApogeeCoaddedSpectrumInApStar) -> tuple[int, list["CombinedSpectrum"]]:
    try:
        pixels = spectrum.read()
    except SpectrumError as error:
        log.warning("spectrum %s is left out: %s", spectrum.spectrum_pk, error)
        return MISSING if isinstance(error, MissingSpectrum) else UNREADABLE, []
    if not usable(pixels.flux, pixels.e_flux, pixels.pixel_flags):
        log.warning("spectrum %s is left out: no usable pixel: %s", spectrum.spectrum_pk, spectrum.path)
        return UNREADABLE, []
    return GOOD, [pixels]


def _rectified(pixels: list["CombinedSpectrum"]) -> np.ndarray:
    if not pixels:
        return np.empty((0, N_PIXELS), STORED)
    flux, _ = rectify(
        *(np.stack([getattr(each, name) for each in pixels]) for name in ("flux", "e_flux", "pixel_flags"))
    )
    # A spike next to an absent continuum may be larger than 2 bytes hold, and infinity would spoil training.
    return np.minimum(flux - 1, _LARGEST).astype(STORED)


def _check_share(states: np.ndarray) -> None:
    unreadable, missing = (int((states == state).sum()) for state in (UNREADABLE, MISSING))
    if unreadable + missing <= TOLERATED * len(states):
        return
    problem = f"of {len(states):,} files, {missing:,} are not there and {unreadable:,} hold no spectrum"
    if missing > unreadable:
        raise Interrupted(f"{problem}: is the disk mounted? Run again when it is back")
    raise ConfigError(f"{problem}: replace them and ingest them again")
