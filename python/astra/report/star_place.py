"""The place of a star among the others of the database: its luminosity, its colour, and how good it is.

The others are a sample, evenly spaced over all spectra, so that a page takes as long on a million stars as on
ten thousand.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import peewee

from astra.models import Distance, Source, Spectrum
from astra.report.arrays import numbers, read_arrays, truths
from astra.report.figures import add_histogram, add_line, add_rule, add_text, coloured, embed, plot
from astra.report.result_arrays import CLASSES, UNKNOWN, classify, colour
from astra.report.star_details import Detail
from astra.report.summaries import ends_of, histogram, steps

if TYPE_CHECKING:
    from bokeh.plotting import figure as Figure

#: How many spectra are looked at, at most.
SAMPLE = 5000

# For so few keys PostgreSQL looks into its indices, whatever the size of the tables.
_AT_ONCE = 500

#: Where there are fewer good stars, all that have a luminosity are the others.
FEWEST = 10

_COLUMNS = ("source_pk", "m_ks_abs", "k_mag", "A_k_mag", "dist", "e_dist", "snr")
_MOST_BINS, _HEIGHT = 40, 400


@dataclass(frozen=True)
class Others:
    """N stars of the database, by their best spectra; arrays of shape (N,).

    Attributes:
        values: Columns by their names, with ``j_mag``.
        only_good: Whether they are good, all of them.
        is_sample: Whether there may be more.
    """

    values: dict[str, np.ndarray]
    only_good: bool
    is_sample: bool

    def __len__(self) -> int:
        return len(self.values["m_ks_abs"])

    def without(self, source_pk: int | None) -> "Others":
        """All but one of them."""
        others = self.values["source_pk"] != source_pk
        return replace(self, values={name: column[others] for name, column in self.values.items()})

    @property
    def colour(self) -> np.ndarray:
        """(J - Ks)0 [mag]."""
        return colour(*(self.values[name] for name in ("j_mag", "k_mag", "A_k_mag")))


def read_others(most: int = SAMPLE) -> Others:
    """A sample of the stars, of spectra evenly spaced by their keys; only within ``snapshot``."""
    first, last = Spectrum.select(peewee.fn.MIN(Spectrum.pk), peewee.fn.MAX(Spectrum.pk)).tuples().get()
    span = 0 if first is None else last - first + 1
    keys = np.unique(np.linspace(first or 0, last or 0, min(most, max(span, 1))).astype(np.int64))
    parts = [_read(keys[start : start + _AT_ONCE].tolist()) for start in range(0, len(keys), _AT_ONCE)]
    values = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    good = values.pop("good")
    only_good = good.sum() >= FEWEST
    if only_good:
        values = {name: column[good] for name, column in values.items()}
    return Others(values, bool(only_good), span > len(keys))


def _read(keys: list[int]) -> dict[str, np.ndarray]:
    """The best results of stars by some spectra, and whether they are good."""
    columns = dict.fromkeys((*_COLUMNS, "j_mag"), numbers) | {"good": truths}
    query = (
        Distance.select(*(getattr(Distance if name != "j_mag" else Source, name) for name in columns))
        .join(Source, peewee.JOIN.LEFT_OUTER, on=(Distance.source_pk == Source.pk))
        .where(
            Distance.spectrum_pk << keys,
            Distance.primary_spectrum,
            ~Distance.flag_missing_photometry,
            Distance.m_ks_abs.is_null(False),
        )
    )
    return read_arrays(query, columns)


def place(detail: Detail, others: Others) -> dict[str, Any] | None:
    """Figures and shares that put a star among others; ``None`` without a luminosity or others."""
    row, source = detail.summary, detail.source
    others = others.without(row.source_pk)
    if len(others) < 2 or not np.isfinite(row.m_ks_abs):
        return None
    j_mag = source.j_mag if source else np.nan
    own_colour = float(colour(*map(np.array, (j_mag, row.k_mag, row.A_k_mag))))
    code = int(classify(np.array(row.m_ks_abs), np.array(own_colour)))
    return {
        "others": len(others),
        "only_good": others.only_good,
        "is_sample": others.is_sample,
        "colour": own_colour,
        "m_ks": row.m_ks_abs,
        "kind": None if code == UNKNOWN else CLASSES[code],
        "diagram": _diagram(row, own_colour, others) if np.isfinite(own_colour) else None,
        "luminosities": _luminosities(row, others),
        "shares": dict(_shares(row, others)),
    }


def _shares(row: Distance, others: Others) -> Iterator[tuple[str, float]]:
    """Of how many others it is true that this star is brighter, farther, …"""
    values = others.values
    relative = values["e_dist"] / values["dist"]
    yield "brighter than", float((values["m_ks_abs"] > row.m_ks_abs).mean())
    if np.isfinite(row.dist) and row.dist > 0 and not row.flag_missing_photometry:
        yield "farther than", float((values["dist"] < row.dist).mean())
        yield "a smaller relative error than", float((relative > row.e_dist / row.dist).mean())
    if np.isfinite(row.snr):
        yield "a higher S/N than", float((values["snr"] < row.snr).mean())


def _diagram(row: Distance, own_colour: float, others: Others) -> dict[str, Any]:
    x, y = others.colour, others.values["m_ks_abs"]
    blue, red = ends_of(np.append(x, own_colour), least=(0.2, 1.0))
    bright, faint = ends_of(np.append(y, row.m_ks_abs), least=(-6, 4))
    blue, red = min(blue, own_colour) - 0.1, max(red, own_colour) + 0.1
    bright, faint = min(bright, row.m_ks_abs) - 0.5, max(faint, row.m_ks_abs) + 0.5
    canvas = plot("(J − Ks)₀ [mag]", "M_Ks [mag]", (blue, red), (faint, bright), height=_HEIGHT)
    few = len(others) < 500
    points = canvas.scatter(x, y, size=6 if few else 4, line_color=None, fill_alpha=0.7 if few else 0.4)
    coloured(points.glyph, fill="point")
    _mark(canvas, own_colour, row.m_ks_abs, row.e_m_ks_abs, to_left=own_colour > 0.5 * (blue + red))
    known = np.isfinite(x)
    shown = known & (x >= blue) & (x <= red) & (y >= bright) & (y <= faint)
    return {
        "plot": embed("place-diagram", canvas),
        "others": int(known.sum()),
        "outside": int(known.sum() - shown.sum()),
    }


def _mark(canvas: "Figure", x: float, y: float, error: float, *, to_left: bool) -> None:
    """This star, with its error along y, and its name on the side with more room."""
    if np.isfinite(error):
        add_line(canvas, [x, x], [y - error, y + error], "warn", line_width=2)
    cross = canvas.scatter([x], [y], size=15, marker="circle_cross", fill_alpha=0, line_width=2.5)
    coloured(cross.glyph, line="warn")
    beside = {"text_align": "right", "x_offset": -11} if to_left else {"x_offset": 11}
    add_text(canvas, x, y, "this star", "warn", y_offset=-5, text_font_style="bold", **beside)


def _luminosities(row: Distance, others: Others) -> dict[str, Any]:
    values = others.values["m_ks_abs"]
    bright, faint = ends_of(np.append(values, row.m_ks_abs), least=(-6, 4), share=0.001)
    bright, faint = min(bright, row.m_ks_abs), max(faint, row.m_ks_abs)
    bins = int(np.clip(2 * np.sqrt(len(values)), 8, _MOST_BINS))
    found = histogram(values, steps(bright - 0.1, faint + 0.1, bins))
    top = 1.15 * max(1, found.counts.max())
    canvas = plot("M_Ks [mag]", "stars", (bright - 0.1, faint + 0.1), (0, top), height=_HEIGHT)
    canvas.yaxis.ticker.min_interval = 1
    add_histogram(canvas, found, unit="mag", colour="muted")
    add_rule(canvas, "warn", x=row.m_ks_abs, line_width=2.5)
    numbers_said = {"median": float(np.median(values)), "outside": found.outside}
    return {"plot": embed("place-luminosities", canvas)} | numbers_said
