"""Of the distances of a star the one to use, by a table of decisions."""

from collections.abc import Mapping

import numpy as np

from astra.pipelines.astronn_dist.distances.distance import BAD_RUWE, plausible
from astra.pipelines.astronn_dist.distances.full_errors import percentiles
from astra.pipelines.astronn_dist.distances.parallaxes import inverted

#: The columns.
BEST = ("best_dist", "best_dist_lo", "best_dist_hi", "best_dist_from")

#: A parallax of Gaia alone is inverted from this signal-to-noise ratio on, exclusively.
LEAST_PARALLAX_SNR = 5.0

#: Spectrum and Gaia whose pull is larger than this contradict each other.
LARGEST_PULL = 5.0


def best(found: Mapping[str, np.ndarray], is_bad: np.ndarray, ruwe: np.ndarray) -> dict[str, np.ndarray]:
    """Choose the distances of N stars.

    ======== ============================== ============= ===================
    spectrum Gaia                           parallax_pull best_dist_from
    ======== ============================== ============= ===================
    usable   any                            beyond ±5     none
    usable   usable                         else          weighted
    usable   not usable                     else          spectrum
    flagged  usable, parallax / error > 5   any           gaia
    flagged  else                           any           none
    ======== ============================== ============= ===================

    A spectrum is flagged where ``flag_bad`` is set. Gaia is usable with a zero-point and a RUWE below 1.4, or
    unknown. An unknown pull is none. The percentiles of a parallax and its error are those of 1 / parallax
    when the parallax is normal without its negative part, as for ``dist_lo`` and ``dist_hi``.

    Args:
        found: Other columns of the results, by name.
        is_bad: Whether the spectrum is flagged.
        ruwe: NaN where unknown.

    Returns:
        The columns ``BEST``: distance, 16th and 84th percentile [pc], and where they come from; NaN and
        ``None`` where there is none, or the one that is chosen is absent.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        is_usable = np.isfinite(found["plx_zero_point"]) & ~(ruwe >= BAD_RUWE)
        is_precise = found["gaia_parallax"] / found["e_gaia_parallax"] > LEAST_PARALLAX_SNR
        agrees = ~(np.abs(found["parallax_pull"]) > LARGEST_PULL)
    chosen = {
        "weighted": ~is_bad & agrees & is_usable,
        "spectrum": ~is_bad & agrees & ~is_usable,
        "gaia": is_bad & is_usable & is_precise,
    }
    of_spectrum = np.stack([found["dist"], found["dist_lo"], found["dist_hi"]])
    parallax, e_parallax = (
        np.select(
            [chosen["weighted"], chosen["gaia"]], [found[f"{e}weighted_parallax"], found[f"{e}gaia_parallax"]]
        )
        for e in ("", "e_")
    )
    dist, low, high = np.where(chosen["spectrum"], of_spectrum, _inverted(parallax, e_parallax))
    names = np.select(list(chosen.values()), np.array([*chosen], object), None)
    known = np.isfinite(dist)
    return dict(zip(BEST, (dist, low, high, np.where(known, names, None)), strict=True))


def _inverted(parallax: np.ndarray, e_parallax: np.ndarray) -> np.ndarray:
    """Distances from parallaxes [mas], with their percentiles [pc], shape (3, N)."""
    dist, _ = inverted(parallax, e_parallax)
    with np.errstate(all="ignore"):
        relative = np.where(np.isfinite(dist), e_parallax / parallax, np.nan)
    return np.stack([dist, *plausible(dist * percentiles(relative, 0.0))])
