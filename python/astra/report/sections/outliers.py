"""The table of outliers, each of which opens its star."""

import numpy as np

from astra.report.contents import Contents
from astra.report.outliers import NO_RESULT, PULL, WORST, Outlier
from astra.report.pages.markup import (
    Section,
    escape,
    number,
    paragraph,
    table,
)
from astra.report.sections.star import flags_set
from astra.report.stars import Detail

_HEADS = ("star", "why it is here", "S/N", "distance [pc]", "relative error", "pull", "flags")
_WORDS = ("why it is here", "flags")


def section(contents: Contents, details: list[Detail]) -> Section:
    """The table, and why spectra gave no result.

    Args:
        contents: Of the report.
        details: What the database has of the outliers, in their order.
    """
    if not details:
        return Section("outliers", "Outliers", paragraph("There is nothing to show."))
    text = paragraph(
        f"The {WORST} good stars farthest from their parallax of Gaia, the {WORST} most uncertain of the "
        f"good, {WORST} without a result, and some with each flag. A star opens with its spectrum, its draws "
        "and all of its columns; Escape closes it."
    )
    rows = "".join(
        _row(contents, outlier, detail) for outlier, detail in zip(contents.outliers, details, strict=True)
    )
    heads = "".join(
        f'<th scope="col"{" class=words" if name in _WORDS else ""}>{name}</th>' for name in _HEADS
    )
    found = (
        f'<p class="shown"><span role="status" id="shown">All {len(details)} listed stars are shown.</span> '
        '<button type="button" id="all" hidden>Show all</button></p>'
        '<div class="scroll" tabindex="0" role="group" aria-label="Outliers">'
        '<table class="numbers wide outliers">'
        f"<caption>Outliers</caption><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
    )
    return Section("outliers", "Outliers", text + found + _no_result(contents))


def _row(contents: Contents, outlier: Outlier, detail: Detail) -> str:
    flags = flags_set(detail)
    marks = [*flags]
    marks += [name for name in ("flag_warn", "flag_bad") if getattr(detail.result, name)]
    result = detail.result
    dist = np.nan if result.flag_missing_photometry else result.dist  # that of Ks = 0 is none
    relative = result.e_dist / result.dist if result.dist > 0 else np.nan
    why = outlier.why
    if outlier.why == NO_RESULT and result.no_result_reason:
        why = f"{why}: {result.no_result_reason}"
    pull = outlier.pull if outlier.why == PULL else pull_of(contents, detail)
    shown = ", ".join(name.removeprefix("flag_") for name in flags) or "–"
    return (
        f'<tr data-flags="{" ".join(marks)}"><th scope="row"><button type="button" class="star" '
        f'data-star="{detail.result.task_pk}" aria-haspopup="dialog">{escape(detail.name)}</button></th>'
        f'<td class="words">{escape(why)}</td><td>{number(detail.summary.snr, ".0f")}</td>'
        f"<td>{number(dist, ',.0f')}</td><td>{number(100 * relative, '.1f')} %</td>"
        f'<td>{number(pull, "+.1f")}</td><td class="words">{escape(shown)}</td></tr>'
    ).replace("– %", "–")


def pull_of(contents: Contents, detail: Detail) -> float:
    """The pull of a row against Gaia; NaN where it is not compared."""
    compared = contents.parallaxes
    same = contents.rows["spectrum_pk"][compared.index] == detail.summary.spectrum_pk
    return float(compared.pull[same][0]) if same.any() else np.nan


def _no_result(contents: Contents) -> str:
    found = [(reason, f"{count:,}") for reason, count in contents.reasons.items()]
    caption = "Why spectra gave no result; the most common reasons"
    return table(caption, ("reason", "spectra"), found) if found else ""
