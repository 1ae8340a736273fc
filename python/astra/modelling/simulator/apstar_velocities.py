"""HDU 9 of a simulated apStar file: the velocities of the visits and how they would have been found."""

import math
from typing import Any

import numpy as np

from astra.modelling.simulator.apstar_cards import PLATE, Visits
from astra.spectra.grid import LOG_WAVELENGTH_STEP

#: Shifts at which spectra are correlated with a template [pixels].
LAGS = np.arange(-200, 201)

_FIRST_WAVELENGTH = 15100.801541641493  # of the correlated part of real files [Angstrom]
# -1: the velocities of the visits are not compared with each other.
_COMPARISONS = ("BINARY", "STABLERV_CHI2", "STABLERV_RCHI2", "CHI2_THRESHOLD", "STABLERV_CHI2_PROB")


def velocity_row(star: dict[str, Any], visits: Visits) -> np.ndarray:
    """The one row of the table.

    Args:
        star: ``teff``, ``logg``, ``metallicity``, ``alpha`` and ``snr`` of the star.
        visits: Its visits.

    Returns:
        Structured array of shape (1,), big-endian, with the columns of DR14.
    """
    row = np.zeros(1, _columns(len(visits)))
    peak = 0.9 * np.exp(-0.5 * (LAGS / 3.1) ** 2)
    values = {
        "FILE": visits.files,
        "FIBER": visits.fiber,
        "PLATE": [PLATE] * len(visits),
        "MJD": visits.mjd,
        "JD": visits.jd,
        "BC": visits.bc,
        "CHISQ": 1.0,
        "TEFF": star["teff"],
        "LOGG": star["logg"],
        "FEH": star["metallicity"],
        "ALPHA": star["alpha"],
        "CCF": peak,
        "CCFERR": 1 / star["snr"],
        "CCFLAG": LAGS,
        "CCFW0": _FIRST_WAVELENGTH,
        "CCFDW": LOG_WAVELENGTH_STEP,
        "AUTOCF": peak,
        **dict.fromkeys(_COMPARISONS, -1),
    }
    for method in ("", "SYNTH", "OBS"):
        found = {"VREL": visits.v_rel, "VHELIO": visits.v_helio, "VRELERR": visits.e_v}
        values |= {f"{method}{name}": value for name, value in found.items()}
    for name, value in values.items():
        shape = row.dtype[name].shape
        row[name][0] = np.reshape(value, shape) if np.size(value) == math.prod(shape) else value
    return row


def _columns(n: int) -> list[tuple]:
    """Names, types and shapes for n visits; of a single one, no column has a dimension for visits."""
    visits = (n,) if n > 1 else ()
    stack = (n + 2, len(LAGS)) if n > 1 else (len(LAGS),)
    kinds = {"FILE": "S32", "FIBER": ">i2", "PLATE": "S4", "MJD": ">i4", "LOCID": ">i2", "JD": ">f8"}
    kinds |= dict.fromkeys(("VREL", "VRELERR", "VHELIO", "BC"), ">f4")
    later = ("CHISQ", "SYNTHVREL", "SYNTHVHELIO", "SYNTHVRELERR", "OBSVREL", "OBSVHELIO", "OBSVRELERR")
    return [
        *((name, kind, visits) for name, kind in kinds.items()),
        *((name, ">i2" if name == "BINARY" else ">f4", (2,)) for name in _COMPARISONS),
        *((name, ">f4") for name in ("TEFF", "LOGG", "FEH", "ALPHA", "CARBON")),
        *((name, ">f4", visits) for name in later),
        *((name, ">f4", stack) for name in ("CCF", "CCFERR")),
        ("CCFLAG", ">f4", (len(LAGS),)),
        *((name, ">f8") for name in ("CCFW0", "CCFDW")),
        ("AUTOCF", ">f4", (len(LAGS),)),
    ]
