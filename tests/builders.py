"""Small rows and files for tests: valid as they are, with what a test is about given by keyword."""

import itertools
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from astra.models import ApogeeCoaddedSpectrumInApStar, AstroNNdist, Source, Spectrum, TaskClaim, TaskRun
from astra.running.rows import Chunk

N_PIXELS = 8575
#: What the zero-point of the parallax of a star depends on.
ZERO_POINT = {
    "gaia_release": "dr3",
    "ra": 132.8,
    "dec": 11.8,
    "g_mag": 13.0,
    "nu_eff_used_in_astrometry": 1.5,
    "astrometric_params_solved": 31,
}
_numbers = itertools.count(1)

on_sqlite = pytest.mark.parametrize("db", ["sqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize(
    "db", [pytest.param("postgresql", marks=pytest.mark.postgres)], indirect=True
)

#: For what starts several processes and so takes seconds: on SQLite it is for the slow tests.
slow_on_sqlite = pytest.mark.parametrize(
    "db",
    [
        pytest.param("sqlite", marks=pytest.mark.slow),
        pytest.param("postgresql", marks=pytest.mark.postgres),
    ],
    indirect=True,
)


def a_source(**values: Any) -> Source:
    """A star with photometry and extinction."""
    number = next(_numbers)
    given = {
        "sdss_id": 10_000 + number,
        "sdss4_apogee_id": f"2M{number:08d}+0000000",
        "k_mag": 10.0,
        "ebv": 0.1,
    }
    return Source.create(**(given | values))


def a_spectrum(source: Source | None = None, path: Path | str | None = None, **values: Any):
    """A spectrum of a star; by default its file does not exist."""
    number = next(_numbers)
    obj = f"2M{number:08d}+1111111"
    given = {
        "source": source,
        "spectrum_pk": Spectrum.create().pk,
        "product_id": f"apstar/dr17/dr17/apo25m/m67/{obj}/ap/s",
        "release": "dr17",
        "apred": "dr17",
        "obj": obj,
        "telescope": "apo25m",
        "field": "M67",
        "snr": 100.0,
        "path": str(path or f"/nowhere/apStar-dr17-{obj}.fits"),
    }
    return ApogeeCoaddedSpectrumInApStar.create(**(given | values))


def a_run(**values: Any) -> TaskRun:
    """The record of a run."""
    given = {"task": "astronn_dist", "version": "0", "v_astra_major_minor": 1, "host": "here", "pid": 1}
    return TaskRun.create(**(given | values))


def a_chunk(keys: list[int], task: str = "astronn_dist", *, alone: bool = False) -> Chunk:
    """Spectra that are claimed by nobody who could die."""
    chunk = Chunk(list(keys), next(_numbers), alone)
    for pk in chunk.keys:
        claim = {"task": task, "spectrum_pk": pk, "worker_pk": -1, "token": chunk.token, "suspect": alone}
        TaskClaim.insert(claim | {"attempts": 0, "held_back": False, "since": datetime(2026, 1, 1)}).execute()
    return chunk


def a_result(spectrum: ApogeeCoaddedSpectrumInApStar, **values: Any) -> AstroNNdist:
    """A result as the pipeline would write it."""
    given = {
        "k_mag": 10.0,
        "ebv": 0.1,
        "A_k_mag": 0.03517,
        "L_fakemag": 20.0,
        "e_L_fakemag": 1.0,
        "e_model_L_fakemag": 0.5,
        "dist": 4919.68,
        "e_dist": 245.98,
        "e_model_dist": 122.99,
    }
    given["source_read"] = values.get("inputs_read")
    row = AstroNNdist.from_spectrum(spectrum, **(given | values))
    row.save()
    return AstroNNdist.get_by_id(row.task_pk)


def made_from(row: AstroNNdist, spectrum: ApogeeCoaddedSpectrumInApStar) -> None:
    """Let a result be one of the spectrum, and of its star, as they are now in the database."""
    stored = ApogeeCoaddedSpectrumInApStar.get_by_id(spectrum.pk)
    row.spectrum_modified, row.source_modified = stored.modified, getattr(stored.source, "modified", None)
    row.save()


def write_apstar(
    path: Path, flux: np.ndarray | None = None, *, stacked: bool = True, header: dict[str, Any] | None = None
) -> Path:
    """A small apStar file in the real layout: HDU 1 flux, 2 error, 3 mask, and a few that nobody reads."""
    number = next(_numbers)
    generator = np.random.default_rng(number)
    flux = 100 + generator.normal(0, 1, N_PIXELS) if flux is None else np.asarray(flux, float)
    error, mask = np.ones(N_PIXELS), np.zeros(N_PIXELS, np.int16)
    cards = {
        "OBJID": f"2M{number:08d}+2222222",
        "FIELD": "M67",
        "TELESCOP": "apo25m",
        "J": 11.0,
        "H": 10.5,
        "K": 10.0,
    }
    cards |= {"RA": 132.8, "DEC": 11.8, "SNR": 100.0, "NVISITS": 2 if stacked else 1, "STARFLAG": 0} | (
        header or {}
    )
    primary = fits.PrimaryHDU(
        header=fits.Header([(name, value) for name, value in cards.items() if value is not None])
    )
    rows = [np.stack([array] * 4) if stacked else array for array in (flux, error, mask)]
    grid = fits.Header([("CRVAL1", 4.179), ("CDELT1", 6e-6), ("CRPIX1", 1), ("CTYPE1", "LOG-LINEAR")])
    images = [
        fits.ImageHDU(rows[0].astype(">f4"), grid),
        fits.ImageHDU(rows[1].astype(">f4")),
        fits.ImageHDU(rows[2]),
    ]
    fits.HDUList([primary, *images, fits.ImageHDU(np.zeros(10))]).writeto(path, overwrite=True)
    return path
