"""Which stars to look at: the worst of their kind, and some with each flag."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from astra.models import ApogeeCoaddedSpectrumInApStar, AstroNNdist
from astra.report.comparison import Parallaxes
from astra.report.rows import Rows

#: How many of each kind, and at least how many with each flag of a result, and of a spectrum.
WORST, PER_RESULT_FLAG, PER_SPECTRUM_FLAG = 6, 3, 1

PULL = "far from Gaia's parallax"
ERROR = "most uncertain of the good"
NO_RESULT = "no result"
FLAGGED = "has a flag"


@dataclass(frozen=True)
class Outlier:
    """A row, and why it is shown; the pull against Gaia where that is the reason, else NaN."""

    index: int
    why: str
    pull: float = np.nan


def choose(rows: Rows, stars: Parallaxes) -> list[Outlier]:
    """The rows to show, each once, for the first reason that it gives."""
    chosen: dict[int, Outlier] = {}
    worst = np.argsort(-np.abs(stars.pull), kind="stable")[:WORST]
    for place in worst:
        index = int(stars.index[place])
        chosen[index] = Outlier(index, PULL, float(stars.pull[place]))
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = np.where(rows.science, rows["e_dist"] / rows["dist"], np.nan)
    order = np.argsort(-np.nan_to_num(relative, nan=-1.0), kind="stable")
    _take(chosen, order[np.isfinite(relative[order])], WORST, ERROR)
    failed = np.flatnonzero(has_flag(rows["result_flags"], AstroNNdist.flag_no_result.value))
    _take(chosen, failed[np.argsort(rows["spectrum_pk"][failed])], WORST, NO_RESULT)
    for column, model, least in (
        ("result_flags", AstroNNdist, PER_RESULT_FLAG),
        ("spectrum_flags", ApogeeCoaddedSpectrumInApStar, PER_SPECTRUM_FLAG),
    ):
        for flag in flags_of(model, column):
            _top_up(chosen, rows, column, flag.value, least)
    return list(chosen.values())


def flags_of(model: type, column: str) -> list:
    """The flags of one bit each of a column, in the order of their bits."""
    field = getattr(model, column)
    found = [flag for flag in vars(model).values() if getattr(flag, "_field", None) is field]
    return sorted(found, key=lambda flag: flag.value)


def flag_name(model: type, flag: object) -> str:
    """The name of a flag of a model."""
    return next(name for name, value in vars(model).items() if value is flag)


def has_flag(bits: np.ndarray, value: int) -> np.ndarray:
    """Whether the bits have the flag of this value."""
    return (bits & value) != 0


def _top_up(chosen: dict[int, Outlier], rows: Rows, column: str, value: int, least: int) -> None:
    shown = sum(bool(rows[column][index] & value) for index in chosen)
    if shown < least:
        members = np.flatnonzero(has_flag(rows[column], value))
        first = members[np.argsort(rows["spectrum_pk"][members])][: least + len(chosen)]
        _take(chosen, first, least - shown, FLAGGED)


def _take(chosen: dict[int, Outlier], order: Sequence[int], number: int, why: str) -> None:
    new = (int(index) for index in order if int(index) not in chosen)
    for index, _ in zip(new, range(number), strict=False):
        chosen[index] = Outlier(index, why)
