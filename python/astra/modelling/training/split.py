"""Splits examples by star into training, validation and test.

The part of a star follows from the seed and from the star alone. So no star is in two parts, and neither the
order of the examples nor stars that are added later move any other star to another part.
"""

import hashlib
import math
from typing import NamedTuple

import numpy as np

from astra.errors import UsageError
from astra.modelling.training.examples import Examples


class Split(NamedTuple):
    """Indices of the examples of each part, ascending, int64."""

    training: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def split(examples: Examples, seed: int, fractions: tuple[float, float, float] = (0.8, 0.1, 0.1)) -> Split:
    """Split examples by star.

    Args:
        examples: The examples; only ``star`` counts.
        seed: Another seed gives another split.
        fractions: Expected shares of the stars in training, validation and test; their sum is 1. The
            shares that come out scatter about these, as each star is drawn on its own.

    Raises:
        UsageError: The fractions are negative, or their sum is not 1.
    """
    if len(fractions) != len(Split._fields) or min(fractions) < 0 or not math.isclose(sum(fractions), 1):
        raise UsageError(f"fractions of the split {fractions}: give three numbers >= 0 whose sum is 1")
    edges = np.cumsum(fractions)[:-1]
    part = np.searchsorted(edges, _uniform(examples.star, seed), side="right")
    return Split(*(np.flatnonzero(part == number) for number in range(len(Split._fields))))


def _uniform(star: np.ndarray, seed: int) -> np.ndarray:
    """A number in [0, 1) for each star: the last mixing steps of SplitMix64 on the star and the seed.

    G. L. Steele, D. Lea & C. H. Flood 2014, Fast splittable pseudorandom number generators (OOPSLA).
    """
    digest = hashlib.blake2b(str(seed).encode(), digest_size=8).digest()
    mixed = np.asarray(star).astype(np.int64).view(np.uint64) ^ np.frombuffer(digest, "<u8")
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    mixed ^= mixed >> np.uint64(31)
    # The 53 highest bits: as many as a float holds, so that 1 is never reached.
    return (mixed >> np.uint64(11)) * 2.0**-53
