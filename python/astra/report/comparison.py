"""Distances against Gaia's parallaxes, and spectra of one star against each other."""

from dataclasses import dataclass

import numpy as np

from astra.report.rows import CLASSES, UNKNOWN, Rows
from astra.report.summaries import Summary, summary

#: A worse astrometric fit says that Gaia's parallax is not that of a single star (Lindegren 2018,
#: GAIA-C3-TN-LU-LL-124).
LARGEST_RUWE = 1.4

SNR_EDGES = (0, 50, 100, 200, np.inf)
A_K_EDGES = (0, 0.05, 0.15, 0.4, np.inf)


@dataclass(frozen=True)
class Parallaxes:
    """N stars with a distance and a parallax, arrays of shape (N,) [mas].

    Attributes:
        index: Which of the rows they are.
        corrected: Whether the parallax of Gaia has its zero-point taken off.
        full: Whether its error counts those of Ks and E(B-V) too: ``e_nn_parallax``, and not that which
            follows from ``e_dist``.
        spectroscopic, e_spectroscopic: 1000 / dist, and its error.
        gaia, e_gaia: ``gaia_parallax`` where there is one, else ``plx``.
    """

    index: np.ndarray
    corrected: np.ndarray
    full: np.ndarray
    spectroscopic: np.ndarray
    e_spectroscopic: np.ndarray
    gaia: np.ndarray
    e_gaia: np.ndarray

    @property
    def difference(self) -> np.ndarray:
        """Spectroscopic minus Gaia [mas]."""
        return self.spectroscopic - self.gaia

    @property
    def pull(self) -> np.ndarray:
        """The difference in units of both errors together."""
        return self.difference / np.hypot(self.e_spectroscopic, self.e_gaia)


@dataclass(frozen=True)
class Part:
    """Some of the stars: the differences [mas] and the pulls summed up."""

    group: str
    name: str
    difference: Summary
    pull: Summary


def parallaxes(rows: Rows) -> Parallaxes:
    """The stars to compare: good, by their best spectrum, RUWE below 1.4 or not known."""
    has_own = np.isfinite(rows["gaia_parallax"]) & (rows["e_gaia_parallax"] > 0)
    has_plain = np.isfinite(rows["plx"]) & (rows["e_plx"] > 0)
    well_fitted = ~(rows["ruwe"] >= LARGEST_RUWE)
    measured = (rows["dist"] > 0) & (rows["e_dist"] > 0)
    index = np.flatnonzero(rows.science & (has_own | has_plain) & well_fitted & measured)
    own, dist = has_own[index], rows["dist"][index]
    e_full = rows["e_nn_parallax"][index]
    full = e_full > 0
    return Parallaxes(
        index=index,
        corrected=own & np.isfinite(rows["plx_zero_point"][index]),
        full=full,
        spectroscopic=1000 / dist,
        e_spectroscopic=np.where(full, e_full, 1000 * rows["e_dist"][index] / dist**2),
        gaia=np.where(own, rows["gaia_parallax"][index], rows["plx"][index]),
        e_gaia=np.where(own, rows["e_gaia_parallax"][index], rows["e_plx"][index]),
    )


def parts(rows: Rows, stars: Parallaxes) -> list[Part]:
    """All of them, and by class, signal-to-noise ratio, extinction and telescope; empty ones left out."""
    difference, pull = stars.difference, stars.pull
    groups = [("all", "all", np.ones(len(stars.index), bool))]
    kind = rows.kind[stars.index]
    groups += [("class", name, kind == code) for code, name in enumerate(CLASSES)]
    groups.append(("class", "no colour", kind == UNKNOWN))
    groups += _ranges("S/N", rows["snr"][stars.index], SNR_EDGES)
    groups += _ranges("A_Ks", rows["A_k_mag"][stars.index], A_K_EDGES)
    telescope = rows["telescope"][stars.index]
    names = sorted(enumerate(rows.words["telescope"]), key=lambda pair: pair[1])
    groups += [("telescope", name or "not given", telescope == code) for code, name in names]
    return [
        Part(group, name, summary(difference[mask]), summary(pull[mask]))
        for group, name, mask in groups
        if mask.any()
    ]


def _ranges(group: str, values: np.ndarray, edges: tuple[float, ...]) -> list[tuple[str, str, np.ndarray]]:
    """One part for each range, its lower end included."""
    found = []
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        name = f"{low:g} and more" if np.isinf(high) else f"{low:g} to {high:g}"
        found.append((group, name, (values >= low) & (values < high)))
    return found


@dataclass(frozen=True)
class Repeats:
    """Pairs of good spectra of one star, each with the best one of that star; arrays of shape (pairs,).

    Attributes:
        stars: How many stars have such a pair.
        index: Which rows the other spectra are.
        difference: L_fakemag of the other over that of the best, minus 1.
        pull: The difference in L_fakemag in units of both errors together.
        model_pull: The same, of the model part of the errors alone.
    """

    stars: int
    index: np.ndarray
    difference: np.ndarray
    pull: np.ndarray
    model_pull: np.ndarray


def repeats(rows: Rows) -> Repeats:
    """Pair the good spectra of each star, where its best is good."""
    usable = np.flatnonzero(rows["good"] & (rows["source_pk"] > 0) & (rows["L_fakemag"] > 0))
    best = usable[rows["primary_spectrum"][usable]]
    best = best[np.argsort(rows["source_pk"][best])]
    others = usable[~rows["primary_spectrum"][usable]]
    place = np.searchsorted(rows["source_pk"][best], rows["source_pk"][others])
    found = np.append(rows["source_pk"][best], -1)[place] == rows["source_pk"][others]
    others, first = others[found], best[place[found]]
    value, reference = rows["L_fakemag"][others], rows["L_fakemag"][first]
    pulls = []
    for name in ("e_L_fakemag", "e_model_L_fakemag"):
        with np.errstate(divide="ignore", invalid="ignore"):
            pulls.append((value - reference) / np.hypot(rows[name][others], rows[name][first]))
    stars = len(np.unique(rows["source_pk"][others]))
    return Repeats(stars, others, value / reference - 1, *pulls)
