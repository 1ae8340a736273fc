"""What the report of a training shows, section by section; the words are in ``training.html``."""

import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING

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
    yield Section("made", "How it was made", _html().made(*details(report.details)))
    yield Section("use", "How to use it", _use(report))


def _html() -> "TemplateModule":
    return macros("astra.modelling.training.report/training.html")


def _worth(report: Report) -> str:
    single = report.single
    bright = single.take(single.snr >= LEAST_SNR)
    differ = not report.is_measured and 0 < len(bright) < len(single)
    return _html().worth(report, by_class(single), by_class(bright) if differ else (), f"{LEAST_SNR:g}")


def _training(report: Report) -> str:
    if not report.history:
        return ""
    return _html().training(trust.loss_curves(report), report.best_epoch, len(report.history))


def _labels(single: Report) -> str:
    if not (single.is_measured and np.isfinite(single.fakemag).any()):
        return ""
    return _html().labels(errors.labels(single))


def _luminosity(shown: Report) -> str:
    drawn = errors.errors_by_luminosity(shown) if np.isfinite(shown.r).any() else None
    return _html().luminosity(drawn, shown.is_measured, f"{PRECISE:g}")


def _noise(shown: Report) -> str:
    if not np.isfinite(shown.r).any():
        return ""
    return _html().noise(errors.errors_by_snr(shown), by_snr(shown))


def _pulls(single: Report) -> str:
    return _html().pulls(trust.pull_histograms(single)) if np.isfinite(single.pull).any() else ""


def _reliability(single: Report) -> str:
    return _html().reliability(trust.reliability(single)) if np.isfinite(single.r).sum() >= _FEWEST else ""


def _flags(shown: Report) -> str:
    enough = np.isfinite(shown.r).sum() >= _FEWEST
    return _html().flags(trust.flags(shown), f"{UNRELIABLE:g}") if enough else ""


def _kiel(shown: Report) -> str:
    drawn = errors.kiel(shown)
    return _html().kiel(drawn) if drawn else ""


def _binaries(report: Report) -> str:
    found = report.binaries
    if found is None or not np.isfinite(found.r).any():
        return ""
    return _html().binaries(errors.companions(found), by_flux_ratio(found), by_class(found))


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


def _use(report: Report) -> str:
    return _html().use(shlex.quote(f"./{report.name}.safetensors"), shlex.quote(report.name))
