"""How far Gaia's zero-point and the distances from spectrum and Gaia are off, by what is known of the stars.

    python benchmarks/bench_gaia.py [--stars 200000] [--seed 0]

The zero-point of Lindegren et al. 2021 is put into the parallaxes of simulated stars, by the package of its
authors, and noise of the size that El-Badry et al. 2021 found. Then it is taken off again, from all that Gaia
gives, and from what tables of the survey give. The first two columns are the largest mean residual of the
zero-point among bins of G (1 mag) and of the effective wavenumber (0.04 um-1) with at least 1000 stars; then
the median error of ``weighted_dist`` in bins of the true distance; then the standard deviations of the pulls
of ``gaia_parallax`` and ``weighted_parallax`` against the truth, and how many stars have a zero-point.
"""

import argparse
from collections.abc import Mapping
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from astra.ingest.values import A_K_PER_EBV
from astra.pipelines.astronn_dist.distances.distance import Stars
from astra.pipelines.astronn_dist.distances.gaia_errors import factor_of_dr3
from astra.pipelines.astronn_dist.distances.results import derive
from astra.pipelines.astronn_dist.distances.zero_point import bp_rp_from_j_ks, nu_eff_from_bp_rp

#: Edges of the bins of true distances [pc].
DISTANCES = (0, 1000, 2000, 4000, 8000)

#: What is known of each star besides Ks, E(B-V), the place and the parallax, by the name of the case.
KNOWN = {
    "all of Gaia": ("g_mag", "nu_eff_used_in_astrometry", "pseudocolour", "astrometric_params_solved"),
    "G, BP - RP": ("g_mag", "bp_mag", "rp_mag"),
    "G, J - Ks": ("g_mag", "j_mag"),
    "G": ("g_mag",),
    "no G": (),
}

# Absolute Ks magnitudes, and (J - Ks)0 there: giants, subgiants, dwarfs [mag].
_M_KS = (-7, -5, -1.6, 1, 2, 3, 4.5, 6)
_J_KS = (1.15, 0.95, 0.62, 0.55, 0.45, 0.3, 0.5, 0.8)
# A_J / A_Ks (Indebetouw et al. 2005, ApJ 619, 931); A_G, E(BP - RP) by E(B-V) (Casagrande & VandenBerg 2018,
# MNRAS 479, L102).
_A_J_PER_A_K, _A_G, _E_BP_RP = 2.5, 2.740, 1.339
_SHARE_OF_SIX, _FEWEST = 0.1, 1000


class Survey(NamedTuple):
    """N simulated stars, arrays of shape (N,)."""

    dist: np.ndarray
    """True distances [pc]."""

    nu_eff: np.ndarray
    """Effective wavenumbers [um-1]."""

    zero_point: np.ndarray
    """What was put into the parallaxes [mas]."""

    luminosity: np.ndarray
    """Those from the spectra, with their total errors and the model part, shape (3, N) [mas]."""

    star: dict[str, np.ndarray]
    """All that catalogues can say of them, by name."""

    def seen(self, known: tuple[str, ...]) -> Mapping[str, np.ndarray]:
        """What a catalogue says that has these columns."""
        always = ("k_mag", "e_k_mag", "ebv", "e_ebv", "ra", "dec", "plx", "e_plx")
        return {name: self.star[name] for name in (*always, *known)} | {"gaia_release": "dr3"}


class Measured(NamedTuple):
    """What a case comes to."""

    residual_of_g: float
    """Largest mean residual of the zero-point in a bin of G [mas]."""

    residual_of_colour: float
    """The same in a bin of the effective wavenumber [mas]."""

    bias: list[float]
    """Median of weighted_dist / true distance - 1, in each bin of distance."""

    pull: float
    """Standard deviation of the pulls of gaia_parallax against the truth."""

    weighted_pull: float
    """The same of weighted_parallax."""

    known: float
    """Share of the stars with a zero-point."""


def main() -> None:
    """Read the arguments, and print a line for each case."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--stars", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    survey = simulate(arguments.stars, arguments.seed)
    bins = [f"{low / 1000:g}-{high / 1000:g} kpc" for low, high in pairwise(DISTANCES)]
    titles = ("given", "res(G)", "res(nu)", *bins, "pull", "pull(w)", "known")
    print(("{:<12}" + "{:>9}" * 9).format(*titles))
    for name, known in KNOWN.items():
        found = measure(survey, known)
        residuals = (f"{1000 * each:.1f} uas" for each in found[:2])
        shares = (f"{100 * each:+.1f} %" for each in found.bias)
        pulls = (f"{each:.2f}" for each in (found.pull, found.weighted_pull))
        print(
            f"{name:<12}"
            + "".join(f"{each:>9}" for each in (*residuals, *shares, *pulls, f"{found.known:.1%}"))
        )


def simulate(n: int, seed: int) -> Survey:
    """About n stars of 6.5 < Ks < 13.3 at 100 pc to 10 kpc: those within the range of the zero-point."""
    random = np.random.default_rng(seed)
    dist, true_k = 10 ** random.uniform(2, 4, n), random.uniform(6.5, 13.3, n)
    ebv = random.exponential(0.2, n) * -np.expm1(-dist / 1000)
    a_k = A_K_PER_EBV * ebv
    m_ks = true_k - a_k - 5 * np.log10(dist) + 5
    j_ks = np.interp(m_ks, _M_KS, _J_KS)
    # Stars of one J - Ks differ in BP - RP.
    bp_rp = bp_rp_from_j_ks(j_ks) + random.normal(0, 0.08, n)
    g_mag = true_k - a_k - 0.0981 + 2.089 * bp_rp - 0.1579 * bp_rp**2 + _A_G * ebv
    bp_rp += _E_BP_RP * ebv
    nu_eff = nu_eff_from_bp_rp(bp_rp) + random.normal(0, 0.005, n)
    place = {"ra": random.uniform(0, 360, n), "dec": np.degrees(np.arcsin(random.uniform(-1, 1, n)))}
    six = random.random(n) < _SHARE_OF_SIX
    zero_point = _authors_zero_point(g_mag, nu_eff, place, six)
    e_plx = _error_of_parallax(g_mag)
    e_k, e_ebv = np.full(n, 0.025), 0.01 + 0.06 * ebv
    fakemag = 10 ** (0.2 * m_ks + 2)
    star = place | {
        "k_mag": true_k + random.normal(0, e_k),
        "e_k_mag": e_k,
        "j_mag": true_k + j_ks + (_A_J_PER_A_K - 1) * a_k + random.normal(0, 0.025, n),
        "ebv": ebv + random.normal(0, e_ebv),
        "e_ebv": e_ebv,
        "g_mag": g_mag,
        "bp_mag": g_mag + 0.5 * bp_rp + random.normal(0, 0.005, n),
        "rp_mag": g_mag - 0.5 * bp_rp + random.normal(0, 0.005, n),
        "nu_eff_used_in_astrometry": np.where(six, np.nan, nu_eff),
        "pseudocolour": np.where(six, nu_eff, np.nan),
        "astrometric_params_solved": np.where(six, 95.0, 31.0),
        "plx": 1000 / dist + zero_point + random.normal(0, factor_of_dr3(g_mag) * e_plx),
        "e_plx": e_plx,
    }
    seen = fakemag * (1 + random.normal(0, 0.1, n))
    luminosity = np.stack([seen, 0.1 * fakemag, 0.05 * fakemag])
    kept = (m_ks > _M_KS[0]) & (m_ks < _M_KS[-1]) & np.isfinite(zero_point)
    kept &= np.abs(nu_eff - 1.48) < np.where(six, 0.24, 0.38)
    columns = {name: values[kept] for name, values in star.items()}
    return Survey(dist[kept], nu_eff[kept], zero_point[kept], luminosity[:, kept], columns)


def measure(survey: Survey, known: tuple[str, ...]) -> Measured:
    """Derive the results of the stars from what is known of them, and compare them with the truth."""
    stars = Stars.of(survey.seen(known), len(survey.dist))
    found = derive(survey.luminosity, np.ones(len(survey.dist), bool), stars)
    residual, parallax = found["plx_zero_point"] - survey.zero_point, 1000 / survey.dist
    has_zero_point = np.isfinite(residual)
    ratio = found["weighted_dist"] / survey.dist - 1
    bias = [
        float(np.nanmedian(ratio[(survey.dist >= low) & (survey.dist < high)]))
        for low, high in pairwise(DISTANCES)
    ]
    return Measured(
        _largest(residual, survey.star["g_mag"], 1.0),
        _largest(residual, survey.nu_eff, 0.04),
        bias,
        float(
            np.nanstd(
                (found["gaia_parallax"] - parallax)[has_zero_point] / found["e_gaia_parallax"][has_zero_point]
            )
        ),
        float(np.nanstd((found["weighted_parallax"] - parallax) / found["e_weighted_parallax"])),
        float(has_zero_point.mean()),
    )


def _authors_zero_point(
    g_mag: np.ndarray, nu_eff: np.ndarray, place: Mapping[str, np.ndarray], six: np.ndarray
) -> np.ndarray:
    from astropy import units
    from astropy.coordinates import SkyCoord
    from zero_point import zpt

    zpt.load_tables()
    latitude = SkyCoord(place["ra"], place["dec"], unit=units.deg).barycentricmeanecliptic.lat.deg
    within = (g_mag > 6) & (g_mag < 21)
    value = zpt.get_zpt(
        np.clip(g_mag, 6, 21), nu_eff, nu_eff, latitude, np.where(six, 95, 31), _warnings=False
    )
    return np.where(within, value, np.nan)


def _error_of_parallax(g_mag: np.ndarray) -> np.ndarray:
    """Errors as the catalogue of DR3 has them [mas] (ESA, Gaia science performance)."""
    z = 10 ** (0.4 * (np.maximum(g_mag, 13.0) - 15))
    return 1e-3 * np.sqrt(40 + 800 * z + 30 * z**2)


def _largest(residual: np.ndarray, against: np.ndarray, width: float) -> float:
    """The largest mean among bins of so wide a range."""
    bins = np.floor(against / width).astype(int)
    members = (residual[bins == each] for each in np.unique(bins))
    return float(max(abs(np.nanmean(each)) for each in members if np.isfinite(each).sum() >= _FEWEST))


if __name__ == "__main__":
    main()
