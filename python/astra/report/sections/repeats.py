"""Spectra of one star against each other: whether errors cover what noise and weather do."""

from astra.report.contents import Contents
from astra.report.figures import Figures
from astra.report.numbers import summary
from astra.report.pages.markup import Section, number, paragraph
from astra.report.sections.gaia import pulls


def section(contents: Contents, figures: Figures) -> Section:
    """Pulls of the differences in luminosity, with the whole errors and with the model part alone."""
    found = contents.repeats
    if not len(found.pull):
        body = paragraph("No star has two good spectra.")
        return Section("repeats", "Spectra of the same star", body)
    said = summary(found.difference)
    text = paragraph(
        f"{found.stars:,} stars have more than one good spectrum. Each is compared with the best one of its "
        f"star, which makes {len(found.pull):,} pairs. Ks and the reddening are the same for both, so the "
        "luminosities L_fakemag are compared: they differ by "
        f"{number(100 * said.half_width, '.1f')} % (half the range of the middle 68 %), with the median at "
        f"{number(100 * said.median, '+.1f')} %. What is wrong with a star in the same way in all its "
        "spectra cancels: pulls narrower than 1 are to be expected with the whole errors."
    )
    body = (
        text
        + '<div class="pair">'
        + pulls(figures, "repeats", found.pull, "Pulls with the whole errors", "pairs")
        + pulls(
            figures, "repeats-model", found.model_pull, "Pulls with the model part of the errors", "pairs"
        )
        + "</div>"
    )
    return Section("repeats", "Spectra of the same star", body)
