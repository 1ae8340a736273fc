"""Figures of how wrong predictions are: against luminosity, noise, kind of star, companions and labels."""

from typing import TYPE_CHECKING

import numpy as np

from astra.modelling.training.evaluate import ALL
from astra.modelling.training.report.data import (
    Report,
    bins_of,
    extent,
    name_of,
    running,
    scale,
    title_of,
)
from astra.modelling.training.report.svg import (
    ACCENT,
    DIVERGING,
    FLAGGED,
    INK,
    MUTED,
    POINT,
    colour_of,
    dot,
    grid,
    handles,
    inline_svg,
    plain_log,
    points,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_R = "r = d / d_true − 1"

# Of the colours of the Kiel diagram: a larger median error looks no worse.
_LARGEST_MEDIAN = 0.3
_FEWEST_IN_CELL = 4

_DOTS = {"not flagged": dot(POINT), "flagged": dot(FLAGGED)}
_BAND = {"median, 16–84 %": {"color": INK}}

# Bins of labels with errors, by the prediction.
_LABEL_BINS = 12


def errors_by_luminosity(report: Report) -> str:
    """r of each class against the absolute magnitude."""
    classes = report.by_kind()
    limit = extent(report.r, 0.99, 0.3, 1.5)
    figure, axes = grid(len(classes), sharey=True)
    for axis, (kind, part) in zip(axes, classes.items(), strict=True):
        _residuals(axis, part.abs_ks, part.r, part.flagged, limit)
        axis.set(
            title=title_of(kind, len(part)),
            xlabel=f"{'predicted' if report.is_measured else 'true'} M_Ks [mag]",
        )
    for axis in axes[::3]:
        axis.set_ylabel(_R)
    figure.legend(handles=handles(_DOTS | _BAND), loc="outside upper right", ncols=3)
    names = ", ".join(map(name_of, classes))
    alt = f"Relative error of the distance against absolute magnitude, one panel for each class: {names}"
    return inline_svg(figure, "luminosity", alt)


def errors_by_snr(report: Report) -> str:
    """r of all stars against S/N, and how its scatter falls with it, class by class."""
    limit = extent(report.r, 0.99, 0.3, 1.5)
    figure, (left, right) = grid(2, height=3.0)
    _residuals(left, report.snr, report.r, report.flagged, limit)
    left.set(xlabel="S/N per pixel", ylabel=_R, title="all stars")
    for kind, part in report.compared().items():
        trend = running(part.snr, part.r, most=8, fewest=30)
        right.plot(trend.x, trend.half_width, "o-", ms=3, lw=1, color=colour_of(kind), label=name_of(kind))
    trend = running(report.snr, report.r, most=10)
    right.plot(trend.x, trend.half_width, color=INK, lw=2, label=ALL)
    right.set(xlabel="S/N per pixel", ylabel="half-width of r (16–84 %)", title="scatter")
    # Room for the legend.
    right.set_ylim(0, 1.3 * right.get_ylim()[1])
    for axis in (left, right):
        plain_log(axis, "x")
    right.set_xlim(left.get_xlim())
    right.legend(ncols=2, loc="upper right")
    alt = "Relative error of the distance against the signal-to-noise ratio, and its scatter by class"
    return inline_svg(figure, "snr", alt)


def kiel(report: Report) -> str | None:
    """Gravity against temperature, coloured by the median of r; ``None`` where they are not known."""
    if report.teff is None or report.logg is None:
        return None
    from matplotlib.colors import LinearSegmentedColormap

    known = np.isfinite(report.teff) & np.isfinite(report.logg) & np.isfinite(report.r)
    part = report.take(known)
    if not len(part):
        return None
    figure, (axis,) = grid(1, height=4.4)
    cells = axis.hexbin(
        np.log10(part.teff),
        part.logg,
        C=part.r,
        reduce_C_function=np.median,
        mincnt=_FEWEST_IN_CELL if len(part) > 500 else 1,
        gridsize=(52, 30),
        linewidths=0.1,
        cmap=LinearSegmentedColormap.from_list("errors", DIVERGING),
        vmin=-_LARGEST_MEDIAN,
        vmax=_LARGEST_MEDIAN,
    )
    low, high = np.log10(part.teff).min() - 0.01, np.log10(part.teff).max() + 0.01
    ticks = [value for value in (3500, 4000, 5000, 6000, 8000, 12000, 20000) if low < np.log10(value) < high]
    axis.set_xticks(np.log10(ticks), [f"{value:,}" for value in ticks])
    axis.set(xlim=(high, low), xlabel="Teff [K]", ylabel="log g [dex]")
    axis.invert_yaxis()
    bar = figure.colorbar(cells, ax=axis, extend="both", aspect=30, pad=0.02)
    bar.set_label(f"median of {_R}")
    bar.outline.set_visible(False)
    alt = "Kiel diagram: gravity against temperature, each cell coloured by the median relative error"
    return inline_svg(figure, "kiel", alt)


def companions(binaries: Report) -> str:
    """r of stars with an unresolved companion against its share of the light."""
    limit = extent(binaries.r, 0.99, 0.4, 1.5)
    figure, (axis,) = grid(1, height=3.0)
    _residuals(axis, binaries.flux_ratio, binaries.r, binaries.flagged, limit)
    ratio = np.linspace(0, 1, 60)
    axis.plot(ratio, (1 + ratio) ** -0.5 - 1, color=ACCENT, ls="--")
    axis.set(xlabel="Ks flux of the companion / of the star", ylabel=_R, xlim=(-0.02, 1.02))
    unnoticed = {"if the companion went unnoticed": {"color": ACCENT, "ls": "--"}}
    axis.legend(handles=handles(_DOTS | _BAND | unnoticed), loc="upper left", ncols=4)
    alt = "Relative error of the distance of binaries against the flux ratio of their stars"
    return inline_svg(figure, "binaries", alt)


def labels(report: Report) -> str:
    """Labels with errors against predictions, in linear space, where these errors are normal."""
    y, p = report.true, report.fakemag
    figure, (left, middle, right) = grid(3, height=2.9)
    for axis, level, title in ((left, 0.99, "each star"), (middle, 0.5, "the more luminous half")):
        points(axis, p, y, report.flagged)
        top = 1.02 * extent(p, level, 1e-3, np.inf)
        low = float(np.quantile(y[p < top], 0.01)) if (p < top).any() else 0.0
        axis.plot((0, top), (0, top), color=INK, lw=1)
        axis.axhline(0, color=MUTED, lw=0.7)
        axis.set(xlim=(0, top), ylim=(min(-0.15 * top, low), 1.3 * top), title=title)
        axis.set(xlabel="prediction p [mas]", ylabel="label y [mas]")
    left.legend(handles=handles(_DOTS | {"y = p": {"color": INK}}), loc="upper left")
    _label_scales(right, report)
    alt = "Labels from parallaxes, negative ones included, against predictions, with the line of equality"
    return inline_svg(figure, "labels", alt)


def _label_scales(axis: "Axes", report: Report) -> None:
    """The factor between labels and predictions in bins of these."""
    positive = np.where(report.fakemag > 0, report.fakemag, np.nan)
    parts = bins_of(positive, most=_LABEL_BINS)
    x = [np.median(report.fakemag[part]) for part in parts]
    factors = np.reshape([scale(report.take(part)) for part in parts], (-1, 2))
    axis.axhline(1, color=INK, lw=1)
    if len(parts):
        axis.errorbar(x, factors[:, 0], factors[:, 1], fmt="o", ms=3.5, color=ACCENT, elinewidth=1)
        far = extent(np.abs(factors[:, 0] - 1) + factors[:, 1], 1.0, 0.1, 2.0)
        axis.set_ylim(1 - 1.1 * far, 1 + 1.1 * far)
        plain_log(axis, "x")
    axis.set(xlabel="prediction p [mas]", ylabel="mean of labels / predictions", title="scale in bins of p")


# > What several of them have


def _residuals(axis: "Axes", x: np.ndarray, r: np.ndarray, flagged: np.ndarray, limit: float) -> None:
    """Points within the limits, those beyond at the edge; running median and 16-84 % of all."""
    seen = np.isfinite(x) & np.isfinite(r)
    trend = running(x, r)
    axis.fill_between(trend.x, trend.low, trend.high, color=INK, alpha=0.12, lw=0, zorder=0.5)
    points(axis, x[seen], np.clip(r[seen], -limit, limit), flagged[seen])
    for edge in (trend.low, trend.high):
        axis.plot(trend.x, edge, color=INK, lw=0.6)
    axis.plot(trend.x, trend.median, color=INK)
    axis.axhline(0, color=MUTED, lw=0.7)
    axis.set_ylim(-1.04 * limit, 1.04 * limit)
