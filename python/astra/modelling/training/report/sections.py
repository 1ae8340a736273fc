"""What the report of a training says: its head, and each of its sections."""

import shlex
from collections.abc import Iterator

import numpy as np

from astra.modelling.training.evaluate import LEAST_SNR
from astra.modelling.training.report import errors, tables, trust
from astra.modelling.training.report.data import PRECISE, Report
from astra.pipelines.astronn_dist.distances.distance import UNRELIABLE
from astra.pipelines.astronn_dist.weights.validity import COLUMNS, TABLE
from astra.report.pages.markup import (
    Section,
    details,
    escape,
    figure,
    paragraph,
    share,
)

#: Of fewer test stars than these, errors cannot be compared with what is stated of them.
_FEWEST = 40


def head(report: Report) -> str:
    """Name, checksum, range of validity, and the numbers that matter most, as HTML."""
    stated = {name: escape(report.details.get(name) or "") for name in ("version", "description", "range")}
    version = f", made by astra {stated['version']}" if stated["version"] else ""
    lines = [
        '<p class="kicker">Training report</p>',
        f"<h1>{escape(report.name)}</h1>",
        f'<p class="kicker">sha256 <code>{escape(report.sha256)}</code>{version}</p>',
    ]
    if stated["description"]:
        lines.append(paragraph(stated["description"]))
    if stated["range"]:
        lines.append(paragraph(f"<strong>Good for:</strong> {stated['range']}"))
    return "\n".join((*lines, tables.headline(report.single)))


def sections(report: Report) -> Iterator[Section]:
    """All sections; those that this training has nothing for are empty."""
    single = report.single
    # Where labels have errors, only the precise ones show the errors of the predictions.
    shown = single.precise
    yield Section("worth", "What it is worth", _worth(report))
    yield Section("training", "How the training went", _training(report))
    yield Section("labels", "Labels and predictions", _labels(single))
    yield Section("luminosity", "Errors of the distance by luminosity", _luminosity(shown))
    yield Section("noise", "Errors of the distance by signal-to-noise ratio", _noise(shown))
    yield Section("pulls", "Pulls", _pulls(single))
    yield Section("reliability", "Stated and actual errors", _reliability(single))
    yield Section("flags", "What the flag is worth", _flags(shown))
    yield Section("kiel", "Where in the Kiel diagram", _kiel(shown))
    yield Section("binaries", "Binaries", _binaries(report))
    yield Section("validity", "Spectra unlike those of the training", _validity(single))
    yield Section("made", "How it was made", _made(report))
    yield Section("use", "How to use it", _use(report))


# > What each section says


def _worth(report: Report) -> str:
    what = (
        "r = d / d<sub>true</sub> − 1 is the relative error of a distance, as far as the luminosity decides "
        "it: r = fakemag<sub>true</sub> / fakemag − 1. A pull is the error of the predicted fakemag divided "
        "by the stated one. The half-width is half the range of the middle 68 %, which is the standard "
        "deviation of a normal distribution; that of the pulls is 1 if the stated errors are right."
    )
    if report.is_measured:
        what += (
            " The labels are from parallaxes, with errors of their own: these are part of r, and the pulls "
            "are the differences divided by √(e_fakemag² + e_label²)."
        )
    caption = "Test stars by class; none of them, nor another spectrum of theirs, was learnt from."
    if report.binaries is not None:
        caption += " Stars with an unresolved companion have a section of their own."
    worth = paragraph(what) + tables.by_class(report.single, caption)
    bright = report.single.take(report.single.snr >= LEAST_SNR)
    if report.is_measured or len(bright) in (0, len(report.single)):
        return worth
    return worth + tables.by_class(
        bright, f"Those with S/N of at least {LEAST_SNR:g}: the figures that the file states."
    )


def _training(report: Report) -> str:
    if not report.history:
        return ""
    caption = (
        f"Epoch {report.best_epoch} of {len(report.history)} has the best validation, and is the result. The "
        "training loss is that of weights still changing, and may weigh the stars in another way in the "
        "first epochs; the validation is that of averaged weights, so the two need not meet."
    )
    return figure(trust.loss_curves(report), caption)


def _labels(single: Report) -> str:
    if not (single.is_measured and np.isfinite(single.fakemag).any()):
        return ""
    caption = (
        "A label is y = parallax × 10<sup>0.2 Ks₀</sup>. Those that noise made negative are shown, and were "
        "learnt from: without them, the mean of the others would be too large. Some lie outside of the "
        "plots. Right: the factor between labels and predictions, Σ(p y / v) / Σ(p² / v) with v = e_fakemag² "
        "+ e_label², in bins of the prediction with as many stars each; right predictions have 1."
    )
    return figure(errors.labels(single), caption)


def _luminosity(shown: Report) -> str:
    if not np.isfinite(shown.r).any():
        return paragraph("There is no prediction, or no label precise enough to show its error.")
    caption = "Points beyond the ends of the axis lie at its edge; the lines are the median and 16 to 84 %."
    if shown.is_measured:
        caption += f" Only stars whose label has an error below {PRECISE:g} times the prediction are shown."
    return figure(errors.errors_by_luminosity(shown), caption)


def _noise(shown: Report) -> str:
    if not np.isfinite(shown.r).any():
        return ""
    caption = "Left as above, for all stars; right, half the range of the middle 68 % in bins of S/N."
    return figure(errors.errors_by_snr(shown), caption) + tables.by_snr(shown)


def _pulls(single: Report) -> str:
    if not np.isfinite(single.pull).any():
        return ""
    caption = (
        "The line is the normal distribution of unit width, which right errors have. A histogram narrower "
        "than it: errors stated too large; wider: too small; shifted: a bias. Pulls beyond 5 are in the last "
        "bars."
    )
    return figure(trust.pull_histograms(single), caption)


def _reliability(single: Report) -> str:
    if np.isfinite(single.r).sum() < _FEWEST:
        return ""
    caption = (
        "Left: the scatter of the distances of stars with about the same stated error; right errors lie on "
        "the dashed line, errors stated too small above it. Right: the part of the stated error that comes "
        "from dropout, e_model_fakemag: median and 16 to 84 %."
    )
    return figure(trust.reliability(single), caption)


def _flags(shown: Report) -> str:
    if np.isfinite(shown.r).sum() < _FEWEST:
        return ""
    caption = (
        f"A result is flagged where e_fakemag / fakemag is {UNRELIABLE:g} or more. Left: stars with larger "
        "errors are flagged more often if the flag is honest. Middle and right: what another limit would "
        "keep, and the median error of what it keeps; the dot is the flag's own limit."
    )
    return figure(trust.flags(shown), caption)


def _kiel(shown: Report) -> str:
    svg = errors.kiel(shown)
    caption = (
        "Blue: put too near; red: too far. Each cell is the median of its stars, cells with few are empty."
    )
    return figure(svg, caption) if svg else ""


def _binaries(report: Report) -> str:
    if report.binaries is None or not np.isfinite(report.binaries.r).any():
        return ""
    caption = (
        "Two stars give more light than one: a network that takes them for one star puts them too near, by "
        "up to 29 % where they are equal (dashed). Lines that are apart in the spectrum may give them away; "
        "in twins whose lines coincide nothing does."
    )
    parts = (
        figure(errors.companions(report.binaries), caption),
        tables.by_flux_ratio(report.binaries),
        tables.by_class(report.binaries, "By the class of the brighter star."),
    )
    return "\n".join(parts)


def _validity(single: Report) -> str:
    found = single.details.get(TABLE)
    if not found:
        return ""
    excesses, added_errors = (np.array(found[name], float) for name in COLUMNS)
    text = paragraph(
        "The excess is the scatter of a spectrum about the best combination of the training's main "
        "directions of variation, beyond its noise. What no star of the training resembles gets the error of "
        "the table on top of the network's own, in quadrature; this acts for this model alone, and is kept "
        "in its file."
    )
    if single.excess is not None and len(single):
        added = np.interp(np.nan_to_num(single.excess, nan=np.inf), excesses, added_errors)
        caption = (
            "Above: the test stars, which are like those of the training. Of them "
            f"{share(float((added > 0).mean()))} get a wider error at all, and "
            f"{share(float((added >= UNRELIABLE).mean()))} one that flags them by itself (dotted)."
        )
        text += figure(trust.validity(single, excesses, added_errors), caption)
    return text + tables.widening(excesses, added_errors)


def _made(report: Report) -> str:
    text = "As it is kept in the file of weights; <code>astra models show</code> prints it."
    return paragraph(text) + details(report.details)


def _use(report: Report) -> str:
    file, name = (escape(shlex.quote(text)) for text in (f"./{report.name}.safetensors", report.name))
    return (
        f"<pre>astra run astronn_dist --weights {file}\n\n"
        f"astra models import {file} --name {name}   # to call it by its name from anywhere\n"
        f"astra models show {name}\n"
        f"astra run astronn_dist --weights {name}</pre>"
        + paragraph(
            "Where there are results of other weights, <code>astra run</code> asks for "
            "<code>--overwrite</code> or <code>--allow-mixed</code>. For science, take the rows that are "
            "<code>good</code> in the view <code>distances</code>: those without <code>flag_bad</code>, "
            "whose spectrum has no serious fault."
        )
    )
