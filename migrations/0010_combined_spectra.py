"""A table for the combined spectra in mwmStar files; no result becomes stale by it.

The view ``distances``, which ``astra init`` makes anew after this, has the results of both kinds of spectra.
"""

from importlib import import_module

from peewee import PostgresqlDatabase

TABLE = """
CREATE TABLE apogee_combined_spectrum (
    pk {key}, source_pk {integer} REFERENCES source (pk),
    spectrum_pk {integer} NOT NULL REFERENCES spectrum (pk), product_id TEXT NOT NULL,
    release TEXT NOT NULL, filetype TEXT NOT NULL, v_astra TEXT NOT NULL, sdss_id {integer} NOT NULL,
    apred TEXT NOT NULL, obj TEXT NOT NULL, telescope TEXT NOT NULL, healpix INTEGER,
    path TEXT, pixels_digest TEXT,
    n_visits INTEGER, n_good_visits INTEGER, n_good_rvs INTEGER,
    snr {real}, spectrum_flags {integer} NOT NULL,
    v_rad {real}, e_v_rad {real},
    created {time} NOT NULL DEFAULT {now}, modified {time} NOT NULL DEFAULT {now}
)
"""
INDEXES = {"source_pk": "", "spectrum_pk": "UNIQUE", "product_id": "UNIQUE", "obj": ""}

ON_SQLITE = {
    "key": "INTEGER NOT NULL PRIMARY KEY",
    "integer": "INTEGER",
    "real": "REAL",
    "time": "DATETIME",
    "now": "(strftime('%Y-%m-%d %H:%M:%f000', 'now'))",
}
ON_POSTGRESQL = {
    "key": "BIGSERIAL PRIMARY KEY",
    "integer": "BIGINT",
    "real": "DOUBLE PRECISION",
    "time": "TIMESTAMP",
    "now": "(timezone('utc', clock_timestamp()))",
}


def up(migrator, db):
    """Make the table, which is empty."""
    db.execute_sql(TABLE.format(**ON_POSTGRESQL if isinstance(db, PostgresqlDatabase) else ON_SQLITE))
    for column, kind in INDEXES.items():
        db.execute_sql(
            f"CREATE {kind} INDEX apogeecombinedspectrum_{column} ON apogee_combined_spectrum ({column})"
        )


def down(migrator, db):
    """Drop the table, and make the view of before; results of such spectra stay, and are in no view."""
    before = import_module("astra.migrations.0005_parallaxes")
    db.execute_sql("DROP VIEW distances")
    db.execute_sql("DROP TABLE apogee_combined_spectrum")
    db.execute_sql(before.VIEW.format(added="".join(f", {column}" for column in before.ADDED)))
