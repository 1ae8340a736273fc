"""Time and peak memory of ``astra ingest astra`` from a database of SDSS Astra on PostgreSQL.

    python benchmarks/bench_astra_database.py [--spectra 100000] [--shared ../shared]

Upstream's tables lie in one database of a temporary server, ours in another. Each line is one call of the
command, in a process of its own: all rows, all rows again, again after one star was changed, and only what
was modified since. Memory is the peak of that process, as the kernel counts it, without the server.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

import peewee
from upstream_tables import make_tables

from astra.config import load_settings
from astra.database.connection import bound_to, open_database
from astra.schema.upgrade import upgrade

from postgres_server import find_binaries, temporary_server

ROOT = Path(__file__).resolve().parents[1]
COADD = "apogee_coadded_spectrum_in_ap_star"
#: Every star has one spectrum, of DR17 or of SDSS-V, and most of what upstream knows of a star.
STARS = {
    "sdss_id": "50000000 + n",
    "sdss4_apogee_id": "CASE WHEN mod(n, 2) = 0 THEN '2M' || lpad(n::text, 8, '0') || '+0000000' END",
    "gaia_dr3_source_id": "4000000000000000000 + n",
    "healpix": "mod(n, 196608)",
    **dict.fromkeys(("ra", "l"), "random() * 360"),
    **dict.fromkeys(("dec", "b"), "random() * 180 - 90"),
    **dict.fromkeys(("plx", "pmra", "pmde", "ebv"), "random()"),
    **dict.fromkeys(("j_mag", "h_mag", "k_mag", "g_mag", "bp_mag", "rp_mag"), "8 + random() * 5"),
    **dict.fromkeys(("e_plx", "e_pmra", "e_pmde", "e_ebv", "e_j_mag", "e_h_mag", "e_k_mag"), "0.02"),
    "ph_qual": "'AAA'",
    "cc_flg": "'000'",
}
SPECTRA = {
    "source_pk": "n",
    "spectrum_pk": "n",
    "release": "CASE WHEN mod(n, 2) = 0 THEN 'dr17' ELSE 'sdss5' END",
    "filetype": "'apStar'",
    "apred": "CASE WHEN mod(n, 2) = 0 THEN 'dr17' ELSE '1.3' END",
    "apstar": "'stars'",
    "obj": "'2M' || lpad(n::text, 8, '0') || '+0000000'",
    "telescope": "CASE WHEN mod(n, 3) = 0 THEN 'lco25m' ELSE 'apo25m' END",
    "healpix": "CASE WHEN mod(n, 2) = 1 THEN mod(n, 196608) END",
    "field": "CASE WHEN mod(n, 2) = 0 THEN 'M67' ELSE '' END",
    "prefix": "CASE WHEN mod(n, 3) = 0 THEN 'as' ELSE 'ap' END",
    "n_visits": "mod(n, 9)",
    "snr": "random() * 300",
    "v_rad": "random() * 100",
    "e_v_rad": "0.02",
}
CHANGE = "UPDATE source SET k_mag = k_mag + 1, modified = %s WHERE pk = %s"
THEN, LATER = datetime(2026, 1, 1), datetime(2026, 2, 1)


def main() -> None:
    """Read the arguments, fill upstream's tables, and print a line for each call."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--spectra", type=int, default=100_000)
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    arguments = parser.parse_args()
    layout = json.loads((arguments.shared / "data" / "datamodel" / "astra_database.json").read_text())
    with (
        temporary_server(find_binaries()) as server,
        server.database() as theirs,
        server.database() as ours,
        tempfile.TemporaryDirectory() as folder,
    ):
        os.environ |= {"ASTRA_DATABASE_URL": server.url(ours), "ASTRA_FROM_URL": server.url(theirs)}
        os.environ |= {"SAS_BASE_DIR": folder, "ASTRA_CONFIG": os.devnull}
        os.environ.pop("ASTRA_DATABASE_PATH", None)
        settings = load_settings()
        with bound_to(open_database(settings, create=True)) as database:
            upgrade(database, settings)
        upstream = peewee.PostgresqlDatabase(server.url(theirs))
        make_tables(upstream, layout)
        for table, values in {"source": STARS, "spectrum": {"pk": "n"}, COADD: SPECTRA}.items():
            fill(upstream, table, layout[table]["columns"], values, arguments.spectra)
        upstream.execute_sql("ANALYZE")
        print(f"{'':<28} {'seconds':>8} {'CPU s':>7} {'peak MB':>8} {'spectra':>8} {'new':>8} {'updated':>8}")
        measure("all")
        measure("again")
        upstream.execute_sql(CHANGE, (LATER, arguments.spectra // 2))
        measure("again, one star changed")
        upstream.execute_sql(CHANGE, (LATER, arguments.spectra // 3))
        measure("what was modified since", "--since", str(LATER))
        upstream.close()


def fill(
    upstream: peewee.Database, table: str, columns: dict[str, tuple[str, bool]], values: dict, count: int
) -> None:
    """Write rows by the SQL of their values, which is of the number ``n`` of a row."""
    absent = {name: kind for name, (kind, null) in columns.items() if not null and kind != "AutoField"}
    others = {name: f"'{THEN}'" if kind == "DateTimeField" else "0" for name, kind in absent.items()}
    listed = others | values
    upstream.execute_sql(
        f"INSERT INTO {table} ({', '.join(listed)}) SELECT {', '.join(listed.values())} "
        f"FROM generate_series(1, {count}) AS n"
    )


def measure(name: str, *options: str) -> None:
    """Ingest in a separate process, and print what it took and what it did."""
    command = [sys.executable, "-m", "astra", "ingest", "astra", "--schema", "public", "--json", *options]
    with tempfile.TemporaryFile() as said:
        started = time.perf_counter()
        output = [(os.POSIX_SPAWN_DUP2, said.fileno(), 1)]
        child = os.posix_spawn(sys.executable, command, os.environ, file_actions=output)
        _, status, used = os.wait4(child, 0)
        wall = time.perf_counter() - started
        if status:
            raise SystemExit(f"astra ingest ended with {os.waitstatus_to_exitcode(status)}")
        said.seek(0)
        found = json.loads(said.read())
    states = [found[f"spectra_{each}"] + found[f"sources_{each}"] for each in ("new", "updated")]
    print(
        f"{name:<28} {wall:>8.1f} {used.ru_utime + used.ru_stime:>7.1f} {used.ru_maxrss / 1024:>8.0f} "
        f"{found['seen']:>8,} {states[0]:>8,} {states[1]:>8,}",
        flush=True,
    )


if __name__ == "__main__":
    main()
