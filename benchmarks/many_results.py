"""Many spectra with results in production and in a trial, made by SQL in the database itself."""

import peewee

from astra.database.connection import is_postgresql
from astra.models import AstroNNdist, Source, Spectrum, TaskRun
from astra.models.apogee import ApogeeCoaddedSpectrumInApStar
from astra.system.version import V_ASTRA, V_ASTRA_MAJOR_MINOR
from astra.tasks.installed import find_task
from astra.trials.making import make_trial

#: ``l_fakemag`` of all results of each set.
OF_PRODUCTION, OF_TRIAL = 10.0, 20.0

_INPUTS = {
    Source: {"pk": "i", "sdss_id": "i", "k_mag": "10.0", "ebv": "0.1", "ebv_flags": "0"},
    Spectrum: {"pk": "i"},
    ApogeeCoaddedSpectrumInApStar: {
        "pk": "i",
        "source_pk": "i",
        "spectrum_pk": "i",
        "product_id": "'p' || i",
        "obj": "'o' || i",
        "release": "'dr17'",
        "filetype": "'apStar'",
        "apred": "'dr17'",
        "apstar": "'stars'",
        "telescope": "'apo25m'",
        "field": "'M67'",
        "prefix": "'ap'",
        "reduction": "''",
        "commissioning": "FALSE",
        "spectrum_flags": "0",
        "snr": "100.0",
    },
}


def register(database: peewee.Database, count: int) -> None:
    """Stars with a spectrum each, whose keys are 1, 2, …"""
    for model, values in _INPUTS.items():
        table = model._meta.table_name
        _insert(database, table, values, 1, count)
        if is_postgresql(database):
            database.execute_sql("SELECT setval(pg_get_serial_sequence(%s, 'pk'), %s)", (table, count))


def add_results(
    database: peewee.Database, table: str, run: TaskRun, value: float, first: int, last: int
) -> None:
    """Results of the spectra from ``first`` to ``last``, all alike."""
    spectra = f"(SELECT modified FROM {ApogeeCoaddedSpectrumInApStar._meta.table_name} WHERE pk = i)"
    moment = f"(SELECT started FROM task_run WHERE pk = {run.pk})"
    values = {
        "source_pk": "i",
        "spectrum_pk": "i",
        "run_pk": str(run.pk),
        "v_astra": str(V_ASTRA),
        "inputs_read": moment,
        "source_read": moment,
        "spectrum_modified": spectra,
        "source_modified": "(SELECT modified FROM source WHERE pk = i)",
        "k_mag": "10.0",
        "ebv": "0.1",
        "a_k_mag": "0.03517",
        "l_fakemag": str(value),
        "result_flags": "0",
        "e_l_fakemag": str(value / 10),
        "dist": str(98_000 / value),
    }
    _insert(database, table, values, first, last)


def a_run_with(weights: str, task: str = "astronn_dist") -> TaskRun:
    """The record of a run with weights of a name, in this version."""
    identity = {"weights_name": weights, "weights_sha256": weights * 8, "seed": 0, "n_draws": 100}
    return TaskRun.create(
        task=task, version="0", v_astra_major_minor=V_ASTRA_MAJOR_MINOR, host="here", pid=1, **identity
    )


def two_sets(database: peewee.Database, count: int, name: str = "trial-x") -> None:
    """So many spectra, with results in production and others in a trial."""
    with database.atomic():
        register(database, count)
        table = AstroNNdist._meta.table_name
        add_results(database, table, a_run_with("old"), OF_PRODUCTION, 1, count)
    trial = make_trial(find_task("astronn_dist"), name)
    with database.atomic():
        run = a_run_with("new", f"astronn_dist@{name}")
        add_results(database, trial.table_name, run, OF_TRIAL, 1, count)


def _insert(database: peewee.Database, table: str, values: dict[str, str], first: int, last: int) -> None:
    numbers = f"WITH RECURSIVE n (i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i < {last})"
    listed = ", ".join(values)
    database.execute_sql(
        f"INSERT INTO {table} ({listed}) {numbers} SELECT {', '.join(values.values())} FROM n"
    )
