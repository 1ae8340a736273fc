"""Selecting and writing at the size of a data release, on PostgreSQL."""

import os
import time
from collections.abc import Callable

import numpy as np
from table import Table

from postgres_server import find_binaries, temporary_server

FOLLOWING = 20
ROWS, PART = 20_000, 1000
SHARES = (0.0, 0.5, 0.99, 0.9999)

SPECTRA = """
INSERT INTO spectrum (pk) SELECT generate_series(1, {count});
INSERT INTO source (pk, sdss_id, k_mag, ebv) SELECT n, n, 10, 0.1 FROM generate_series(1, {count}) n;
INSERT INTO apogee_coadded_spectrum_in_apstar (source_pk, spectrum_pk, product_id, release, filetype, apred,
    apstar, obj, telescope, field, prefix, reduction, commissioning, path, spectrum_flags)
SELECT n, n, 'apstar/dr17/apo25m/field/2M' || n, 'dr17', 'apstar', 'dr17', 'stars', '2M' || n, 'apo25m',
    'field', 'ap', '2M' || n, false, '/data/' || n || '.fits', 0 FROM generate_series(1, {count}) n;
"""

RESULTS = """
INSERT INTO {results} (spectrum_pk, source_pk, v_astra, inputs_read, source_read, k_mag, ebv, l_fakemag,
    result_flags)
SELECT pk, pk, {version}, read, read, 10, 0.1, 20, 0
FROM (SELECT pk, timezone('utc', now()) + interval '1 hour' AS read FROM spectrum) AS times
WHERE ('x' || substr(md5(pk::text), 1, 6))::bit(24)::int < {share} * 16777216
"""

VERSIONS = """
UPDATE {results} AS result SET spectrum_modified = spectrum.modified, source_modified = source.modified
FROM apogee_coadded_spectrum_in_apstar AS spectrum JOIN source ON source.pk = spectrum.source_pk
WHERE spectrum.spectrum_pk = result.spectrum_pk
"""


def measure(table: Table, count: int) -> None:
    """Add the lines of a database of ``count`` spectra, random ``SHARES`` of which have results."""
    with temporary_server(find_binaries()) as server, server.database() as name:
        os.environ["ASTRA_DATABASE_URL"] = server.url(name)
        before = os.environ.pop("ASTRA_DATABASE_PATH", None)
        try:
            _measure(table, count)
        finally:
            del os.environ["ASTRA_DATABASE_URL"]
            if before is not None:
                os.environ["ASTRA_DATABASE_PATH"] = before


def _measure(table: Table, count: int) -> None:
    from astra.config import load_settings
    from astra.database.connection import bound_to, open_database
    from astra.models import AstroNNdist
    from astra.running.request import CHUNK
    from astra.schema.upgrade import upgrade
    from astra.system.version import V_ASTRA

    settings = load_settings()
    database = open_database(settings)
    results = f'"{AstroNNdist._meta.table_name}"'
    with bound_to(database):
        upgrade(database, settings)
        database.execute_sql(SPECTRA.format(count=count))
        for share in SHARES:
            database.execute_sql(f"TRUNCATE {results}")
            database.execute_sql(RESULTS.format(results=results, version=V_ASTRA, share=share))
            if hasattr(AstroNNdist, "spectrum_modified"):  # not in each version that is compared
                database.execute_sql(VERSIONS.format(results=results))
            database.execute_sql("VACUUM ANALYZE")
            first, following = chunk_times()
            section = f"Claiming, {count:,} spectra on PostgreSQL"
            table.add(section, f"first chunk of {CHUNK}, {share:.2%} done", first, "s", "< 2")
            if following:
                what = f"each next one, {share:.2%} done (mean of {len(following)})"
                table.add(section, what, 1e3 * float(np.mean(following)), "ms", "< 50")
        for what, rate in insert_rates(count):
            target = ">= 30,000" if what.startswith("upsert") else ""
            table.add(f"Writing, into {count:,} rows on PostgreSQL", what, rate, "rows/s", target)
    database.close()


def chunk_times() -> tuple[float, list[float]]:
    """Seconds until the first chunk is claimed, and until each of those that follow."""
    from astra.running.claims import Claims
    from astra.running.request import CHUNK
    from astra.tasks.installed import find_task
    from astra.tasks.pending import Selection

    spent, started = [], time.perf_counter()
    with Claims(Selection(find_task("astronn_dist")), None) as claims:
        while len(spent) <= FOLLOWING and claims.take(CHUNK):
            spent.append(time.perf_counter() - started)
            started = time.perf_counter()
    return spent[0], spent[1:]


def insert_rates(count: int) -> list[tuple[str, float]]:
    """Rows per second: as the task writes, and in two usual ways, for comparison."""
    from astra.database.connection import database, writing
    from astra.models import AstroNNdist
    from astra.running.rows import write
    from astra.tasks.installed import find_task

    task, some = find_task("astronn_dist"), min(ROWS, count)
    new, other = made_up_rows(some, 1.0), made_up_rows(some, 2.0)

    def without_rows() -> None:
        AstroNNdist.delete().where(AstroNNdist.spectrum_pk <= some).execute()

    def rate(write_part: Callable[[list], object], rows: list) -> float:
        started = time.perf_counter()
        for start in range(0, len(rows), PART):
            write_part(rows[start : start + PART])
        return len(rows) / (time.perf_counter() - started)

    def as_the_task(rows: list[AstroNNdist]) -> None:
        with writing(database):
            write(task, rows)

    rates = []
    for what, write_part in (
        ("peewee's insert_many, new rows", lambda rows: AstroNNdist.insert_many(rows).returning().execute()),
        ("psycopg2's execute_values, new rows", with_execute_values),
    ):
        without_rows()
        rates.append((what, rate(write_part, new)))
    without_rows()
    for what, rows in (
        ("new rows", new),
        ("known rows, changed", other),
        ("known rows, as they were", other),
    ):
        rates.append((f"upsert, {what}", rate(as_the_task, [AstroNNdist(**values) for values in rows])))
    return rates


def made_up_rows(count: int, value: float) -> list[dict]:
    """Rows as the task gives them, without those values that the database chooses."""
    from astra.models import AstroNNdist
    from astra.system.version import V_ASTRA

    blank = {field.name: None for field in AstroNNdist.written_fields()}
    for name in ("task_pk", "created", "modified", "run_pk", "v_astra_major_minor"):
        blank.pop(name, None)
    known = {
        "v_astra": V_ASTRA,
        "dist": value,
        "result_flags": 0,
        "k_mag": 10.0,
        "ebv": 0.1,
        "t_elapsed": 0.1,
    }
    return [
        blank | known | {"spectrum_pk": pk, "source_pk": pk, "L_fakemag": value * pk}
        for pk in range(1, count + 1)
    ]


def with_execute_values(rows: list[dict]) -> None:
    """Insert rows with a statement of many values."""
    from psycopg2.extras import execute_values

    from astra.models import AstroNNdist

    fields = [AstroNNdist._meta.fields[name] for name, value in rows[0].items() if value is not None]
    columns = ", ".join(f'"{field.column_name}"' for field in fields)
    statement = f'INSERT INTO "{AstroNNdist._meta.table_name}" ({columns}) VALUES %s'
    values = [[row[field.name] for field in fields] for row in rows]
    database = AstroNNdist._meta.database
    with database.atomic():
        execute_values(database.cursor(), statement, values, page_size=PART)
