"""What a survey measures of simulated stars besides their spectra: magnitudes, reddening, parallaxes.

A star is put at the distance where its H magnitude is one that APOGEE observes. All that is drawn for a
star depends on the seed and on its number alone, not on the other stars.
"""

from dataclasses import dataclass

import numpy as np

from astra.ingest.values import A_K_PER_EBV
from astra.modelling.simulator.selection import FARTHEST, H_BRIGHT, H_FAINT, MIDDLE_H, WIDTH_H, latitudes
from astra.modelling.simulator.stars import StarColumns

#: A_J / A_K and A_H / A_K (Indebetouw et al. 2005, ApJ 619, 931, abstract).
A_J_PER_A_K, A_H_PER_A_K = 2.50, 1.55

#: Largest reddening [mag].
LARGEST_EBV = 1.5

#: Simulated stars have identifiers that no catalogue gives to a real one.
FIRST_SDSS_ID = 10**15

_SOUTHERN_LIMIT = -25.0  # declination that Apache Point still observes [deg]
_PLACES = 16  # places that are drawn for a star; the first one in reach is taken
_STREAM = 0x0B5E


@dataclass(frozen=True)
class Observables(StarColumns):
    """What is measured of N stars, arrays of shape (N,); ``dist`` and ``true_ebv`` are true values."""

    number: np.ndarray
    """Running number in the simulation."""

    apogee_id: np.ndarray
    """2MASS designation of the place, as in the names of files."""

    sdss_id: np.ndarray
    """Identifier from ``FIRST_SDSS_ID`` on."""

    dist: np.ndarray
    """True distance [pc]."""

    true_ebv: np.ndarray
    """True reddening E(B-V) [mag]."""

    ra: np.ndarray
    """Right ascension [deg]."""

    dec: np.ndarray
    """Declination [deg]."""

    l: np.ndarray  # noqa: E741
    """Galactic longitude [deg]."""

    b: np.ndarray
    """Galactic latitude [deg]."""

    j_mag: np.ndarray
    """Measured J magnitude [mag]."""

    e_j_mag: np.ndarray
    """Its error [mag]."""

    h_mag: np.ndarray
    """Measured H magnitude [mag]."""

    e_h_mag: np.ndarray
    """Its error [mag]."""

    k_mag: np.ndarray
    """Measured Ks magnitude [mag]."""

    e_k_mag: np.ndarray
    """Its error [mag]."""

    ebv: np.ndarray
    """Measured reddening, positive [mag]."""

    e_ebv: np.ndarray
    """Its error [mag]."""

    plx: np.ndarray
    """Measured parallax; that of a distant star may be negative [mas]."""

    e_plx: np.ndarray
    """Its error [mas]."""

    ruwe: np.ndarray
    """Renormalised unit weight error of the astrometry: about 1, larger for binaries."""

    v_helio: np.ndarray
    """Radial velocity [km/s]."""


def draw_observables(
    absolute: tuple[np.ndarray, np.ndarray, np.ndarray],
    snr: np.ndarray,
    is_binary: np.ndarray,
    numbers: np.ndarray,
    *,
    seed: int,
) -> Observables:
    """Place stars in the sky and measure them.

    Args:
        absolute: Absolute J, H and Ks magnitudes of the systems, three arrays of shape (N,) [mag].
        snr: Signal-to-noise ratio of their spectra, shape (N,): the brighter ones have the larger.
        is_binary: Whether a companion disturbs the astrometry, shape (N,).
        numbers: Running number of each star in the simulation, shape (N,), not negative.
        seed: Not negative.
    """
    uniform, normal = _draws(numbers, seed)
    across, along, rest = np.split(uniform, [_PLACES, 2 * _PLACES], axis=1)
    place = _places(across, along)
    h_mag = _h_magnitude(absolute[1], snr, rest[:, 0])
    dist, true_ebv = _distance(absolute[1], h_mag, place["b"], rest[:, 1])
    modulus, a_k, ratios = 5 * np.log10(dist) - 5, A_K_PER_EBV * true_ebv, (A_J_PER_A_K, A_H_PER_A_K, 1.0)
    true = [m + modulus + ratio * a_k for m, ratio in zip(absolute, ratios, strict=True)]
    e_ebv = np.round(0.01 + 0.06 * true_ebv, 4)
    # Where the error makes the value negative, a catalogue has the smallest positive one.
    ebv = np.maximum(true_ebv + e_ebv * normal[:, 3], 0.001)
    return Observables(
        number=np.asarray(numbers),
        apogee_id=apogee_ids(place["ra"], place["dec"]),
        sdss_id=FIRST_SDSS_ID + seed % 10**6 * 10**9 + np.asarray(numbers, np.int64),
        dist=dist,
        true_ebv=true_ebv,
        ebv=np.round(ebv, 4),
        e_ebv=e_ebv,
        v_helio=np.round(45 * normal[:, 7], 3),
        **(place | _photometry(true, rest[:, 2:5], normal[:, :3])),
        **_astrometry(true, dist, is_binary, normal[:, 4:7]),
    )


def apogee_ids(ra: np.ndarray, dec: np.ndarray) -> np.ndarray:
    """2MASS designations ``2MHHMMSSss+DDMMSSs`` of places [deg], cut off and not rounded; shape (N,)."""
    return np.array([_designation(*place) for place in zip(ra.tolist(), dec.tolist(), strict=True)], "U18")


def _designation(ra: float, dec: float) -> str:
    minutes, seconds = divmod(int(ra * 24_000), 6000)  # hundredths of a second: 15 degrees are 360,000
    arcminutes, arcseconds = divmod(int(abs(dec) * 36_000), 600)
    hours, degrees = divmod(minutes, 60), divmod(arcminutes, 60)
    sign = "-" if dec < 0 else "+"
    return (
        f"2M{hours[0]:02d}{hours[1]:02d}{seconds:04d}{sign}{degrees[0]:02d}{degrees[1]:02d}{arcseconds:03d}"
    )


def _draws(numbers: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Uniform and normal random numbers, one row for each star."""
    generators = [np.random.default_rng([_STREAM, seed, int(number)]) for number in numbers]
    uniform = np.array([rng.random(2 * _PLACES + 5) for rng in generators]).reshape(-1, 2 * _PLACES + 5)
    return uniform, np.array([rng.standard_normal(8) for rng in generators]).reshape(-1, 8)


def _places(across: np.ndarray, along: np.ndarray) -> dict[str, np.ndarray]:
    """l, b, ra, dec [deg] of each star, concentrated towards the plane of the Galaxy.

    Args:
        across, along: Uniform random numbers, shape (N, number of places drawn).
    """
    from astropy import units as u
    from astropy.coordinates import SkyCoord

    longitude, latitude = 360 * along, latitudes(across)
    place = SkyCoord(l=longitude * u.deg, b=latitude * u.deg, frame="galactic").icrs
    chosen = np.argmax(place.dec.deg > _SOUTHERN_LIMIT, axis=1)[:, None]
    drawn = {"l": longitude, "b": latitude, "ra": place.ra.deg, "dec": place.dec.deg}
    return {name: np.take_along_axis(values, chosen, axis=1)[:, 0].round(6) for name, values in drawn.items()}


def _h_magnitude(absolute_h: np.ndarray, snr: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """H magnitudes: logistic, around a middle that is fainter at low S/N, within the range of the survey."""
    middle, width = MIDDLE_H - 1.2 * np.log10(np.maximum(snr, 1.0) / 100), WIDTH_H
    faintest = np.clip(absolute_h + 5 * np.log10(FARTHEST) - 5, H_BRIGHT + 0.1, H_FAINT)
    below = [1 / (1 + np.exp((middle - limit) / width)) for limit in (H_BRIGHT, faintest)]
    share = below[0] + (below[1] - below[0]) * uniform
    return middle + width * np.log(share / (1 - share))


def _distance(
    absolute_h: np.ndarray, h_mag: np.ndarray, b: np.ndarray, uniform: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Distances [pc] at which stars have these H magnitudes, and E(B-V) [mag] on the way there.

    Reddening is distributed exponentially; its mean grows within 1 kpc, and falls with galactic latitude.
    """
    steps, latitude = -np.log1p(-uniform), np.exp(-np.abs(b) / 20)
    ebv = np.zeros_like(h_mag)
    # More dust means a smaller distance, and that means less dust: each round divides the error.
    for _ in range(25):
        a_h = A_H_PER_A_K * A_K_PER_EBV * ebv
        dist = 10 ** (0.2 * (h_mag - absolute_h - a_h) + 1)
        mean = 0.005 + 0.35 * latitude * -np.expm1(-dist / 1000)
        ebv = np.minimum(steps * mean, LARGEST_EBV)
    return dist, ebv


def _photometry(true: list[np.ndarray], uniform: np.ndarray, normal: np.ndarray) -> dict[str, np.ndarray]:
    """Magnitudes as 2MASS gives them, with errors of 0.02 to 0.03 mag."""
    found = {}
    for column, (band, magnitude) in enumerate(zip("jhk", true, strict=True)):
        error = np.round(0.02 + 0.01 * uniform[:, column], 3)
        found[f"{band}_mag"] = np.round(magnitude + error * normal[:, column], 3)
        found[f"e_{band}_mag"] = error
    return found


def _astrometry(
    true: list[np.ndarray], dist: np.ndarray, is_binary: np.ndarray, normal: np.ndarray
) -> dict[str, np.ndarray]:
    ruwe = np.exp(0.04 * normal[:, 0] + np.where(is_binary, 0.3 * np.abs(normal[:, 1]), 0.0))
    # Errors of parallaxes in Gaia DR3 [mas] (ESA, Gaia science performance), G guessed from J and Ks.
    g_mag = true[0] + 0.3 + 1.7 * (true[0] - true[2])
    z = 10 ** (0.4 * (np.maximum(g_mag, 13.0) - 15))
    e_plx = ruwe * (1e-3 * np.sqrt(40 + 800 * z + 30 * z**2))
    plx = 1000 / dist + e_plx * normal[:, 2]
    return {"plx": plx.round(4), "e_plx": e_plx.round(4), "ruwe": ruwe.round(3)}
