"""The errors of Gaia parallaxes as they are: those of the catalogue are too small.

Of (E)DR3 by a factor that depends on G: El-Badry, Rix & Heintz 2021 (MNRAS 506, 2269, equation 16) found it
from binaries, whose stars have the same parallax. Of DR2 by 1.08, as quasars show (Lindegren et al. 2018, A&A
616, A2). Both are for stars that the astrometry fits well: where RUWE is large, errors are larger still.
"""

import numpy as np

from astra.ingest.values import GAIA_DR3
from astra.pipelines.astronn_dist.distances.distance import Stars

#: The factor of DR2.
DR2 = 1.08

#: The factor of (E)DR3 without G: the mean for magnitudes of the survey (13.5, with a scatter of 1.5).
TYPICAL = 1.15

#: For these G magnitudes the factor of (E)DR3 was found; beyond, it is that of the end.
G_MAG = (7.0, 21.0)


def factor_of_dr3(g_mag: np.ndarray) -> np.ndarray:
    """By what the errors of (E)DR3 are to be multiplied at these G magnitudes [mag]; NaN: typical.

    The relation falls below 1 for faint stars (G > 18.6); no error is made smaller.
    """
    g = np.clip(g_mag, *G_MAG)
    factor = 0.21 * np.exp(-(((g - 12.65) / 0.90) ** 2)) + 1.141 + 0.0040 * g - 0.00062 * g**2
    return np.where(np.isfinite(g_mag), np.maximum(factor, 1.0), TYPICAL)


def inflated(stars: Stars, e_parallax: np.ndarray) -> np.ndarray:
    """Errors of the parallaxes of N stars [mas]; those of a release that is not known stay as they are."""
    if not np.isfinite(e_parallax).any():
        return e_parallax
    is_dr3, is_dr2 = stars.astrometry_of(*GAIA_DR3), stars.astrometry_of("dr2")
    return e_parallax * np.select([is_dr3, is_dr2], [factor_of_dr3(stars.known("g_mag")), DR2], 1.0)
