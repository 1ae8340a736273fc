"""Time and peak memory of ``astra ingest astra`` from a database of SDSS Astra on PostgreSQL.

    python benchmarks/bench_astra_database.py [--spectra 100000] [--shared ../shared]

Upstream's tables lie in one database of a temporary server, ours in another. Each line is one call of the
command, in a process of its own: all rows, all rows again, again after one star was changed, and only what was
modified since. Memory is the peak of that process, as the kernel counts it, without the server.
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

from astra.config import load_settings
from astra.database.connection import bound_to, open_database
from astra.schema.upgrade import upgrade

from postgres_server import find_binaries, temporary_server
from upstream_tables import make_tables

ROOT = Path(__file__).resolve().parents[1]
COADD = "apogee_coadded_spectrum_in_ap_star"
#: Every star has one spectrum, of DR17 or of SDSS-V, and most of what upstream knows of a star.
FILL = (
    """
    INSERT INTO source (sdss_id, sdss4_apogee_id, gaia_dr3_source_id, healpix, ra, dec, l, b, plx, e_plx, pmra,
        e_pmra, pmde, e_pmde, g_mag, bp_mag, rp_mag, j_mag, e_j_mag, h_mag, e_h_mag, k_mag, e_k_mag, ph_qual,
        cc_flg, ebv, e_ebv, ebv_flags, n_neighborhood, zgr_quality_flags, sdss4_apogee_target1_flags,
        sdss4_apogee_target2_flags, sdss4_apogee2_target1_flags, sdss4_apogee2_target2_flags,
        sdss4_apogee2_target3_flags, sdss4_apogee_member_flags, sdss4_apogee_extra_target_flags, sqf_4_5, mf4_5,
        csf, created, modified)
    SELECT 50000000 + n, CASE WHEN n % 2 = 0 THEN '2M' || lpad(n::text, 8, '0') || '+0000000' END,
        4000000000000000000 + n, n % 196608, random() * 360, random() * 180 - 90, random() * 360,
        random() * 180 - 90, random(), 0.02, random(), 0.02, random(), 0.02, 10 + random() * 8,
        10 + random() * 8, 10 + random() * 8, 8 + random() * 5, 0.02, 8 + random() * 5, 0.02, 8 + random() * 5,
        0.02, 'AAA', '000', random(), 0.05, 2, -1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, %(then)s, %(then)s
    FROM generate_series(1, %(count)s) AS n
    """,
    "INSERT INTO spectrum (pk, spectrum_flags) SELECT n, 0 FROM generate_series(1, %(count)s) AS n",
    f"""
    INSERT INTO {COADD} (source_pk, spectrum_pk, release, filetype, apred, apstar, obj, telescope, healpix, field,
        prefix, n_visits, snr, spectrum_flags, doppler_flags, v_rad, e_v_rad, created, modified)
    SELECT n, n, CASE WHEN n % 2 = 0 THEN 'dr17' ELSE 'sdss5' END, 'apStar',
        CASE WHEN n % 2 = 0 THEN 'dr17' ELSE '1.3' END, 'stars', '2M' || lpad(n::text, 8, '0') || '+0000000',
        CASE WHEN n % 3 = 0 THEN 'lco25m' ELSE 'apo25m' END, CASE WHEN n % 2 = 1 THEN n % 196608 END,
        CASE WHEN n % 2 = 0 THEN 'M67' ELSE '' END, CASE WHEN n % 3 = 0 THEN 'as' ELSE 'ap' END, n % 9,
        random() * 300, 0, 0, random() * 100, 0.02, %(then)s, %(then)s
    FROM generate_series(1, %(count)s) AS n
    """,
    "ANALYZE",
)
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
        for statement in FILL:
            # What is left of them in the text are those of SQL.
            text = statement.replace("% ", "%% ")
            upstream.execute_sql(text, {"count": arguments.spectra, "then": THEN})
        print(f"{'':<28} {'seconds':>8} {'CPU s':>7} {'peak MB':>8} {'spectra':>8} {'new':>8} {'updated':>8}")
        measure("all")
        measure("again")
        upstream.execute_sql(CHANGE, (LATER, arguments.spectra // 2))
        measure("again, one star changed")
        upstream.execute_sql(CHANGE, (LATER, arguments.spectra // 3))
        measure("what was modified since", "--since", str(LATER))
        upstream.close()


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
