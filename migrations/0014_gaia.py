"""Where a zero-point comes from, how far spectrum and Gaia are apart, and the distance to use.

The results so far stay as they are, and the new columns are NULL in them: `--fill distances` of `astra run`
fills them, with the zero-points that were not known. No result becomes stale. The view `distances`, which
`astra init` makes anew after this, has the columns at its end.
"""

from importlib import import_module

from peewee import PostgresqlDatabase

FILLED_BY = "`astra run astronn_dist --fill distances`"

TEXTS = ("plx_zero_point_origin", "best_dist_from")
COLUMNS = (
    "plx_zero_point_origin",
    "parallax_pull",
    "best_dist",
    "best_dist_lo",
    "best_dist_hi",
    "best_dist_from",
)


def up(migrator, db):
    """Add the columns, which is quick on a table of any size."""
    real = "DOUBLE PRECISION" if isinstance(db, PostgresqlDatabase) else "REAL"
    for column in COLUMNS:
        kind = "TEXT" if column in TEXTS else real
        db.execute_sql(f"ALTER TABLE astro_nn_dist ADD COLUMN {column} {kind}")


def down(migrator, db):
    """Drop the columns, and make an earlier view, which `astra init` completes."""
    before = import_module("astra.migrations.0005_parallaxes")
    db.execute_sql("DROP VIEW distances")
    for column in reversed(COLUMNS):
        db.execute_sql(f"ALTER TABLE astro_nn_dist DROP COLUMN {column}")
    db.execute_sql(before.VIEW.format(added="".join(f", {column}" for column in before.ADDED)))
