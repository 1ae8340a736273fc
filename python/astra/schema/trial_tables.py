"""The tables of trials: made like those of production, kept like them by ``astra init``, dropped.

A trial with an E(B-V) of its own has a view beside its table: all sources, with its values in the place of
``source.ebv`` and ``source.e_ebv``.
"""

import peewee

from astra.database.clones import clone_table, copy_rights, missing_columns
from astra.database.waiting import MANY_LOCKS_TIMEOUT_S, patiently
from astra.models.pipeline import TaskTrial, TaskTrialEbv
from astra.models.source import Source
from astra.tasks.trials import production_table, sources_of_trial

_OF_COLUMN, _OF_TABLE = "column ", "table "


def from_column(name: str) -> str:
    """How ``ebv_from`` of a trial names a column of the table of sources."""
    return _OF_COLUMN + name


def from_table(path: str) -> str:
    """How ``ebv_from`` of a trial names a table of stars."""
    return _OF_TABLE + path


def table_in(ebv_from: str | None) -> str | None:
    """The path of the table of stars that ``ebv_from`` of a trial names, if it does."""
    is_table = ebv_from is not None and ebv_from.startswith(_OF_TABLE)
    return ebv_from.removeprefix(_OF_TABLE) if is_table else None


def make_tables(database: peewee.Database, trial: TaskTrial) -> None:
    """Make the table of a trial, and its view of sources if it needs one, in place of what is left of one."""

    def change() -> None:
        with database.atomic():
            _drop(database, trial)
            clone_table(database, production_table(trial), trial.table_name)
            _make_view(database, trial)

    # Three tables that it refers to are in use.
    patiently(database, f"the table {trial.table_name}", change, MANY_LOCKS_TIMEOUT_S)


def drop_tables(database: peewee.Database, trial: TaskTrial) -> None:
    """Drop the table of a trial, its view, and the record of it."""

    def change() -> None:
        with database.atomic():
            _drop(database, trial)
            trial.delete_instance()

    # Its own, and those that it refers to: nobody reads them until it is gone.
    patiently(database, f"the table {trial.table_name}", change, MANY_LOCKS_TIMEOUT_S)


def upgrade_trials(database: peewee.Database) -> list[str]:
    """Give the tables of trials the columns that those of production have got since, absent in all rows.

    Returns:
        The new columns, as ``TABLE.COLUMN``.
    """
    there, views, added = set(database.get_tables()), {view.name for view in database.get_views()}, []
    for trial in TaskTrial.select():
        table, production = trial.table_name, production_table(trial)
        if not {table, production} <= there:
            continue
        for column, kind in missing_columns(database, production, table):
            statement = f'ALTER TABLE "{table}" ADD COLUMN "{column}" {kind}'
            patiently(database, f"the table {table}", lambda sql=statement: database.execute_sql(sql))
            added.append(f"{table}.{column}")
        if trial.ebv_from and _columns_of(database, trial, views) != _columns_of_sources():
            patiently(database, sources_of_trial(trial), lambda trial=trial: _make_view(database, trial))
    return added


def _drop(database: peewee.Database, trial: TaskTrial) -> None:
    database.execute_sql(f'DROP VIEW IF EXISTS "{sources_of_trial(trial)}"')
    database.execute_sql(f'DROP TABLE IF EXISTS "{trial.table_name}"')
    of_trial = (TaskTrialEbv.task == trial.task) & (TaskTrialEbv.name == trial.name)
    TaskTrialEbv.delete().where(of_trial).execute()


def _columns_of(database: peewee.Database, trial: TaskTrial, views: set[str]) -> list[str]:
    view = sources_of_trial(trial)
    return [column.name for column in database.get_columns(view)] if view in views else []


def _columns_of_sources() -> list[str]:
    return [field.column_name for field in Source._meta.sorted_fields]


def _make_view(database: peewee.Database, trial: TaskTrial) -> None:
    if trial.ebv_from is None:
        return
    special, view = _expressions(database, trial), sources_of_trial(trial)
    columns = (f'{special.get(name, f"source.{name}")} AS "{name}"' for name in _columns_of_sources())
    with database.atomic():
        database.execute_sql(f'DROP VIEW IF EXISTS "{view}"')
        database.execute_sql(f'CREATE VIEW "{view}" AS SELECT {", ".join(columns)} FROM source')
        copy_rights(database, Source._meta.table_name, view)


def _expressions(database: peewee.Database, trial: TaskTrial) -> dict[str, str]:
    """SQL for what a trial takes for E(B-V) and its error."""
    if not trial.ebv_from.startswith(_OF_COLUMN):
        # Only in a subquery are the rows of the view still those of the table, which can be locked. The words
        # of the condition are safe: names of trials and tasks have no quotes.
        same = f"task = '{trial.task}' AND name = '{trial.name}' AND source_pk = source.pk"
        query = f"(SELECT {{}} FROM {TaskTrialEbv._meta.table_name} WHERE {same} ORDER BY pk LIMIT 1)"
        return {name: query.format(name) for name in ("ebv", "e_ebv")}
    column = trial.ebv_from.removeprefix(_OF_COLUMN)
    there = {each.name for each in database.get_columns(Source._meta.table_name)}
    error = f'source."e_{column}"' if f"e_{column}" in there else "NULL"
    values = {"ebv": f'source."{column}"', "e_ebv": error}
    return {name: f"CAST({value} AS DOUBLE PRECISION)" for name, value in values.items()}
