"""Distances against Gaia's parallaxes, spectra of one star against each other, and the stars to look at."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from astra.models import AstroNNdist
from astra.models.apogee import ApogeeSpectrum
from astra.models.fields import flags_of
from astra.pipelines.astronn_dist.distances.distance import BAD_RUWE
from astra.report.result_arrays import CLASSES, UNKNOWN, Rows
from astra.report.summaries import FEWEST, Summary, summary

SNR_EDGES = (0, 50, 100, 200, np.inf)
A_K_EDGES = (0, 0.05, 0.15, 0.4, np.inf)  # mag
M_KS_EDGES = (-np.inf, -5, -4, -3, -2, -1, 1, 3, np.inf)  # mag

# > Against Gaia


@dataclass(frozen=True)
class Parallaxes:
    """N stars with a distance and a parallax, arrays of shape (N,) [mas].

    Attributes:
        index: Their indices in the rows.
        corrected: Whether the zero-point is taken off Gaia's parallax.
        full: Whether the error counts those of Ks and E(B-V) too: ``e_nn_parallax``, and not that which
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
    """Some of the stars: summaries of their differences [mas] and of their pulls."""

    group: str
    name: str
    difference: Summary
    pull: Summary


def parallaxes(rows: Rows) -> Parallaxes:
    """The stars to compare: good, by their best spectrum, RUWE below ``BAD_RUWE`` or unknown."""
    has_own = np.isfinite(rows["gaia_parallax"]) & (rows["e_gaia_parallax"] > 0)
    has_plain = np.isfinite(rows["plx"]) & (rows["e_plx"] > 0)
    well_fitted = ~(rows["ruwe"] >= BAD_RUWE)
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
    """All stars, and those of each class, M_Ks, signal-to-noise ratio, extinction and telescope, if any."""
    kind, telescope = rows.kind[stars.index], rows["telescope"][stars.index]
    telescopes = sorted(rows.codes["telescope"].items())
    groups = [
        ("all", "all", np.ones(len(stars.index), bool)),
        *by_class(kind),
        *ranges("M_Ks", rows["m_ks_abs"][stars.index], M_KS_EDGES),
        *ranges("S/N", rows["snr"][stars.index], SNR_EDGES),
        *ranges("A_Ks", rows["A_k_mag"][stars.index], A_K_EDGES),
        *(("telescope", name or "not given", telescope == code) for name, code in telescopes),
    ]
    return [
        Part(group, name, summary(stars.difference[mask]), summary(stars.pull[mask]))
        for group, name, mask in groups
        if mask.any()
    ]


def by_class(kind: np.ndarray) -> Iterator[tuple[str, str, np.ndarray]]:
    """One part for each class of stars, and one for those that have none."""
    for code, name in enumerate(CLASSES):
        yield "class", name, kind == code
    yield "class", "no colour", kind == UNKNOWN


def ranges(group: str, values: np.ndarray, edges: Sequence[float]) -> Iterator[tuple[str, str, np.ndarray]]:
    """One part for each range, which includes its lower end."""
    for low, high in pairwise(edges):
        name = f"{low:g} to {high:g}"
        if np.isinf(high):
            name = f"{low:g} and more"
        elif np.isinf(low):
            name = f"below {high:g}"
        yield group, name, (values >= low) & (values < high)


@dataclass(frozen=True)
class Choices:
    """What the results say of spectrum and Gaia: of all spectra, and of good stars by their best spectrum.

    Attributes:
        origins: How many spectra have a zero-point of each origin; "" is none.
        chosen: How many spectra have a distance to use from each source; "" is none.
        pulls: How many good stars have a pull.
        beyond: How many of these have one beyond ±3, and beyond ±5.
    """

    origins: dict[str, int]
    chosen: dict[str, int]
    pulls: int
    beyond: tuple[int, int]


def choices(rows: Rows) -> Choices:
    """Count them."""
    pull = np.abs(rows["parallax_pull"][rows.science])
    beyond = (int((pull > 3).sum()), int((pull > 5).sum()))
    has_parallax = np.isfinite(rows["gaia_parallax"])
    return Choices(
        rows.counts("plx_zero_point_origin", has_parallax),
        rows.counts("best_dist_from"),
        int(np.isfinite(pull).sum()),
        beyond,
    )


@dataclass(frozen=True)
class Field:
    """A field of the survey: how many stars it has, their median pull, and its error."""

    name: str
    stars: int
    median: float
    error: float


@dataclass(frozen=True)
class Fields:
    """The fields whose median pull is farthest from that of all stars, in units of its error.

    Attributes:
        number: How many fields have ``FEWEST`` stars or more.
        off: How many of them are off by more than 3 errors.
        worst: The first of them.
    """

    number: int
    off: int
    worst: list[Field]


def fields(rows: Rows, stars: Parallaxes, most: int = 8) -> Fields:
    """Look for fields in which distances are nearer or farther than elsewhere."""
    codes = rows["field"][stars.index]
    order = np.argsort(codes, kind="stable")
    found, starts = np.unique(codes[order], return_index=True)
    names = list(rows.codes["field"])
    numbers = [
        (names[code], summary(part))
        for code, part in zip(found.tolist(), np.split(stars.pull[order], starts[1:]), strict=True)
        if names[code] and len(part) >= FEWEST
    ]
    known = [Field(name, part.n, part.median, part.e_median) for name, part in numbers if part.e_median > 0]
    middle = summary(stars.pull).median
    known.sort(key=lambda each: -abs(each.median - middle) / each.error)
    off = sum(abs(each.median - middle) > 3 * each.error for each in known)
    return Fields(len(known), off, known[:most])


# > Spectra of one star


@dataclass(frozen=True)
class Repeats:
    """Pairs of good spectra of one star, each with the best one of that star; arrays of shape (pairs,).

    Both are of one kind, apStar or mwmStar: an mwmStar spectrum may be made of the same light as a coadd.

    Attributes:
        stars: How many stars have such a pair.
        index: The rows of the others.
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
    """Pair the good spectra of each star whose best spectrum is good."""
    usable = np.flatnonzero(rows["good"] & (rows["source_pk"] > 0) & (rows["L_fakemag"] > 0))
    is_best = rows["primary_spectrum"][usable]
    best, others = usable[is_best], usable[~is_best]
    best = best[np.argsort(rows["source_pk"][best])]
    place = np.searchsorted(rows["source_pk"][best], rows["source_pk"][others])
    found = np.append(rows["source_pk"][best], -1)[place] == rows["source_pk"][others]
    others, first = others[found], best[place[found]]
    same_kind = rows["is_combined"][others] == rows["is_combined"][first]
    others, first = others[same_kind], first[same_kind]
    value, reference = rows["L_fakemag"][others], rows["L_fakemag"][first]
    with np.errstate(divide="ignore", invalid="ignore"):
        pulls = [
            (value - reference) / np.hypot(rows[error][others], rows[error][first])
            for error in ("e_L_fakemag", "e_model_L_fakemag")
        ]
    return Repeats(len(np.unique(rows["source_pk"][others])), others, value / reference - 1, *pulls)


# > Stars to look at

#: How many of each kind, and at least how many with each flag of a result, and of a spectrum.
WORST, PER_RESULT_FLAG, PER_SPECTRUM_FLAG = 6, 3, 1

#: Of so few spectra the table shows all.
FEW = 30

PULL = "far from Gaia's parallax"
ERROR = "most uncertain of the good"
NO_RESULT = "no result"
FLAGGED = "has a flag"
ALL = "all are listed"


def outliers(rows: Rows, stars: Parallaxes) -> dict[int, str]:
    """Choose the rows to look at: the worst of their kind, and some with each flag; of few, all by distance.

    Returns:
        The index of each row, and the first reason to show it.
    """
    chosen: dict[int, str] = {}

    def take(why: str, order: np.ndarray, most: int = WORST) -> None:
        new = [index for index in order[: most + len(chosen)].tolist() if index not in chosen]
        chosen.update(dict.fromkeys(new[:most], why))

    def marked(column: str, flag: int) -> np.ndarray:
        members = np.flatnonzero(rows[column] & flag)
        return members[np.argsort(rows["spectrum_pk"][members])]

    take(PULL, stars.index[np.argsort(-np.abs(stars.pull), kind="stable")])
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = np.where(rows.science, rows["e_dist"] / rows["dist"], np.nan)
    known = np.flatnonzero(np.isfinite(relative))
    take(ERROR, known[np.argsort(-relative[known], kind="stable")])
    take(NO_RESULT, marked("result_flags", AstroNNdist.flag_no_result.value))
    for column, model, least in (
        ("result_flags", AstroNNdist, PER_RESULT_FLAG),
        ("spectrum_flags", ApogeeSpectrum, PER_SPECTRUM_FLAG),
    ):
        for flag in flags_of(model, column).values():
            shown = sum(bool(rows[column][index] & flag.value) for index in chosen)
            if shown < least:
                take(FLAGGED, marked(column, flag.value), least - shown)
    if len(rows) <= FEW:
        by_distance = np.lexsort((rows["spectrum_pk"], rows["dist"])).tolist()
        return dict.fromkeys(by_distance, ALL)
    return chosen
