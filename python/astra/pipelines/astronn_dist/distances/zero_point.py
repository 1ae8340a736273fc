"""The zero-point of Gaia parallaxes: what is to be subtracted from a published parallax.

Of (E)DR3 it is that of Lindegren et al. 2021 (A&A 649, A4, appendix A), as the authors' package
``gaiadr3-zeropoint`` computes it from magnitude, colour and ecliptic latitude. Tables of the survey lack the
colour that it takes, the effective wavenumber: then that is estimated, and what the estimate may be wrong by
is part of the result. Beyond the range that the authors state it is NaN: nothing is extrapolated.

Of DR2 it is a number, and of other releases, or of an unknown one, there is none.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from astra.ingest.values import EXACT_ZERO_POINTS, GAIA_DR3
from astra.pipelines.astronn_dist.distances.distance import Stars
from astra.pipelines.astronn_dist.distances.latitudes import ecliptic_latitude

#: Values of ``astrometric_params_solved``: five parameters, and six, where the colour is one of them.
FIVE, SIX = 31, 95

#: What a zero-point can be made from, and its own error then [mas], besides the few microarcseconds that the
#: authors leave open. For stars of 10 < G < 17 and 1.25 < nu_eff < 1.6, evenly over magnitude, colour and
#: sky, the authors' function scatters by so much: in all (``no_g``), against that with the typical colour,
#: and against that with a colour off by 0.03 um-1 (``j_ks``). Of DR2 it is the distance to -0.029 mas, the
#: value of quasars (Lindegren et al. 2018, A&A 616, A2).
ERRORS = {
    **dict.fromkeys(EXACT_ZERO_POINTS, 0.0),
    "bp_rp": 0.0,
    "j_ks": 0.002,
    "typical_colour": 0.005,
    "no_g": 0.012,
    "no_position": 0.012,
    "dr2": 0.023,
}

#: The median of the authors' function for the same stars [mas]: without a magnitude, or without a place.
MEDIAN = -0.034

#: The effective wavenumber of a star whose colour is not known [um-1].
TYPICAL_NU_EFF = 1.42

#: The zero-point of DR2 [mas]: that of the stars of this survey (Leung & Bovy 2019, MNRAS 489, 2079: -52.3 +-
#: 2.0 uas), which asteroseismology confirms (Zinn et al. 2019, ApJ 878, 136: -52.8 uas). That of quasars, -29
#: uas, is of sources much fainter than the stars of the survey, and of other colours.
DR2 = -0.0523

# Open intervals in which the authors' function is valid.
_G_MAG, _NU_EFF, _PSEUDOCOLOUR = (6.0, 21.0), (1.1, 1.9), (1.24, 1.72)
# G - J and G - Ks as polynomials of BP - RP, and where these hold (Riello et al. 2021, A&A 649, A3, tables
# C.1 and C.2).
_G_J, _G_KS, _BP_RP = (0.01798, 1.389, -0.09338), (-0.0981, 2.089, -0.1579), (-0.5, 2.5)


class ZeroPoint(NamedTuple):
    """Zero-points of N parallaxes, arrays of shape (N,): ``parallax = published parallax - value``."""

    value: np.ndarray
    """[mas]; NaN where there is none."""

    error: np.ndarray
    """Its own error [mas], 0 where there is none."""

    origin: np.ndarray
    """A key of ``ERRORS``; ``None`` where there is none."""


def zero_point(stars: Stars) -> ZeroPoint:
    """The zero-points of the parallaxes of N stars, each from the best that is known of its star.

    Of (E)DR3, the colour is ``nu_eff_used_in_astrometry`` (five parameters solved) or ``pseudocolour`` (six);
    else it follows from BP - RP, else from J - Ks, else it is typical. Without G, or without a place on the
    sky, it is the median. A number that is known, but outside the range of the authors, leaves it NaN.
    """
    value, origin = np.full(stars.plx.shape, np.nan), np.full(stars.plx.shape, None, object)
    measured = np.isfinite(stars.parallax()[0])
    if measured.any():
        is_dr2 = measured & stars.astrometry_of("dr2")
        value[is_dr2], origin[is_dr2] = DR2, "dr2"
        _of_dr3(stars, measured & stars.astrometry_of(*GAIA_DR3), value, origin)
    return ZeroPoint(value, np.array([ERRORS.get(each, 0.0) for each in origin]), origin)


def nu_eff_from_bp_rp(bp_rp: np.ndarray) -> np.ndarray:
    """Effective wavenumbers [um-1] from colours BP - RP [mag] (Lindegren et al. 2021, A&A 649, A2, eq. 3)."""
    return 1.76 - 1.61 / np.pi * np.arctan(0.531 * bp_rp)


def bp_rp_from_j_ks(j_ks: np.ndarray) -> np.ndarray:
    """Colours BP - RP from J - Ks [mag], inverted from the relations of Riello et al. 2021 (A&A 649, A3).

    Beyond the range in which these hold, -0.5 < BP - RP < 2.5, it is that of its end.
    """
    constant, slope, bend = np.subtract(_G_KS, _G_J)
    ends = [constant + x * (slope + x * bend) for x in _BP_RP]
    root = np.sqrt(slope**2 - 4 * bend * (constant - np.clip(j_ks, *ends)))
    return (root - slope) / (2 * bend)


def _of_dr3(stars: Stars, rows: np.ndarray, value: np.ndarray, origin: np.ndarray) -> None:
    """Set the zero-points of some rows, as far as there are any."""
    solved, pseudocolour = stars.astrometric_params_solved, stars.known("pseudocolour")
    nu_eff, g_mag = stars.known("nu_eff_used_in_astrometry"), stars.known("g_mag")
    # Gaia gives each star the colour that its solution needs, and not the other one.
    six = (solved == SIX) | (~np.isfinite(solved) & np.isnan(nu_eff) & np.isfinite(pseudocolour))
    rows = rows & (six | (solved == FIVE) | ~np.isfinite(solved))
    placed = np.isfinite(stars.known("ra")) & np.isfinite(stars.known("dec"))
    for without, name in (np.isnan(g_mag), "no_g"), (~placed, "no_position"):
        value[rows & without], origin[rows & without] = MEDIAN, name
        rows = rows & ~without
    colours = {
        "pseudocolour": np.where(six, pseudocolour, np.nan),
        "nu_eff": np.where(six, np.nan, nu_eff),
        "bp_rp": nu_eff_from_bp_rp(stars.known("bp_mag") - stars.known("rp_mag")),
        "j_ks": nu_eff_from_bp_rp(bp_rp_from_j_ks(stars.known("j_mag") - stars.known("k_mag"))),
        "typical_colour": np.full(rows.shape, TYPICAL_NU_EFF),
    }
    known = [np.isfinite(colour) for colour in colours.values()]
    colour = np.select(known, list(colours.values()))
    rows = (
        rows
        & _within(g_mag, _G_MAG)
        & np.where(six, _within(colour, _PSEUDOCOLOUR), _within(colour, _NU_EFF))
    )
    if rows.any():
        latitude = ecliptic_latitude(stars.ra[rows], stars.dec[rows])
        parameters = np.where(six, SIX, FIVE)[rows]
        inputs = (g_mag[rows], colour[rows], colour[rows], latitude, parameters)
        value[rows] = _authors_function()(*inputs, _warnings=False)
        origin[rows] = np.array([*colours], object)[np.argmax(known, axis=0)][rows]


@functools.cache
def _authors_function() -> Callable[..., np.ndarray]:
    """``zero_point.zpt.get_zpt`` with its tables, which it keeps in the module."""
    from zero_point import zpt

    zpt.load_tables()
    return zpt.get_zpt


def _within(value: np.ndarray, interval: tuple[float, float]) -> np.ndarray:
    return (value > interval[0]) & (value < interval[1])
