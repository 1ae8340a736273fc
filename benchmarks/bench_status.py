"""Time and peak memory of ``astra status`` against the number of results, made over ten nights.

    python benchmarks/bench_status.py [--rows 200000] [--postgresql]

Memory, and the time on the processor, are those of the process that asks, without those of the server.
"""

import argparse
import os
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from bench_catalogue import survey

from astra.config import load_settings
from astra.database.connection import bound_to, is_postgresql, open_database

COMMANDS = {
    "status": [],
    "--metrics": ["--metrics", "-"],
    "--check --max-bad": ["--check", "--max-bad", "100%"],
    "--check --nights 3": ["--check", "--nights", "3", "--max-bad", "100%", "--max-pull", "1e99"],
    "--check --max-age": ["--check", "--max-age", "1000000d"],
}

#: Every result is from an hour of the last ten days; as many are pending as a survey has in a night.
_MADE = {
    True: """UPDATE astro_nn_dist SET
        inputs_read = timezone('utc', now()) - mod(astro_nn_dist.spectrum_pk, 240) * interval '1 hour',
        source_read = timezone('utc', now()), spectrum_modified = spectrum.modified
        FROM apogee_coadded_spectrum_in_apstar AS spectrum
        WHERE spectrum.spectrum_pk = astro_nn_dist.spectrum_pk AND mod(astro_nn_dist.spectrum_pk, 200) > 0""",
    False: """UPDATE astro_nn_dist SET
        inputs_read = strftime('%Y-%m-%d %H:%M:%f000', 'now', '-' || spectrum_pk % 240 || ' hours'),
        source_read = strftime('%Y-%m-%d %H:%M:%f000', 'now'), spectrum_modified = (
            SELECT modified FROM apogee_coadded_spectrum_in_apstar AS spectrum
            WHERE spectrum.spectrum_pk = astro_nn_dist.spectrum_pk)
        WHERE spectrum_pk % 200 > 0""",
}


def main() -> None:
    """Read the arguments, and print a line for each command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=200_000, help="number of results")
    parser.add_argument("--postgresql", action="store_true", help="on PostgreSQL instead of SQLite")
    arguments = parser.parse_args()
    print(f"{'rows':>10}  {'astra status':<20} {'seconds':>8} {'CPU s':>7} {'peak MB':>8}")
    with ExitStack() as stack, tempfile.TemporaryDirectory(prefix="astra-bench-") as folder:
        survey(stack, Path(folder), arguments.rows, postgresql=arguments.postgresql)
        spread_over_nights()
        for name, words in COMMANDS.items():
            seconds, spent, peak = measure(words)
            print(f"{arguments.rows:>10,}  {name:<20} {seconds:>8.1f} {spent:>7.1f} {peak:>8.0f}", flush=True)


def spread_over_nights() -> None:
    """Let the results be of the last ten nights."""
    with bound_to(open_database(load_settings())) as database:
        database.execute_sql(_MADE[is_postgresql(database)])
        if is_postgresql(database):
            database.execute_sql("VACUUM ANALYZE")


def measure(words: list[str]) -> tuple[float, float, float]:
    """Run ``astra status`` once; return wall and processor time [s], and peak memory [MB]."""
    command = [sys.executable, "-m", "astra", "status", "astronn_dist", *words]
    started = time.perf_counter()
    with Path(os.devnull).open("w") as nothing:
        redirected = [(os.POSIX_SPAWN_DUP2, nothing.fileno(), output) for output in (1, 2)]
        child = os.posix_spawn(sys.executable, command, os.environ, file_actions=redirected)
    _, status, usage = os.wait4(child, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} ended with {os.waitstatus_to_exitcode(status)}")
    return time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


if __name__ == "__main__":
    main()
