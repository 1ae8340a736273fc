"""The page of all results."""

from collections.abc import Iterator

from astra.config import Settings
from astra.report.contents import Contents
from astra.report.draws import Drawing
from astra.report.figures import Figures
from astra.report.page import assemble, dialog
from astra.report.pages.markup import Section, paragraph
from astra.report.sections import (
    distances,
    errors,
    gaia,
    galaxy,
    luminosity,
    outliers,
    overview,
    repeats,
    sky,
)
from astra.report.sections.star import star
from astra.report.stars import Detail, read_details

_EMPTY = (
    "There is no result yet in this database. <code>astra run astronn_dist</code> measures what is pending, "
    "and <code>astra status</code> says how much that is."
)


def whole_page(contents: Contents, settings: Settings, every: int) -> str:
    """The report of all results, as HTML; within the ``snapshot`` of its contents.

    Args:
        contents: What it shows.
        settings: Where weights and spectra are.
        every: Pixels in one point of the spectra of single stars.
    """
    figures = Figures()
    head = overview.head(contents)
    if not len(contents.rows):
        return assemble("astra: distances", head + paragraph(_EMPTY), (), figures)
    keys = [int(contents.rows["spectrum_pk"][outlier.index]) for outlier in contents.outliers]
    details = read_details(keys)
    sections = list(_sections(contents, details, figures))
    drawing = Drawing(settings)
    dialogs = [_dialog(contents, detail, figures, drawing, every) for detail in details]
    return assemble("astra: distances", head, sections, figures, dialogs)


def _sections(contents: Contents, details: list[Detail], figures: Figures) -> Iterator[Section]:
    yield overview.flags_section(contents)
    for module in (sky, galaxy, luminosity, distances, errors, gaia, repeats):
        yield module.section(contents, figures)
    yield outliers.section(contents, details)
    yield overview.origin_section(contents)


def _dialog(contents: Contents, detail: Detail, figures: Figures, drawing: Drawing, every: int) -> str:
    key = str(detail.result.task_pk)
    pull = outliers.pull_of(contents, detail)
    return dialog(key, detail.name, star(detail, pull, f"star-{key}", figures, drawing, every))
