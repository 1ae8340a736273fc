"""Single stars: everything that the database has of a spectrum and its result."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import peewee

from astra.models import ApogeeCoaddedSpectrumInApStar, AstroNNdist, Distance, Source, TaskRun
from astra.tasks.pending import sources_of


@dataclass(frozen=True)
class Detail:
    """One result with all that belongs to it.

    Attributes:
        summary: Its row of the view ``distances``.
    """

    summary: Distance
    result: AstroNNdist
    spectrum: ApogeeCoaddedSpectrumInApStar
    source: Source | None
    run: TaskRun | None

    @property
    def name(self) -> str:
        """What to call the star: its APOGEE id, or else that of its spectrum."""
        return self.summary.sdss4_apogee_id or self.spectrum.obj


@dataclass(frozen=True)
class Star:
    """All spectra of one star.

    Attributes:
        details: Those with a result, the best spectrum first.
        pending: How many have none.
    """

    details: list[Detail]
    pending: int


def read_details(spectrum_pks: Sequence[int]) -> list[Detail]:
    """What the database has of these spectra, in their order; those without a result are left out."""
    keys = list(spectrum_pks)
    found: dict[int, Detail] = {}
    for some in peewee.chunked(keys, 500):
        summaries = list(Distance.select().where(Distance.spectrum_pk << list(some)))
        results = _by_key(AstroNNdist, "task_pk", (row.task_pk for row in summaries))
        spectra = _by_key(
            ApogeeCoaddedSpectrumInApStar, "spectrum_pk_id", (row.spectrum_pk for row in summaries)
        )
        sources = _by_key(Source, "pk", (row.source_pk for row in summaries))
        runs = _by_key(TaskRun, "pk", (row.run_pk for row in summaries))
        for row in summaries:
            found[row.spectrum_pk] = Detail(
                row,
                results[row.task_pk],
                spectra[row.spectrum_pk],
                sources.get(row.source_pk),
                runs.get(row.run_pk),
            )
    return [found[key] for key in keys if key in found]


def read_star(name: str) -> Star:
    """All spectra of a star.

    Args:
        name: An sdss_id (digits) or an APOGEE id.

    Raises:
        UsageError: There is no such star in the database.
    """
    spectra = ApogeeCoaddedSpectrumInApStar
    chosen = spectra.select(spectra.spectrum_pk).where(spectra.source << sources_of([name]))
    keys = [key for (key,) in chosen.tuples()]
    details = read_details(keys)
    details.sort(key=lambda detail: (not detail.summary.primary_spectrum, detail.spectrum.spectrum_pk))
    return Star(details, len(keys) - len(details))


def _by_key(model: type[peewee.Model], name: str, keys: Iterable[int | None]) -> dict[int, peewee.Model]:
    field = getattr(model, name.removesuffix("_id"))
    wanted = {key for key in keys if key is not None}
    return {getattr(row, name): row for row in model.select().where(field << wanted)} if wanted else {}
