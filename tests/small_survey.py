"""A small survey in which every question of the documentation has an answer.

fill_survey()    nine stars of M67: good ones, flagged ones, one observed twice, one whose file is withheld
a_star(), a_measured()    more of them
"""

import math
from datetime import datetime
from typing import Any

from builders import a_result, a_run, a_source, a_spectrum

from astra.models import ApogeeCoaddedSpectrumInApStar, AstroNNdist, Source, TaskRun, TaskWithheld

M67 = "2M08511710+1148160"


def a_star(number: int, dist: float, **values: Any) -> Source:
    """A star of M67 with all that a catalogue may say of it."""
    place = {"ra": 132.85 + 0.01 * number, "dec": 11.81, "l": 215.7, "b": 31.9}
    motion = {"pmra": -10.97, "pmde": -2.92, "j_mag": 10.8, "ebv_origin": "SFD", "ebv_flags": 8}
    gaia = {"plx": 1000 / dist + 0.05, "e_plx": 0.05, "ruwe": 1.0}
    theirs = {f"r_{part}_{kind}": dist for part in ("med", "lo", "hi") for kind in ("geo", "photogeo")}
    return a_source(**(place | motion | gaia | theirs | values))


def a_measured(
    source: Source, dist: float, run: TaskRun, *, snr: float = 100.0, telescope: str = "apo25m", **values: Any
) -> AstroNNdist:
    """A result of a new spectrum of a star, with an error of 5 % and Gaia beside it."""
    relative = 0.05
    parallax = 1000 / dist
    spectrum = a_spectrum(source, snr=snr, telescope=telescope, v_rad=33.9)
    gaia = {"gaia_parallax": parallax + 0.05, "e_gaia_parallax": 0.05, "plx_zero_point": -0.03}
    gaia |= {
        "plx_zero_point_origin": "nu_eff",
        "parallax_pull": -0.05 / math.hypot(0.05, relative * parallax),
    }
    combined = {"weighted_parallax": parallax + 0.04, "e_weighted_parallax": 0.04}
    best = {f"best_dist{part}": factor * dist for part, factor in (("", 1), ("_lo", 0.95), ("_hi", 1.05))}
    found = {
        "L_fakemag": 100 * parallax,
        "e_L_fakemag": 100 * parallax * relative,
        "dist": dist,
        "e_dist": dist * relative,
        "e_dist_full": dist * relative * 1.5,
        "dist_lo": dist * (1 - relative),
        "dist_hi": dist * (1 + relative),
        "nn_parallax": parallax,
        "e_nn_parallax": parallax * relative,
        "weighted_dist": 1000 / (parallax + 0.04),
        "e_weighted_dist": dist * 0.02,
        "run_pk": run.pk,
        "not_clean": 0,
        "not_checked": 0,
    }
    return a_result(spectrum, **(found | gaia | combined | best | {"best_dist_from": "weighted"} | values))


def fill_survey() -> None:
    """Fill an empty database."""
    old = a_run(weights_name="old", weights_sha256="0" * 64, seed=0, n_draws=100, processed=1, outcome="done")
    new = a_run(weights_name="new", weights_sha256="1" * 64, seed=0, n_draws=100, processed=9, outcome="done")
    first = a_star(0, 400.0, sdss4_apogee_id=M67)
    again = a_measured(first, 400.0, new, snr=200.0)
    a_measured(first, 440.0, new, snr=50.0, telescope="lco25m")
    a_result(_spectrum_of(again), v_astra=0, dist=380.0, run_pk=old.pk)
    a_measured(a_star(1, 800.0), 800.0, new)
    a_measured(a_star(2, 450.0), 450.0, old)
    a_measured(a_star(3, 900.0, ebv=None), 900.0, new, flag_missing_extinction=True)
    a_measured(a_star(4, 850.0, k_mag=None), 1.0, new, flag_missing_photometry=True)
    a_measured(a_star(5, 850.0), 850.0, new, flag_fakemag_unreliable=True, telescope="lco25m")
    a_measured(a_star(6, 820.0), 820.0, new, telescope="lco25m", not_clean=2**7)
    lost = {"L_fakemag": None, "flag_no_result": True, "no_result_reason": "truncated"}
    a_measured(a_star(7, 850.0), math.nan, new, **lost)
    unread = {"task": "astronn_dist", "spectrum_pk": a_spectrum(a_star(8, 850.0)).spectrum_pk}
    TaskWithheld.create(**unread, reason="Permission denied: /x", tried=datetime(2999, 1, 1))


def _spectrum_of(result: AstroNNdist) -> ApogeeCoaddedSpectrumInApStar:
    key = ApogeeCoaddedSpectrumInApStar.spectrum_pk
    return ApogeeCoaddedSpectrumInApStar.get(key == result.spectrum_pk)
