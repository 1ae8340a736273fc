"""Which stars a survey like APOGEE looks at, and how many of each luminosity it has: the natural mix.

Training draws rare stars more often than they are. But errors and biases are met in the mix of a survey: in a
volume there are far more dwarfs than giants, and a survey that is limited in magnitude sees giants so much
further that they are most of its stars. How many stars per unit of mass and time there are is the isochrones'
and the mass function's answer; this multiplies it by the volume in which the survey would have chosen such a
star.

- Stars are spread in a double exponential disc about the Sun, thin and thick (Bland-Hawthorn & Gerhard 2016,
  ARA&A 54, 529, section 5), and looked for in fields in the directions that simulated surveys look into.
- Each field gets as many stars, of H = 7 to 13.8, and so many of each H that the distribution is that of
  simulated surveys at S/N = 100, whatever there are (Zasowski et al. 2013, AJ 146, 81: fibres go to cohorts).
- They have a dereddened J - Ks of at least 0.5, in the halo of at least 0.3; of bluer stars there are those
  that tellurics are measured with, one in twenty (Zasowski et al. 2013; 2017, AJ 154, 198).

Reddening is left out: it is less than 0.2 mag in H in such a survey. So are programmes that look for stars of
one kind, as for M dwarfs: a survey has more of these.
"""

import functools

import numpy as np

#: H magnitudes of the survey's targets [mag] (Zasowski et al. 2013, AJ 146, 81).
H_BRIGHT, H_FAINT = 7.0, 13.8

#: Middle and width of their logistic distribution at S/N = 100 [mag].
MIDDLE_H, WIDTH_H = 11.7, 0.75

#: No star is put further away, as long as it is not brighter than ``H_BRIGHT`` there [pc].
FARTHEST = 25_000.0

#: Smallest J - Ks of targets in the disc and in the halo, the latitude that the halo begins at, and the share
#: of bluer stars that are taken.
DISC_COLOUR, HALO_COLOUR, HALO_LATITUDE, BLUER = 0.5, 0.3, 16.0, 0.05

# Distance of the Sun from the centre, scale lengths and heights of the thin and the thick disc [pc], and the
# local share of each.
_CENTRE = 8200.0
_DISCS = ((2600.0, 300.0, 0.96), (2000.0, 900.0, 0.04))

_STEP = 0.05  # [mag]


def latitudes(across: np.ndarray) -> np.ndarray:
    """Galactic latitudes [deg], concentrated towards the plane, from uniform random numbers."""
    return -15 * np.log1p(-np.abs(2 * across - 1) * (1 - np.exp(-6.0))) * np.sign(across - 0.5)


def seen(number: np.ndarray, abs_h: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """How many of the stars of a table a survey has.

    Args:
        number: How many there are in a volume, any scale, shape (N,).
        abs_h: Absolute H magnitude, shape (N,) [mag].
        colour: J - Ks, shape (N,) [mag].

    Returns:
        How many it has, any scale, shape (N,).
    """
    modulus, fields = _fields()
    magnitude = np.arange(H_BRIGHT + 0.5 * _STEP, H_FAINT, _STEP)
    absolute = np.arange(abs_h.min() - _STEP, abs_h.max() + 2 * _STEP, _STEP)
    cell = np.floor((abs_h - absolute[0]) / _STEP).astype(int)
    wanted = {limit: np.where(colour < limit, BLUER * number, number) for limit in (DISC_COLOUR, HALO_COLOUR)}
    counts = {limit: np.bincount(cell, values, len(absolute)) for limit, values in wanted.items()}
    found = np.zeros_like(number, float)
    for latitude, volume in fields:
        limit = HALO_COLOUR if abs(latitude) > HALO_LATITUDE else DISC_COLOUR
        inside = np.interp(magnitude - absolute[:, None] - 0.5 * _STEP, modulus, volume, left=0.0, right=0.0)
        there = counts[limit] @ inside
        taken = np.where(there > 0, _distribution(magnitude) / np.where(there > 0, there, 1.0), 0.0)
        found += wanted[limit] * (inside @ taken)[cell]
    return found


def _distribution(h_mag: np.ndarray) -> np.ndarray:
    """Relative number of targets by H magnitude [mag]."""
    return np.cosh(0.5 * (h_mag - MIDDLE_H) / WIDTH_H) ** -2


@functools.cache
def _fields() -> tuple[np.ndarray, list[tuple[float, np.ndarray]]]:
    """Distance moduli [mag], and of each field its latitude [deg] and the stars in steps of these moduli."""
    modulus = np.arange(-5.0, 5 * np.log10(FARTHEST) - 5 + _STEP, _STEP)
    distance = 10 ** (0.2 * modulus + 1)
    fields = []
    for latitude in latitudes(np.arange(0.5, 1.0, 0.05) + 0.025):
        for longitude in np.radians(np.arange(15, 180, 30)):
            flat, height = distance * np.cos(np.radians(latitude)), distance * np.sin(np.radians(latitude))
            radius = np.sqrt(_CENTRE**2 + flat**2 - 2 * _CENTRE * flat * np.cos(longitude))
            density = sum(
                share * np.exp((_CENTRE - radius) / length - height / scale)
                for length, scale, share in _DISCS
            )
            fields.append((float(latitude), distance**3 * density))
    return modulus, fields


def class_mix(kinds: np.ndarray) -> dict[str, float]:
    """Share of each class among stars, the most frequent first."""
    names, counts = np.unique(kinds, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return {str(names[index]): float(counts[index] / len(kinds)) for index in order}


def mix_line(kinds: np.ndarray) -> str:
    """The class mix in words: ``rgb 41.2 %, red_clump 22.0 %, …``."""
    return ", ".join(f"{kind} {share:.1%}".replace("%", " %") for kind, share in class_mix(kinds).items())
