"""Kinds of stars, told by absolute magnitude and colour alone."""

import numpy as np

from astra.spectra.photometry import FILLER, SMALLEST_K_MAG

#: A_J / A_Ks (Indebetouw et al. 2005, ApJ 619, 931, table 1).
A_J_PER_A_K = 2.5

#: Ks magnitude of the red clump, with how far from it a star is taken to be in it [mag]
#: (Hawkins et al. 2017, MNRAS 471, 722: -1.61, with a scatter of 0.17).
CLUMP, CLUMP_HALF_WIDTH = -1.61, 0.35

#: Colours (J - Ks)0 of the red clump [mag].
CLUMP_COLOURS = (0.5, 0.8)

#: Redder than this a luminous star is a giant or a subgiant [mag].
EVOLVED_COLOUR = 0.4

#: Absolute Ks magnitudes where giants end and dwarfs begin [mag].
FAINTEST_GIANT, BRIGHTEST_DWARF = 1.0, 2.8

#: In the order of the codes.
CLASSES = ("giant", "red clump", "subgiant", "dwarf", "hot")

#: The code of a star without colour or without M_Ks.
UNKNOWN = -1

RULES = {
    "giant": f"M_Ks < {FAINTEST_GIANT:g} and (J − Ks)₀ ≥ {EVOLVED_COLOUR:g}, not in the red clump",
    "red clump": (
        f"M_Ks within {CLUMP_HALF_WIDTH:g} mag of −1.61, (J − Ks)₀ from {CLUMP_COLOURS[0]:g} to "
        f"{CLUMP_COLOURS[1]:g}; first-ascent giants of that magnitude are among them"
    ),
    "subgiant": f"M_Ks from {FAINTEST_GIANT:g} to {BRIGHTEST_DWARF:g} and (J − Ks)₀ ≥ {EVOLVED_COLOUR:g}",
    "dwarf": f"M_Ks ≥ {BRIGHTEST_DWARF:g}",
    "hot": f"M_Ks < {BRIGHTEST_DWARF:g} and (J − Ks)₀ < {EVOLVED_COLOUR:g}",
}


def colour(j_mag: np.ndarray, k_mag: np.ndarray, a_k_mag: np.ndarray) -> np.ndarray:
    """(J - Ks)0, without the reddening E(J - Ks) = 1.5 A_Ks [mag]; NaN without one of the magnitudes.

    Args:
        j_mag: J magnitude of the catalogue, fillers and all [mag].
        k_mag: Ks magnitude used by the pipeline, 0 where there was none [mag].
        a_k_mag: Extinction used by the pipeline, 0 where none is known [mag].
    """
    usable = (j_mag > SMALLEST_K_MAG) & (j_mag < FILLER) & (k_mag != 0)
    return np.where(usable, j_mag - k_mag - (A_J_PER_A_K - 1) * a_k_mag, np.nan)


def classify(m_ks: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """Codes of the classes, int8 of shape (N,): the index in ``CLASSES``, or ``UNKNOWN``."""
    evolved = colours >= EVOLVED_COLOUR
    clump = (
        (np.abs(m_ks - CLUMP) <= CLUMP_HALF_WIDTH)
        & (colours >= CLUMP_COLOURS[0])
        & (colours <= CLUMP_COLOURS[1])
    )
    rules = (
        clump,
        (m_ks >= BRIGHTEST_DWARF) & np.isfinite(colours),
        (m_ks < FAINTEST_GIANT) & evolved,
        (m_ks < BRIGHTEST_DWARF) & evolved,
        (m_ks < BRIGHTEST_DWARF) & (colours < EVOLVED_COLOUR),
    )
    names = ("red clump", "dwarf", "giant", "subgiant", "hot")
    return np.select(rules, [CLASSES.index(name) for name in names], UNKNOWN).astype(np.int8)
