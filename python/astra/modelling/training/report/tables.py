"""Tables of a report: how good the predictions are, for each of several parts of the test stars."""

from collections.abc import Mapping

import numpy as np

from astra.modelling.training.evaluate import ALL, ClassMetrics, evaluate
from astra.modelling.training.report.data import Report, name_of, scale
from astra.report.pages.markup import (
    facts,
    number,
    share,
    table,
)

_SNR_EDGES = (0, 30, 50, 100, 200, np.inf)
_FLUX_RATIO_EDGES = (0, 0.1, 0.3, 0.6, 1.0)

_COLUMNS = (
    *("stars", "median<br>r", "median<br>|r|", "half-width<br>of r", "median<br>pull", "width of<br>pulls"),
    *("pulls<br>beyond 3", "flagged", "flagged,<br>S/N &gt; 100"),
)


def headline(report: Report) -> str:
    """The numbers that matter most, of all stars together."""
    found = metrics(report)[ALL]
    entries = {"test stars": f"{found.n:,}"}
    if report.is_measured:
        entries |= {
            "labels / predictions": " ± ".join(map(number, scale(report))),
            "labels ≤ 0": share(float((report.true <= 0).mean()) if len(report) else np.nan),
        }
    else:
        entries |= {
            "median |r|": number(found.median_abs_r),
            "median r": number(found.median_r, "+.3f"),
        }
    entries |= {
        "width of pulls": number(found.pull_width, ".2f"),
        "flagged": share(found.flagged),
    }
    return facts(entries)


def metrics(report: Report) -> dict[str, ClassMetrics]:
    """The numbers of each class, and of all."""
    columns = (report.kind, report.true, report.fakemag, report.e_fakemag, report.snr, report.e_true)
    return evaluate(*columns)


def by_class(report: Report, caption: str) -> str:
    """One row for each class, and one of all if there are several; the caption is HTML."""
    found = metrics(report)
    ordered = {name_of(kind): found[kind] for kind in report.kinds if kind or len(report.kinds) > 1}
    if len(ordered) != 1:
        ordered[ALL] = found[ALL]
    return _metrics_table(caption, "class", ordered)


def by_snr(report: Report) -> str:
    """One row for each range of S/N that has stars."""
    parts = _of_parts(report, report.snr, _SNR_EDGES)
    return _metrics_table("By the signal-to-noise ratio per pixel.", "S/N", parts)


def by_flux_ratio(binaries: Report) -> str:
    """One row for each range of the flux ratio that has stars."""
    parts = _of_parts(binaries, binaries.flux_ratio, _FLUX_RATIO_EDGES)
    caption = "By the flux ratio of the two stars. The true luminosity is that of both together."
    return _metrics_table(caption, "flux ratio", parts)


def widening(excesses: np.ndarray, errors: np.ndarray) -> str:
    """The table of a model that widens its errors."""
    rows = [(number(x, ".4g"), number(y, ".3g")) for x, y in zip(excesses, errors, strict=True)]
    caption = "Between these rows the error is interpolated; beyond the last it stays as it is there."
    return table(caption, ("excess scatter [flux / continuum]", "relative error added"), rows)


def _metrics_table(caption: str, first: str, found: Mapping[str, ClassMetrics]) -> str:
    return table(caption, (first, *_COLUMNS), [(name, *_cells(entry)) for name, entry in found.items()])


def _cells(found: ClassMetrics) -> tuple[str, ...]:
    return (
        f"{found.n:,}",
        number(found.median_r, "+.3f"),
        number(found.median_abs_r),
        number(found.half_width_r),
        number(found.median_pull, "+.2f"),
        number(found.pull_width, ".2f"),
        share(found.pull_outliers),
        share(found.flagged),
        share(found.flagged_bright),
    )


def _of_parts(report: Report, values: np.ndarray, edges: tuple[float, ...]) -> dict[str, ClassMetrics]:
    """The numbers of the stars with values in each range, its upper end included, that has any."""
    ranges = zip(edges[:-1], edges[1:], strict=True)
    parts = {_between(low, high): (values > low) & (values <= high) for low, high in ranges}
    return {name: metrics(report.take(rows))[ALL] for name, rows in parts.items() if rows.any()}


def _between(low: float, high: float) -> str:
    if not np.isfinite(high):
        return f"above {low:g}"
    return f"{low:g} to {high:g}" if low else f"up to {high:g}"
