"""What the report of a training shows, section by section; the words are in ``training.html``."""

import shlex
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from astra.modelling.training.evaluate import LEAST_SNR
from astra.modelling.training.report import errors, trust
from astra.modelling.training.report.data import PRECISE, Report
from astra.modelling.training.report.tables import by_class, by_flux_ratio, by_snr, details, headline
from astra.pipelines.astronn_dist.distances.distance import UNRELIABLE
from astra.pipelines.astronn_dist.weights.validity import COLUMNS, TABLE
from astra.report.page import Section, macros, number

if TYPE_CHECKING:
    from jinja2.environment import TemplateModule

#: Of fewer test stars than these, errors cannot be compared with what is stated of them.
_FEWEST = 40


def head(report: Report) -> str:
    """Name, checksum, range of validity, and the numbers that matter most, as HTML."""
    stated = {name: report.details.get(name) for name in ("version", "description", "range")}
    return _html().head(report.name, report.sha256, stated, headline(report.single))


def sections(report: Report) -> Iterator[Section]:
    """All sections; those that this training has nothing for are empty."""
    html, single, pairs = _html(), report.single, report.binaries
    # Where labels have errors, only the precise ones show the errors of the predictions.
    shown = single.precise
    known = np.isfinite(shown.r)
    yield Section("worth", "What it is worth", _worth(report))
    drawn = report.history and trust.loss_curves(report)
    words = _shown(html.training, drawn, report.best_epoch, len(report.history))
    yield Section("training", "How the training went", words)
    drawn = single.is_measured and np.isfinite(single.fakemag).any() and errors.labels(single)
    yield Section("labels", "Labels and predictions", _shown(html.labels, drawn))
    drawn = errors.errors_by_luminosity(shown) if known.any() else None
    words = html.luminosity(drawn, shown.is_measured, f"{PRECISE:g}")
    yield Section("luminosity", "Errors of the distance by luminosity", words)
    drawn = known.any() and errors.errors_by_snr(shown)
    words = _shown(html.noise, drawn, by_snr(shown))
    yield Section("noise", "Errors of the distance by signal-to-noise ratio", words)
    drawn = np.isfinite(single.pull).any() and trust.pull_histograms(single)
    yield Section("pulls", "Pulls", _shown(html.pulls, drawn))
    drawn = np.isfinite(single.r).sum() >= _FEWEST and trust.reliability(single)
    yield Section("reliability", "Stated and actual errors", _shown(html.reliability, drawn))
    drawn = known.sum() >= _FEWEST and trust.flags(shown)
    yield Section("flags", "What the flag is worth", _shown(html.flags, drawn, f"{UNRELIABLE:g}"))
    yield Section("kiel", "Where in the Kiel diagram", _shown(html.kiel, errors.kiel(shown)))
    words = ""
    if pairs is not None and np.isfinite(pairs.r).any():
        words = html.binaries(errors.companions(pairs), by_flux_ratio(pairs), by_class(pairs))
    yield Section("binaries", "Binaries", words)
    yield Section("validity", "Spectra unlike those of the training", _validity(single))
    yield Section("made", "How it was made", html.made(*details(report.details)))
    words = html.use(shlex.quote(f"./{report.name}.safetensors"), shlex.quote(report.name))
    yield Section("use", "How to use it", words)


def _shown(macro: Callable[..., str], drawn: Any, *words: Any) -> str:
    """A figure with its words; nothing where there is no figure."""
    return macro(drawn, *words) if drawn else ""


def _html() -> "TemplateModule":
    return macros("astra.modelling.training.report/training.html")


def _worth(report: Report) -> str:
    single = report.single
    bright = single.take(single.snr >= LEAST_SNR)
    differ = not report.is_measured and 0 < len(bright) < len(single)
    return _html().worth(report, by_class(single), by_class(bright) if differ else (), f"{LEAST_SNR:g}")


def _validity(single: Report) -> str:
    found = single.details.get(TABLE)
    if not found:
        return ""
    excesses, added_errors = (np.array(found[name], float) for name in COLUMNS)
    rows = [(number(x, ".4g"), number(y, ".3g")) for x, y in zip(excesses, added_errors, strict=True)]
    if single.excess is None or not len(single):
        return _html().validity(None, None, None, rows)
    added = np.interp(np.nan_to_num(single.excess, nan=np.inf), excesses, added_errors)
    drawn = trust.validity(single, excesses, added_errors)
    return _html().validity(drawn, (added > 0).mean(), (added >= UNRELIABLE).mean(), rows)
