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
from astra.pipelines.astronn_dist.network.dropout import mixed


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
    """A number in [0, 1) for each star: a word of SplitMix64 from the star and the seed."""
    digest = hashlib.blake2b(str(seed).encode(), digest_size=8).digest()
    state = np.asarray(star).astype(np.int64).view(np.uint64) ^ np.frombuffer(digest, "<u8")
    # The 53 highest bits: as many as a float holds, so that 1 is never reached.
    return (mixed(state) >> np.uint64(11)) * 2.0**-53
