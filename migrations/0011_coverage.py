"""How much of each detector the network saw, beside its results; of the results so far that is not known.

`astra run astronn_dist --fill coverage` fills the columns; no result becomes stale by them. The view
`distances`, which `astra init` makes anew after this, has them at its end.
"""

from importlib import import_module

from peewee import PostgresqlDatabase

FILLED_BY = "`astra run astronn_dist --fill coverage`"

COLUMNS = ("coverage", "coverage_blue", "coverage_green", "coverage_red")


def up(migrator, db):
    """Add the columns, which is quick on a table of any size."""
    real = "DOUBLE PRECISION" if isinstance(db, PostgresqlDatabase) else "REAL"
    for column in COLUMNS:
        db.execute_sql(f"ALTER TABLE astro_nn_dist ADD COLUMN {column} {real}")


def down(migrator, db):
    """Drop the columns, and make an earlier view, which `astra init` completes."""
    before = import_module("astra.migrations.0005_parallaxes")
    db.execute_sql("DROP VIEW distances")
    for column in reversed(COLUMNS):
        db.execute_sql(f"ALTER TABLE astro_nn_dist DROP COLUMN {column}")
    db.execute_sql(before.VIEW.format(added="".join(f", {column}" for column in before.ADDED)))
