"""Whether claims cost the same after 200,000 spectra and hundreds of killed workers as at the beginning.

    python benchmarks/bench_endurance.py [--spectra 200000] [--restarts 200] [--postgresql]

Workers, one after the other, claim spectra and write rows for them, and compute nothing. Each is killed with
a chunk in hand, which the next one takes over. For each tenth of the work: the median time of a claim and of
a write, that of a hundred queries that read no table (so that a slower machine shows), and the size of the
tables that hold what is in flight.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from bench_catalogue import survey

from astra.config import load_settings
from astra.database.connection import bound_to, database, is_postgresql, open_database
from astra.models import AstroNNdist, TaskClaim, TaskRun, TaskWorker
from astra.running.claims import Claims
from astra.running.rows import read_inputs, write_claimed
from astra.tasks.installed import find_task
from astra.tasks.pending import Selection

CHUNK = 50
PARTS = 10


def main() -> None:
    """Read the arguments, and print a line for each tenth of the work."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--spectra", type=int, default=200_000)
    parser.add_argument("--restarts", type=int, default=200, help="workers that are killed")
    parser.add_argument("--postgresql", action="store_true", help="on PostgreSQL instead of SQLite")
    parser.add_argument("--work", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.work is not None:
        work(asked.work)
        return
    with ExitStack() as stack, tempfile.TemporaryDirectory(prefix="astra-bench-") as folder:
        survey(stack, Path(folder), asked.spectra, postgresql=asked.postgresql)
        stack.enter_context(bound_to(open_database(load_settings())))
        AstroNNdist.delete().execute()
        measure(Path(folder), asked.spectra, asked.restarts)


def measure(folder: Path, spectra: int, restarts: int) -> None:
    """Start workers until all is done, and print what each tenth of it took."""
    heads = (
        "done",
        "claim",
        "write",
        "claim of one alone",
        "100 x SELECT 1",
        "tables in flight",
        "claims, workers, runs",
    )
    print("  ".join(f"{head:>10}" for head in heads))
    each, done, said = spectra // restarts, 0, 0
    took: dict[str, list[float]] = {"claim": [], "write": [], "alone": [], "nothing": []}
    while True:
        command = [sys.executable, __file__, "--work", str(each)]
        ended = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for line in ended.stdout.splitlines():
            count, claim, write, nothing = line.split()
            took["nothing"].append(1e3 * float(nothing))
            took["alone" if count == "1" else "claim"].append(1e3 * float(claim))
            if count != "1":
                took["write"].append(1e3 * float(write))
            done += int(count)
        if PARTS * (done - said) >= spectra or ended.returncode == 0:
            said = done
            times = [f"{statistics.median(found or [0]):.1f} ms" for found in took.values()]
            rows = ", ".join(str(model.select().count()) for model in (TaskClaim, TaskWorker, TaskRun))
            cells = (f"{done:,}", *times, f"{in_flight(folder):,.0f} kB", rows)
            shown = (f"{cell:>{max(10, len(head))}}" for cell, head in zip(cells, heads, strict=True))
            print("  ".join(shown), flush=True)
            took = {name: [] for name in took}
        if ended.returncode not in (0, 9):
            raise SystemExit(f"a worker ended with {ended.returncode}")
        if ended.returncode == 0:
            break
    assert AstroNNdist.select().count() == done == spectra, "a spectrum is lost, or was written twice"


def in_flight(folder: Path) -> float:
    """The size of the tables that hold what is in flight [kB]; on SQLite that of all but the survey."""
    tables = ("task_claim", "task_worker")
    if is_postgresql(database):
        sizes = (f"pg_total_relation_size('{table}')" for table in tables)
        return database.execute_sql(f"SELECT {' + '.join(sizes)}").fetchone()[0] / 1024
    return sum(path.stat().st_size for path in folder.iterdir() if path.name != "astra.db") / 1024


def work(count: int) -> None:
    """Claim spectra, write rows for so many, and die with a chunk in hand; print what each step took."""
    task, done = find_task("astronn_dist"), 0
    with bound_to(open_database(load_settings())), Claims(Selection(task), None) as claims:
        while True:
            started = time.perf_counter()
            chunk = claims.take(CHUNK)
            claimed = time.perf_counter()
            if chunk is None:
                return
            if done >= count and not chunk.alone:
                os._exit(9)
            moment, spectra = read_inputs(task, chunk.keys)
            rows = []
            for spectrum in spectra:
                row = task.output_model.from_spectrum(spectrum, flag_no_result=True)
                row.no_result_reason, row.t_elapsed, row.t_overhead = "nothing is computed", 0.0, 0.0
                row.made_from(spectrum, moment)
                rows.append(row)
            began = time.perf_counter()
            write_claimed(task, chunk.token, rows)
            claims.finished(chunk)
            done += len(rows)
            print(len(rows), claimed - started, time.perf_counter() - began, time_of_nothing(), flush=True)


def time_of_nothing() -> float:
    """Seconds of a hundred queries that read no table."""
    started = time.perf_counter()
    for _ in range(100):
        database.execute_sql("SELECT 1").fetchone()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
