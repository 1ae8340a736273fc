"""Which values are measurements, and which stand for absent ones; the distances have the same limits.

Surveys fill gaps with 99, 99.99, 999999, -9999, -9999.99, "NaN" and more; 2MASS writes 8.888 and 9.995 to
9.999 for an unknown error. Instead of a list of fillers, every column has the open interval of its true
values; any other value is absent. For Ks and E(B-V) the intervals are those of the distance pipeline, except
that an E(B-V) between -1 and 0 is stored, and a Ks of exactly 0 is absent.
"""

import math
import re
from typing import Any

import numpy as np

#: A_K / E(B-V), from A_K = 0.918 E(B-V) / 2.61; 0.918 is A_K / E(H - [4.5 um]) of Majewski, Zasowski &
#: Nidever 2011 (ApJ 739, 25, equation 1), and E(B-V) = 2.61 E(H - [4.5 um]).
A_K_PER_EBV = 0.3517

#: A_J / A_K and A_H / A_K (Indebetouw et al. 2005, ApJ 619, 931, abstract).
A_J_PER_A_K, A_H_PER_A_K = 2.50, 1.55

#: A usable Ks magnitude is larger than this: catalogues write -9999 where there is none [mag].
SMALLEST_K_MAG = -1.0

#: Magnitudes and reddenings from this value on are fillers, e.g. 99.999 [mag].
FILLER = 98.0

#: Errors of magnitudes from this value on are unknown: 2MASS writes 8.888 and 9.995 to 9.999 [mag].
LARGEST_MAGNITUDE_ERROR = 8.0

#: Parallaxes, and their errors, from these values on are fillers [mas].
LARGEST_PARALLAX, LARGEST_PARALLAX_ERROR = 999.0, 9999.0

#: Distances from this value on are fillers, e.g. 999999 [pc].
LARGEST_DISTANCE = 999_999.0

#: The distances of Bailer-Jones et al. (2021, AJ 161, 147), from Gaia EDR3, to be compared with: no result
#: rests on them, and none is stale when they change.
BAILER_JONES = (
    *("r_med_geo", "r_lo_geo", "r_hi_geo"),
    *("r_med_photogeo", "r_lo_photogeo", "r_hi_photogeo"),
)

#: The releases of Gaia that share the numbers of sources and the zero-point of parallaxes.
GAIA_DR3 = ("edr3", "dr3")

#: What the zero-point of such a parallax is made from where it is no estimate: the colour of Gaia's solution.
EXACT_ZERO_POINTS = ("nu_eff", "pseudocolour")

_RELEASE = re.compile(r"e?dr\d+")

_MAGNITUDE, _ERROR_OF_MAGNITUDE = (SMALLEST_K_MAG, FILLER), (0.0, LARGEST_MAGNITUDE_ERROR)
_ERROR, _PROPER_MOTION = (0.0, 9999.0), (-9998.0, 20_000.0)

#: The open interval of the true values of each number.
RANGES = {
    **dict.fromkeys(("ra", "l"), (-1e-9, 360.000001)),
    **dict.fromkeys(("dec", "b"), (-90.000001, 90.000001)),
    **dict.fromkeys(("j_mag", "h_mag", "k_mag", "g_mag", "bp_mag", "rp_mag"), _MAGNITUDE),
    **dict.fromkeys(("mag4_5", "irac_4_5", "w2_mag", "wise_4_5"), _MAGNITUDE),
    "bp_rp": (-FILLER, FILLER),
    **dict.fromkeys(("e_j_mag", "e_h_mag", "e_k_mag", "e_mag4_5", "e_w2_mag"), _ERROR_OF_MAGNITUDE),
    **dict.fromkeys(("e_irac_4_5", "e_wise_4_5", "e_targ_4_5"), _ERROR_OF_MAGNITUDE),
    **dict.fromkeys(("ebv", "sfd_ebv", "ebv_sfd", "ebv_rjce_glimpse", "ebv_rjce_allwise"), (-1.0, FILLER)),
    **dict.fromkeys(("ebv_zhang_2023", "ebv_edenhofer_2023", "ebv_bayestar_2019"), (-1.0, FILLER)),
    **dict.fromkeys(("e_ebv", "e_ebv_sfd", "e_ebv_rjce_glimpse", "e_ebv_rjce_allwise"), (0.0, FILLER)),
    **dict.fromkeys(("a_k", "ak_wise"), (-A_K_PER_EBV, A_K_PER_EBV * FILLER)),
    "plx": (-LARGEST_PARALLAX, LARGEST_PARALLAX),
    **dict.fromkeys(("pmra", "pmde"), _PROPER_MOTION),
    "e_plx": (0.0, LARGEST_PARALLAX_ERROR),
    **dict.fromkeys(("e_pmra", "e_pmde", "ruwe", "e_v_rad"), _ERROR),
    **dict.fromkeys(("nu_eff_used_in_astrometry", "pseudocolour"), (0.0, 98.0)),
    "ref_epoch": (1990.0, 2100.0),
    **dict.fromkeys(BAILER_JONES, (0.0, LARGEST_DISTANCE)),
    "snr": (0.0, 99_999.0),
    "v_rad": (-9998.0, 9998.0),
}
_4_BYTES, _8_BYTES = 2**31 - 1, 2**63 - 1
#: The smallest true value of each integer, and the largest that its column holds.
INTEGERS = {
    **dict.fromkeys(("sdss_id", "gaia_dr3_source_id", "source_id"), (1, _8_BYTES)),
    **dict.fromkeys(("ebv_flags", "spectrum_flags"), (0, _8_BYTES)),
    **dict.fromkeys(("healpix", "location_id"), (0, _4_BYTES)),
    **dict.fromkeys(("n_visits", "n_good_visits", "n_good_rvs"), (0, _4_BYTES)),
    "astrometric_params_solved": (1, _4_BYTES),
    "commissioning": (0, 1),
}
#: Characters of the longest text: names of the survey have 30, an index of PostgreSQL takes 2,700 bytes.
MAX_TEXT = 200
_DIGITS = re.compile(r"[+-]?\d{1,30}")
# In a table of results a Ks of 0 means that there is none.
_ZERO_IS_ABSENT = {"k_mag"}
_BLANK_WORDS = {"", "none", "nan", "null", "n/a", "na", "-", "--", "..."}


def gaia_release(text: Any) -> str | None:
    """The release of Gaia that a text names, e.g. ``dr3`` for ``Gaia DR3``, or ``None``."""
    found = _RELEASE.search(str(text or "").lower())
    return found[0] if found else None


def clean(name: str, value: Any) -> Any:
    """The value of a column to be stored; ``None`` if it is absent or a filler."""
    return clean_column(name, [value])[0]


def clean_column(name: str, values: Any) -> list[Any]:
    """The values of a column to be stored; ``None`` for absent ones and fillers.

    Args:
        name: The column in our tables, which determines the true values.
        values: An array, which may be masked, or a list of any values of a header or a table.
    """
    if name in RANGES:
        low, high = RANGES[name]
        numbers = as_numbers(values)
        with np.errstate(invalid="ignore"):
            true = (numbers > low) & (numbers < high)
        if name in _ZERO_IS_ABSENT:
            true &= numbers != 0
        return np.where(true, numbers, None).tolist()
    if name in INTEGERS:
        values = _unmasked(values)
        if isinstance(values, np.ndarray) and values.dtype.kind in "iu":
            low, high = INTEGERS[name]
            return np.where((values >= low) & (values <= high), values, None).tolist()
        return [_integer(value, INTEGERS[name]) for value in _listed(values)]
    return [None if text is None or len(text) > MAX_TEXT else text for text in map(_text, _listed(values))]


def unreadable(name: str, values: Any) -> list[str]:
    """The texts in a column of numbers that are neither numbers nor words for an absent one.

    Args:
        name: The column in our tables; a column of text has no such texts.
        values: As for ``clean_column``.
    """
    if _is_text(name) or (isinstance(values, np.ndarray) and values.dtype.kind in "iuf"):
        return []
    texts = map(_text, _listed(values))
    return [text for text in texts if text is not None and not _is_number(text)]


def too_long(name: str, values: Any) -> list[str]:
    """The beginnings of the texts in a column of text that are too long; arguments as of ``unreadable``."""
    texts = map(_text, _listed(values)) if _is_text(name) else ()
    return [f"{text[:40]}…" for text in texts if text is not None and len(text) > MAX_TEXT]


def _is_text(name: str) -> bool:
    return name not in RANGES and name not in INTEGERS


def inexact(name: str, values: Any) -> list[str]:
    """The numbers in a column of integers that may have lost digits as floats.

    Args:
        name: The column in our tables; only a column of integers has such numbers.
        values: As for ``clean_column``.
    """
    if name not in INTEGERS or (isinstance(values, np.ndarray) and values.dtype.kind in "iu"):
        return []
    low = INTEGERS[name][0]
    # A number below all true ones is a filler in any form.
    suspects = [value for value in _listed(values) if _float(_as_number(value)) >= low]
    return [str(value) for value in suspects if _integer(value, (low, math.inf)) is None]


def _unmasked(values: Any) -> Any:
    if not isinstance(values, np.ma.MaskedArray):
        return values
    if not np.ma.is_masked(values):
        return np.asarray(values.data)
    pairs = zip(np.ma.getmaskarray(values).tolist(), values.data, strict=True)
    return [None if is_masked else value for is_masked, value in pairs]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _listed(values: Any) -> list[Any]:
    values = _unmasked(values)
    # A float of 4 bytes keeps its type: as a Python float it would seem to have more digits.
    is_short = isinstance(values, np.ndarray) and values.dtype.kind == "f" and values.dtype.itemsize < 8
    return values.tolist() if isinstance(values, np.ndarray) and not is_short else list(values)


def as_numbers(values: Any) -> np.ndarray:
    """The numbers, including fillers; NaN for other values."""
    values = _unmasked(values)
    if not isinstance(values, np.ndarray) or values.dtype.kind != "f":
        return np.array([_float(value) for value in _listed(values)], float)
    # A float of 4 bytes is 9.028, not 9.028000354766846: only its own digits count.
    return (values.astype("U") if values.dtype.itemsize < 8 else values).astype(np.float64)


def _float(value: Any) -> float:
    if value is None or value is np.ma.masked or isinstance(value, bool):
        return math.nan
    try:
        return float(str(value) if isinstance(value, np.float32) else value)
    except (TypeError, ValueError):
        return math.nan


def _integer(value: Any, limits: tuple[int, float]) -> int | None:
    if type(value) is str and value.isdecimal():
        # Most identifiers of a text; the rest of this function takes as long as reading them.
        value = int(value) if len(value) <= 30 else None
        return value if value is not None and limits[0] <= value <= limits[1] else None
    if isinstance(value, (bool, np.bool_)) and limits != (0, 1):
        return None
    value = _as_number(value)
    if isinstance(value, str):
        # Identifiers of Gaia have 19 digits, but a float 16, so a text in the form of a float is inexact.
        value = int(value) if _DIGITS.fullmatch(value) else None
    elif isinstance(value, (float, np.floating)):
        # A larger float does not distinguish an integer from the next one.
        largest = 2 ** (np.finfo(type(value)).nmant + 1)
        value = int(value) if abs(value) <= largest and value == int(value) else None
    return int(value) if value is not None and limits[0] <= value <= limits[1] else None


def _as_number(value: Any) -> Any:
    """A number as it is; any other value as text without padding."""
    return value if isinstance(value, (int, float, np.integer, np.floating)) else _text(value) or ""


def _text(value: Any) -> str | None:
    if value is None or value is np.ma.masked:
        return None
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    # FITS tables pad with NUL, which PostgreSQL cannot store.
    text = text.replace("\0", " ").strip()
    return None if text.lower() in _BLANK_WORDS else text
