"""One star: its spectrum, its draws, its flags in words, and all that the database has of it."""

from typing import TYPE_CHECKING, Any

import numpy as np

from astra.models import ApogeeCoaddedSpectrumInApStar, AstroNNdist
from astra.models.base import BaseModel
from astra.models.fields import flags_of
from astra.report.binning import histogram, steps
from astra.report.draws import SAME, Drawing, Draws
from astra.report.figures import Figures, add_histogram, add_line, plot
from astra.report.pages.markup import (
    escape,
    facts,
    number,
    paragraph,
)
from astra.report.spectra import Pixels, drawn_line, read_pixels
from astra.report.stars import Detail

if TYPE_CHECKING:
    from bokeh.plotting import figure as Figure

_BINS = 20
_SAME = f"{SAME:.0e}".replace("e-0", "e-")


def star(detail: Detail, pull: float, key: str, figures: Figures, drawing: Drawing, every: int = 1) -> str:
    """All of one spectrum, without a heading, as HTML.

    Args:
        detail: What the database has of it.
        pull: Against Gaia; NaN where there is none.
        key: Of its figures, unique in the page.
        figures: Of the page.
        drawing: Makes its draws again.
        every: Pixels in one point of its spectrum.
    """
    pixels = read_pixels(detail.spectrum)
    parts = [_place(detail), _facts(detail, pull), _flags(detail)]
    if isinstance(pixels, str):
        parts.append(paragraph(escape(pixels)))
    else:
        parts += [_spectrum(pixels, key, figures, every), _draws(detail, pixels, key, figures, drawing)]
    parts += [
        _columns("The result", detail.result),
        _columns("The spectrum", detail.spectrum),
        _columns("The star: photometry, extinction, Gaia", detail.source),
        _columns("The run that measured it", detail.run),
    ]
    return "\n".join(parts)


def _place(detail: Detail) -> str:
    summary = detail.summary
    said = [f"sdss_id {summary.sdss_id}"] if summary.sdss_id else []
    said += [summary.telescope, f"field {summary.field}" if summary.field else "", summary.release]
    if np.isfinite(summary.l):
        said.append(f"l, b = {summary.l:.3f}°, {summary.b:.3f}°".replace("-", "−"))
    if not summary.primary_spectrum:
        said.append("not the best spectrum of its star")
    return f'<p class="kicker">{" · ".join(escape(part) for part in said if part)}</p>'


def _facts(detail: Detail, pull: float) -> str:
    row, result = detail.summary, detail.result
    entries = {
        "distance [pc]": (
            "no Ks magnitude"
            if result.flag_missing_photometry
            else _with_error(result.dist, result.e_dist, ",.0f")
        ),
        "M<sub>Ks</sub> [mag]": _with_error(row.m_ks_abs, row.e_m_ks_abs, ".2f"),
        "L_fakemag [mas]": _with_error(result.L_fakemag, result.e_L_fakemag, ".4g"),
        "Ks, A<sub>Ks</sub> [mag]": f"{number(result.k_mag, '.2f')}, {number(result.A_k_mag, '.3f')}",
        "S/N per pixel": number(row.snr, ".0f"),
        "parallax of Gaia [mas]": _with_error(row.plx, row.e_plx, ".3f"),
        "pull against Gaia": number(pull, "+.1f"),
        "good for science": "yes" if row.good else "no",
    }
    return facts(entries)


def _with_error(value: float, error: float, form: str) -> str:
    return f"{number(value, form)} ± {number(error, form)}" if np.isfinite(value) else "–"


# > Flags


def flags_set(detail: Detail) -> dict[str, str]:
    """The flags of a result and of its spectrum with their meanings."""
    found = {}
    for model, row, column in (
        (AstroNNdist, detail.result, "result_flags"),
        (ApogeeCoaddedSpectrumInApStar, detail.spectrum, "spectrum_flags"),
    ):
        bits = getattr(row, column) or 0
        found |= {name: flag.help_text for name, flag in flags_of(model, column).items() if bits & flag.value}
    return found


def _flags(detail: Detail) -> str:
    found = flags_set(detail)
    if not found:
        return paragraph("It has no flag.")
    items = "".join(f"<li><code>{name}</code>: {escape(text)}</li>" for name, text in found.items())
    reason = detail.result.no_result_reason
    why = paragraph(f"<strong>Why there is no result:</strong> {escape(reason)}") if reason else ""
    return f'<ul class="set-flags">{items}</ul>{why}'


# > Figures


def _spectrum(pixels: Pixels, key: str, figures: Figures, every: int) -> str:
    masked = ((pixels.rectified == 1) & (pixels.e_rectified == 1)).sum()
    averaged = f" Each point is the mean of {every} pixels." if every > 1 else ""
    middle, flux = np.nanmedian(pixels.rectified), np.nanmedian(pixels.flux)
    rectified = figures.place(
        f"{key}-rectified",
        _line(pixels.wavelength, pixels.rectified, every, "flux / continuum", "accent", 260),
        "Spectrum divided by its continuum",
        f"What the network sees; masked pixels are 1.{averaged}",
        f"Median {number(middle)}; {masked:,} of {len(pixels.rectified):,} pixels are masked.",
    )
    plain = figures.place(
        f"{key}-flux",
        _line(pixels.wavelength, pixels.flux, every, "flux", "muted", 200),
        "Spectrum",
        "As in the file [10⁻¹⁷ erg s⁻¹ cm⁻² Å⁻¹], in the rest frame of the star, on the pixels of the three "
        f"detectors.{averaged}",
        f"Median flux {number(flux, '.4g')}.",
    )
    return rectified + plain


def _line(
    wavelength: np.ndarray, values: np.ndarray, every: int, label: str, colour: str, height: int
) -> "Figure":
    x, y = (drawn_line(each, every).astype(np.float32) for each in (wavelength, values))
    finite = y[np.isfinite(y)]
    low, high = np.percentile(finite, (0.2, 99.8)) if len(finite) else (0.0, 1.0)
    margin = 0.08 * (high - low) or 0.5
    span = (float(np.nanmin(x)) - 20, float(np.nanmax(x)) + 20)
    drawn = plot(
        "vacuum wavelength [Å]", label, span, (float(low - margin), float(high + margin)), height=height
    )
    add_line(drawn, x, y, colour, line_width=1)
    return drawn


def _draws(detail: Detail, pixels: Pixels, key: str, figures: Figures, drawing: Drawing) -> str:
    found = drawing.again(detail, pixels.rectified, pixels.e_rectified)
    if isinstance(found, str):
        return paragraph(escape(found))
    result, row = detail.result, detail.summary
    positive = found.fakemag[(found.fakemag > 0) & np.isfinite(found.fakemag)]
    panels = [
        ("L_fakemag", "mas", found.fakemag, result.L_fakemag, result.e_L_fakemag),
        ("M_Ks", "mag", 5 * np.log10(positive) - 10, row.m_ks_abs, row.e_m_ks_abs),
    ]
    if not result.flag_missing_photometry:  # Ks is taken as 0 then, which makes no distance
        factor = 10 ** (0.2 * (result.k_mag - result.A_k_mag) + 3)
        with np.errstate(over="ignore"):
            panels.append(("distance", "pc", factor / positive, result.dist, result.e_dist))
    drawn = "".join(_panel(key, figures, len(found.fakemag), *panel) for panel in panels)
    return f'{_agreement(found)}<div class="triple">{drawn}</div>'


def _agreement(found: Draws) -> str:
    made = (
        f"The {len(found.fakemag)} Monte Carlo draws, made again with the weights, the seed and the name of "
        "this row"
    )
    if found.same:
        return paragraph(f"{made}: their summary equals the stored row to {_SAME} (relative).")
    return paragraph(
        f"<strong>{made}: their summary differs from the stored row by "
        f"{number(100 * found.difference, '.2g')} %.</strong> "
        "The spectrum has changed since, or its row was made on another version of it."
    )


def _panel(
    key: str,
    figures: Figures,
    draws: int,
    name: str,
    unit: str,
    values: np.ndarray,
    stored: float,
    error: float,
) -> str:
    values = values[np.isfinite(values)]
    if not len(values):
        return paragraph(f"None of the {draws} draws has a {name}.")
    low, high = float(values.min()), float(values.max())
    room = 0.05 * (high - low) or abs(0.01 * low) or 1.0
    found = histogram(values, steps(low - room, high + room, _BINS))
    top = 1.15 * found.counts.max()
    ends = [stored - error, stored + error] if np.isfinite(stored) and np.isfinite(error) else [low, high]
    margin = 0.1 * (ends[1] - ends[0]) / 2
    shown = (min(low - room, ends[0] - margin), max(high + room, ends[1] + margin))
    drawn = plot(f"{name} [{unit}]", "draws", shown, (0, top), height=220)
    add_histogram(drawn, found, "draws", unit=unit)
    if np.isfinite(stored):
        add_line(drawn, [stored, stored], [0, top], "warn", line_width=2)
        add_line(drawn, ends, [top * 0.96] * 2, "warn", line_width=2)
    form = {"pc": ",.0f", "mag": ".2f"}.get(unit, ".4g")
    said = (
        f"Draws from {number(low, form)} to {number(high, form)}; stored {_with_error(stored, error, form)} "
        f"{unit}."
    )
    if draws > len(values):
        said += f" {draws - len(values)} of {draws} draws have no {name} and are left out."
    return figures.place(
        f"{key}-{name.lower()}",
        drawn,
        f"Draws of {name}",
        "Line and bar: the stored value and its whole error.",
        said,
    )


# > All columns


def _columns(title: str, row: BaseModel | None) -> str:
    if row is None:
        return f"<details><summary>{escape(title)}</summary>{paragraph('Nothing is known of it.')}</details>"
    body = "".join(
        f'<tr><th scope="row"><code>{escape(field.column_name)}</code></th>'
        f"<td>{escape(_value(row.__data__.get(field.name)))}</td><td>{escape(field.unit or '')}</td>"
        f"<td>{escape(field.help_text or '')}</td></tr>"
        for field in type(row)._meta.sorted_fields
    )
    heads = "".join(f'<th scope="col">{name}</th>' for name in ("column", "value", "unit", "meaning"))
    return (
        f'<details><summary>{escape(title)}: all columns</summary><div class="scroll" tabindex="0" '
        f'role="group" aria-label="{escape(title)}"><table class="details columns">'
        f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div></details>"
    )


def _value(value: Any) -> str:
    if value is None or value == "" or (isinstance(value, float) and np.isnan(value)):
        return "–"
    return f"{value:.8g}" if isinstance(value, float) else str(value)
