"""How long a comparison of a trial takes, and how much memory it needs, for so many made-up stars.

    python benchmarks/bench_trials_compare.py [--stars 200000] [--out build/trials]

The survey is that of bench_report.py. In the trial giants are 5 % farther, the reddening of stars within 10
degrees of the plane is halved, and errors of the model are a tenth larger, so that some flags change.
The page is written by `astra trials compare` in a separate process; what is in --out stays there.
"""

import argparse
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import peewee
from bench_report import ROOT, fill

from astra.config import load_settings
from astra.database.connection import bound_to, open_database
from astra.ingest.values import A_K_PER_EBV
from astra.models.pipeline import TaskTrial
from astra.pipelines.astronn_dist.task import astronn_dist
from astra.tasks.contract import Task
from astra.tasks.trials import trial_table

TRIAL = "trial-halved-ebv"
TABLE = "astro_nn_dist_trial_halved_ebv"
#: Giants of the trial are farther by this factor.
FARTHER = 1.05
#: Where its reddening is halved [deg].
PLANE = 10
# Of columns that follow from others, in production and in the trial.
_PARALLAXES = "nn_parallax = 1000 / dist, e_nn_parallax = 1000 * e_dist / (dist * dist)"


def main() -> None:
    """Read the arguments, fill a database, compare, and print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--stars", type=int, default=200_000)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "trials")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    file = arguments.out / f"survey-{arguments.stars}.db"
    os.environ["ASTRA_DATABASE_PATH"] = str(file)
    if not file.exists():
        fill(arguments.stars, [])
        with bound_to(open_database(load_settings())) as database:
            add_parallaxes(database)
            make_trial(database)
    for words in ([], ["--output", str(arguments.out / f"trial-{arguments.stars}.html"), "--overwrite"]):
        measure(words)


def measure(words: list[str]) -> None:
    """Compare in a separate process, and print the time and the memory that it took."""
    started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "astra", "trials", "compare", TRIAL, *words]
    subprocess.run(command, check=True, capture_output=True, text=True)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    # The memory is that of the largest process so far.
    what, memory = "with the page" if words else "text alone", after.ru_maxrss / 1024
    print(f"{what:<16}{wall:>8.1f} s, of the processor {processor:.1f} s; {memory:.0f} MB")


def add_parallaxes(database: peewee.Database) -> None:
    """Give the results of the survey parallaxes, their own and those of Gaia, as the task would."""
    gaia = "(SELECT {} FROM source WHERE source.pk = astro_nn_dist.source_pk)"
    parts = [_PARALLAXES, f"gaia_parallax = {gaia.format('plx + 0.04')}", "plx_zero_point = -0.04"]
    parts.append(f"e_gaia_parallax = {gaia.format('e_plx')}")
    database.execute_sql(f"UPDATE astro_nn_dist SET {', '.join(parts)} WHERE dist > 0")


def make_trial(database: peewee.Database) -> None:
    """Copy the results into the table of a trial, and change them there."""
    copy_results(database, TRIAL)
    in_plane = f"source_pk IN (SELECT pk FROM source WHERE abs(b) < {PLANE})"
    farther = f"power(10, 0.1 * {A_K_PER_EBV} * ebv)"
    changes = {
        # The true luminosity of a giant is what production says divided by the factor.
        "l_fakemag < 158": f"l_fakemag = l_fakemag / {FARTHER}, {_times(FARTHER)}",
        f"ebv > 0 AND {in_plane}": f"ebv = ebv / 2, a_k_mag = a_k_mag / 2, {_times(farther)}",
        "e_model_dist > 0": "e_l_fakemag = e_l_fakemag * 1.1, e_model_dist = e_model_dist * 1.1",
        "e_l_fakemag >= 0.2 * l_fakemag": "result_flags = result_flags | 1",
        "dist > 0": _PARALLAXES,
    }
    for which, change in changes.items():
        database.execute_sql(f"UPDATE {TABLE} SET {change} WHERE {which}")


def _times(factor: float | str) -> str:
    return ", ".join(f"{name} = {name} * {factor}" for name in ("dist", "e_dist", "e_model_dist"))


def copy_results(database: peewee.Database, name: str, task: Task = astronn_dist) -> None:
    """Make a trial that has the rows of production, in a table that takes any value."""
    production = task.output_model._meta.table_name
    table = trial_table(production, name)
    TaskTrial.create(task=task.name, name=name, table_name=table, state=TaskTrial.OPEN, made_by="me")
    database.execute_sql(f"CREATE TABLE {table} AS SELECT * FROM {production}")
    database.execute_sql(f"CREATE UNIQUE INDEX {table}_key ON {table} (spectrum_pk, v_astra_major_minor)")


if __name__ == "__main__":
    main()
