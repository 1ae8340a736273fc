"""Photometry and astrometry of stars: fillers and conversions that the ingest and the distances share."""

import re
from typing import Any

#: A_K / E(B-V), from A_K = 0.918 E(B-V) / 2.61; 0.918 is A_K / E(H - [4.5 um]) of Majewski, Zasowski &
#: Nidever 2011 (ApJ 739, 25, equation 1), and E(B-V) = 2.61 E(H - [4.5 um]).
A_K_PER_EBV = 0.3517

#: A usable Ks magnitude is larger than this: catalogues write -9999 where there is none [mag].
SMALLEST_K_MAG = -1.0

#: From here on a magnitude or a reddening stands for one that was not measured, e.g. 99.999 [mag].
FILLER = 98.0

#: From here on the error of a magnitude says that it is unknown: 2MASS writes 8.888 and 9.995 to 9.999 [mag].
LARGEST_MAGNITUDE_ERROR = 8.0

#: From here on a parallax or its error is a filler [mas].
LARGEST_PARALLAX, LARGEST_PARALLAX_ERROR = 999.0, 9999.0

#: The releases of Gaia that share the numbers of sources and the zero-point of parallaxes.
GAIA_DR3 = ("edr3", "dr3")
_RELEASE = re.compile(r"e?dr\d+")


def gaia_release(text: Any) -> str | None:
    """The release of Gaia that a text names, e.g. ``dr3`` for ``Gaia DR3``, or ``None``."""
    found = _RELEASE.search(str(text or "").lower())
    return found[0] if found else None
