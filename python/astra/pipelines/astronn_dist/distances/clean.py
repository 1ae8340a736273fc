"""Whether a distance is fit for work on single stars: criteria that pass, fail, or could not look.

A distance without a flag may rest on the Ks of another star, on a limit of the extinction, or on half of a
spectrum. Each criterion looks for one of these; where it lacks what it needs, a fallback decides, and a bit
says so. STARFLAG is no part of this: the view ``distances`` looks at it, as it does for ``good``.

The bits are those of the columns ``not_clean`` and ``not_checked``.
"""

import enum

import numpy as np

from astra.ingest.values import (
    A_H_PER_A_K,
    A_J_PER_A_K,
    A_K_PER_EBV,
    FILLER,
    LARGEST_MAGNITUDE_ERROR,
)
from astra.pipelines.astronn_dist.distances.distance import BAD_RUWE, Stars, usable_ebv, usable_k_mag
from astra.pipelines.astronn_dist.distances.latitudes import galactic_latitude


class Criterion(enum.IntFlag):
    """What a distance is looked at for, by the bit in both columns."""

    K_MAG = 1 << 0
    K_RANGE = 1 << 1
    COLOUR = 1 << 2
    EXTINCTION = 1 << 3
    UPPER_LIMIT = 1 << 4
    SFD = 1 << 5
    COVERAGE = 1 << 6
    GAIA = 1 << 7
    RUWE = 1 << 8


#: Qualities of 2MASS, and the largest error [mag], that the survey selects its targets by (Zasowski et al.
#: 2013, AJ 146, 81, Table 2).
K_QUALITIES, LARGEST_K_ERROR = ("A", "B"), 0.1

#: Brighter, even the shortest exposures saturate; fainter, S/N is below 10 (Skrutskie et al. 2006, AJ 131,
#: 1163) [mag].
K_RANGE = (4.0, 14.3)

#: Intrinsic J - Ks and H - Ks of all stars of the Padova isochrones (Marigo et al. 2008, A&A 482, 883) from
#: 3400 K on, 300 Myr to 13 Gyr, [M/H] -2.0 to 0.2, up to M_Ks = -7.5 [mag].
J_KS, H_KS = (-0.10, 1.25), (-0.03, 0.30)

#: The same of (H - Ks) - 0.367 (J - Ks), which extinction does not change.
REDDENING_FREE = (-0.22, 0.02)

#: How far isochrones and 2MASS may differ [mag], and the errors beyond it that are allowed for.
OF_ISOCHRONES, DEVIATIONS = 0.04, 3.0

#: Errors where the catalogue has none: of a magnitude [mag]; of E(B-V), for E(B-V) = 0 and for each mag; and
#: of an E(B-V) that is not known, and taken for 0 [mag].
E_MAG, E_EBV, E_EBV_PER_EBV, E_NO_EBV = 0.03, 0.03, 0.1, 0.15

#: A measurement of no extinction may be as negative as the scatter of RJCE makes it: 0.1 mag in A_K [mag].
SMALLEST_EBV = -0.1 / A_K_PER_EBV

#: From this galactic latitude on, all of the dust is in front of a star of the survey, and it is so little
#: that 0 will do where it is not known: nearly everywhere E(B-V) < 0.15 (Schlegel, Finkbeiner & Davis 1998,
#: ApJ 500, 525), which makes 2.5 % of a distance [deg].
HIGH_LATITUDE = 30.0

#: Least share of the pixels of the blue, the green and the red detector. Pixels that are lost here and there
#: cost nothing down to 0.3. A part in one piece does: without 60 % of the blue detector, giants come out 10 %
#: too near, without 70 % of another one 2 % too far (``benchmarks/bench_clean.py --gaps``).
LEAST_COVERAGE = (0.5, 0.3, 0.3)

#: From this difference on, in units of its error, the parallaxes of spectrum and Gaia disagree.
LARGEST_PULL = 3.0

# Bits of ``ebv_flags``; any of the first seven says where E(B-V) comes from.
_LIMIT, _SFD, _KNOWN_ORIGIN = 1 << 0, 1 << 3, 0x7F

#: Whether N stars fail a criterion, and whether it could not look.
Judged = tuple[np.ndarray, np.ndarray]


def judge(stars: Stars, coverage: np.ndarray, parallax_pull: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Look at N distances by all criteria.

    Args:
        stars: What is known of the stars.
        coverage: Share of the pixels of each detector that can be used, shape (3, N); NaN: not known.
        parallax_pull: Difference of the parallaxes of spectrum and Gaia in units of its error, shape (N,);
            NaN where there is none.

    Returns:
        ``not_clean``: bits of the criteria that fail; and ``not_checked``: bits of those that could not look,
        so that a fallback decided. Integers of shape (N,).
    """
    with np.errstate(all="ignore"):
        extinction = _extinction(stars)
        found = {
            Criterion.K_MAG: _k_mag(stars),
            Criterion.K_RANGE: _k_range(stars),
            Criterion.COLOUR: _colour(stars, *extinction[Criterion.EXTINCTION]),
            **extinction,
            Criterion.COVERAGE: _coverage(coverage),
            **_gaia(stars, parallax_pull),
        }
    fails, unknown = zip(*found.values(), strict=True)
    return _bits(found, fails), _bits(found, unknown)


def _bits(criteria: dict[Criterion, Judged], raised: tuple[np.ndarray, ...]) -> np.ndarray:
    return sum(
        criterion.value * each.astype(np.int64) for criterion, each in zip(criteria, raised, strict=True)
    )


def _k_mag(stars: Stars) -> Judged:
    """Qualities and error, each as far as it is known; without one of the qualities, the error has to be."""
    quality, contamination = (_of_ks(texts) for texts in (stars.ph_qual, stars.cc_flg))
    unknown = (quality == "") | (contamination == "")
    unfit = ~np.isin(quality, ("", *K_QUALITIES)) | ~np.isin(contamination, ("", "0"))
    measured = (stars.e_k_mag >= 0) & (stars.e_k_mag < LARGEST_MAGNITUDE_ERROR)
    uncertain = np.where(measured, stars.e_k_mag > LARGEST_K_ERROR, unknown)
    missing = usable_k_mag(stars.k_mag)[1]
    return missing | unfit | uncertain, unknown


def _of_ks(texts: np.ndarray) -> np.ndarray:
    """The third letter, that of Ks, of the qualities in J, H and Ks; empty where there is none."""
    return np.array([str(text or "").strip()[2:3] for text in texts], "U1")


def _k_range(stars: Stars) -> Judged:
    inside = (stars.k_mag >= K_RANGE[0]) & (stars.k_mag <= K_RANGE[1])
    return ~inside, np.zeros(inside.shape, bool)


def _colour(stars: Stars, no_extinction: np.ndarray, assumed: np.ndarray) -> Judged:
    """J - Ks and H - Ks without extinction, and what extinction does not change, within those of stars.

    Args:
        stars: The stars.
        no_extinction: Whether nothing is known of it, not even by the latitude.
        assumed: Whether it is not measured.
    """
    magnitudes = [_measured(stars, band) for band in "jhk"]
    errors = [_or(getattr(stars, f"e_{band}_mag"), E_MAG, LARGEST_MAGNITUDE_ERROR) for band in "jhk"]
    ebv, _ = usable_ebv(stars.ebv)
    known = ~no_extinction
    e_ebv = np.where(assumed, E_NO_EBV, _or(stars.e_ebv, E_EBV + E_EBV_PER_EBV * ebv, FILLER))
    ratios = np.array([A_J_PER_A_K, A_H_PER_A_K, 1.0])
    slope = (A_H_PER_A_K - 1) / (A_J_PER_A_K - 1)
    fails = np.zeros(known.shape, bool)
    for factors, (low, high) in (
        ((1.0, 0.0, -1.0), J_KS),
        ((0.0, 1.0, -1.0), H_KS),
        ((-slope, 1.0, slope - 1), REDDENING_FREE),
    ):
        excess = A_K_PER_EBV * float(np.dot(factors, ratios))
        colour = sum(factor * each for factor, each in zip(factors, magnitudes, strict=True)) - excess * ebv
        parts = [factor * each for factor, each in zip(factors, errors, strict=True)]
        allowed = OF_ISOCHRONES + DEVIATIONS * np.sqrt(sum(part**2 for part in parts) + (excess * e_ebv) ** 2)
        fails |= (colour < low - allowed) | (colour > high + allowed)
    unknown = ~(np.isfinite(sum(magnitudes)) & known)
    return fails & ~unknown, unknown


def _measured(stars: Stars, band: str) -> np.ndarray:
    magnitude, missing = usable_k_mag(getattr(stars, f"{band}_mag"))
    return np.where(missing, np.nan, magnitude)


def _or(error: np.ndarray, otherwise: np.ndarray | float, below: float) -> np.ndarray:
    """Errors, with another value for those that are absent or fillers."""
    return np.where((error > 0) & (error < below), error, otherwise)


def _extinction(stars: Stars) -> dict[Criterion, Judged]:
    """Whether it is known at all; and by a method that gives that of this star."""
    missing = ~((stars.ebv > -1) & (stars.ebv < FILLER))
    known = ~missing & (stars.ebv >= SMALLEST_EBV)
    flags = np.nan_to_num(stars.ebv_flags).astype(np.int64)
    unknown = known & ((flags & _KNOWN_ORIGIN) == 0)
    latitude = galactic_latitude(stars.known("ra"), stars.known("dec"))
    in_plane = ~(np.abs(latitude) > HIGH_LATITUDE)
    return {
        Criterion.EXTINCTION: (~known & ~(missing & ~in_plane), missing),
        Criterion.UPPER_LIMIT: (known & ((flags & _LIMIT) != 0), unknown),
        Criterion.SFD: (known & ((flags & _SFD) != 0) & in_plane, unknown),
    }


def _coverage(coverage: np.ndarray) -> Judged:
    """A spectrum that lacks a detector is never clean, and so none whose detectors are not known."""
    least = np.array(LEAST_COVERAGE)[:, None]
    return ~(coverage >= least).all(axis=0), np.isnan(coverage).any(axis=0)


def _gaia(stars: Stars, parallax_pull: np.ndarray) -> dict[Criterion, Judged]:
    disturbed = stars.ruwe >= BAD_RUWE
    looked = np.isfinite(parallax_pull) & ~disturbed
    return {
        Criterion.GAIA: (looked & (np.abs(parallax_pull) >= LARGEST_PULL), ~looked),
        Criterion.RUWE: (disturbed, ~(stars.ruwe > 0)),
    }
