"""One star: its spectrum, its draws, its flags in words, and all that the database has of it."""

from typing import TYPE_CHECKING, Any

import numpy as np

from astra.models import ApogeeCoaddedSpectrumInApStar, AstroNNdist
from astra.models.base import BaseModel
from astra.models.fields import flags_of
from astra.report.figures import Embedded, add_histogram, add_line, embed, plot
from astra.report.page import macros
from astra.report.stars import SAME, Detail, Drawing, Pixels, drawn_line, read_pixels
from astra.report.summaries import histogram, steps

if TYPE_CHECKING:
    from jinja2.environment import TemplateModule

_BINS = 20
_SAME = f"{SAME:.0e}".replace("e-0", "e-")
_FORMS = {"mas": ".4g", "mag": ".2f", "pc": ",.0f"}


def template() -> "TemplateModule":
    """The HTML of a star."""
    return macros("astra.report/star.html")


def star(detail: Detail, pull: float, key: str, drawing: Drawing, every: int = 1) -> str:
    """All of one spectrum, without a heading, as HTML.

    Args:
        detail: What the database has of it.
        pull: Against Gaia; NaN where there is none.
        key: Of its figures, unique in the page.
        drawing: Makes its draws again.
        every: Pixels in one point of its spectrum.
    """
    pixels = read_pixels(detail.spectrum)
    if isinstance(pixels, str):
        figures = template().missing(pixels)
    else:
        figures = _spectrum(pixels, key, every, _draws(detail, pixels, key, drawing))
    columns = {
        "The result": detail.result,
        "The spectrum": detail.spectrum,
        "The star: photometry, extinction, Gaia": detail.source,
        "The run that measured it": detail.run,
    }
    fields = {title: _fields(row) for title, row in columns.items()}
    return template().spectrum(detail, _place(detail), pull, flags_set(detail), figures, fields)


def _place(detail: Detail) -> list[str]:
    row = detail.summary
    found = [
        f"sdss_id {row.sdss_id}" if row.sdss_id else "",
        row.telescope,
        f"field {row.field}" if row.field else "",
        row.release,
        f"l, b = {row.l:.3f}°, {row.b:.3f}°".replace("-", "−") if np.isfinite(row.l) else "",
        "" if row.primary_spectrum else "not the best spectrum of its star",
    ]
    return [part for part in found if part]


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


def _fields(row: BaseModel | None) -> list[tuple[str, str, str, str]] | None:
    """Name, value, unit and meaning of all columns."""
    if row is None:
        return None
    return [
        (field.column_name, _value(row.__data__.get(field.name)), field.unit or "", field.help_text or "")
        for field in type(row)._meta.sorted_fields
    ]


def _value(value: Any) -> str:
    if value is None or value == "" or (isinstance(value, float) and np.isnan(value)):
        return "–"
    return f"{value:.8g}" if isinstance(value, float) else str(value)


# > Figures


def _spectrum(pixels: Pixels, key: str, every: int, draws: str) -> str:
    said = {
        "rectified": np.nanmedian(pixels.rectified),
        "flux": np.nanmedian(pixels.flux),
        "masked": int(((pixels.rectified == 1) & (pixels.e_rectified == 1)).sum()),
        "pixels": len(pixels.rectified),
    }
    return template().pixels(
        _line(f"{key}-rectified", pixels, pixels.rectified, every, "flux / continuum", "accent", 260),
        _line(f"{key}-flux", pixels, pixels.flux, every, "flux", "muted", 200),
        said,
        every,
        draws,
    )


def _line(
    name: str, pixels: Pixels, values: np.ndarray, every: int, label: str, colour: str, height: int
) -> Embedded:
    x, y = (drawn_line(each, every).astype(np.float32) for each in (pixels.wavelength, values))
    finite = y[np.isfinite(y)]
    low, high = np.percentile(finite, (0.2, 99.8)) if len(finite) else (0.0, 1.0)
    margin = 0.08 * (high - low) or 0.5
    span = (float(np.nanmin(x)) - 20, float(np.nanmax(x)) + 20)
    drawn = plot(
        "vacuum wavelength [Å]", label, span, (float(low - margin), float(high + margin)), height=height
    )
    add_line(drawn, x, y, colour, line_width=1)
    return embed(name, drawn)


def _draws(detail: Detail, pixels: Pixels, key: str, drawing: Drawing) -> str:
    found = drawing.again(detail, pixels.rectified, pixels.e_rectified)
    if isinstance(found, str):
        return template().missing(found)
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
    drawn = [_panel(key, len(found.fakemag), *panel) for panel in panels]
    return template().draws(found, _SAME, drawn)


def _panel(
    key: str, draws: int, name: str, unit: str, values: np.ndarray, stored: float, error: float
) -> dict[str, Any]:
    values = values[np.isfinite(values)]
    if not len(values):
        return {"plot": None, "name": name, "draws": draws}
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
    return {
        "plot": embed(f"{key}-{name.lower()}", drawn),
        "name": name,
        "unit": unit,
        "form": _FORMS[unit],
        "draws": draws,
        "left_out": draws - len(values),
        "low": low,
        "high": high,
        "stored": stored,
        "error": error,
    }
