"""The page of the results of any task: what their model says of them, and what the task knows better."""

import logging
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import peewee

from astra.models import FlaggedOutputModel, PipelineOutputModel
from astra.report import figures, population
from astra.report.arrays import OF_SOURCE
from astra.report.contents import Kind, TaskContents, measured_rows
from astra.report.page import Section, macros, number, page, share
from astra.report.star_page import NUMBERS_REMAIN
from astra.report.summaries import histogram, log_steps, steps
from astra.system.plugins import raised
from astra.tasks.contract import OwnSection, Task

TEMPLATE = "astra.report/task.html"

#: Columns of which distributions are drawn; any others are named.
MOST_DRAWN = 24

#: Percentiles that a distribution is drawn between.
SHOWN = (0.5, 99.5)

# A quantity over more than this factor is drawn in its logarithm.
_WIDE = 1000

_FEWEST_BINS, _MOST_BINS = 10, 60
_HEIGHT = 240  # pixels

log = logging.getLogger("astra")


def task_page(task: Task, contents: TaskContents) -> str:
    """The HTML document."""
    return page(
        f"astra: {task.name}",
        _head(task, contents),
        _sections(task, contents) if len(contents.rows) else (),
        without_script=NUMBERS_REMAIN,
    )


def _sections(task: Task, contents: TaskContents) -> Iterator[Section]:
    yield Section("flags", "Flags", _flags(task.output_model, contents))
    yield Section("reasons", "Without a result", macros(TEMPLATE).reasons(contents.reasons))
    yield Section("sky", "On the sky", population.sky(*galactic(contents)))
    yield Section("columns", "Columns", _distributions(task.output_model, contents))
    yield Section("origins", "Versions, weights and options", _origins(contents.kinds))
    yield from own_sections(task, contents)


def _head(task: Task, contents: TaskContents) -> str:
    rows = contents.rows
    entries = {"spectra with a result row": f"{len(rows):,}", "stars": f"{contents.stars:,}"}
    if issubclass(task.output_model, FlaggedOutputModel):
        measured = measured_rows(rows)
        counted = {
            "measured": measured,
            "no result": ~measured,
            "look twice (flag_warn)": rows["flag_warn"],
            "discard (flag_bad)": rows["flag_bad"],
        }
        entries |= {name: _count(truths) for name, truths in counted.items()}
    about = (task.__doc__ or "").strip().partition("\n")[0]
    return macros(TEMPLATE).head(task.name, about, contents, entries)


def _count(truths: np.ndarray) -> str:
    return f"{truths.sum():,} ({share(truths.mean())})" if len(truths) else "0"


# > Flags


def _flags(model: type[PipelineOutputModel], contents: TaskContents) -> str:
    tables = []
    for field in model._meta.sorted_fields:
        if isinstance(field, peewee.BitField) and (named := contents.flags(model, field.name)):
            entries = [(name, meaning or "not described", count) for name, meaning, count in named]
            if field.name == "result_flags" and issubclass(model, FlaggedOutputModel):
                made = [(name, text) for name, (bits, text) in model.summaries().items() if bits]
                entries += [(name, text, int(contents.rows[name].sum())) for name, text in made]
            said = [(*entry, share(entry[-1] / len(contents.rows))) for entry in entries]
            tables.append((field.name, field.help_text or "", said))
    return macros(TEMPLATE).flags(tables)


# > On the sky


def galactic(contents: TaskContents) -> tuple[np.ndarray, np.ndarray]:
    """Galactic longitude and latitude of the sources [deg]: as stored, else from ra and dec, else NaN."""
    ra, dec, longitude, latitude = (contents.rows[OF_SOURCE + name] for name in ("ra", "dec", "l", "b"))
    known = np.isfinite(longitude) & np.isfinite(latitude)
    missing = ~known & np.isfinite(ra) & (np.abs(dec) <= 90)
    if missing.any():
        from astropy.coordinates import SkyCoord

        there = SkyCoord(ra[missing], dec[missing], unit="deg").galactic
        longitude, latitude = longitude.copy(), latitude.copy()
        longitude[missing], latitude[missing] = there.l.deg, there.b.deg
    return longitude, latitude


# > Columns


def _distributions(model: type[PipelineOutputModel], contents: TaskContents) -> str:
    """A histogram of each column of floats that has values."""
    columns = [
        field
        for field in model._meta.sorted_fields
        if isinstance(field, peewee.FloatField) and field.name not in PipelineOutputModel.PROVENANCE
    ]
    filled = {field.name: field for field in columns if np.isfinite(contents.rows[field.name]).any()}
    empty = [field.name for field in columns if field.name not in filled]
    drawn, more = list(filled)[:MOST_DRAWN], list(filled)[MOST_DRAWN:]
    is_bad = contents.rows.values.get("flag_bad", np.zeros(len(contents.rows), bool))
    panels = [_panel(filled[name], contents.rows[name], is_bad) for name in drawn]
    return macros(TEMPLATE).columns(panels, more, empty, is_bad.any())


def _panel(field: peewee.FloatField, values: np.ndarray, is_bad: np.ndarray) -> dict[str, Any]:
    finite = values[np.isfinite(values)]
    # The outermost of few values are among those that are shown.
    low = np.percentile(finite, SHOWN[0], method="lower")
    high = np.percentile(finite, SHOWN[1], method="higher")
    unit = getattr(field, "unit", None) or ""
    is_wide = low > 0 and high > _WIDE * low
    ends = (low, high) if high > low else (low - (abs(low) / 20 or 0.5), high + (abs(high) / 20 or 0.5))
    bins = int(np.clip(np.sqrt(len(finite)), _FEWEST_BINS, _MOST_BINS))
    drawn, edges = values, steps(*ends, bins)
    if is_wide:
        drawn, edges = np.log10(np.where(values > 0, values, np.nan)), np.log10(log_steps(*ends, bins))
    found = histogram(drawn, edges)
    label = f"{field.name} [{unit}]" if unit else field.name
    top = 1.08 * max(1, found.counts.max())
    canvas = figures.plot(label, "results", (edges[0], edges[-1]), (0, top), height=_HEIGHT)
    if is_wide:
        figures.log_ticks(canvas.xaxis[0], low, high, (1,))
    hovered = f"(log10 {unit})" if is_wide else unit
    figures.add_histogram(canvas, found, "results", hovered, form="%.4g")
    if is_bad.any():
        figures.add_steps(canvas, histogram(drawn[~is_bad], edges), "warn")
    return {
        "plot": figures.embed(f"column-{field.column_name}", canvas),
        "name": field.name,
        "unit": f" {unit}" if unit else "",
        "meaning": (field.help_text or "").removesuffix(f" [{unit}]").rstrip("."),
        "count": len(finite),
        "middle": [_said(value) for value in np.percentile(finite, (50, 16, 84))],
        "outside": len(finite) - int(found.counts.sum()),
        "ends": [_said(value) for value in (finite.min(), finite.max())],
        "absent": len(values) - len(finite),
    }


def _said(value: float) -> str:
    return number(value, ",.0f" if 1e4 <= abs(value) < 1e9 else ".4g")


# > Where they come from


def _origins(kinds: list[Kind]) -> str:
    return macros(TEMPLATE).origins([(_entries(kind), kind) for kind in kinds])


def _entries(kind: Kind) -> dict[str, str]:
    origin = kind.origin
    known = {
        "weights": origin.weights_name,
        "seed": origin.seed,
        "draws": origin.n_draws,
        "precision": origin.precision,
        "options": None if origin.options is None else origin.settings or "none",
    }
    of_run = {name: str(value) for name, value in known.items() if value is not None}
    return {"results": f"{origin.rows:,}", "version of astra": origin.minor_version} | (
        of_run or {"run": "not known"}
    )


# > What the task knows better


def own_sections(task: Task, contents: TaskContents) -> Iterator[Section]:
    """The sections that the task registered."""
    for place, section in enumerate(task.sections):
        yield Section(f"section-{place}", section.title, _own(f"section-{place}", section, contents))


def _own(anchor: str, section: OwnSection, contents: TaskContents) -> str:
    """The HTML of a section; of one that cannot be made, why."""
    try:
        return macros(TEMPLATE).own(section.title, list(_parts(anchor, section.make(contents.rows.values))))
    except Exception as error:  # noqa: BLE001 - whatever a foreign package raises
        log.debug("the section %s failed", section.title, exc_info=True)
        log.warning("the section %r cannot be made (%s)", section.title, raised(error))
        return macros(TEMPLATE).failed(raised(error))


def _parts(anchor: str, found: Any) -> Iterator[Any]:
    """Texts as they are, and figures for the template."""
    from bokeh.models import LayoutDOM

    parts: Iterable[Any] = [found] if isinstance(found, (str, LayoutDOM)) else found
    for place, part in enumerate(parts):
        is_figure = isinstance(part, LayoutDOM)
        yield figures.embed(f"{anchor}-{place}", part) if is_figure else part
