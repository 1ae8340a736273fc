"""The results as arrays, streamed from the view ``distances``, and what kind of star each is of."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import peewee

from astra.ingest.values import A_J_PER_A_K, BAILER_JONES, FILLER, SMALLEST_K_MAG
from astra.models import ApogeeCombinedSpectrum, Distance, Source
from astra.report.arrays import Arrays, keys, moments, numbers, read_arrays, truths
from astra.spectra.identity import SIMULATED_FIELD

_NUMBERS = (
    *("l", "b", "snr", "k_mag", "ebv", "A_k_mag", "L_fakemag", "e_L_fakemag", "e_model_L_fakemag"),
    *("m_ks_abs", "dist", "e_dist", "plx", "e_plx", "ruwe"),
    *("e_nn_parallax", "plx_zero_point", "gaia_parallax", "e_gaia_parallax", "parallax_pull", "best_dist"),
    # Bits, but absent in results from before there were any.
    "not_clean",
)
_TEXTS = ("telescope", "field", "plx_zero_point_origin", "best_dist_from")
_KEYS = ("spectrum_pk", "source_pk", "result_flags", "spectrum_flags", "run_pk", "v_astra")
_TRUTHS = ("good", "clean", "gaia_checked", "primary_spectrum", "flag_warn", "flag_bad")


#: Less extinction than this is none, for the eye [mag].
LEAST_A_K = 0.001


@dataclass(frozen=True)
class Rows(Arrays):
    """N distances: columns of the view, ``j_mag`` and ``BAILER_JONES`` of the source, and ``is_combined``.

    The last says whether the spectrum is that of an mwmStar file.

    Attributes:
        codes: The code of each text of a column in ``values``, by the column; an absent text is "".
    """

    codes: dict[str, dict[str, int]]

    @cached_property
    def colour(self) -> np.ndarray:
        """(J - Ks)0 [mag]."""
        return colour(self["j_mag"], self["k_mag"], self["A_k_mag"])

    @cached_property
    def kind(self) -> np.ndarray:
        """Codes of ``CLASSES``."""
        return kinds(self["m_ks_abs"], self["j_mag"], self["k_mag"], self["A_k_mag"])

    def counts(self, column: str, chosen: np.ndarray | slice = slice(None)) -> dict[str, int]:
        """How many of some rows have each text of a column, the most frequent first."""
        found = np.bincount(self[column][chosen], minlength=len(self.codes[column])).tolist()
        known = zip(self.codes[column], found, strict=True)
        return dict(sorted(((text, n) for text, n in known if n), key=lambda each: -each[1]))

    @property
    def extinction(self) -> np.ndarray:
        """A_Ks for an axis of logarithms: at least ``LEAST_A_K``, and NaN where it is not known [mag]."""
        return np.where(self["A_k_mag"] > 0, np.maximum(self["A_k_mag"], LEAST_A_K), np.nan)

    @property
    def simulated(self) -> int:
        """How many spectra are simulated, as the simulator wrote into their headers."""
        return self.counts("field").get(SIMULATED_FIELD, 0)

    @property
    def science(self) -> np.ndarray:
        """Whether a row is fit for science, and the best of its star: one row per star."""
        return self["good"] & self["primary_spectrum"]


def read_rows(spectra: Sequence[int] | None = None) -> Rows:
    """The newest result of each spectrum, in no particular order; only within ``snapshot``.

    Args:
        spectra: Keys of few spectra; ``None`` takes all.
    """
    codes: dict[str, dict[str, int]] = {name: {} for name in _TEXTS}

    def coded(name: str, column: Iterable[str | None]) -> np.ndarray:
        known = codes[name]
        return np.array([known.setdefault(word or "", len(known)) for word in column], np.int16)

    columns = {name: partial(coded, name) for name in _TEXTS} | {"modified": moments}
    for names, convert in (_NUMBERS, numbers), (_KEYS, keys), (_TRUTHS, truths):
        columns |= dict.fromkeys(names, convert)
    of_source = ("j_mag", *BAILER_JONES)
    others = dict.fromkeys(of_source, numbers) | {"is_combined": truths}
    is_combined = Distance.filetype == ApogeeCombinedSpectrum.filetype.default
    chosen = [getattr(Distance, name) for name in columns] + [getattr(Source, name) for name in of_source]
    query = Distance.select(*chosen, is_combined).join(
        Source, peewee.JOIN.LEFT_OUTER, on=(Distance.source_pk == Source.pk)
    )
    if spectra is not None:
        query = query.where(Distance.spectrum_pk << list(spectra))
    return Rows(read_arrays(query, columns | others), codes)


# > Classes of stars, by absolute magnitude and colour alone

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
        f"M_Ks within {CLUMP_HALF_WIDTH:g} mag of −{-CLUMP:g}, (J − Ks)₀ from {CLUMP_COLOURS[0]:g} to "
        f"{CLUMP_COLOURS[1]:g}; first-ascent giants of that magnitude are among them"
    ),
    "subgiant": f"M_Ks from {FAINTEST_GIANT:g} to {BRIGHTEST_DWARF:g} and (J − Ks)₀ ≥ {EVOLVED_COLOUR:g}",
    "dwarf": f"M_Ks ≥ {BRIGHTEST_DWARF:g}",
    "hot": f"M_Ks < {BRIGHTEST_DWARF:g} and (J − Ks)₀ < {EVOLVED_COLOUR:g}",
}


def colour(j_mag: np.ndarray, k_mag: np.ndarray, a_k_mag: np.ndarray) -> np.ndarray:
    """(J - Ks)0, without the reddening E(J - Ks) = A_J - A_Ks [mag]; NaN without one of the magnitudes.

    Args:
        j_mag: J magnitude of the catalogue, fillers and all [mag].
        k_mag: Ks magnitude used by the pipeline, 0 where there was none [mag].
        a_k_mag: Extinction used by the pipeline, 0 where none is known [mag].
    """
    usable = (j_mag > SMALLEST_K_MAG) & (j_mag < FILLER) & (k_mag != 0)
    return np.where(usable, j_mag - k_mag - (A_J_PER_A_K - 1) * a_k_mag, np.nan)


def kinds(m_ks: np.ndarray, j_mag: np.ndarray, k_mag: np.ndarray, a_k_mag: np.ndarray) -> np.ndarray:
    """Codes of the classes of N results, from the columns that ``colour`` takes; ``UNKNOWN`` without Ks."""
    return np.where(k_mag == 0, UNKNOWN, classify(m_ks, colour(j_mag, k_mag, a_k_mag)))


def classify(m_ks: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """Codes of the classes, int8 of shape (N,): the index in ``CLASSES``, or ``UNKNOWN``."""
    evolved = colours >= EVOLVED_COLOUR
    in_clump = (np.abs(m_ks - CLUMP) <= CLUMP_HALF_WIDTH) & (colours >= CLUMP_COLOURS[0])
    rules = {
        "red clump": in_clump & (colours <= CLUMP_COLOURS[1]),
        "dwarf": (m_ks >= BRIGHTEST_DWARF) & np.isfinite(colours),
        "giant": (m_ks < FAINTEST_GIANT) & evolved,
        "subgiant": (m_ks < BRIGHTEST_DWARF) & evolved,
        "hot": (m_ks < BRIGHTEST_DWARF) & (colours < EVOLVED_COLOUR),
    }
    codes = [CLASSES.index(name) for name in rules]
    return np.select(list(rules.values()), codes, UNKNOWN).astype(np.int8)
