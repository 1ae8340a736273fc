"""The page of one star: its spectra, their draws, their flags in words, and all columns of the database."""

from typing import Any

import numpy as np

from astra.config import Settings
from astra.models.apogee import ApogeeSpectrum
from astra.models.astronn_dist import AstroNNdist
from astra.models.base import BaseModel
from astra.models.explain import flags_set, why_not_clean
from astra.models.links import coordinates_of, links_of
from astra.report.bailer_jones import of_star
from astra.report.contents import Contents
from astra.report.figures import add_histogram, add_line, embed, plot
from astra.report.page import RESULTS, STAR, Section, macros, page
from astra.report.star_details import SAME, Detail, Drawing, Pixels, Star, read_pixels
from astra.report.star_distances import Estimate, axis_of, bars, estimates, headings
from astra.report.star_place import Others, place, read_others
from astra.report.star_spectrum import KINDS, rows, whole
from astra.report.summaries import histogram, steps
from astra.spectra.lines import LINES

#: What a page without its figures still has.
NUMBERS_REMAIN = "Their numbers are said below each of them."

_BINS = 20  # of the draws
_WHOLE = 4  # pixels in a point of the figure of the whole spectrum
_LIGHT = 299_792.458  # km/s
_SAME = f"{SAME:.0e}".replace("e-0", "e-")
_FORMATS = {"mas": ".4g", "mag": ".2f", "pc": ",.0f"}


def star_page(
    name: str, star: Star, contents: Contents, settings: Settings, others: Others | None = None
) -> str:
    """The HTML document; only within ``snapshot``.

    Args:
        name: What the star is called if it has no result.
        star: What the database has of it.
        contents: Of its spectra with a result.
        settings: Where weights and spectra are.
        others: Those that it is put among; read anew if they are not given.
    """
    drawing = Drawing(settings)
    title = star.details[0].name if star.details else name
    found = estimates(star.details)
    sections = []
    if star.details:
        sections.append(Section("distances", "Distances, side by side", _distances(found)))
        among = macros(STAR).place(place(star.details[0], read_others() if others is None else others))
        sections.append(Section("place", "Among the others of this database", among))
    for heading, detail in headings(star.details).items():
        key, pull = f"spectrum-{detail.result.task_pk}", contents.pull_of(detail.summary.spectrum_pk)
        sections.append(Section(key, heading, draw_spectrum(detail, pull, key, drawing, alone=False)))
    for spectrum in star.pending:
        key = f"pending-{spectrum.spectrum_pk}"
        sections.append(Section(key, "Spectrum without a result", _pending(spectrum, key)))
    if star.details:
        sections.append(weights(contents))
    return page(
        f"astra: {title}", _head(title, star, contents, found), sections, without_script=NUMBERS_REMAIN
    )


def _head(title: str, star: Star, contents: Contents, found: list[Estimate]) -> str:
    """Name, the distance to use, where the star is, and who else knows it."""
    coordinates = coordinates_of(star.source)
    places = coordinates.lines() if coordinates else {}
    links = {} if star.is_simulated else links_of(star.source)
    return macros(STAR).head(title, star, contents, found[0] if found else None, places, links)


def _distances(found: list[Estimate]) -> str:
    """All of them in one table, each with its place on one axis."""
    axis = axis_of(found)
    rows_of_table = list(zip(found, bars(found, axis), strict=True))
    ticks = axis.ticks() if axis else []
    return macros(STAR).distances(rows_of_table, ticks, bool(axis and axis.logarithmic))


def _pending(spectrum: ApogeeSpectrum, key: str) -> str:
    """A spectrum that has no result yet."""
    said = macros(STAR).missing(f"{spectrum.product_id}: run `astra run astronn_dist` for its distance.")
    pixels = read_pixels(spectrum)
    if isinstance(pixels, str):
        return said + macros(STAR).missing(pixels)
    return said + _pixels(pixels, key, 1, spectrum.v_rad)


def weights(contents: Contents) -> Section:
    """The weights, with what they are good for."""
    return Section("weights", "Weights", macros(RESULTS).weights(contents.kinds))


def draw_spectrum(
    detail: Detail, pull: float, key: str, drawing: Drawing, every: int = 1, *, alone: bool = True
) -> str:
    """All of one spectrum, without a heading, as HTML.

    Args:
        detail: What the database has of it.
        pull: Against Gaia; NaN where there is none.
        key: Begins the names of its figures; unique in the page.
        drawing: Repeats its draws.
        every: Pixels in one step of its spectrum.
        alone: Whether nothing else in the page says the distances of the star.
    """
    pixels = read_pixels(detail.spectrum)
    if isinstance(pixels, str):
        figures = macros(STAR).missing(pixels)
    else:
        figures = _pixels(pixels, key, every, detail.summary.v_rad) + _draws(detail, pixels, key, drawing)
    columns = {
        "The result": detail.result,
        "The spectrum": detail.spectrum,
        "The star: photometry, extinction, Gaia": detail.source,
        "The run that measured it": detail.run,
    }
    fields = {title: row and _fields(row) for title, row in columns.items()}
    result, spectrum = detail.result, detail.spectrum
    reasons = why_not_clean(result.result_flags, result.not_clean, spectrum.spectrum_flags, spectrum.release)
    unchecked = list(dict.fromkeys(flags_set(AstroNNdist, "not_checked", result.not_checked).values()))
    beside = dict(of_star(detail.source)) if alone else {}
    return macros(STAR).spectrum(
        detail,
        _place(detail),
        pull,
        alone,
        beside,
        flags_of_detail(detail),
        reasons,
        unchecked,
        figures,
        fields,
    )


def _place(detail: Detail) -> list[str]:
    row = detail.summary
    found = [
        row.product_id,
        row.telescope,
        f"field {row.field}" if row.field else "",
        row.release,
        f"{row.n_visits} {'visit' if row.n_visits == 1 else 'visits'}" if row.n_visits else "",
        "" if row.primary_spectrum else "not the best spectrum of its star",
    ]
    return [part for part in found if part]


def flags_of_detail(detail: Detail) -> dict[str, str]:
    """The flags of a result and of its spectrum with their meanings."""
    columns = ((detail.result, "result_flags"), (detail.spectrum, "spectrum_flags"))
    found = (flags_set(type(row), column, getattr(row, column)) for row, column in columns)
    return {name: meaning for part in found for name, meaning in part.items()}


def _fields(row: BaseModel) -> list[tuple[str, str, str, str]]:
    """Name, value, unit and meaning of all columns."""
    return [
        (field.column_name, _value(row.__data__.get(field.name)), field.unit or "", field.help_text or "")
        for field in type(row)._meta.sorted_fields
    ]


def _value(value: Any) -> str:
    if value is None or value == "" or (isinstance(value, float) and np.isnan(value)):
        return "–"
    return f"{value:.8g}" if isinstance(value, float) else str(value)


# > Figures


def _pixels(pixels: Pixels, key: str, every: int, v_rad: float) -> str:
    return macros(STAR).pixels(
        rows(pixels, key, every), whole(pixels, key, _WHOLE), KINDS, every, _dib(v_rad)
    )


def _dib(v_rad: float) -> float:
    """Where the interstellar band is in the frame of a star, if its dust moves like the Sun [Angstrom]."""
    (rest,) = (line.wavelength for line in LINES if line.kind == "interstellar")
    return rest * (1 - v_rad / _LIGHT)


def _draws(detail: Detail, pixels: Pixels, key: str, drawing: Drawing) -> str:
    found = drawing.draws(detail, pixels.rectified, pixels.e_rectified)
    if isinstance(found, str):
        return macros(STAR).missing(found)
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
    return macros(STAR).draws(found, _SAME, [_panel(key, len(found.fakemag), *panel) for panel in panels])


def _panel(
    key: str, draws: int, name: str, unit: str, values: np.ndarray, stored: float, error: float
) -> dict[str, Any]:
    values = values[np.isfinite(values)]
    if not len(values):
        return {"plot": None, "name": name, "draws": draws}
    low, high = float(values.min()), float(values.max())
    margin = 0.05 * (high - low) or abs(0.01 * low) or 1.0
    found = histogram(values, steps(low - margin, high + margin, _BINS))
    top = 1.15 * found.counts.max()
    ends = [stored - error, stored + error] if np.isfinite(stored) and np.isfinite(error) else [low, high]
    beside = 0.1 * (ends[1] - ends[0]) / 2
    shown = (min(low - margin, ends[0] - beside), max(high + margin, ends[1] + beside))
    canvas = plot(f"{name} [{unit}]", "draws", shown, (0, top), height=220)
    add_histogram(canvas, found, "draws", unit=unit)
    if np.isfinite(stored):
        add_line(canvas, [stored, stored], [0, top], "warn", line_width=2)
        add_line(canvas, ends, [top * 0.96] * 2, "warn", line_width=2)
    return {
        "plot": embed(f"{key}-{name.lower()}", canvas),
        "name": name,
        "unit": unit,
        "format": _FORMATS[unit],
        "draws": draws,
        "left_out": draws - len(values),
        "low": low,
        "high": high,
        "stored": stored,
        "error": error,
    }
