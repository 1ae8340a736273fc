"""The report of a training, section by section, and its file; the words are in ``training.html``."""

import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from astra.modelling.training.evaluate import LEAST_SNR
from astra.modelling.training.report import accuracy, tables, trust
from astra.modelling.training.report.data import PRECISE, Report
from astra.pipelines.astronn_dist.distances.distance import UNRELIABLE
from astra.pipelines.astronn_dist.weights.validity import COLUMNS, TABLE
from astra.report.page import Section, macros, number, page
from astra.system.atomic import output_file
from astra.system.extras import require

_TEMPLATE = "astra.modelling.training.report/training.html"

#: With fewer test stars, errors cannot be compared with stated ones.
_FEWEST = 40


def check_available() -> None:
    """Refuse a training whose report could not be drawn, before it begins.

    Raises:
        ConfigError: Bokeh is missing.
    """
    require("bokeh", "the report of a training", "train")


def report_path(weights: Path) -> Path:
    """The path of the report of a file of weights, beside it."""
    return weights.with_suffix(".report.html")


def write_report(path: Path, report: Report) -> None:
    """Write the report, complete or not at all.

    Raises:
        ConfigError: Bokeh is missing.
        UsageError: A folder is in its place.
        StorageError: The file cannot be written.
    """
    check_available()
    stated = {name: report.details.get(name) for name in ("version", "description", "range")}
    head = macros(_TEMPLATE).head(report.name, report.sha256, stated, tables.headline(report.single))
    text = page(f"{report.name}: training report", head, _sections(report))
    with output_file(path, overwrite=True) as stream:
        stream.write(text.encode())


def _sections(report: Report) -> Iterator[Section]:
    """All sections; those that this training has nothing for are empty."""
    html, single, pairs = macros(_TEMPLATE), report.single, report.binaries

    def figure(anchor: str, title: str, drawn: Any, words: Callable[..., str], *numbers: Any) -> Section:
        return Section(anchor, title, html.figure(drawn, words(*numbers)) if drawn else "")

    # Where labels have errors, only the precise ones show the errors of the predictions.
    shown = single.precise
    known = np.isfinite(shown.r)
    yield Section("worth", "What it is worth", _worth(report))
    drawn, epochs = report.history and trust.loss_curves(report), len(report.history)
    yield figure("training", "How the training went", drawn, html.training, report.best_epoch, epochs)
    drawn = single.is_measured and np.isfinite(single.fakemag).any() and accuracy.labels(single)
    yield figure("labels", "Labels and predictions", drawn, html.labels)
    drawn = not single.is_measured and known.any() and accuracy.predicted_against_true(single)
    yield figure("predicted", "Predicted against true", drawn, html.predicted)
    drawn = known.any() and accuracy.errors_by_luminosity(shown)
    words = html.luminosity(drawn, shown.is_measured, f"{PRECISE:g}")
    yield Section("luminosity", "Errors of the distance by luminosity", words)
    drawn = known.any() and accuracy.errors_by_snr(shown)
    words = html.noise(drawn, tables.by_range(shown, "S/N", shown.snr, tables.SNR_EDGES)) if drawn else ""
    yield Section("noise", "Errors of the distance by signal-to-noise ratio", words)
    drawn = np.isfinite(single.pull).any() and trust.pull_histograms(single)
    yield figure("pulls", "Pulls", drawn, html.pulls, f"{trust.PULLS[-1]:g}")
    drawn = np.isfinite(single.r).sum() >= _FEWEST and trust.reliability(single)
    yield figure("reliability", "Stated and actual errors", drawn, html.reliability)
    drawn = known.sum() >= _FEWEST and trust.flags(shown)
    yield figure("flags", "What the flag is worth", drawn, html.flags, f"{UNRELIABLE:g}")
    yield figure("kiel", "Where in the Kiel diagram", accuracy.kiel(shown), html.kiel)
    words = ""
    if pairs is not None and np.isfinite(pairs.r).any():
        by_flux_ratio = tables.by_range(pairs, "flux ratio", pairs.flux_ratio, tables.FLUX_RATIO_EDGES)
        words = html.binaries(accuracy.companions(pairs), by_flux_ratio, tables.by_class(pairs))
    yield Section("binaries", "Binaries", words)
    yield Section("validity", "Spectra unlike those of the training", _validity(single))
    yield Section("made", "How it was made", html.made(*tables.details(report.details)))
    words = html.use(shlex.quote(f"./{report.name}.safetensors"), shlex.quote(report.name))
    yield Section("use", "How to use it", words)


def _worth(report: Report) -> str:
    single = report.single
    bright = single.take(single.snr >= LEAST_SNR)
    differ = not report.is_measured and 0 < len(bright) < len(single)
    by_class = tables.by_class(single), tables.by_class(bright) if differ else None
    return macros(_TEMPLATE).worth(report, *by_class, f"{LEAST_SNR:g}")


def _validity(single: Report) -> str:
    html, found = macros(_TEMPLATE), single.details.get(TABLE)
    if not found:
        return ""
    excesses, added_errors = (np.array(found[name], float) for name in COLUMNS)
    rows = [(number(x, ".4g"), number(y, ".3g")) for x, y in zip(excesses, added_errors, strict=True)]
    if single.excess is None or not len(single):
        return html.validity(None, None, None, rows)
    added = np.interp(np.nan_to_num(single.excess, nan=np.inf), excesses, added_errors)
    drawn = trust.validity(single, excesses, added_errors)
    return html.validity(drawn, (added > 0).mean(), (added >= UNRELIABLE).mean(), rows)
