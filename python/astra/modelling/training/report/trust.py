"""Figures of whether stated errors can be believed, of the flags, and of how the training went."""

import numpy as np

from astra.modelling.training.evaluate import ALL, coverage, flagged_by_error
from astra.modelling.training.report.data import (
    Report,
    name_of,
    running,
    title_of,
)
from astra.modelling.training.report.svg import (
    ACCENT,
    INK,
    MUTED,
    WARN,
    colour_of,
    grid,
    inline_svg,
    plain_log,
)
from astra.pipelines.astronn_dist.distances.distance import UNRELIABLE

_PULLS = np.linspace(-5, 5, 41)

#: Limits of |r| between which the share of flagged stars is counted.
EDGES = np.array([0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1, np.inf])

#: Limits on the stated relative error that are tried.
LIMITS = np.array([0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.12, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.7, 1.0])

# Of fewer stars than these, a median says nothing.
_FEWEST = 10


def loss_curves(report: Report) -> str:
    """Losses, error and learning rate of each epoch."""
    epochs = [epoch.epoch for epoch in report.history]
    figure, (left, middle, right) = grid(3, height=2.6)
    for name, colour, label in (
        ("training_loss", MUTED, "training"),
        ("validation_nll", ACCENT, "validation"),
    ):
        losses = [getattr(epoch, name) for epoch in report.history]
        left.plot(epochs, losses, "o-", ms=2, color=colour, label=label)
    known = [(epoch.epoch, epoch.median_error) for epoch in report.history if epoch.median_error is not None]
    middle.plot(*np.reshape(known, (-1, 2)).T, "o-", ms=2, color=ACCENT)
    right.plot(epochs, [1e3 * epoch.learning_rate for epoch in report.history], "o-", ms=2, color=MUTED)
    left.set(title="loss", ylabel="negative log-likelihood")
    middle.set(title="error", ylabel="median |ln(prediction / label)|")
    right.set(title="learning rate", ylabel="of the last step, × 1000")
    for axis in (left, middle, right):
        axis.axvline(report.best_epoch, color=WARN, lw=0.9, ls="--", label="best epoch")
        axis.set_xlabel("epoch")
        axis.xaxis.get_major_locator().set_params(integer=True)
    right.set_ylim(bottom=0)
    left.legend()
    alt = f"Losses of {len(epochs)} epochs, median error, learning rate; the best is {report.best_epoch}"
    return inline_svg(figure, "training", alt)


def pull_histograms(report: Report) -> str:
    """Pulls of each class beside a normal distribution of unit width."""
    classes = report.by_kind()
    figure, axes = grid(len(classes), height=2.0, sharex=True)
    x = np.linspace(_PULLS[0], _PULLS[-1], 201)
    for axis, (kind, part) in zip(axes, classes.items(), strict=True):
        seen = part.pull[np.isfinite(part.pull)]
        counts, _ = np.histogram(np.clip(seen, _PULLS[0], _PULLS[-1]), _PULLS)
        density = counts / (max(1, len(seen)) * (_PULLS[1] - _PULLS[0]))
        axis.stairs(density, _PULLS, fill=True, color=ACCENT, alpha=0.5, lw=0)
        axis.plot(x, np.exp(-0.5 * x**2) / np.sqrt(2 * np.pi), color=INK, lw=1)
        axis.set(title=title_of(kind, len(seen)), yticks=[])
        axis.set_ylim(0, max(0.45, 1.05 * density.max()))
        axis.grid(visible=False)
        axis.spines["left"].set_visible(False)
    for axis in axes[-3:]:
        axis.set_xlabel("pull")
    alt = f"Histograms of pulls with the unit normal distribution: {', '.join(map(name_of, classes))}"
    return inline_svg(figure, "pulls", alt)


def reliability(report: Report) -> str:
    """Stated errors against the scatter that there is, and the part of dropout in them."""
    figure, (left, right) = grid(2, height=3.2)
    positive = np.where(report.fakemag > 0, report.fakemag, np.nan)
    stated = np.hypot(report.e_fakemag, report.e_true) / positive
    for kind, part in report.compared().items():
        trend = running(stated[report.kind == kind], part.r, most=7, fewest=40)
        style = {"color": colour_of(kind), "label": name_of(kind)}
        left.plot(trend.x, trend.half_width, "o-", ms=3, lw=1, **style)
    trend = running(stated, report.r, most=12, fewest=20)
    left.plot(trend.x, trend.half_width, color=INK, lw=2, label=ALL)
    ends = (min([0.05, *trend.x]), max([0.5, *trend.x]))
    left.plot(ends, ends, color=MUTED, ls="--", lw=1, label="as stated")
    left.axvline(UNRELIABLE, color=WARN, ls=":", lw=1.2, label="flagged from here on")
    total = "√(e² + e_label²)" if report.is_measured else "e_fakemag"
    left.set(xlabel=f"stated: {total} / fakemag", ylabel="found: half-width of r")
    left.set_title("stated and actual error")
    plain_log(left, "x")
    plain_log(left, "y")
    left.legend()
    part_of_model = report.e_model_fakemag / np.where(report.e_fakemag > 0, report.e_fakemag, np.nan)
    model = running(report.relative_error, part_of_model, most=12)
    right.fill_between(model.x, model.low, model.high, color=ACCENT, alpha=0.2, lw=0)
    right.plot(model.x, model.median, color=ACCENT)
    right.set(xlabel="stated: e_fakemag / fakemag", ylabel="e_model_fakemag / e_fakemag")
    right.set_title("part from dropout")
    right.set_ylim(0, 1.02)
    plain_log(right, "x")
    alt = "Scatter of the distances against the stated error: right errors lie on the diagonal"
    return inline_svg(figure, "reliability", alt)


def flags(report: Report) -> str:
    """What is flagged, and what a limit on the stated error keeps."""
    figure, (left, middle, right) = grid(3, height=2.9)
    ranges = zip(EDGES[:-1], EDGES[1:], strict=True)
    edges = [f"{low:g}–{high:g}" if np.isfinite(high) else f"> {low:g}" for low, high in ranges]
    classes = {kind: part for kind, part in report.compared().items() if len(part) >= _FEWEST}
    for kind, part in (*classes.items(), (ALL, report)):
        style = {"color": colour_of(kind), "lw": 2 if kind == ALL else 1, "label": name_of(kind)}
        enough = np.histogram(np.abs(part.r[np.isfinite(part.r)]), EDGES)[0] >= _FEWEST
        found = np.where(enough, flagged_by_error(part.r, part.flagged, EDGES), np.nan)
        left.plot(range(len(edges)), found, "o-", ms=2.5, **style)
        curve = coverage(part.r, part.relative_error, LIMITS)
        middle.plot(curve.limit, curve.kept, **style)
        decided = curve.kept * len(part) >= _FEWEST
        right.plot(curve.kept[decided], curve.median_abs_r[decided], **style)
        if (at := int(np.flatnonzero(LIMITS == UNRELIABLE)[0])) in np.flatnonzero(decided):
            right.plot(curve.kept[at], curve.median_abs_r[at], "o", ms=4, color=style["color"])
    left.set_xticks(range(len(edges)), edges, rotation=45, ha="right", rotation_mode="anchor")
    left.set(xlabel="|r|", ylabel="share flagged", ylim=(-0.03, 1.03), title="flags follow the error")
    middle.axvline(UNRELIABLE, color=WARN, ls=":", lw=1.2)
    middle.set(xlabel="limit on e_fakemag / fakemag", ylabel="share kept", ylim=(-0.03, 1.03))
    middle.set_title("a limit and what it keeps")
    plain_log(middle, "x")
    right.set(xlabel="share kept", ylabel="median |r| of these", xlim=(-0.03, 1.03))
    right.set_title("coverage and error")
    right.set_ylim(bottom=0)
    figure.legend(*middle.get_legend_handles_labels(), loc="outside lower center", ncols=7)
    alt = "Share of flagged stars by error; share kept by a limit on the stated error; error of what is kept"
    return inline_svg(figure, "flags", alt)


def validity(report: Report, excesses: np.ndarray, errors: np.ndarray) -> str:
    """How the excess scatter of the test stars lies to the table that widens errors.

    Args:
        report: With an ``excess`` for each star.
        excesses, errors: The table, shape (M,).
    """
    finite = report.excess[np.isfinite(report.excess)]
    right_end = 1.25 * max([*excesses, *np.quantile(finite, [0.999])] if len(finite) else excesses)
    figure, (upper, lower) = grid(2, columns=1, height=1.9, sharex=True)
    counts, bins = np.histogram(finite[finite <= right_end], np.linspace(0, right_end, 61))
    upper.stairs(counts, bins, fill=True, color=ACCENT, alpha=0.5, lw=0)
    upper.set(ylabel="stars", title="test stars")
    x = np.union1d(np.linspace(0, right_end, 400), excesses)
    lower.plot(x, np.interp(x, excesses, errors), color=INK)
    lower.axhline(UNRELIABLE, color=WARN, ls=":", lw=1.2)
    lower.set(xlim=(0, right_end), xlabel="excess scatter [flux / continuum]", ylabel="relative error added")
    lower.set_title("what the table adds, in quadrature")
    alt = "Histogram of the excess scatter of test stars, above the curve of the error that it adds"
    return inline_svg(figure, "validity", alt)
