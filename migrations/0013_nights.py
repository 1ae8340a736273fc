"""An index on when the inputs of a result were read, for what happened in a night or since a moment."""

from astra.database.schemas import build_index

atomic = False

INDEX = "astronndist_inputs_read"


def up(migrator, db):
    """Build it, on PostgreSQL while others write."""
    build_index(db, "astro_nn_dist", ["inputs_read"], INDEX)


def down(migrator, db):
    """Drop it."""
    db.execute_sql(f"DROP INDEX IF EXISTS {INDEX}")
