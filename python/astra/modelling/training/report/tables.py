"""Numbers as text: how good the predictions are, part by part, and what a file says of itself."""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from astra.modelling.training.evaluate import ALL, BRIGHT_SNR, LARGEST_PULL, ClassMetrics, evaluate
from astra.modelling.training.report.data import Report, name_of, scale
from astra.report.page import number, share

#: Upper ends of ranges are included.
SNR_EDGES = (0, 30, 50, 100, 200, np.inf)
FLUX_RATIO_EDGES = (0, 0.1, 0.3, 0.6, 1.0)

# Columns of the tables: their headings, by what they show, and how numbers are written.
_NUMBERS = {
    "median_r": ("median\nr", "+.3f"),
    "median_abs_r": ("median\n|r|", ".3f"),
    "half_width_r": ("half-width\nof r", ".3f"),
    "median_pull": ("median\npull", "+.2f"),
    "pull_width": ("width of\npulls", ".2f"),
}
_SHARES = {
    "pull_outliers": f"pulls\nbeyond {LARGEST_PULL:g}",
    "flagged": "flagged",
    "flagged_bright": f"flagged,\nS/N > {BRIGHT_SNR:g}",
}

#: A list with more numbers than these is cut short: it is a table in its own right.
LONGEST_LIST = 40

#: The headings of the columns, and the rows.
Table = tuple[tuple[str, ...], list[tuple[str, ...]]]


def headline(report: Report) -> dict[str, str]:
    """The numbers that matter most, of all stars together."""
    found = metrics(report)[ALL]
    entries = {"test stars": f"{found.n:,}"}
    if report.is_measured:
        entries |= {
            "labels / predictions": " ± ".join(map(number, scale(report))),
            "labels ≤ 0": share(float((report.true <= 0).mean()) if len(report) else np.nan),
        }
    else:
        entries |= {"median |r|": number(found.median_abs_r), "median r": number(found.median_r, "+.3f")}
    return entries | {"width of pulls": number(found.pull_width, ".2f"), "flagged": share(found.flagged)}


def metrics(report: Report) -> dict[str, ClassMetrics]:
    """The numbers of each class, and of all."""
    columns = (report.kind, report.true, report.fakemag, report.e_fakemag, report.snr, report.e_true)
    return evaluate(*columns)


def by_class(report: Report) -> Table:
    """One row for each class, and one of all if there are several."""
    found = metrics(report)
    ordered = {name_of(kind): found[kind] for kind in report.kinds if kind or len(report.kinds) > 1}
    if len(ordered) != 1:
        ordered[ALL] = found[ALL]
    return _table("class", ordered)


def by_range(report: Report, name: str, values: np.ndarray, edges: tuple[float, ...]) -> Table:
    """One row for each range of the values, which the name says, that has stars."""
    found = {}
    for low, high in pairwise(edges):
        rows = (values > low) & (values <= high)
        if rows.any():
            closed = f"{low:g} to {high:g}" if low else f"up to {high:g}"
            found[closed if np.isfinite(high) else f"above {low:g}"] = metrics(report.take(rows))[ALL]
    return _table(name, found)


def _table(first: str, found: Mapping[str, ClassMetrics]) -> Table:
    headings = (first, "stars", *(heading for heading, _ in _NUMBERS.values()), *_SHARES.values())
    return headings, [
        (
            name,
            f"{entry.n:,}",
            *(number(getattr(entry, column), form) for column, (_, form) in _NUMBERS.items()),
            *(share(getattr(entry, column)) for column in _SHARES),
        )
        for name, entry in found.items()
    ]


# > What a file says of itself

Entry = tuple[int, str, str]


def details(found: Mapping[str, Any]) -> tuple[list[Entry], list[tuple[str, list[Entry]]]]:
    """Plain JSON for readers, as levels, names and values: the single values, and the groups of values."""
    groups = {name: value for name, value in found.items() if isinstance(value, Mapping) and value}
    single = {name: value for name, value in found.items() if name not in groups}
    return list(_entries(single)), [(_words(name), list(_entries(group))) for name, group in groups.items()]


def _entries(group: Mapping[str, Any], level: int = 0) -> Iterator[Entry]:
    for name, value in group.items():
        if isinstance(value, Mapping) and value:
            yield level, _words(name), ""
            yield from _entries(value, level + 1)
        else:
            yield level, _words(name), _value(value)


def _words(name: Any) -> str:
    return str(name).replace("_", " ")


def _value(value: Any) -> str:
    if value is None or isinstance(value, Mapping):
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        text = f"{value:.6g}"
        return text if "e-" in text else text.replace("-", "−")
    if isinstance(value, list | tuple):
        shown = ", ".join(_value(part) for part in value[:LONGEST_LIST])
        return shown + (f", … ({len(value)} in all)" if len(value) > LONGEST_LIST else "") or "none"
    return str(value)
