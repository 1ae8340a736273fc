"""Tables in the details of a file of weights: lists of numbers, checked when they are read."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from astra.pipelines.astronn_dist.weights.formats import WrongWeights


def curve(table: Any, columns: tuple[str, str], where: str, names: str) -> tuple[np.ndarray, np.ndarray]:
    """A table of two columns, the first in ascending order, none of them negative; float64 of shape (M,).

    Args:
        table: What the details hold.
        columns: Names of the two.
        where: What the table is, for the message.
        names: Both columns in the plural, for the message.

    Raises:
        WrongWeights: It is something else.
    """
    if not isinstance(table, dict) or not all(isinstance(table.get(name), list) for name in columns):
        raise WrongWeights(f"{where} has no lists {' and '.join(columns)}")
    abscissae, ordinates = (numbers(table[name], where) for name in columns)
    if len(abscissae) != len(ordinates) or len(abscissae) == 0:
        first, second = names.split(" and ")
        raise WrongWeights(f"{where} has {len(abscissae)} {first} and {len(ordinates)} {second}")
    if not np.isfinite([abscissae, ordinates]).all() or np.min([abscissae, ordinates]) < 0:
        raise WrongWeights(f"{where} holds NaN, infinity or a negative number")
    ascending(abscissae, columns[0], where)
    return abscissae, ordinates


def numbers(values: Sequence[Any], where: str) -> np.ndarray:
    """A list of numbers as float64; NaN and infinity pass.

    Raises:
        WrongWeights: Something else is among them.
    """
    if not all(type(value) in (int, float) for value in values):
        raise WrongWeights(f"{where} holds something other than numbers")
    try:
        return np.array(values, dtype=float)
    except OverflowError:
        raise WrongWeights(f"{where} holds a number too large") from None


def ascending(values: np.ndarray, name: str, where: str) -> None:
    """Raise :class:`WrongWeights` unless each value is larger than the one before."""
    if (np.diff(values) <= 0).any():
        raise WrongWeights(f"{where} is not in ascending order of {name}")
