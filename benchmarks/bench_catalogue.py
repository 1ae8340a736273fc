"""Time and peak memory of ``astra create`` against the number of rows.

    python benchmarks/bench_catalogue.py [--rows 10000,100000] [--formats fits] [--postgresql]

Memory is the peak of the process that writes, as the kernel counts it; the time on the processor is that of
this process, without that of the server.
"""

import argparse
import os
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from full_survey import fill

from astra.config import load_settings
from astra.database.connection import bound_to, open_database
from astra.schema.upgrade import upgrade

from postgres_server import find_binaries, temporary_server

PRODUCT = "astraAllStarAstroNNdist"


def main() -> None:
    """Read the arguments, and print a line for each size and format."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", default="10000,100000", help="numbers of rows, with commas between them")
    parser.add_argument("--formats", default="fits", help="formats, with commas between them")
    parser.add_argument("--postgresql", action="store_true", help="on PostgreSQL instead of SQLite")
    arguments = parser.parse_args()
    print(f"{'rows':>10}  {'format':<8} {'seconds':>8} {'CPU s':>7} {'peak MB':>8} {'file MB':>8}")
    for rows in map(int, arguments.rows.split(",")):
        with ExitStack() as stack, tempfile.TemporaryDirectory(prefix="astra-bench-") as folder:
            survey(stack, Path(folder), rows, postgresql=arguments.postgresql)
            for each in arguments.formats.split(","):
                seconds, spent, peak, size = create(Path(folder) / f"catalogue.{each}", each)
                print(
                    f"{rows:>10,}  {each:<8} {seconds:>8.1f} {spent:>7.1f} {peak:>8.0f} {size:>8.1f}",
                    flush=True,
                )


def survey(stack: ExitStack, folder: Path, rows: int, *, postgresql: bool) -> None:
    """Fill a database with so many rows, and make it the one that the settings name."""
    for name in ("ASTRA_DATABASE_PATH", "ASTRA_DATABASE_URL"):
        os.environ.pop(name, None)
    if postgresql:
        server = stack.enter_context(temporary_server(find_binaries()))
        os.environ["ASTRA_DATABASE_URL"] = server.url(stack.enter_context(server.database()))
    else:
        os.environ["ASTRA_DATABASE_PATH"] = str(folder / "astra.db")
    settings = load_settings()
    with bound_to(open_database(settings, create=True)) as database:
        upgrade(database, settings)
        fill(database, rows * 3 // 4)


def create(path: Path, file_format: str) -> tuple[float, float, float, float]:
    """Write a catalogue; return wall and processor time [s], peak memory and file size [MB]."""
    command = [sys.executable, "-m", "astra", "create", PRODUCT]
    command += ["--output", str(path), "--format", file_format]
    started = time.perf_counter()
    child = os.posix_spawn(sys.executable, command, os.environ | {"PYTHONWARNINGS": "error"})
    _, status, usage = os.wait4(child, 0)
    if status:
        raise SystemExit(f"astra create ended with {os.waitstatus_to_exitcode(status)}")
    wall, spent = time.perf_counter() - started, usage.ru_utime + usage.ru_stime
    return wall, spent, usage.ru_maxrss / 1024, path.stat().st_size / 1e6


if __name__ == "__main__":
    main()
