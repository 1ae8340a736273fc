"""Small rows and files for tests: valid as they are, with what a test is about given by keyword."""

import itertools
import os
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from astra.models import (
    ApogeeCoaddedSpectrumInApStar,
    ApogeeCombinedSpectrum,
    AstroNNdist,
    Source,
    Spectrum,
    TaskClaim,
    TaskRun,
)
from astra.models.apogee import ApogeeSpectrum
from astra.running.rows import Chunk
from astra.system.version import V_ASTRA_MAJOR_MINOR, __version__

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
# Of each process of `pytest -n` its own: some databases are filled by one and go on in another.
_numbers = itertools.count(1 + 10_000_000 * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]))

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


def a_combined_spectrum(source: Source | None = None, path: Path | str | None = None, **values: Any):
    """A spectrum of a star in an mwmStar file; by default the file does not exist."""
    number = next(_numbers)
    given = {
        "source": source,
        "spectrum_pk": Spectrum.create().pk,
        "product_id": f"mwmstar/dr19/0.6.0/apo25m/1/{number}/dr17/s",
        "release": "dr19",
        "v_astra": "0.6.0",
        "sdss_id": number,
        "apred": "dr17",
        "obj": f"2M{number:08d}+3333333",
        "telescope": "apo25m",
        "snr": 100.0,
        "path": str(path or f"/nowhere/mwmStar-0.6.0-{number}.fits"),
    }
    return ApogeeCombinedSpectrum.create(**(given | values))


def a_run(**values: Any) -> TaskRun:
    """The record of a run."""
    version = {"version": __version__, "v_astra_major_minor": V_ASTRA_MAJOR_MINOR}
    given = {"task": "astronn_dist", "host": "here", "pid": 1} | version
    return TaskRun.create(**(given | values))


def a_chunk(keys: list[int], task: str = "astronn_dist", *, alone: bool = False) -> Chunk:
    """Spectra that are claimed by nobody who could die."""
    chunk = Chunk(list(keys), next(_numbers), alone)
    for pk in chunk.keys:
        claim = {"task": task, "spectrum_pk": pk, "worker_pk": -1, "token": chunk.token, "suspect": alone}
        TaskClaim.insert(claim | {"attempts": 0, "held_back": False, "since": datetime(2026, 1, 1)}).execute()
    return chunk


def a_result(spectrum: ApogeeSpectrum, **values: Any) -> AstroNNdist:
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


#: The columns of HDU 3 and 4 of an mwmStar file of DR19, and their types, in the published order.
MWMSTAR_COLUMNS = {
    "spectrum_pk_id": "int64",
    "release": "char",
    "filetype": "char",
    "v_astra": "char",
    "healpix": "int32",
    "sdss_id": "int64",
    "apred": "char",
    "obj": "char",
    "telescope": "char",
    **dict.fromkeys(("min_mjd", "max_mjd", "n_entries", "n_visits", "n_good_visits", "n_good_rvs"), "int32"),
    **dict.fromkeys(("snr", "mean_fiber", "std_fiber"), "float32"),
    "spectrum_flags": "int64",
    **dict.fromkeys(("v_rad", "e_v_rad", "std_v_rad", "median_e_v_rad"), "float32"),
    **dict.fromkeys(("doppler_teff", "doppler_e_teff", "doppler_logg", "doppler_e_logg"), "float32"),
    **dict.fromkeys(("doppler_fe_h", "doppler_e_fe_h", "doppler_rchi2"), "float32"),
    "doppler_flags": "int64",
    **dict.fromkeys(("xcorr_v_rad", "xcorr_v_rel", "xcorr_e_v_rel", "ccfwhm", "autofwhm"), "float32"),
    "n_components": "int32",
    **dict.fromkeys(("wavelength", "flux", "ivar", "pixel_flags", "continuum"), "float32[]"),
    "nmf_rectified_model_flux": "float32[]",
    "nmf_rchi2": "float32",
    "nmf_flags": "int64",
}


def write_mwmstar(
    path: Path, *spectra: dict[str, Any], header: dict[str, Any] | None = None, hdus: int = 5
) -> Path:
    """An mwmStar file in the layout of DR19: two empty tables of BOSS, then the given spectra of APOGEE.

    Args:
        path: The file.
        *spectra: Columns of each spectrum by name; one of ``lco25m`` is in HDU 4, others are in HDU 3.
        header: Cards of the star; ``None`` leaves one out.
        hdus: How many HDUs there are.
    """
    cards = {"V_ASTRA": "0.6.0", "SDSS_ID": 103020000, "APOGEEID": "2M12283021-6635525", "HEALPIX": 188421}
    cards |= {"RA": 187.12584, "DEC": -66.59794, "H_MAG": 10.107, "K_MAG": 9.835, "E_K_MAG": 0.022}
    cards |= {"PLX": 0.11437972, "E_PLX": 0.014047999, "G_MAG": 13.685833, "PH_QUAL": "AAA"}
    cards |= {"GAIA3_ID": 5860080419780127104} | (header or {})
    primary = fits.PrimaryHDU(header=fits.Header([card for card in cards.items() if card[1] is not None]))
    # Of BOSS only the place counts.
    tables = [_mwmstar_table([]) for _ in "ab"]
    for telescope in (False, True):
        chosen = [each for each in spectra if (each.get("telescope") == "lco25m") is telescope]
        tables.append(_mwmstar_table([_mwmstar_values() | each for each in chosen]))
    path.parent.mkdir(parents=True, exist_ok=True)
    fits.HDUList([primary, *tables][:hdus]).writeto(path, overwrite=True)
    return path


def _mwmstar_values() -> dict[str, Any]:
    values: dict[str, Any] = {"release": "dr17", "filetype": "apStar", "v_astra": "0.6.0", "healpix": 188421}
    values |= {"sdss_id": 103020000, "apred": "dr17", "obj": "2M12283021-6635525", "telescope": "apo25m"}
    values |= {"n_visits": 3, "n_good_visits": 2, "n_good_rvs": 2, "snr": 120.0, "v_rad": -12.2}
    values |= {"wavelength": 10 ** (4.179 + 6e-6 * np.arange(N_PIXELS)), "ivar": np.ones(N_PIXELS)}
    return values | {"flux": np.full(N_PIXELS, 100.0), "pixel_flags": np.zeros(N_PIXELS)}


def _mwmstar_table(rows: list[dict[str, Any]]) -> fits.BinTableHDU:
    columns = []
    for name, kind in MWMSTAR_COLUMNS.items():
        given = [row.get(name) for row in rows]
        if kind == "char":
            texts = [value or "" for value in given]
            columns.append(fits.Column(name, f"{max(map(len, texts), default=1) or 1}A", array=texts))
        elif kind == "float32[]":
            size = max((np.size(value) for value in given if value is not None), default=0)
            filled = [np.zeros(size) if value is None else value for value in given]
            pixels = np.array(filled, np.float32).reshape(len(rows), size)
            columns.append(fits.Column(name, f"{size}E", array=pixels))
        else:
            filler = np.nan if kind == "float32" else -1
            numbers = np.array([filler if value is None else value for value in given], kind)
            columns.append(
                fits.Column(name, {"int64": "K", "int32": "J", "float32": "E"}[kind], array=numbers)
            )
    return fits.BinTableHDU.from_columns(columns, nrows=len(rows))
