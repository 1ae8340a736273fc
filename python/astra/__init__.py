"""Spectrophotometric distances from APOGEE spectra, in the manner of an SDSS Astra plugin.

The rooms, from the ground up; each imports only from those above it in this list:

    errors.py    what can go wrong, and who acts on it
    damage.py    what is wrong with a file that was made elsewhere, whichever library reads it
    hiding.py    passwords, which no message and no page shows
    config.py    the settings in force, and where each comes from
    system/      files written whole, processes, compiled functions, logs
    database/    connections to SQLite and PostgreSQL, and all that differs between the two
    spectra/     what a spectrum is, apart from any pipeline: identity, reader, pixels, rectification
    models/      the tables and their words: sources, spectra, results, runs, flags
    tasks/       @task, the installed tasks, and which spectra still need one
    ingest/      files and catalogues -> sources and spectra
    pipelines/   the tasks themselves, compute apart from files and rows
    schema/      migrations, and the rights of roles
    running/     a run: from a request to rows, in one process or several
    status/      how far a task is
    trials/      results beside production, which may take its place
    doctor/      whether a run can work here
    slurm/       the same run on a cluster: one job array, watched until its end
    catalogue/   results for other programs: FITS, VOTable, Parquet, text
    report/      results for people: pages and plots
    serve/       all tables in a browser
    modelling/   simulated stars and training: nothing that a run imports
    stars/       single stars: distances without a database, and all that the database knows of one
    cli/         one file per command

Public names that only re-export what stands in a room:

    fields.py, glossary.py, pending.py, products/, utils.py
"""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from astra.ingest.other_spectra import register_spectra
    from astra.stars.direct import distance, distance_from_apstar
    from astra.system.version import __version__
    from astra.tasks.contract import task
    from astra.tasks.options import Option
    from astra.tasks.queries import generate_queries_for_task

__all__ = [
    "Option",
    "__version__",
    "distance",
    "distance_from_apstar",
    "generate_queries_for_task",
    "register_spectra",
    "task",
]

#: The home folder of a user who has none, as Debian names it: nothing is in it, and nothing can be.
NO_HOME = "/nonexistent"


def _has_home() -> bool:
    home = os.path.expanduser("~")
    try:
        os.stat(os.path.join(home, "."))
    except FileNotFoundError:
        return home != "~"  # it can be made
    except OSError:
        return False
    return True


# In a container, a user may be in no list of users, or have the home of another. Libraries that look into it
# when they are imported would stop.
if not _has_home():
    os.environ["HOME"] = NO_HOME

_HOMES = {
    "Option": "astra.tasks.options",
    "__version__": "astra.system.version",
    "distance": "astra.stars.direct",
    "distance_from_apstar": "astra.stars.direct",
    "generate_queries_for_task": "astra.tasks.queries",
    "register_spectra": "astra.ingest.other_spectra",
    "task": "astra.tasks.contract",
}


def __getattr__(name: str):
    # Loaded on demand, so that ``astra --help`` waits for no models, no peewee, and no metadata of packages.
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'astra' has no attribute {name!r}")
