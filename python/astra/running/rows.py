"""Rows of results: what is read for them, and each way in which they are written, in one transaction."""

from collections.abc import Collection, Iterable
from datetime import datetime

from astra.database.connection import database, writing
from astra.database.locks import committed_now
from astra.database.sql import locked
from astra.models.base import BaseModel
from astra.models.claims import TaskClaim
from astra.models.pipeline import PipelineOutputModel, has_result, of_this_version
from astra.models.upsert import upsert
from astra.running.chunk import Chunk, ChunkResult, Tally
from astra.tasks.contract import Task
from astra.tasks.pending import Selection, stale_query, with_sources
from astra.tasks.withheld import Withheld, forget, note

# What the database gives a row.
_GIVEN = {"task_pk", "created", "modified"}


def read_inputs(task: Task, keys: Collection[int]) -> tuple[datetime, list[BaseModel]]:
    """Some spectra, and a moment before they were read."""
    moment, model = committed_now(database), task.spectrum_model
    return moment, list(with_sources(model).where(model.spectrum_pk << keys).order_by(model.spectrum_pk))


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
        write(task, [row for row in rows if row.spectrum_pk in held])
        note(task, [each for each in withheld if each.spectrum_pk in held])
        forget(task, held - unread)
    return (held & keys) | _written_before(task, [row for row in rows if row.spectrum_pk not in held])


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


def _written_before(task: Task, rows: list[PipelineOutputModel]) -> set[int]:
    """Those of some rows that are there already: of the same run, and read at the same moment."""
    if not rows:
        return set()
    results, some = task.output_model, rows[0]
    same = (results.run_pk == some.run_pk) & (results.inputs_read == some.inputs_read)
    keys = [row.spectrum_pk for row in rows]
    query = results.select(results.spectrum_pk).where(same, results.spectrum_pk << keys)
    return {pk for (pk,) in query.tuples()}


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
    moment, spectra = read_inputs(task, keys)
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
        write(task, rows)
        forget(task, keys)
    return tally


def rederive(task: Task, keys: list[int]) -> Tally:
    """Bring the rows of some spectra up to date with their sources; no spectrum is opened.

    Those that another run has brought up to date meanwhile are left out.

    Raises:
        StorageError: The database refused the rows; none of them was kept.
    """
    results, spectra = task.output_model, task.spectrum_model
    source_read = committed_now(database)
    with writing(database):
        query = (
            results.select()
            .where(results.spectrum_pk << keys, of_this_version(results))
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
        write(task, rows.values())
    return Tally(rederived=len(rows))


def write(task: Task, rows: Iterable[PipelineOutputModel]) -> None:
    """Insert rows or update them, within ``writing``; a rerun keeps ``created`` and ``task_pk``."""
    results = task.output_model
    names = [field.name for field in results.written_fields() if field.name not in _GIVEN]
    values = [{name: getattr(row, name) for name in names} for row in rows]
    key = ("spectrum_pk", "v_astra_major_minor")
    upsert(results, values, key=key, keep=("tag",), uncounted=results.PROVENANCE)


def with_result(task: Task, keys: Collection[int]) -> set[int]:
    """Those of some spectra that have a result under this version."""
    results = task.output_model
    query = results.select(results.spectrum_pk).where(
        results.spectrum_pk << list(keys), of_this_version(results), has_result(results)
    )
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
