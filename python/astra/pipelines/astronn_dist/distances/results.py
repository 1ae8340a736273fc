"""The columns and flags of N results, from luminosities and what is known of the stars."""

from typing import Literal, get_args

import numpy as np

from astra.errors import UsageError
from astra.pipelines.astronn_dist.distances import clean, distance, full_errors, parallaxes
from astra.pipelines.astronn_dist.distances.best import BEST, best
from astra.pipelines.astronn_dist.distances.distance import Stars, plausible

#: Which error of the luminosity decides how much the spectrum counts beside Gaia.
WeightsFrom = Literal["total", "model"]

#: Columns that a star has even where its spectrum gave no result, from Gaia alone.
OF_GAIA = (
    *("plx_zero_point", "plx_zero_point_origin", "gaia_parallax", "e_gaia_parallax"),
    *("weighted_parallax", "e_weighted_parallax", "weighted_dist", "e_weighted_dist"),
    *BEST,
)

#: Why a distance is not fit for single stars, and what could not be looked at.
OF_CLEAN = ("not_clean", "not_checked")

Columns = dict[str, np.ndarray]


def derive(
    luminosity: np.ndarray,
    measured: np.ndarray,
    stars: Stars,
    weights_from: WeightsFrom = "total",
    *,
    detectors: np.ndarray | None = None,
) -> Columns:
    """Compute the results of N stars from luminosities, photometry, reddening and Gaia parallaxes.

    Args:
        luminosity: Pseudo-luminosities, their total errors and those of the model alone [mas], shape (3, N).
        measured: Whether the spectrum gave a result; where it did not, only the columns ``OF_GAIA`` hold
            anything, and no flag but ``flag_no_result`` is set.
        stars: What is known of the stars.
        weights_from: Whether ``weighted_parallax`` weighs the spectrum by its total error or, as upstream's
            catalogue did, by the model part of it. A parallax of Gaia counts only without its zero-point.
        detectors: Share of the pixels of each detector that can be used, shape (3, N), NaN where not
            known; ``None``: of no spectrum.

    Returns:
        The columns of the results and their flags, by name; shape (N,). Texts are objects, ``None`` where
        absent; ``not_clean`` and ``not_checked`` are bits, and there for every star.

    Raises:
        UsageError: ``weights_from`` is neither.
    """
    if weights_from not in get_args(WeightsFrom):
        raise UsageError(f"unknown weights: {weights_from!r}; one of {', '.join(get_args(WeightsFrom))}")
    luminosity = np.where(measured, luminosity, np.nan)
    k_mag, no_k_mag = distance.usable_k_mag(stars.k_mag)
    ebv, no_ebv = distance.usable_ebv(stars.ebv)
    found = {"k_mag": k_mag, "ebv": ebv, "A_k_mag": distance.extinction(ebv)}
    found |= dict(zip(("L_fakemag", "e_L_fakemag", "e_model_L_fakemag"), luminosity, strict=True))
    flags = {
        "flag_fakemag_unreliable": distance.unreliable(*luminosity[:2]),
        "flag_missing_photometry": no_k_mag,
        "flag_missing_extinction": no_ebv,
    }
    # An error of what is not used says nothing.
    e_magnitude = full_errors.magnitude_error(stars.e_k_mag, np.where(no_ebv, np.nan, stars.e_ebv))
    found |= _distances(found, np.where(no_k_mag, np.nan, e_magnitude))
    found |= _spectroscopic(found, no_k_mag, e_magnitude)
    found |= _with_gaia(found, stars, flags, weights_from)
    for name in found.keys() - OF_GAIA:
        found[name] = np.where(measured, found[name], np.nan)
    raised = {name: values & measured for name, values in flags.items()}
    detectors = np.full((3, len(measured)), np.nan) if detectors is None else detectors
    bits = clean.judge(stars, detectors, found["parallax_pull"])
    return found | raised | {"flag_no_result": ~measured} | dict(zip(OF_CLEAN, bits, strict=True))


def _distances(found: Columns, e_magnitude: np.ndarray) -> Columns:
    fakemag, e_fakemag, e_model = (found[name] for name in ("L_fakemag", "e_L_fakemag", "e_model_L_fakemag"))
    dist, e_dist = distance.distance(fakemag, e_fakemag, found["k_mag"], found["A_k_mag"])
    _, e_model_dist = distance.distance(fakemag, e_model, found["k_mag"], found["A_k_mag"])
    with np.errstate(all="ignore"):
        relative = np.where(fakemag > 0, e_fakemag / fakemag, np.nan)
        low, high = dist * full_errors.percentiles(relative, e_magnitude)
    full = {"e_dist_full": 0.5 * (high - low), "dist_lo": low, "dist_hi": high}
    distances = {"dist": dist, "e_dist": e_dist, "e_model_dist": e_model_dist}
    return distances | {name: plausible(values) for name, values in full.items()}


def _spectroscopic(found: Columns, no_k_mag: np.ndarray, e_magnitude: np.ndarray) -> Columns:
    fakemag, k_mag = found["L_fakemag"], np.where(no_k_mag, np.nan, found["k_mag"])
    parallax = parallaxes.spectroscopic_parallax(fakemag, k_mag, found["A_k_mag"])
    of_network = np.stack([found["e_L_fakemag"], found["e_model_L_fakemag"]])
    with np.errstate(all="ignore"):
        total, model = np.where(of_network >= 0, of_network / fakemag, np.nan)
        errors = parallax * np.hypot(total, e_magnitude), parallax * model
    e_parallax, e_model = (np.where(np.isfinite(error), error, np.nan) for error in errors)
    return {"nn_parallax": parallax, "e_nn_parallax": e_parallax, "e_model_nn_parallax": e_model}


def _with_gaia(found: Columns, stars: Stars, flags: Columns, weights_from: WeightsFrom) -> Columns:
    gaia = parallaxes.gaia_parallax(stars)
    bad = flags["flag_fakemag_unreliable"] | flags["flag_missing_photometry"]
    e_spectroscopic = found["e_nn_parallax" if weights_from == "total" else "e_model_nn_parallax"]
    mean, e_mean = parallaxes.weighted_parallax(
        (np.where(bad, np.nan, found["nn_parallax"]), e_spectroscopic),
        # With its zero-point, a small parallax is wrong by more than its error: such a mean is biased.
        (np.where(np.isnan(gaia.zero_point), np.nan, gaia.parallax), gaia.error),
    )
    weighted_dist, e_weighted_dist = parallaxes.inverted(mean, e_mean)
    of_gaia = {
        "plx_zero_point": gaia.zero_point,
        "plx_zero_point_origin": gaia.origin,
        "gaia_parallax": gaia.parallax,
        "e_gaia_parallax": gaia.error,
        "weighted_parallax": mean,
        "e_weighted_parallax": e_mean,
        "weighted_dist": weighted_dist,
        "e_weighted_dist": e_weighted_dist,
    }
    of_gaia["parallax_pull"] = parallaxes.parallax_pull(found | of_gaia)
    return of_gaia | best(found | of_gaia, bad, stars.known("ruwe"))
