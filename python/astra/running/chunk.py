"""One chunk of work: read some spectra, run the task on them, write its rows in one transaction."""

import logging
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from astra.database.connection import database, writing
from astra.database.locks import settled_now
from astra.database.reconnecting import persistent
from astra.database.sql import locked
from astra.errors import AstraError
from astra.models.base import BaseModel
from astra.models.claims import TaskClaim
from astra.models.pipeline import PipelineOutputModel
from astra.models.upsert import upsert
from astra.system.version import V_ASTRA_MAJOR_MINOR
from astra.tasks.contract import Task
from astra.tasks.pending import Selection, stale_query, with_sources
from astra.tasks.withheld import Withheld, forget, note, noted_among

log = logging.getLogger("astra")

#: Values of a row, by field name.
Values = dict[str, Any]


@dataclass
class Tally:
    """What was done: measured + no_result = processed; flags are counted beside it.

    ``withheld`` is how many files the system withheld twice, by what it said; ``kept`` how many of their
    spectra keep an earlier result, and so are not among those processed.
    """

    measured: int = 0
    no_result: int = 0
    rederived: int = 0
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
        return self.processed + self.rederived + self.kept

    def add(self, other: "Tally") -> None:
        """Add the counts of another tally to this one."""
        for name in ("measured", "no_result", "rederived", "kept", "bad", "warn"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.flags.update(other.flags)
        self.withheld.update(other.withheld)

    def count(self, row: PipelineOutputModel) -> None:
        """Count one row that the task gave."""
        failed = bool(getattr(row, "flag_no_result", False))
        self.no_result += failed
        self.measured += not failed
        self.bad += bool(getattr(row, "flag_bad", False))
        self.warn += bool(getattr(row, "flag_warn", False))
        self.flags.update(name for name in row.flag_names() if getattr(row, name))


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


def measure(
    task: Task, chunk: Chunk, options: Mapping[str, Any], run_pk: int | None
) -> list[PipelineOutputModel]:
    """Run a task on some spectra; nothing is written.

    Raises:
        AstraError: The task broke its contract of one row per spectrum, in order.
        DatabaseUnreachable: The database cannot be read, and did not come back.
    """
    inputs_read, spectra = persistent(lambda: _inputs(task, chunk.keys))
    rows = list(task(spectra, **options))
    if [row.spectrum_pk for row in rows] != [spectrum.spectrum_pk for spectrum in spectra]:
        raise AstraError(
            f"task {task.name} gave {len(rows)} rows for {len(spectra)} spectra, or in another order"
        )
    for row in rows:
        row.run_pk, row.inputs_read, row.source_read = run_pk, inputs_read, inputs_read
    return rows


def _inputs(task: Task, keys: Collection[int]) -> tuple[datetime, list[BaseModel]]:
    """Some spectra, and a moment before they were read."""
    moment, model = settled_now(database), task.spectrum_model
    return moment, list(with_sources(model).where(model.spectrum_pk << keys).order_by(model.spectrum_pk))


def store(task: Task, chunk: Chunk, rows: list[PipelineOutputModel]) -> ChunkResult:
    """Write the rows of a chunk, all but those of files that the system withholds.

    The spectrum of such a file gets a row only if it was noted before, and has no result: a result stays.

    Raises:
        StorageError: The database refused the rows; none of them was kept.
        DatabaseUnreachable: The connection was lost, and the server did not come back.
    """
    tally = Tally()
    withheld = {row.spectrum_pk: _withheld(row) for row in rows if row.file_lost}
    again = persistent(lambda: noted_among(task, withheld)) if withheld else set()
    kept = persistent(lambda: _with_result(task, again)) if again else set()
    # A row that cannot say that there is no result would pass for one.
    failed = again - kept if hasattr(task.output_model, "flag_no_result") else set()
    found = [row for row in rows if row.spectrum_pk not in withheld or row.spectrum_pk in failed]
    values, tries = [_values(row) for row in found], [withheld[pk] for pk in sorted(again)]
    written = persistent(lambda: write_claimed(task, chunk.token, values, tries))
    for row in found:
        if row.spectrum_pk in written:
            tally.count(row)
    if len(written) < len(found):
        log.warning(
            "%d of %d results were not written: others took over their spectra while the connection was lost",
            len(found) - len(written),
            len(found),
        )
    tally.kept = len(kept)
    tally.withheld.update(each.kind for each in tries)
    lost = [withheld.get(row.spectrum_pk) for row in rows if row.spectrum_pk not in again]
    return ChunkResult(chunk, tally, lost)


def _withheld(row: PipelineOutputModel) -> Withheld:
    reason = getattr(row, "no_result_reason", None) or "its file could not be read"
    return Withheld(row.spectrum_pk, reason, row.inputs_read)


def _with_result(task: Task, keys: Collection[int]) -> set[int]:
    """Those of some spectra that have a result under this version."""
    results = task.output_model
    query = results.select(results.spectrum_pk).where(
        results.spectrum_pk << list(keys), results.v_astra_major_minor == V_ASTRA_MAJOR_MINOR
    )
    if hasattr(results, "flag_no_result"):
        query = query.where(~results.flag_no_result)
    return {pk for (pk,) in query.tuples()}


def write_claimed(
    task: Task, token: int, rows: list[Values], withheld: Collection[Withheld] = ()
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
    keys, unread = {values["spectrum_pk"] for values in rows}, {each.spectrum_pk for each in withheld}
    with writing(database):
        held = _release(task, token, keys | unread)
        write(task, [values for values in rows if values["spectrum_pk"] in held])
        note(task, [each for each in withheld if each.spectrum_pk in held])
        forget(task, held - unread)
    rest = [values for values in rows if values["spectrum_pk"] not in held]
    return (held & keys) | _written_before(task, rest)


def _release(task: Task, token: int, keys: Collection[int]) -> set[int]:
    """Drop the claims with a token on some spectra, within the transaction that writes their results.

    Returns:
        Those of the spectra that were still claimed with it: others are in somebody else's hand now.
    """
    mine = (TaskClaim.task == task.name) & (TaskClaim.token == token) & (TaskClaim.spectrum_pk << list(keys))
    # In the order in which all others lock them: nobody waits for somebody who waits for him.
    query = TaskClaim.select(TaskClaim.spectrum_pk).where(mine).order_by(TaskClaim.spectrum_pk)
    held = {pk for (pk,) in locked(query).tuples()}
    TaskClaim.delete().where(mine).execute()
    return held


def _written_before(task: Task, rows: list[Values]) -> set[int]:
    """Those of some rows that are there already: of the same run, and read at the same moment."""
    if not rows:
        return set()
    results, some = task.output_model, rows[0]
    same = (results.run_pk == some["run_pk"]) & (results.inputs_read == some["inputs_read"])
    keys = [values["spectrum_pk"] for values in rows]
    query = results.select(results.spectrum_pk).where(same, results.spectrum_pk << keys)
    return {pk for (pk,) in query.tuples()}


def recovered(task: Task, chunk: Chunk, run_pk: int | None, unwritten: Collection[int]) -> ChunkResult:
    """What became of a chunk whose worker died: some, or all, may have been written before that."""
    results, tally = task.output_model, Tally()
    keys = set(chunk.keys) - set(unwritten)
    query = results.select().where(results.spectrum_pk << keys, results.run_pk == run_pk)
    rows = {row.spectrum_pk: row for row in query}
    for row in rows.values():
        tally.count(row)
    return ChunkResult(chunk, tally, [None] * len(rows))


def write_failures(task: Task, keys: Collection[int], run_pk: int | None, reason: str) -> Tally | None:
    """Write that there is no result of some spectra, and why.

    Returns:
        What was written; ``None`` if the task's results cannot say that.

    Raises:
        StorageError: The database refused the rows; none of them was kept.
    """
    results, tally = task.output_model, Tally()
    if not hasattr(results, "flag_no_result"):
        return None
    moment, spectra = _inputs(task, keys)
    rows = []
    for spectrum in spectra:
        row = results.from_spectrum(spectrum, flag_no_result=True, run_pk=run_pk, inputs_read=moment)
        row.no_result_reason, row.t_elapsed, row.t_overhead = f"{reason}: {spectrum.path}", 0.0, 0.0
        row.source_read = moment
        tally.count(row)
        rows.append(row)
    if task.rederivation is not None:
        task.rederivation.apply(rows, [spectrum.source for spectrum in spectra])
    with writing(database):
        write(task, [_values(row) for row in rows])
        forget(task, keys)
    return tally


def write(task: Task, rows: list[Values]) -> None:
    """Insert rows or update them, within ``writing``; a rerun keeps ``created`` and ``task_pk``."""
    results = task.output_model
    upsert(
        results,
        rows,
        key=("spectrum_pk", "v_astra_major_minor"),
        keep=("tag",),
        uncounted=results.PROVENANCE,
    )


def rederive(task: Task, keys: list[int]) -> Tally:
    """Bring the rows of some spectra up to date with their sources; no spectrum is opened.

    Those that another run has brought up to date meanwhile are left out.

    Raises:
        StorageError: The database refused the rows; none of them was kept.
    """
    results, spectra = task.output_model, task.spectrum_model
    source_read = settled_now(database)
    with writing(database):
        query = (
            results.select()
            .where(results.spectrum_pk << keys, results.v_astra_major_minor == V_ASTRA_MAJOR_MINOR)
            .order_by(results.spectrum_pk)
        )
        rows = {row.spectrum_pk: row for row in locked(query)}
        stale = stale_query(Selection(task)).where(spectra.spectrum_pk << list(rows))
        rows = {pk: rows[pk] for (pk,) in stale.order_by(spectra.spectrum_pk).tuples()}
        sources = {}
        for spectrum in with_sources(spectra).where(spectra.spectrum_pk << list(rows)):
            row = rows[spectrum.spectrum_pk]
            row.source_pk, row.source_read = spectrum.source_pk, source_read
            sources[spectrum.spectrum_pk] = spectrum.source
        task.rederivation.apply(list(rows.values()), [sources[pk] for pk in rows])
        write(task, [_values(row) for row in rows.values()])
    return Tally(rederived=len(rows))


def _values(row: PipelineOutputModel) -> Values:
    """What is written of a row: all but what the database gives it."""
    skipped = {"task_pk", "created", "modified"}
    return {f.name: getattr(row, f.name) for f in type(row).written_fields() if f.name not in skipped}
