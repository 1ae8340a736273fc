"""Spectra in, results out."""

from collections.abc import Iterable, Iterator
from typing import Annotated

import numpy as np

from astra import Option, task

from boss_d4000.break_index import Definition, measure_break
from boss_d4000.results import D4000
from boss_d4000.spectra import BossSpectrum


@task(uses_source=False)
def d4000(
    spectra: Iterable[BossSpectrum],
    *,
    definition: Definition = "narrow",
    min_coverage: Annotated[float, Option(min=0, max=1)] = 0.9,
) -> Iterator[D4000]:
    """Measure the 4000 Angstrom break of each spectrum.

    Args:
        spectra: Spectra that have no row yet under this version of astra.
        definition: The bands: narrow (Balogh et al. 1999) or broad (Bruzual 1983).
        min_coverage: The part of each band that must have been measured; with less, there is no value.

    Yields:
        One row per spectrum, in order.
    """
    for spectrum in spectra:
        pixels = spectrum.read()
        found = measure_break(
            pixels.wavelength, pixels.flux, pixels.ivar, redshift=spectrum.redshift, definition=definition
        )
        is_covered = found.coverage > 0 and found.coverage >= min_coverage
        yield D4000.from_spectrum(
            spectrum,
            d4000=found.strength if is_covered else np.nan,
            e_d4000=found.error if is_covered else np.nan,
            coverage=found.coverage,
            flag_redshift_doubtful=spectrum.zwarning != 0,
            flag_not_covered=not is_covered,
            flag_no_flux=is_covered and bool(np.isnan(found.strength)),
        )
