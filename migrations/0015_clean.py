"""Why a distance is not fit for single stars, and what could not be looked at; of the results so far unknown.

`astra run astronn_dist --fill distances` fills the columns; no result becomes stale by them. The view
`distances`, which `astra init` makes anew after this, has them at its end.
"""

from importlib import import_module

from peewee import PostgresqlDatabase

FILLED_BY = "`astra run astronn_dist --fill distances`"

COLUMNS = ("not_clean", "not_checked")


def up(migrator, db):
    """Add the columns, which is quick on a table of any size."""
    integer = "BIGINT" if isinstance(db, PostgresqlDatabase) else "INTEGER"
    for column in COLUMNS:
        db.execute_sql(f"ALTER TABLE astro_nn_dist ADD COLUMN {column} {integer}")


def down(migrator, db):
    """Drop the columns, and make an earlier view, which `astra init` completes."""
    before = import_module("astra.migrations.0005_parallaxes")
    db.execute_sql("DROP VIEW distances")
    for column in reversed(COLUMNS):
        db.execute_sql(f"ALTER TABLE astro_nn_dist DROP COLUMN {column}")
    db.execute_sql(before.VIEW.format(added="".join(f", {column}" for column in before.ADDED)))
