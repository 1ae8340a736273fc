"""Spectrophotometric distances from APOGEE spectra, in the manner of an SDSS Astra plugin.

What is where:

    config.py, database.py   what is in force, and the one door to SQLite and PostgreSQL
    schema.py                migrations: make and upgrade the tables, refuse others
    fields.py, glossary.py   columns that carry help and units, and their wording
    photometry.py            figures that registering and measuring share
    models/                  the tables: sources, spectra, results, runs
    products/                files: identity and layout of an apStar product, and its reader
    ingest/                  files and catalogues -> sources and spectra
    simulator/               simulated stars, their spectra, and files of these; comparison.py: with results
    tasks.py                 @task and the registry of tasks
    pending.py, status.py    which spectra still need a task, and how far it is
    running/                 a run: from a request to rows, in one process or several
    slurm/                   the same run on a cluster: one job array, watched until its end
    pipelines/               the tasks themselves, compute apart from files and rows
    processes.py             child processes: their share of the cores, their end
    cli/                     one file per command
"""

from importlib import metadata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from astra.pending import generate_queries_for_task
    from astra.pipelines.astronn_dist.direct import distance, distance_from_apstar
    from astra.tasks import task

#: What pip calls this package: `astra` is another one.
DISTRIBUTION = "astra-distances"

__version__ = metadata.version(DISTRIBUTION)

__all__ = ["__version__", "distance", "distance_from_apstar", "generate_queries_for_task", "task"]

_HOMES = {
    "distance": "astra.pipelines.astronn_dist.direct",
    "distance_from_apstar": "astra.pipelines.astronn_dist.direct",
    "generate_queries_for_task": "astra.pending",
    "task": "astra.tasks",
}


def __getattr__(name: str):
    # Loaded on demand, so that ``astra --help`` imports neither the models nor peewee.
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'astra' has no attribute {name!r}")
