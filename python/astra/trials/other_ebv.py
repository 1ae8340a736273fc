"""Trials that take E(B-V) from another column of the table of sources, or from a table of stars.

Nothing is measured again for it: the results of production are taken over with their luminosities, and
derived again from the values of the trial, as for a source that has changed.
"""

import logging
from collections.abc import Iterator
from pathlib import Path

import peewee
from peewee import fn

from astra.database.connection import database, writing
from astra.errors import UsageError, nearest
from astra.ingest.catalog_alone import values_of_sources
from astra.models.base import insert_rows
from astra.models.pipeline import TaskTrial, TaskTrialEbv
from astra.models.source import Source
from astra.schema.trial_tables import from_column, from_table
from astra.system.version import V_ASTRA_MAJOR_MINOR
from astra.tasks.contract import Task
from astra.tasks.trials import key_of, production_table

log = logging.getLogger("astra")

# What a database calls a type of numbers begins with one of these.
_NUMBERS = ("double", "real", "numeric", "int", "bigint", "smallint", "float", "decimal")
_BATCH = 5000
# A row of each table has its own.
_OWN = {"task_pk", "created", "modified"}


def read_ebv_from(task: Task, text: str) -> str:
    """What ``--ebv-from`` means, as the record of a trial keeps it.

    Raises:
        UsageError: The task cannot derive results again, or it is neither a column of numbers nor a file.
    """
    if task.rederivation is None or not task.uses_source:
        raise UsageError(f"--ebv-from: task {task.name} cannot derive its results again from another E(B-V)")
    columns = {each.name: each.data_type.lower() for each in database.get_columns(Source._meta.table_name)}
    if text in columns:
        if not columns[text].startswith(_NUMBERS):
            raise UsageError(f"--ebv-from {text}: that column of source holds {columns[text]}, not numbers")
        return from_column(text)
    if not Path(text).is_file():
        what = f"neither a column of the table source nor a file{nearest(text, columns, None)}"
        raise UsageError(f"--ebv-from {text or repr(text)}: {what}")
    return from_table(str(Path(text).absolute()))


def take_values(trial: TaskTrial, path: str) -> None:
    """Keep the E(B-V) of the sources that a table of stars lists."""
    of_trial, matched = {"task": trial.task, "name": trial.name}, 0
    for part in peewee.chunked(_values(path), _BATCH):
        rows = [of_trial | {"source_pk": pk, "ebv": ebv, "e_ebv": error} for pk, ebv, error in part]
        with writing(database):
            insert_rows(TaskTrialEbv, rows, ("pk",))
        matched += len(rows)
    sources = Source.select(fn.COUNT(Source.pk)).scalar()
    said = "%s has E(B-V) of %d of %d sources; the others have none in %s"
    (log.warning if matched < sources else log.info)(said, path, matched, sources, trial.name)


def _values(path: str) -> Iterator[tuple[int, float, float | None]]:
    for pk, values in values_of_sources(path):
        if values.get("ebv") is not None:
            yield pk, values["ebv"], values.get("e_ebv")


def take_over(task: Task, trial: TaskTrial) -> int:
    """Copy the results of production, to be derived again by the next run, and its notes of withheld files.

    Within ``changing_inputs``: no star that a result refers to is merged meanwhile.

    Returns:
        Their number.
    """
    results = task.output_model
    unknown = {"source_read", "source_modified"}
    names = [field.column_name for field in results.written_fields() if field.name not in _OWN]
    values = ", ".join("NULL" if name in unknown else f'"{name}"' for name in names)
    listed = ", ".join(f'"{name}"' for name in names)
    notes = "spectrum_pk, reason, tried, spectrum_modified"
    database.execute_sql(
        f"INSERT INTO task_withheld (task, {notes}) SELECT CAST({database.param} AS TEXT), {notes} "
        f"FROM task_withheld WHERE task = {database.param} ON CONFLICT (task, spectrum_pk) DO NOTHING",
        (key_of(task.name, trial.name), task.name),
    )
    return database.execute_sql(
        f'INSERT INTO "{trial.table_name}" ({listed}) SELECT {values} FROM "{production_table(trial)}" '
        f"WHERE v_astra_major_minor = {V_ASTRA_MAJOR_MINOR}"
    ).rowcount
