"""The head of the page, how many results carry which flag, stars that are worth a look, and the weights."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from astra.models import ApogeeCoaddedSpectrumInApStar, AstroNNdist, Distance
from astra.models.fields import flags_of
from astra.report.contents import Contents
from astra.report.outliers import NO_RESULT, PULL, WORST, Outlier, has_flag
from astra.report.page import Section, macros, share
from astra.report.sections.star import flags_set
from astra.report.stars import Detail

TEMPLATE = "astra.report/results.html"

#: Of the view ``distances``: what the bits of a result add up to.
_SUMS = ("flag_warn", "flag_bad")


def head(contents: Contents) -> str:
    """Database, weights, and the numbers that matter most, as HTML."""
    rows = contents.rows
    entries = {
        "spectra with a result row": f"{len(rows):,}",
        "stars": f"{contents.stars:,}",
        "good": _count(rows["good"]),
        "look twice (flag_warn)": _count(rows["flag_warn"]),
        "discard (flag_bad)": _count(rows["flag_bad"]),
    }
    return macros(TEMPLATE).head(len(rows), contents.stars, contents.provenance, entries)


def _count(mask: np.ndarray) -> str:
    return f"{mask.sum():,} ({share(mask.mean())})" if len(mask) else "0"


def weights(contents: Contents) -> Section:
    """The weights, with what they are good for."""
    return Section("weights", "Weights", macros(TEMPLATE).weights(contents.provenance.kinds))


# > Flags


def flags(contents: Contents) -> Section:
    """Every flag with its meaning; a click shows the listed stars that have it."""
    rows = contents.rows
    of_results = [*_counted(contents, AstroNNdist, "result_flags")]
    of_results += [(name, getattr(Distance, name).help_text, int(rows[name].sum())) for name in _SUMS]
    of_spectra = [
        entry for entry in _counted(contents, ApogeeCoaddedSpectrumInApStar, "spectrum_flags") if entry[2]
    ]
    return Section("flags", "Flags", macros(TEMPLATE).flags(of_results, of_spectra, len(rows)))


def _counted(contents: Contents, model: type, column: str) -> Iterator[tuple[str, str, int]]:
    for name, flag in flags_of(model, column).items():
        yield name, flag.help_text, int(has_flag(contents.rows[column], flag.value).sum())


# > Outliers


def outliers(contents: Contents, details: list[Detail]) -> Section:
    """The table of outliers, each of which opens its star, and why spectra gave no result.

    Args:
        contents: Of the report.
        details: What the database has of the outliers, in their order.
    """
    rows = [_row(contents, *each) for each in zip(contents.outliers, details, strict=True)] if details else []
    reasons = [(reason, f"{count:,}") for reason, count in contents.reasons.items()]
    return Section("outliers", "Outliers", macros(TEMPLATE).outliers(rows, WORST, reasons))


def _row(contents: Contents, outlier: Outlier, detail: Detail) -> dict[str, Any]:
    result, found = detail.result, flags_set(detail)
    reason = result.no_result_reason if outlier.why == NO_RESULT else None
    return {
        "key": result.task_pk,
        "name": detail.name,
        "why": f"{outlier.why}: {reason}" if reason else outlier.why,
        "marks": [*found, *(name for name in _SUMS if getattr(result, name))],
        "flags": ", ".join(name.removeprefix("flag_") for name in found) or "–",
        "snr": detail.summary.snr,
        "dist": np.nan if result.flag_missing_photometry else result.dist,  # that of Ks = 0 is none
        "relative": result.e_dist / result.dist if result.dist > 0 else np.nan,
        "pull": outlier.pull if outlier.why == PULL else contents.pull_of(detail.summary.spectrum_pk),
    }
