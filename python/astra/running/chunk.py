"""One chunk of work: read some spectra, run the task on them, write its rows in one transaction."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from astra.database import locked, settled_now, writing
from astra.errors import AstraError
from astra.models.base import database
from astra.models.pipeline import PipelineOutputModel
from astra.pending import with_sources
from astra.tasks import Task
from astra.upsert import upsert
from astra.version import V_ASTRA_MAJOR_MINOR

#: Values of a row, by field name.
Values = dict[str, Any]


@dataclass
class Tally:
    """What was done: measured + no_result = processed; flags are counted beside it."""

    measured: int = 0
    no_result: int = 0
    rederived: int = 0
    bad: int = 0
    warn: int = 0
    flags: Counter = field(default_factory=Counter)

    @property
    def processed(self) -> int:
        """Spectra that went through the task, with or without a result."""
        return self.measured + self.no_result

    @property
    def done(self) -> int:
        """All spectra that were dealt with, one way or the other."""
        return self.processed + self.rederived

    def add(self, other: "Tally") -> None:
        """Add the counts of another tally to this one."""
        for name in ("measured", "no_result", "rederived", "bad", "warn"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.flags.update(other.flags)

    def count(self, row: PipelineOutputModel) -> None:
        """Count one row that the task gave."""
        failed = bool(getattr(row, "flag_no_result", False))
        self.no_result += failed
        self.measured += not failed
        self.bad += bool(getattr(row, "flag_bad", False))
        self.warn += bool(getattr(row, "flag_warn", False))
        self.flags.update(name for name in row.flag_names() if getattr(row, name))


@dataclass
class ChunkResult:
    """What became of one chunk.

    Attributes:
        tally: Counts of the rows that were written.
        lost: In the order of the spectra, for each the values of its row if the file system withheld
            the file (these were not written), else ``None``.
    """

    tally: Tally
    lost: list[Values | None]


def measure(
    task: Task, keys: list[int], options: Mapping[str, Any], run_pk: int | None
) -> list[PipelineOutputModel]:
    """Run a task on some spectra; nothing is written.

    Raises:
        AstraError: The task broke its contract of one row per spectrum, in order.
    """
    inputs_read = settled_now(database)
    model = task.spectrum_model
    spectra = list(with_sources(model).where(model.spectrum_pk << keys).order_by(model.spectrum_pk))
    rows = list(task(spectra, **options))
    if [row.spectrum_pk for row in rows] != [spectrum.spectrum_pk for spectrum in spectra]:
        raise AstraError(
            f"task {task.name} gave {len(rows)} rows for {len(spectra)} spectra, or in another order"
        )
    for row in rows:
        row.run_pk, row.inputs_read = run_pk, inputs_read
    return rows


def store(task: Task, rows: list[PipelineOutputModel]) -> ChunkResult:
    """Write the rows of some spectra, all but those of files that are not there.

    Raises:
        StorageError: The database refused the rows; none of them was kept.
    """
    tally, lost = Tally(), []
    for row in rows:
        lost.append(_values(row) if row.file_lost else None)
        if not row.file_lost:
            tally.count(row)
    write(task, [_values(row) for row in rows if not row.file_lost])
    return ChunkResult(tally, lost)


def write(task: Task, rows: list[Values]) -> None:
    """Upsert rows in one transaction; a rerun keeps ``created`` and ``task_pk``.

    Raises:
        StorageError: The database refused them; none of them was kept.
    """
    results = task.output_model
    with writing(database):
        upsert(
            results,
            rows,
            key=("spectrum_pk", "v_astra_major_minor"),
            keep=("tag",),
            uncounted=results.PROVENANCE,
        )


def rederive(task: Task, keys: list[int]) -> Tally:
    """Bring the rows of some spectra up to date with their sources; no spectrum is opened.

    Raises:
        StorageError: The database refused the rows; none of them was kept.
    """
    results, spectra = task.output_model, task.spectrum_model
    with writing(database):
        query = results.select().where(
            results.spectrum_pk << keys, results.v_astra_major_minor == V_ASTRA_MAJOR_MINOR
        )
        rows = {row.spectrum_pk: row for row in locked(query)}
        for spectrum in with_sources(spectra).where(spectra.spectrum_pk << list(rows)):
            row = rows[spectrum.spectrum_pk]
            row.source_pk = spectrum.source_pk
            task.rederivation.apply(row, spectrum.source)
        write(task, [_values(row) for row in rows.values()])
    return Tally(rederived=len(rows))


def _values(row: PipelineOutputModel) -> Values:
    """What is written of a row: all but what the database gives it."""
    skipped = {"task_pk", "created", "modified"}
    return {f.name: getattr(row, f.name) for f in type(row).written_fields() if f.name not in skipped}
