"""Published distances of the clusters of Meszaros et al. (2013, AJ 146, 133)."""

from typing import NamedTuple


class Cluster(NamedTuple):
    """Where a cluster is."""

    distance: float
    """From the Sun [pc]."""

    ebv: float
    """Reddening E(B-V) [mag]."""

    is_globular: bool


# Distances and reddenings of Harris (1996, AJ 112, 1487; edition of 2010).
_GLOBULARS = {
    "M92": (8300, 0.02),
    "M15": (10400, 0.10),
    "M53": (17900, 0.02),
    "N5466": (16000, 0.00),
    "N4147": (19300, 0.02),
    "M2": (11500, 0.06),
    "M13": (7100, 0.02),
    "M3": (10200, 0.01),
    "M5": (7500, 0.03),
    "M107": (6400, 0.33),
    "M71": (4000, 0.25),
}

# Distances of Cantat-Gaudin et al. (2020, A&A 640, A1), from parallaxes of Gaia DR2. The reddenings are
# rounded from the literature: 0.1 mag more makes a distance 1.6 % less.
_OPEN = {
    "N2158": (4298, 0.43),
    "N2420": (2587, 0.05),
    "N188": (1698, 0.09),
    "M67": (889, 0.04),
    "N7789": (2100, 0.28),
    "Pleiades": (136, 0.03),
    "N6819": (2765, 0.14),
    "N6791": (4231, 0.12),
}

#: By the names of the table of members.
CLUSTERS = {name: Cluster(*values, is_globular=True) for name, values in _GLOBULARS.items()}
CLUSTERS |= {name: Cluster(*values, is_globular=False) for name, values in _OPEN.items()}
