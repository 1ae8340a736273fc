"""Chunks of spectra, the counts of what became of them, and the rows of their results.

Each function that writes rows does so in one transaction.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from astra.database.connection import database, now, writing
from astra.database.sql import kept_there, locked
from astra.models.base import BaseModel, upsert
from astra.models.pipeline import (
    FlaggedOutputModel,
    PipelineOutputModel,
    TaskClaim,
    has_result,
    of_this_version,
)
from astra.models.source import Source
from astra.tasks.contract import Task
from astra.tasks.pending import Selection, stale_query, with_sources
from astra.tasks.withheld import Withheld, forget, note

# Columns whose values the database chooses.
_GENERATED = {"task_pk", "created", "modified"}


@dataclass(frozen=True)
class Chunk:
    """Spectra to be worked on by one worker.

    Attributes:
        keys: Their keys, ascending.
        token: With which they are claimed, and their results are written.
        alone: One spectrum whose worker died: nothing else may be in hand meanwhile.
    """

    keys: list[int]
    token: int
    alone: bool = False


@dataclass
class Tally:
    """What was done: measured + no_result = processed; flags are counted beside it.

    ``rederived`` and ``filled`` are rows that were there, and were not measured again.

    ``withheld`` is how many files the system withheld twice, or a fill could not read, by what was said;
    ``kept`` how many of their spectra keep an earlier result, and so are not among those processed.
    """

    measured: int = 0
    no_result: int = 0
    rederived: int = 0
    filled: int = 0
    kept: int = 0
    bad: int = 0
    warn: int = 0
    flags: Counter = field(default_factory=Counter)
    withheld: Counter = field(default_factory=Counter)

    @property
    def processed(self) -> int:
        """Spectra that went through the task, with or without a result."""
        return self.measured + self.no_result

    @property
    def done(self) -> int:
        """All spectra that were dealt with, one way or the other."""
        return self.processed + self.rederived + self.filled + self.kept

    def add(self, other: "Tally") -> None:
        """Add the counts of another tally to this one."""
        for name, count in vars(other).items():
            setattr(self, name, getattr(self, name) + count)

    def count(self, row: PipelineOutputModel) -> None:
        """Count one row that the task yielded."""
        measured = True
        if isinstance(row, FlaggedOutputModel):
            measured = not row.flag_no_result
            self.bad += row.flag_bad
            self.warn += row.flag_warn
        self.measured += measured
        self.no_result += not measured
        self.flags.update(name for name in row.flag_names() if getattr(row, name))


@dataclass
class ChunkResult:
    """What became of one chunk.

    Attributes:
        chunk: The chunk.
        tally: Counts of the rows that were written.
        lost: In the order of the spectra, for each whether the system withheld its file (it stays claimed,
            and nothing was written), else ``None``; without those of which that was noted before.
    """

    chunk: Chunk
    tally: Tally
    lost: list[Withheld | None]


def read_inputs(task: Task, keys: Collection[int]) -> tuple[datetime, list[BaseModel]]:
    """Some spectra, and a moment before they were read."""
    moment = now(database)
    found = [
        spectrum
        for model in task.spectrum_models
        for spectrum in with_sources(model).where(model.spectrum_pk << keys)
    ]
    return moment, sorted(found, key=lambda spectrum: spectrum.spectrum_pk)


def write_claimed(
    task: Task, token: int, rows: list[PipelineOutputModel], withheld: Collection[Withheld] = ()
) -> set[int]:
    """Upsert those rows whose spectra are still claimed with a token, and drop these claims.

    Args:
        task: The task.
        token: The token.
        rows: The rows.
        withheld: Whose files were withheld, with a row or without: that is noted. Of the others a note is
            dropped.

    Returns:
        The keys of the spectra whose rows were written, now or by a commit that was not confirmed.

    Raises:
        StorageError: The database refused the rows; none of them was kept.
    """
    keys, unread = ({each.spectrum_pk for each in some} for some in (rows, withheld))
    with writing(database):
        held = _release(task, token, keys | unread)
        there = _still_there(task, rows, held)
        mine = [row for row in rows if row.spectrum_pk in there]
        write(task, mine)
        note(task, [each for each in withheld if each.spectrum_pk in there])
        forget(task, held - unread)
    return {row.spectrum_pk for row in mine} | _written_before(
        task, [row for row in rows if row.spectrum_pk not in held]
    )


def _release(task: Task, token: int, keys: Collection[int]) -> set[int]:
    """Drop the claims with a token on some spectra, within the transaction that writes their results.

    Returns:
        Those of the spectra that were still claimed with it: other workers hold the others now.
    """
    mine = (TaskClaim.task == task.key) & (TaskClaim.token == token) & (TaskClaim.spectrum_pk << list(keys))
    # Everyone locks them in this order, so that there is no deadlock.
    query = TaskClaim.select(TaskClaim.spectrum_pk).where(mine).order_by(TaskClaim.spectrum_pk)
    held = {pk for (pk,) in locked(query).tuples()}
    TaskClaim.delete().where(mine).execute()
    return held


def _still_there(task: Task, rows: list[PipelineOutputModel], keys: Collection[int]) -> dict[int, int | None]:
    """What an ingest has left of some spectra since they were read, and keeps until the transaction ends.

    Where it has made one source of two, rows of the other get the one that stays; the version that they keep
    tells the next run that they are not made from that.

    Args:
        task: The task.
        rows: Results of some of the spectra.
        keys: The spectra.

    Returns:
        Those that are there, with their sources.
    """
    read = {row.source_pk for row in rows} - {None}
    sources = kept_there(Source.select(Source.pk).where(Source.pk << read).order_by(Source.pk))
    gone = read - {pk for (pk,) in sources.tuples()}
    found: dict[int, int | None] = {}
    for spectra in task.spectrum_models:
        query = spectra.select(spectra.spectrum_pk, spectra.source).where(spectra.spectrum_pk << list(keys))
        found |= dict(kept_there(query.order_by(spectra.spectrum_pk)).tuples())
    for row in rows:
        if row.source_pk in gone:
            row.source_pk = found.get(row.spectrum_pk)
    return found


def _written_before(task: Task, rows: list[PipelineOutputModel]) -> set[int]:
    """Those of some rows that are there already: of the same run, and read at the same moment."""
    if not rows:
        return set()
    results, some = task.output_model, rows[0]
    same = (results.run_pk == some.run_pk) & (results.inputs_read == some.inputs_read)
    same &= results.spectrum_pk << [row.spectrum_pk for row in rows]
    return {pk for (pk,) in results.select(results.spectrum_pk).where(same).tuples()}


def write_failures(task: Task, keys: Collection[int], run_pk: int | None, reason: str) -> Tally | None:
    """Write that there is no result of some spectra, and why.

    Returns:
        What was written; ``None`` if the task's results cannot say that.

    Raises:
        StorageError: The database refused the rows; none of them was kept.
    """
    results, tally = task.output_model, Tally()
    if not issubclass(results, FlaggedOutputModel):
        return None
    moment, spectra = read_inputs(task, keys)
    rows = []
    for spectrum in spectra:
        row = results.from_spectrum(spectrum, flag_no_result=True, run_pk=run_pk)
        which = getattr(spectrum, "path", None) or f"spectrum {spectrum.spectrum_pk}"
        row.no_result_reason, row.t_elapsed, row.t_overhead = f"{reason}: {which}", 0.0, 0.0
        row.made_from(spectrum, moment)
        tally.count(row)
        rows.append(row)
    if task.rederivation is not None:
        task.rederivation.apply(rows, [spectrum.source for spectrum in spectra])
    with writing(database):
        write(task, rows)
        forget(task, keys)
    return tally


def rederive(task: Task, keys: list[int]) -> Tally:
    """Bring the rows of some spectra up to date with their sources; no spectrum is opened.

    Those that another run has brought up to date meanwhile are left out.

    Raises:
        StorageError: The database refused the rows; none of them was kept.
    """
    results, source_read = task.output_model, now(database)
    with writing(database):
        query = results.select().where(results.spectrum_pk << keys, of_this_version(results))
        present = {row.spectrum_pk: row for row in locked(query.order_by(results.spectrum_pk))}
        rows, sources = [], []
        for spectrum in _stale(task, list(present)):
            row = present[spectrum.spectrum_pk]
            row.source_pk = spectrum.source_pk
            row.derived_from(spectrum.source, source_read)
            rows.append(row)
            sources.append(spectrum.source)
        task.rederivation.apply(rows, sources)
        write(task, rows)
    return Tally(rederived=len(rows))


def _stale(task: Task, keys: list[int]) -> Iterator[BaseModel]:
    """Those of some spectra whose rows are stale, with their sources."""
    for selection in Selection(task).of_each_model():
        spectra = selection.spectra
        stale = stale_query(selection).where(spectra.spectrum_pk << keys)
        chosen = spectra.spectrum_pk << [pk for (pk,) in stale.tuples()]
        yield from with_sources(spectra).where(chosen).order_by(spectra.spectrum_pk)


def write(task: Task, rows: Iterable[PipelineOutputModel]) -> None:
    """Insert rows or update them, within ``writing``; a rerun keeps ``created`` and ``task_pk``."""
    results = task.output_model
    names = [field.name for field in results.written_fields() if field.name not in _GENERATED]
    values = [{name: getattr(row, name) for name in names} for row in rows]
    key = ("spectrum_pk", "v_astra_major_minor")
    upsert(results, values, key=key, keep=("tag",), uncounted=results.PROVENANCE)


def with_result(task: Task, keys: Collection[int]) -> set[int]:
    """Those of some spectra that have a result under this version."""
    results = task.output_model
    found = of_this_version(results) & has_result(results) & (results.spectrum_pk << list(keys))
    return {pk for (pk,) in results.select(results.spectrum_pk).where(found).tuples()}
