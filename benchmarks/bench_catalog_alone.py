"""Time and memory of ``astra ingest catalog``: a large table of stars against the sources of a survey.

    python benchmarks/bench_catalog_alone.py [--rows 1100000] [--stars 100000] [--formats fits,csv,parquet]
                                             [--by identifier,position] [--postgresql]

Every star has one row at a random place of the table. Memory is the peak of the process beyond that of one
that ingests the first 1,000 rows of the table, as the kernel counts it.
"""

import argparse
import os
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from astropy.table import Table

from astra.config import load_settings
from astra.database.connection import bound_to, open_database
from astra.database.sql import insert_columns
from astra.models import ApogeeCoaddedSpectrumInApStar, Source, Spectrum
from astra.schema.upgrade import upgrade

from postgres_server import find_binaries, temporary_server

_FORMATS = {"fits": "fits", "csv": "ascii.fast_csv", "parquet": "parquet"}
_FEW = 1000


def main() -> None:
    """Read the arguments, and print a line for each format and kind of match."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_100_000, help="rows of the table")
    parser.add_argument("--stars", type=int, default=100_000, help="sources, each with one spectrum")
    parser.add_argument("--formats", default="fits,csv,parquet", help="formats, with commas between them")
    parser.add_argument("--by", default="identifier,position", help="identifier, position or both")
    parser.add_argument("--postgresql", action="store_true", help="on PostgreSQL instead of SQLite")
    arguments = parser.parse_args()
    print(f"{'by':<11} {'format':<8} {'seconds':>8} {'CPU s':>7} {'peak MB':>8} {'growth MB':>10}")
    with ExitStack() as stack, tempfile.TemporaryDirectory(prefix="astra-bench-") as name:
        folder = Path(name)
        # Tables are made in another process: a child begins with the peak of the memory of its parent.
        pool = stack.enter_context(ProcessPoolExecutor(1, get_context("spawn")))
        server(stack, folder, postgresql=arguments.postgresql)
        pool.submit(fill, arguments.rows, arguments.stars).result()
        for by in arguments.by.split(","):
            for suffix in arguments.formats.split(","):
                paths = [folder / f"{rows}.{suffix}" for rows in (_FEW, arguments.rows)]
                pool.submit(write, arguments.rows, paths, suffix, by).result()
                options = ["--match-radius", "1"] if by == "position" else []
                (_, _, least), (seconds, spent, peak) = (ingest(path, options) for path in paths)
                print(
                    f"{by:<11} {suffix:<8} {seconds:>8.1f} {spent:>7.1f} {peak:>8.0f} {peak - least:>10.0f}",
                    flush=True,
                )


def catalogue(rows: int) -> Table:
    """A table of stars with 20 columns."""
    generator, numbers = np.random.default_rng(1), np.arange(rows)
    table = Table()
    table["sdss_id"] = 50_000_000 + numbers
    table["apogee_id"] = np.char.add(np.char.mod("2M%08d", numbers), "+0000000")
    table["gaia_dr3_source_id"] = 2**61 + numbers
    table["ra"] = generator.uniform(0, 360, rows)
    table["dec"] = np.degrees(np.arcsin(generator.uniform(-1, 1, rows)))
    for name in ("j_mag", "h_mag", "k_mag", "g_mag", "bp_mag", "rp_mag"):
        table[name] = generator.normal(11, 1, rows).round(3)
    for name in ("e_j_mag", "e_h_mag", "e_k_mag", "ebv", "e_plx"):
        table[name] = generator.uniform(0.01, 0.1, rows).round(4)
    table["plx"], table["pmra"], table["pmde"] = generator.normal(0, 5, (3, rows)).round(4)
    table["gaia_release"] = "dr3"
    return table


def write(rows: int, paths: list[Path], suffix: str, by: str) -> None:
    """Write the first rows of the table, and all of them, in random order."""
    listed = catalogue(rows)[np.random.default_rng(2).permutation(rows)]
    if by == "position":
        listed.remove_columns(["sdss_id", "apogee_id", "gaia_dr3_source_id"])
    # Other values each time, so that all stars change.
    listed["k_mag"] = np.random.default_rng().normal(11, 1, rows).round(3)
    for path, some in zip(paths, (listed[:_FEW], listed), strict=True):
        some.write(path, format=_FORMATS[suffix], overwrite=True)


def server(stack: ExitStack, folder: Path, *, postgresql: bool) -> None:
    """Make an empty database the one that the settings name."""
    for name in ("ASTRA_DATABASE_PATH", "ASTRA_DATABASE_URL"):
        os.environ.pop(name, None)
    if postgresql:
        started = stack.enter_context(temporary_server(find_binaries()))
        os.environ["ASTRA_DATABASE_URL"] = started.url(stack.enter_context(started.database()))
    else:
        os.environ["ASTRA_DATABASE_PATH"] = str(folder / "astra.db")


def fill(rows: int, count: int) -> None:
    """Make tables, and put the first stars of the table into them, each with a spectrum."""
    stars = catalogue(rows)[:count]
    settings = load_settings()
    with bound_to(open_database(settings, create=True)) as database:
        upgrade(database, settings)
        keys, names = list(range(1, len(stars) + 1)), stars["apogee_id"].tolist()
        times = {name: ["2025-01-01 00:00:00"] * len(keys) for name in ("created", "modified")}
        values = {name: stars[name].tolist() for name in ("sdss_id", "ra", "dec", "k_mag", "pmra", "pmde")}
        sources = {"pk": keys, "sdss4_apogee_id": names, "ebv_flags": [0] * len(keys)} | values
        insert_columns(database, Source._meta.table_name, sources | times, "")
        insert_columns(database, Spectrum._meta.table_name, {"pk": keys}, "")
        spectra = {"source_pk": keys, "spectrum_pk": keys, "obj": names, "spectrum_flags": [0] * len(keys)}
        spectra["product_id"] = [f"apstar/dr17/dr17/apo25m/m67/{name}/ap/s" for name in names]
        same = {"release": "dr17", "filetype": "apStar", "apred": "dr17", "apstar": "stars"}
        same |= {
            "telescope": "apo25m",
            "field": "M67",
            "prefix": "ap",
            "reduction": "",
            "commissioning": False,
        }
        spectra |= {name: [value] * len(keys) for name, value in same.items()}
        insert_columns(database, ApogeeCoaddedSpectrumInApStar._meta.table_name, spectra | times, "")


def ingest(path: Path, options: list[str]) -> tuple[float, float, float]:
    """Ingest a table; return wall and processor time [s] and the peak memory [MB]."""
    command = [sys.executable, "-m", "astra", "ingest", "catalog", str(path), *options]
    started = time.perf_counter()
    quiet = os.open(os.devnull, os.O_WRONLY)
    actions = [(os.POSIX_SPAWN_DUP2, quiet, 1), (os.POSIX_SPAWN_DUP2, quiet, 2)]
    child = os.posix_spawn(sys.executable, command, os.environ, file_actions=actions)
    _, status, usage = os.wait4(child, 0)
    os.close(quiet)
    if status:
        raise SystemExit(f"astra ingest catalog ended with {os.waitstatus_to_exitcode(status)}")
    wall, spent = time.perf_counter() - started, usage.ru_utime + usage.ru_stime
    return wall, spent, usage.ru_maxrss / 1024


if __name__ == "__main__":
    main()
