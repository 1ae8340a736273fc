"""Figures of how wrong predictions are: against luminosity, noise, kind of star, companions and labels."""

from typing import TYPE_CHECKING

import numpy as np

from astra.modelling.training.evaluate import ALL, absolute_magnitude
from astra.modelling.training.report import panels
from astra.modelling.training.report.data import Report, bins_of, extent, name_of, running, scale, title_of
from astra.report.figures import AUTOMATIC, add_hexagons, add_line, add_rule, coloured, log_ticks, plot

if TYPE_CHECKING:
    from bokeh.plotting import figure as Figure

# Of the colours of the Kiel diagram: a larger median error looks no worse.
_LARGEST_MEDIAN = 0.3
_FEWEST_IN_CELL = 4
_KIEL_CELLS = (52, 30)  # along temperature and gravity

# Bins of labels with errors, by the prediction.
_LABEL_BINS = 12


def predicted_against_true(report: Report) -> panels.Panels:
    """Predicted against true absolute magnitude, a panel for each class, with the line of equality."""
    classes, drawn = report.by_kind(), []
    predicted = absolute_magnitude(report.fakemag)
    true = absolute_magnitude(report.true)
    for kind in classes:
        rows = report.kind == kind
        ends = panels.reach(np.concatenate([predicted[rows], true[rows]]))
        axes = plot("true M_Ks [mag]", "predicted M_Ks [mag]", ends[::-1], ends[::-1], height=300)
        shown = rows & np.isfinite(predicted) & np.isfinite(true)
        panels.add_points(axes, true[shown], predicted[shown], report.flagged[shown])
        if None not in ends:
            add_line(axes, ends, ends, "ink", line_width=1.4)
        drawn.append((title_of(kind, int(shown.sum())), axes))
    alt = f"Predicted against true absolute magnitude: {', '.join(map(name_of, classes))}"
    legend = [*panels.RESIDUALS[:2], ("ink", panels.LINE, "predicted = true")]
    return panels.side_by_side("predicted", alt, drawn, legend)


def errors_by_luminosity(report: Report) -> panels.Panels:
    """r of each class against the absolute magnitude."""
    classes = report.by_kind()
    limit = extent(report.r, 0.99, 0.3, 1.5)
    label = f"{'predicted' if report.is_measured else 'true'} M_Ks [mag]"
    drawn = [
        (title_of(kind, len(part)), panels.residuals(label, part.abs_ks, part, limit))
        for kind, part in classes.items()
    ]
    names = ", ".join(map(name_of, classes))
    alt = f"Relative error of the distance against absolute magnitude, one panel for each class: {names}"
    return panels.side_by_side("luminosity", alt, drawn, panels.RESIDUALS)


def errors_by_snr(report: Report) -> panels.Panels:
    """r of all stars against S/N, and how its scatter falls with it, class by class."""
    limit, span = extent(report.r, 0.99, 0.3, 1.5), panels.reach(panels.log10(report.snr))
    left = panels.residuals("S/N per pixel", report.snr, report, limit, x_range=span, log=True, height=320)
    right = plot("S/N per pixel", "half-width of r (16–84 %)", span, (0, None), height=320)
    classes = report.compared()
    for kind, part in classes.items():
        trend = running(part.snr, part.r, most=8, fewest=30)
        panels.add_dotted(right, panels.log10(trend.x), trend.half_width, panels.colour_of(kind))
    trend = running(report.snr, report.r, most=10)
    add_line(right, panels.log10(trend.x), trend.half_width, "ink", line_width=3)
    log_ticks(right.xaxis[0])
    legend = [*panels.RESIDUALS, *panels.class_legend(classes), ("ink", panels.LINE, ALL)]
    alt = "Relative error of the distance against the signal-to-noise ratio, and its scatter by class"
    return panels.side_by_side("snr", alt, [("all stars", left), ("scatter", right)], legend)


def kiel(report: Report) -> panels.Panels | None:
    """Gravity against temperature, coloured by the median of r; ``None`` where they are not known."""
    if report.teff is None or report.logg is None:
        return None
    part = report.take(np.isfinite(report.teff) & np.isfinite(report.logg) & np.isfinite(report.r))
    if not len(part):
        return None
    x, y = np.log10(part.teff), part.logg
    drawn = plot(
        "Teff [K]", "log g [dex]", (x.max() + 0.01, x.min() - 0.01), panels.reach(y)[::-1], height=470
    )
    fewest = _FEWEST_IN_CELL if len(part) > 500 else 1
    add_hexagons(drawn, x, y, part.r, _KIEL_CELLS, fewest, _LARGEST_MEDIAN, f"median of {panels.R}")
    log_ticks(drawn.xaxis[0], factors=(1, 1.2, 2, 3.5, 4, 5, 6, 8))
    alt = "Kiel diagram: gravity against temperature, each cell coloured by the median relative error"
    return panels.side_by_side("kiel", alt, [("", drawn)])


def companions(binaries: Report) -> panels.Panels:
    """r of stars with an unresolved companion against its share of the light."""
    limit = extent(binaries.r, 0.99, 0.4, 1.5)
    label = "Ks flux of the companion / of the star"
    drawn = panels.residuals(label, binaries.flux_ratio, binaries, limit, x_range=(-0.02, 1.02), height=320)
    ratio = np.linspace(0, 1, 60)
    add_line(drawn, ratio, (1 + ratio) ** -0.5 - 1, "accent", line_dash="dashed", line_width=1.9)
    legend = [*panels.RESIDUALS, ("accent", panels.DASHES, "if the companion went unnoticed")]
    alt = "Relative error of the distance of binaries against the flux ratio of their stars"
    return panels.side_by_side("binaries", alt, [("", drawn)], legend)


def labels(report: Report) -> panels.Panels:
    """Labels with errors against predictions, in linear space, where these errors are normal."""
    y, p = report.true, report.fakemag
    drawn = []
    for level, title in ((0.99, "each star"), (0.5, "the more luminous half")):
        top = 1.02 * extent(p, level, 1e-3, np.inf)
        low = float(np.quantile(y[p < top], 0.01)) if (p < top).any() else 0.0
        y_range = (min(-0.15 * top, low), 1.3 * top)
        axes = plot("prediction p [mas]", "label y [mas]", (0, top), y_range, height=310)
        shown = (p >= 0) & (p <= top)  # what lies outside would only make the page larger
        panels.add_points(axes, p[shown], y[shown], report.flagged[shown])
        add_line(axes, (0, top), (0, top), "ink", line_width=1.4)
        add_rule(axes, "muted", y=0)
        drawn.append((title, axes))
    drawn.append(("scale in bins of p", _label_scales(report)))
    alt = "Labels from parallaxes, negative ones included, against predictions, with the line of equality"
    return panels.side_by_side("labels", alt, drawn, [*panels.RESIDUALS[:2], ("ink", panels.LINE, "y = p")])


def _label_scales(report: Report) -> "Figure":
    """The factor between labels and predictions in bins of these."""
    positive = np.where(report.fakemag > 0, report.fakemag, np.nan)
    parts = bins_of(positive, most=_LABEL_BINS)
    x = panels.log10([np.median(report.fakemag[part]) for part in parts])
    factors, errors = np.reshape([scale(report.take(part)) for part in parts], (-1, 2)).T
    y_range = AUTOMATIC
    if len(parts):
        far = extent(np.abs(factors - 1) + errors, 1.0, 0.1, 2.0)
        y_range = (1 - 1.1 * far, 1 + 1.1 * far)
    drawn = plot("prediction p [mas]", "mean of labels / predictions", AUTOMATIC, y_range, height=310)
    add_rule(drawn, "ink", y=1)
    coloured(drawn.segment(x, factors - errors, x, factors + errors, line_width=1.4).glyph, line="accent")
    panels.add_dots(drawn, x, factors, "accent", 5)
    log_ticks(drawn.xaxis[0])
    return drawn
