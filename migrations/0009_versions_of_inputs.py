"""Keep with each result, and each note of a withheld file, the versions of the inputs that it was made from.

Rows so far have none: they are judged by the time at which their inputs were read, as before.
"""

from peewee import PostgresqlDatabase

COLUMNS = (
    ("astro_nn_dist", "spectrum_modified"),
    ("astro_nn_dist", "source_modified"),
    ("task_withheld", "spectrum_modified"),
)


def up(migrator, db):
    """Add the columns, which is quick on a table of any size."""
    time = "TIMESTAMP" if isinstance(db, PostgresqlDatabase) else "DATETIME"
    for table, column in COLUMNS:
        db.execute_sql(f"ALTER TABLE {table} ADD COLUMN {column} {time}")


def down(migrator, db):
    """Drop the columns: inputs that changed while a clock was ahead may then pass for unchanged."""
    # Not by the migrator, which would build the table anew on SQLite, where the view uses it.
    for table, column in COLUMNS:
        db.execute_sql(f"ALTER TABLE {table} DROP COLUMN {column}")
