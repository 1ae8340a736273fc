"""Figures of whether stated errors can be believed, of the flags, and of how the training went."""

import numpy as np

from astra.modelling.training.evaluate import ALL, coverage, flagged_by_error
from astra.modelling.training.report import panels
from astra.modelling.training.report.data import Report, name_of, running, title_of
from astra.modelling.training.report.panels import DASHES, DOTS, LINE
from astra.pipelines.astronn_dist.distances.distance import UNRELIABLE
from astra.report.figures import AUTOMATIC, add_histogram, add_line, add_rule, log_ticks, plot
from astra.report.summaries import Histogram

#: Edges of the bars of pulls; the outer bars also have all that lies beyond.
PULLS = np.linspace(-5, 5, 41)

#: Limits of |r| between which the share of flagged stars is counted.
EDGES = np.array([0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1, np.inf])

#: Limits on the stated relative error that are tried.
LIMITS = np.array([0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.12, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.7, 1.0])

# Of fewer stars than these, a median says nothing.
_FEWEST = 10


def loss_curves(report: Report) -> panels.Panels:
    """Losses, error and learning rate of each epoch."""
    from bokeh.models import BasicTicker

    epochs = [epoch.epoch for epoch in report.history]
    left = plot("epoch", "negative log-likelihood", height=270)
    for name, colour in (("training_loss", "muted"), ("validation_nll", "accent")):
        panels.add_dotted(left, epochs, [getattr(epoch, name) for epoch in report.history], colour)
    middle = plot("epoch", "median |ln(prediction / label)|", height=270)
    known = [(epoch.epoch, epoch.median_error) for epoch in report.history if epoch.median_error is not None]
    panels.add_dotted(middle, *np.reshape(known, (-1, 2)).T, "accent")
    right = plot("epoch", "of the last step, × 1000", AUTOMATIC, (0, None), height=270)
    panels.add_dotted(right, epochs, [1e3 * epoch.learning_rate for epoch in report.history], "muted")
    for axes in (left, middle, right):
        add_rule(axes, "warn", x=report.best_epoch, line_dash="dashed")
        axes.xaxis.ticker = BasicTicker(min_interval=1)
    drawn = [("loss", left), ("error", middle), ("learning rate", right)]
    legend = [("muted", LINE, "training"), ("accent", LINE, "validation"), ("warn", DASHES, "best epoch")]
    alt = f"Losses of {len(epochs)} epochs, median error, learning rate; the best is {report.best_epoch}"
    return panels.side_by_side("training", alt, drawn, legend)


def pull_histograms(report: Report) -> panels.Panels:
    """Pulls of each class beside a normal distribution of unit width."""
    classes, drawn = report.by_kind(), []
    x = np.linspace(PULLS[0], PULLS[-1], 201)
    for kind, part in classes.items():
        seen = part.pull[np.isfinite(part.pull)]
        counts, _ = np.histogram(np.clip(seen, PULLS[0], PULLS[-1]), PULLS)
        # The curve is stretched to the stars, so that a bar says how many there are.
        stars = max(1, len(seen)) * (PULLS[1] - PULLS[0])
        top = max(0.45 * stars, 1.05 * counts.max())
        axes = plot("pull", "", (PULLS[0], PULLS[-1]), (0, top), height=210)
        add_histogram(axes, Histogram(PULLS, counts))
        add_line(axes, x, stars * np.exp(-0.5 * x**2) / np.sqrt(2 * np.pi), "ink", line_width=1.4)
        axes.yaxis.visible = axes.grid.visible = False
        drawn.append((title_of(kind, len(seen)), axes))
    alt = f"Histograms of pulls with the unit normal distribution: {', '.join(map(name_of, classes))}"
    return panels.side_by_side("pulls", alt, drawn)


def reliability(report: Report) -> panels.Panels:
    """Stated errors against the scatter that there is, and the part of dropout in them."""
    positive = np.where(report.fakemag > 0, report.fakemag, np.nan)
    stated = np.hypot(report.e_fakemag, report.e_true) / positive
    total = "√(e² + e_label²)" if report.is_measured else "e_fakemag"
    left = plot(f"stated: {total} / fakemag", "found: half-width of r", height=340)
    classes = report.compared()
    for kind, part in classes.items():
        trend = running(stated[report.kind == kind], part.r, most=7, fewest=40)
        panels.add_dotted(left, panels.log10(trend.x), panels.log10(trend.half_width), panels.colour_of(kind))
    trend = running(stated, report.r, most=12, fewest=20)
    add_line(left, panels.log10(trend.x), panels.log10(trend.half_width), "ink", line_width=3)
    ends = panels.log10((min([0.05, *trend.x]), max([0.5, *trend.x])))
    add_line(left, ends, ends, "muted", line_dash="dashed", line_width=1.4)
    add_rule(left, "warn", x=float(np.log10(UNRELIABLE)), line_dash="dotted", line_width=1.7)
    part_of_model = report.e_model_fakemag / np.where(report.e_fakemag > 0, report.e_fakemag, np.nan)
    model = running(report.relative_error, part_of_model, most=12)
    right = plot(
        "stated: e_fakemag / fakemag", "e_model_fakemag / e_fakemag", AUTOMATIC, (0, 1.02), height=340
    )
    panels.add_band(right, panels.log10(model.x), model, "accent", 0.2)
    add_line(right, panels.log10(model.x), model.median, "accent", line_width=1.9)
    for axis in (left.xaxis[0], left.yaxis[0], right.xaxis[0]):
        log_ticks(axis)
    legend = [*panels.class_legend(classes), ("ink", LINE, ALL), ("muted", DASHES, "as stated")]
    legend.append(("warn", DOTS, "flagged from here on"))
    alt = "Scatter of the distances against the stated error: right errors lie on the diagonal"
    drawn = [("stated and actual error", left), ("part from dropout", right)]
    return panels.side_by_side("reliability", alt, drawn, legend)


def flags(report: Report) -> panels.Panels:
    """What is flagged, and what a limit on the stated error keeps."""
    from bokeh.models import FixedTicker

    ranges = zip(EDGES[:-1], EDGES[1:], strict=True)
    edges = [f"{low:g}–{high:g}" if np.isfinite(high) else f"> {low:g}" for low, high in ranges]
    left = plot("|r|", "share flagged", (-0.3, len(edges) - 0.7), (-0.03, 1.03), height=310)
    middle = plot("limit on e_fakemag / fakemag", "share kept", AUTOMATIC, (-0.03, 1.03), height=310)
    right = plot("share kept", "median |r| of these", (-0.03, 1.03), (0, None), height=310)
    at = int(np.flatnonzero(LIMITS == UNRELIABLE)[0])
    classes = {kind: part for kind, part in report.compared().items() if len(part) >= _FEWEST}
    classes[ALL] = report
    for kind, part in classes.items():
        colour, width = panels.colour_of(kind), 3 if kind == ALL else 1.4
        enough = np.histogram(np.abs(part.r[np.isfinite(part.r)]), EDGES)[0] >= _FEWEST
        found = np.where(enough, flagged_by_error(part.r, part.flagged, EDGES), np.nan)
        add_line(left, range(len(edges)), found, colour, line_width=width)
        panels.add_dots(left, range(len(edges)), found, colour, 4)
        kept, medians = coverage(part.r, part.relative_error, LIMITS)
        add_line(middle, panels.log10(LIMITS), kept, colour, line_width=width)
        decided = kept * len(part) >= _FEWEST
        add_line(right, kept[decided], medians[decided], colour, line_width=width)
        if decided[at]:
            panels.add_dots(right, kept[[at]], medians[[at]], colour, 6)
    left.xaxis.ticker = FixedTicker(ticks=list(range(len(edges))))
    left.xaxis.major_label_overrides = dict(enumerate(edges))
    left.xaxis.major_label_orientation = np.pi / 4
    add_rule(middle, "warn", x=float(np.log10(UNRELIABLE)), line_dash="dotted", line_width=1.7)
    log_ticks(middle.xaxis[0])
    drawn = [("flags follow the error", left), ("a limit and what it keeps", middle)]
    drawn.append(("coverage and error", right))
    alt = "Share of flagged stars by error; share kept by a limit on the stated error; error of what is kept"
    return panels.side_by_side("flags", alt, drawn, panels.class_legend(classes))


def validity(report: Report, excesses: np.ndarray, errors: np.ndarray) -> panels.Panels:
    """How the excess scatter of the test stars lies to the table that widens errors.

    Args:
        report: With an ``excess`` for each star.
        excesses, errors: The table, shape (M,).
    """
    finite = report.excess[np.isfinite(report.excess)]
    right_end = 1.25 * max([*excesses, *np.quantile(finite, [0.999])] if len(finite) else excesses)
    label, span = "excess scatter [flux / continuum]", (0, right_end)
    counts, bins = np.histogram(finite[finite <= right_end], np.linspace(0, right_end, 61))
    upper = plot(label, "stars", span, (0, 1.05 * max(1, counts.max())), height=200)
    add_histogram(upper, Histogram(bins, counts), unit="")
    lower = plot(label, "relative error added", span, height=200)
    x = np.union1d(np.linspace(0, right_end, 400), excesses)
    add_line(lower, x, np.interp(x, excesses, errors), "ink", line_width=1.9)
    add_line(lower, span, (UNRELIABLE, UNRELIABLE), "warn", line_dash="dotted", line_width=1.7)
    drawn = [("test stars", upper), ("what the table adds, in quadrature", lower)]
    alt = "Histogram of the excess scatter of test stars, above the curve of the error that it adds"
    return panels.side_by_side("validity", alt, drawn, columns=1)
