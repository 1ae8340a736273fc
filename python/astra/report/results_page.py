"""The page of all results: its head, its sections in order, and those on flags and outliers."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from astra.config import Settings
from astra.models import AstroNNdist, Distance
from astra.models.apogee import ApogeeSpectrum
from astra.models.fields import flags_of
from astra.pipelines.astronn_dist import astronn_dist
from astra.report import population, uncertainties
from astra.report.agreement import ALL, FEW, WORST
from astra.report.bailer_jones import bailer_jones
from astra.report.contents import Contents
from astra.report.losses import losses
from astra.report.page import RESULTS, Section, macros, page, share
from astra.report.result_arrays import Rows
from astra.report.star_details import Detail, Drawing, read_details
from astra.report.star_page import NUMBERS_REMAIN, draw_spectrum, flags_of_detail, weights
from astra.report.star_table import address, star_table
from astra.report.task_page import own_sections

#: Pixels in one point of the spectra, of which the page shows many.
_EVERY = 4

#: Of the view ``distances``: what the bits of a result add up to.
_SUMS = ("flag_warn", "flag_bad")


def results_page(contents: Contents, settings: Settings, *, has_pages: bool = False) -> str:
    """The HTML document.

    Args:
        contents: Of the page.
        settings: Where weights and spectra are.
        has_pages: Whether each star has a page of its own beside this one.
    """
    details = read_details([int(contents.rows["spectrum_pk"][index]) for index in contents.outliers])
    sections = list(_sections(contents, details)) if len(contents.rows) else []
    return page(
        "astra: distances",
        _head(contents),
        sections,
        dialogs=_dialogs(contents, details, Drawing(settings), has_pages),
        stars=star_table(contents, has_pages=has_pages),
        without_script=NUMBERS_REMAIN,
    )


def _sections(contents: Contents, details: list[Detail]) -> Iterator[Section]:
    has_all = len(contents.rows) <= FEW
    outliers = Section("outliers", "The spectra" if has_all else "Outliers", _outliers(contents, details))
    if has_all:
        yield outliers
    yield Section("luminosity", "Luminosity and colour", population.luminosity(contents))
    yield Section("distances", "Distances", population.distances(contents))
    yield Section("errors", "Stated errors", uncertainties.stated(contents))
    yield Section("gaia", "Against Gaia parallaxes", uncertainties.gaia(contents))
    yield Section("bailer-jones", "Beside Bailer-Jones et al.", bailer_jones(contents))
    yield Section("galaxy", "In the Galaxy", population.galaxy(contents))
    on_sky = population.sky(contents.rows["l"], contents.rows["b"], contents.pointed)
    yield Section("sky", "On the sky", on_sky)
    yield Section("repeats", "Spectra of the same star", uncertainties.repeats(contents))
    yield Section("losses", "What good and clean leave out", losses(contents))
    yield Section("flags", "Flags and reasons", _flags(contents))
    if not has_all:
        yield outliers
    yield weights(contents)
    yield from own_sections(astronn_dist, contents)


def _head(contents: Contents) -> str:
    """Database, weights, and the numbers that matter most."""
    rows = contents.rows

    def count(name: str) -> str:
        return f"{rows[name].sum():,} ({share(rows[name].mean())})" if len(rows) else "0"

    entries = {
        "spectra with a result row": f"{len(rows):,}",
        "stars": f"{contents.stars:,}",
        "good": count("good"),
        "clean": count("clean"),
        "look twice (flag_warn)": count("flag_warn"),
        "discard (flag_bad)": count("flag_bad"),
    }
    return macros(RESULTS).head(contents, entries)


def _flags(contents: Contents) -> str:
    """Every flag with its meaning; a click shows the listed stars that have it."""
    rows = contents.rows
    of_results = contents.flags(AstroNNdist, "result_flags")
    of_results += [(name, getattr(Distance, name).help_text, int(rows[name].sum())) for name in _SUMS]
    of_spectra = contents.flags(ApogeeSpectrum, "spectrum_flags")
    entries = of_results, [entry for entry in of_spectra if entry[2]], len(rows)
    return macros(RESULTS).flags(*entries) + _reasons(rows)


def _reasons(rows: Rows) -> str:
    """Why good distances are not clean, and of how many that is not known."""
    good = rows["not_clean"][rows["good"]]
    looked_at = np.nan_to_num(good).astype(np.int64)
    entries = [
        (flag.help_text, int(np.count_nonzero(looked_at & flag.value)))
        for flag in flags_of(AstroNNdist, "not_clean").values()
    ]
    counts = {
        "good": len(good),
        "clean": int(rows["clean"].sum()),
        "unknown": int(np.isnan(good).sum()),
        "gaia": int((rows["clean"] & rows["gaia_checked"]).sum()),
    }
    return macros(RESULTS).reasons([entry for entry in entries if entry[1]], counts)


def _outliers(contents: Contents, details: list[Detail]) -> str:
    """The table of outliers, each of which opens its star, and why spectra gave no result."""
    rows = [_row(contents, *each) for each in zip(contents.outliers.values(), details, strict=True)]
    reasons = [(reason, f"{count:,}") for reason, count in contents.reasons.items()]
    return macros(RESULTS).outliers(rows, WORST, reasons, len(contents.rows) <= FEW)


def _row(contents: Contents, why: str, detail: Detail) -> dict[str, Any]:
    result, found = detail.result, flags_of_detail(detail)
    summary = detail.summary
    reason = result.no_result_reason if result.flag_no_result else None
    if why == ALL:
        why = "clean" if summary.clean else "good, not clean" if summary.good else "not good"
    return {
        "key": result.task_pk,
        "name": detail.name,
        "why": f"{why}: {reason}" if reason else why,
        "marks": [*found, *(name for name in _SUMS if getattr(result, name))],
        "flags": ", ".join(name.removeprefix("flag_") for name in found) or "–",
        "snr": summary.snr,
        "m_ks": summary.m_ks_abs,
        "plx": summary.plx,
        # Without Ks the row has the distance for Ks = 0, which means nothing.
        "dist": np.nan if result.flag_missing_photometry else result.dist,
        "relative": result.e_dist / result.dist if result.dist > 0 else np.nan,
        "pull": contents.pull_of(summary.spectrum_pk),
    }


def _dialogs(
    contents: Contents, details: list[Detail], drawing: Drawing, has_pages: bool
) -> Iterator[tuple[str, str, str]]:
    for detail in details:
        key, pull = str(detail.result.task_pk), contents.pull_of(detail.summary.spectrum_pk)
        has_page = has_pages and (detail.summary.sdss4_apogee_id or detail.summary.sdss_id)
        link = macros(RESULTS).page_link(address(detail.name)) if has_page else ""
        yield key, detail.name, link + draw_spectrum(detail, pull, f"star-{key}", drawing, _EVERY)
