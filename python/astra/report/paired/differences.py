"""How much the columns and the flags of any task differ between the two rows of each spectrum."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from astra.models import FlaggedOutputModel, PipelineOutputModel
from astra.report.paired.pairs import Pairs, compared_columns

#: Percentiles between which nine of ten differences lie.
MOST = (5, 50, 95)


@dataclass(frozen=True)
class ColumnDifference:
    """The differences of one column, trial minus production, in its unit; NaN where no pair has both values.

    Attributes:
        n: Pairs with a value in both rows.
        identical: How many of these are equal, bit for bit.
        only_production, only_trial: Pairs in which one row alone has a value.
        median, p05, p95: Percentiles of the difference.
        largest: The difference that is farthest from zero.
        spectrum_pk: The spectrum with that difference, 0 without one.
    """

    name: str
    unit: str | None
    n: int
    identical: int
    only_production: int
    only_trial: int
    median: float
    p05: float
    p95: float
    largest: float
    spectrum_pk: int


@dataclass(frozen=True)
class FlagDifference:
    """In how many pairs a flag is set in one row alone, and in both."""

    name: str
    meaning: str
    only_production: int
    only_trial: int
    both: int


@dataclass(frozen=True)
class Measured:
    """In how many pairs which row has a result; of a model without flags, all of both."""

    both: int
    only_production: int
    only_trial: int
    neither: int


def measured(pairs: Pairs) -> Measured:
    """Count the pairs by where there is a result."""
    flag = FlaggedOutputModel.flag_no_result.value
    sides = (pairs.production, pairs.trial)
    one, other = ((side.values.get("result_flags", np.zeros(len(side), int)) & flag) == 0 for side in sides)
    counts = (one & other, one & ~other, ~one & other, ~one & ~other)
    return Measured(*(int(truths.sum()) for truths in counts))


def column_differences(model: type[PipelineOutputModel], pairs: Pairs) -> Iterator[ColumnDifference]:
    """Compare each column of numbers, in the order of the model."""
    for name, field in compared_columns(model).items():
        one, other = pairs.production[name], pairs.trial[name]
        both = np.isfinite(one) & np.isfinite(other)
        difference = np.subtract(other, one, where=both, out=np.full(len(pairs), np.nan), dtype=float)
        p05, median, p95 = percentiles(difference, MOST)
        place = int(np.nanargmax(np.abs(difference))) if both.any() else None
        yield ColumnDifference(
            name=name,
            unit=getattr(field, "unit", None),
            n=int(both.sum()),
            identical=int((one[both] == other[both]).sum()),
            only_production=int((np.isfinite(one) & ~both).sum()),
            only_trial=int((np.isfinite(other) & ~both).sum()),
            median=median,
            p05=p05,
            p95=p95,
            largest=np.nan if place is None else float(difference[place]),
            spectrum_pk=0 if place is None else int(pairs.production["spectrum_pk"][place]),
        )


def percentiles(values: np.ndarray, which: tuple[float, ...]) -> list[float]:
    """Of the finite values; NaN if there is none."""
    values = values[np.isfinite(values)]
    return np.percentile(values, which).tolist() if len(values) else [np.nan] * len(which)


def flag_differences(model: type[PipelineOutputModel], pairs: Pairs) -> Iterator[FlagDifference]:
    """Compare each flag in the order of the bits, then ``flag_warn`` and ``flag_bad``."""
    for name, flag in model.counted_flags().items():
        one, other = (side[flag.field.name] & flag.value != 0 for side in (pairs.production, pairs.trial))
        yield flag_difference(name, flag.help_text or "", one, other)
    if issubclass(model, FlaggedOutputModel):
        for name, (bits, meaning) in model.summaries().items():
            if bits:
                yield flag_difference(name, meaning, pairs.production[name], pairs.trial[name])


def flag_difference(name: str, meaning: str, one: np.ndarray, other: np.ndarray) -> FlagDifference:
    """Count where two arrays of truths, of production and of the trial, differ."""
    return FlagDifference(
        name, meaning, int((one & ~other).sum()), int((other & ~one).sum()), int((one & other).sum())
    )
