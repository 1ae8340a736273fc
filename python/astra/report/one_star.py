"""The page of one star, with all of its spectra."""

from astra.config import Settings
from astra.report.contents import Contents
from astra.report.draws import Drawing
from astra.report.figures import Figures
from astra.report.page import assemble
from astra.report.pages.markup import Section, escape, paragraph
from astra.report.sections.outliers import pull_of
from astra.report.sections.overview import origin_section, provenance_line
from astra.report.sections.star import star
from astra.report.stars import Detail, Star


def star_page(name: str, found: Star, contents: Contents, settings: Settings) -> str:
    """The page of a star, as HTML.

    Args:
        name: What it was asked for by.
        found: Its spectra.
        contents: Their results.
        settings: Where weights and spectra are.
    """
    figures, drawing = Figures(), Drawing(settings)
    title = found.details[0].name if found.details else name
    head = "\n".join(
        (
            '<p class="kicker">Spectrophotometric distance (astronn_dist)</p>',
            f"<h1>{escape(title)}</h1>",
            provenance_line(contents.provenance),
            _counted(found),
        )
    )
    sections = [_section(contents, detail, figures, drawing) for detail in found.details]
    if found.details:
        sections.append(origin_section(contents))
    return assemble(f"astra: {title}", head, sections, figures)


def _counted(found: Star) -> str:
    number = len(found.details)
    said = f"{number} {'spectrum has' if number == 1 else 'spectra have'} a result."
    if found.pending:
        are = "is" if found.pending == 1 else "are"
        said += f" {found.pending} more {are} pending: run <code>astra run astronn_dist</code>."
    return paragraph(said)


def _section(contents: Contents, detail: Detail, figures: Figures, drawing: Drawing) -> Section:
    key = f"spectrum-{detail.result.task_pk}"
    body = star(detail, pull_of(contents, detail), key, figures, drawing)
    return Section(key, detail.spectrum.product_id, body)
