"""How distances change from production to a trial: which, where, and how both agree with Gaia.

The change of a spectrum is ``dist of the trial / dist of production - 1``. What a spectrum is (class, M_Ks,
extinction, place) is what production says of it, so that it is in the same part whatever the trial does.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from astra.models import Distance
from astra.pipelines.astronn_dist.distances.distance import BAD_RUWE
from astra.report.agreement import A_K_EDGES, SNR_EDGES, by_class, ranges
from astra.report.arrays import Arrays
from astra.report.paired.differences import FlagDifference, flag_difference, percentiles
from astra.report.paired.pairs import Pairs
from astra.report.result_arrays import kinds
from astra.report.summaries import summary

#: Edges of the parts of the tables; those of S/N and A_Ks are the report's.
M_KS_EDGES = (-np.inf, -4, -2, 0, 2, 4, np.inf)  # mag
LATITUDE_EDGES = (0, 5, 10, 20, 40, np.inf)  # degrees, of |b|
QUADRANT_EDGES = (0, 90, 180, 270, 360)  # degrees, of l

#: Percentiles of the changes: the median, and what nine of ten lie between.
_MOST = (5, 50, 95)

#: Of a normal distribution: the standard deviation in median absolute deviations.
SIGMA_PER_MAD = 1.4826

#: A distance has changed if it did by more than this.
CHANGED = 0.01

#: How many of the largest changes are listed.
LISTED = 20

ALL = "all"


@dataclass(frozen=True)
class Part:
    """Changes of some of the spectra; NaN where there are none.

    Attributes:
        n: Spectra.
        identical: How many have the same distance, bit for bit.
        median, p05, p95: Percentiles of the change.
        scatter: 1.4826 times the median absolute deviation from the median.
        changed: Share that changed by more than ``CHANGED``.
        beyond_3: Share that changed by more than three times the model errors of both rows together. Both
            rows are of one spectrum, so their errors are not independent: few are beyond even where much
            changed.
    """

    group: str
    name: str
    n: int
    identical: int
    median: float
    scatter: float
    p05: float
    p95: float
    changed: float
    beyond_3: float


@dataclass(frozen=True)
class Pulls:
    """Pulls of spectroscopic parallaxes against Gaia's, summed up.

    Attributes:
        width: Half the range of the middle 68.27 %.
        beyond_3, beyond_5: Shares with an absolute value above.
    """

    median: float
    width: float
    beyond_3: float
    beyond_5: float


@dataclass(frozen=True)
class Agreement:
    """How some of the spectra agree with Gaia in either set.

    Attributes:
        n: Spectra.
        differing: How many of these have two different parallaxes.
        closer: Share of the differing ones whose parallax of the trial is closer to Gaia's. If neither set
            were better, it would be 0.5 with the standard error ``e_closer``.
    """

    group: str
    name: str
    n: int
    production: Pulls
    trial: Pulls
    differing: int
    closer: float
    e_closer: float


@dataclass(frozen=True)
class DistanceChanges:
    """The changes of N pairs, arrays of shape (N,), and what follows from them.

    Attributes:
        change: NaN where one of the two rows has no distance that rests on a magnitude.
        chosen: Whether a pair counts in the parts and the figures: it has a change, and is good in both.
        kind: Codes of ``CLASSES``.
        m_ks: Absolute Ks magnitude [mag].
        pulls: Of production and of the trial against Gaia; NaN where a pair is not compared with it.
    """

    change: np.ndarray
    chosen: np.ndarray
    kind: np.ndarray
    m_ks: np.ndarray
    pulls: tuple[np.ndarray, np.ndarray]
    good: FlagDifference
    parts: list[Part]
    agreement: list[Agreement]
    largest: list[int]

    @property
    def all(self) -> Part:
        """All that are good in both."""
        return self.parts[0]


def distance_changes(pairs: Pairs) -> DistanceChanges:
    """Compare the distances of all pairs."""
    one, other, stars = pairs.production, pairs.trial, pairs.stars
    change = _change(one, other)
    goods = tuple(_is_good(side, stars["spectrum_flags"]) for side in (one, other))
    both_good = goods[0] & goods[1]
    chosen = both_good & np.isfinite(change)
    m_ks = _m_ks(one["L_fakemag"])
    kind = kinds(m_ks, stars["j_mag"], one["k_mag"], one["A_k_mag"])
    groups = list(_groups(pairs, kind, m_ks))
    pulls = _pulls(pairs, both_good)
    known = Distance.good.help_text or ""
    return DistanceChanges(
        change=change,
        chosen=chosen,
        kind=kind,
        m_ks=m_ks,
        pulls=pulls,
        good=flag_difference("good", known, *goods),
        parts=list(_parts(pairs, change, both_good, groups)),
        agreement=list(_agreement(pairs, pulls, groups)),
        largest=_largest(change, goods[0] | goods[1]),
    )


def _change(one: Arrays, other: Arrays) -> np.ndarray:
    # Without a magnitude there is a distance for Ks = 0, which means nothing.
    usable = (one["dist"] > 0) & (other["dist"] > 0) & (one["k_mag"] != 0) & (other["k_mag"] != 0)
    change = np.full(len(one), np.nan)
    np.divide(other["dist"], one["dist"], where=usable, out=change)
    return change - 1


def _is_good(side: Arrays, spectrum_flags: np.ndarray) -> np.ndarray:
    return ~side["flag_bad"] & ((spectrum_flags & Distance.NOT_GOOD) == 0)


def _m_ks(fakemag: np.ndarray) -> np.ndarray:
    return 5 * np.log10(np.where(fakemag > 0, fakemag, np.nan)) - 10


def _largest(change: np.ndarray, shown: np.ndarray) -> list[int]:
    """The places of the largest changes among those that are good in one of the sets, by their factors."""
    places = np.flatnonzero(shown & (change != 0) & np.isfinite(change))
    factors = np.abs(np.log1p(change[places]))
    return places[np.argsort(-factors, kind="stable")[:LISTED]].tolist()


# > Parts


def _groups(pairs: Pairs, kind: np.ndarray, m_ks: np.ndarray) -> Iterator[tuple[str, str, np.ndarray]]:
    stars = pairs.stars
    yield from by_class(kind)
    yield from ranges("S/N", stars["snr"], SNR_EDGES)
    yield from ranges("M_Ks", m_ks, M_KS_EDGES)
    yield from ranges("A_Ks", pairs.production["A_k_mag"], A_K_EDGES)
    yield from ranges("|b|", np.abs(stars["b"]), LATITUDE_EDGES)
    yield from ranges("l", stars["l"] % 360, QUADRANT_EDGES)


def _parts(
    pairs: Pairs, change: np.ndarray, both_good: np.ndarray, groups: list[tuple[str, str, np.ndarray]]
) -> Iterator[Part]:
    one, other = pairs.production, pairs.trial
    e_both = np.hypot(one["e_model_dist"], other["e_model_dist"])
    moved = np.where(e_both > 0, np.abs(other["dist"] - one["dist"]) / e_both, np.nan)

    def part(group: str, name: str, members: np.ndarray) -> Part:
        values = change[members]
        p05, median, p95 = percentiles(values, _MOST)
        (mad,) = percentiles(np.abs(values - median), (50,))
        return Part(
            group=group,
            name=name,
            n=len(values),
            identical=int((values == 0).sum()),
            median=median,
            scatter=SIGMA_PER_MAD * mad,
            p05=p05,
            p95=p95,
            changed=_share(np.abs(values) > CHANGED),
            beyond_3=_share(_finite(moved[members]) > 3),
        )

    known = np.isfinite(change)
    yield part(ALL, "good in both", known & both_good)
    yield part(ALL, "not good in one or both", known & ~both_good)
    for group, name, members in groups:
        if (members & known & both_good).any():
            yield part(group, name, members & known & both_good)


def _share(truths: np.ndarray) -> float:
    return float(truths.mean()) if len(truths) else np.nan


def _finite(values: np.ndarray) -> np.ndarray:
    return values[np.isfinite(values)]


# > Against Gaia


def _pulls(pairs: Pairs, both_good: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pulls against the parallax of Gaia in the row of the trial, the same for both."""
    gaia, e_gaia = (pairs.trial[name] for name in ("gaia_parallax", "e_gaia_parallax"))
    usable = both_good & (e_gaia > 0) & np.isfinite(pairs.trial["plx_zero_point"])
    usable &= ~(pairs.stars["ruwe"] >= BAD_RUWE)
    found = []
    for side in (pairs.production, pairs.trial):
        error = np.hypot(side["e_nn_parallax"], e_gaia)
        found.append((side["nn_parallax"] - gaia) / error)
        usable &= np.isfinite(found[-1])
    one, other = (np.where(usable, pull, np.nan) for pull in found)
    return one, other


def _agreement(
    pairs: Pairs, pulls: tuple[np.ndarray, np.ndarray], groups: list[tuple[str, str, np.ndarray]]
) -> Iterator[Agreement]:
    """All pairs that are compared with Gaia, and those of each class and S/N."""
    known, gaia = np.isfinite(pulls[0]), pairs.trial["gaia_parallax"]
    one, other = pairs.production["nn_parallax"], pairs.trial["nn_parallax"]
    shown = [each for each in groups if each[0] in ("class", "S/N")]
    for group, name, members in [(ALL, ALL, known), *shown]:
        chosen = members & known
        if not chosen.any():
            continue
        differing = chosen & (one != other)
        number = int(differing.sum())
        yield Agreement(
            group=group,
            name=name,
            n=int(chosen.sum()),
            production=_summed_up(pulls[0][chosen]),
            trial=_summed_up(pulls[1][chosen]),
            differing=number,
            closer=_share((np.abs(other - gaia) < np.abs(one - gaia))[differing]),
            e_closer=0.5 / number**0.5 if number else np.nan,
        )


def _summed_up(pulls: np.ndarray) -> Pulls:
    found = summary(pulls)
    return Pulls(found.median, found.half_width, found.beyond_3, _share(np.abs(pulls) > 5))
