"""Time and peak memory of a whole release in three commands: ``ingest allstar``, ``status``, ``create``.

    python benchmarks/bench_release.py [--rows 100000,1000000] [--postgresql]

The table has the layout of mwmAllStar of DR19: every third row repeats the star of the row before in the
reduction of DR17, a tenth of the stars have no E(B-V). It is ingested twice, as after an interruption. The
memory is the peak of the process of each command, as the kernel counts it, and at least that of this one. At
the end, the extinction of every star is compared with the table.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from astra.config import load_settings
from astra.database.connection import bound_to, open_database
from astra.models import ApogeeCoaddedSpectrumInApStar, Source
from astra.schema.upgrade import upgrade

from postgres_server import find_binaries, temporary_server

_PART = 50_000
_TEXTS = {"release": 5, "filetype": 6, "apred": 4, "apstar": 5, "obj": 19, "telescope": 6, "field": 19}
_TEXTS |= {"prefix": 2, "sdss4_apogee_id": 19, "ph_qual": 3, "cc_flg": 3, "lead": 26}
_WHOLE = ("sdss_id", "gaia_dr3_source_id", "gaia_dr2_source_id", "ebv_flags", "spectrum_flags", "catalogid")
_MEASURED = ("ra", "dec", "l", "b", "plx", "e_plx", "pmra", "e_pmra", "pmde", "e_pmde", "g_mag", "bp_mag")
_MEASURED += ("rp_mag", "j_mag", "e_j_mag", "h_mag", "e_h_mag", "k_mag", "e_k_mag", "ebv", "e_ebv", "snr")
_MEASURED += ("v_rad", "e_v_rad")


def main() -> None:
    """Read the arguments, and print a line for each command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", default="100000", help="numbers of rows, with commas between them")
    parser.add_argument("--postgresql", action="store_true", help="on PostgreSQL instead of SQLite")
    arguments = parser.parse_args()
    print(f"{'rows':>10}  {'command':<28} {'seconds':>8} {'CPU s':>7} {'peak MB':>8}")
    for rows in map(int, arguments.rows.split(",")):
        with ExitStack() as stack, tempfile.TemporaryDirectory(prefix="astra-bench-") as folder:
            table = Path(folder, "mwmAllStar-0.6.0.fits")
            write_table(table, rows)
            _prepare(stack, Path(folder), postgresql=arguments.postgresql)
            ingest = ["ingest", "allstar", str(table), "--release", "dr19"]
            commands = {"ingest allstar": ingest, "ingest allstar, again": ingest, "status": ["status"]}
            target = ["--output", str(Path(folder, "catalogue.fits"))]
            commands["create"] = ["create", "astraAllStarAstroNNdist", *target]
            for label, command in commands.items():
                wall, spent, peak = run(command)
                print(f"{rows:>10,}  {label:<28} {wall:>8.1f} {spent:>7.1f} {peak:>8.0f}", flush=True)
            print(f"{rows:>10,}  {compared(rows)}", flush=True)


def write_table(path: Path, rows: int) -> None:
    """Write a table with the columns that are read, and 80 others, in pieces."""
    columns = [fits.Column(name, f"{length}A") for name, length in _TEXTS.items()]
    columns += [fits.Column(name, "K") for name in _WHOLE]
    columns += [fits.Column(name, "J") for name in ("healpix", "n_visits")]
    columns += [fits.Column(name, "E") for name in (*_MEASURED, *(f"other_{n}" for n in range(80)))]
    columns.append(fits.Column("sdss5_target_flags", "57L"))
    empty = fits.BinTableHDU.from_columns(columns, nrows=0)
    header = empty.header.copy()
    header["NAXIS2"] = rows
    with open(path, "wb") as stream:
        for each in (fits.PrimaryHDU().header, header):
            stream.write(each.tostring().encode())
        for first in range(0, rows, _PART):
            piece = np.zeros(min(_PART, rows - first), empty.columns.dtype.newbyteorder(">"))
            for name, values in values_of(np.arange(first, first + len(piece))).items():
                piece[name] = values
            stream.write(piece.tobytes())
        stream.write(bytes(-rows * header["NAXIS1"] % 2880))


def values_of(row: np.ndarray) -> Mapping[str, Any]:
    """The values of some rows, by their numbers."""
    star = row - (row % 3 == 2)
    is_old = row % 3 == 2
    words = {"filetype": "apStar", "apstar": "stars", "prefix": "ap", "ph_qual": "AAA", "cc_flg": "000"}
    obj = np.array([f"2M{number % 24_000_000:08d}+{number % 9_000_000:07d}" for number in star.tolist()])
    table: dict[str, Any] = {name: np.full(len(row), word) for name, word in words.items()}
    table |= {"obj": obj, "sdss4_apogee_id": np.where(star % 3 == 1, obj, "")}
    table["release"], table["apred"] = np.where(is_old, "dr17", "sdss5"), np.where(is_old, "dr17", "1.3")
    table["telescope"] = np.where(star % 2 == 0, "apo25m", "lco25m")
    table["field"] = np.where(is_old, "120+12", "")
    table |= {"sdss_id": 50_000_000 + star, "gaia_dr3_source_id": 2**62 + star, "healpix": star % 196_608}
    table |= {"ebv_flags": np.full(len(row), 2), "spectrum_flags": row % 8, "n_visits": 1 + row % 9}
    for number, name in enumerate(_MEASURED):
        table[name] = (1 + (star + 7 * number) % 1000) / 1000
    return table | {"ebv": np.where(star % 10 == 0, np.nan, (1 + star % 1000) / 1000)}


def compared(rows: int) -> str:
    """Compare the stored extinction of every star with the table.

    Raises:
        SystemExit: One differs.
    """
    query = Source.select(
        Source.sdss_id, Source.ebv, Source.ebv_flags, Source.ebv_origin, Source.k_mag, Source.gaia_release
    ).order_by(Source.sdss_id)
    stars = 0
    with bound_to(open_database(load_settings())):
        for sdss_id, ebv, *rest in query.tuples().iterator():
            star = sdss_id - 50_000_000
            k_mag = (1 + (star + 7 * _MEASURED.index("k_mag")) % 1000) / 1000
            ebv_of_table = None if star % 10 == 0 else (1 + star % 1000) / 1000
            is_known = ebv_of_table is not None
            expected = [2 * is_known, "ebv_zhang_2023" if is_known else None, k_mag, "dr3"]
            if (ebv if ebv == ebv else None, rest) != (ebv_of_table, expected):
                raise SystemExit(f"star {sdss_id}: {ebv}, {rest}; the table: {ebv_of_table}, {expected}")
            stars += 1
        spectra = ApogeeCoaddedSpectrumInApStar.select().count()
    if (stars, spectra) != (rows - rows // 3, rows):
        raise SystemExit(f"{stars} stars and {spectra} spectra of {rows} rows")
    return f"{stars:,} stars have the extinction of the table, its bits, Ks and release of Gaia"


def run(command: list[str]) -> tuple[float, float, float]:
    """Run a command; return wall and processor time [s], and peak memory [MB]."""
    started = time.perf_counter()
    arguments = [sys.executable, "-m", "astra", *command]
    quiet = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_WRONLY, 0) for number in (1, 2)]
    child = os.posix_spawn(sys.executable, arguments, os.environ, file_actions=quiet)
    _, status, usage = os.wait4(child, 0)
    if status:
        raise SystemExit(f"astra {command[0]} ended with {os.waitstatus_to_exitcode(status)}")
    return time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1000


def _prepare(stack: ExitStack, folder: Path, *, postgresql: bool) -> None:
    """Make an empty database, and let the settings name it."""
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


if __name__ == "__main__":
    main()
