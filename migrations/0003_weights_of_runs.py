"""Keep with each run how its weights were chosen, and what their maker says they are good for."""

COLUMNS = ("weights_origin", "weights_range")


def up(migrator, db):
    """Add the columns; of the runs so far, nothing is known."""
    for column in COLUMNS:
        db.execute_sql(f"ALTER TABLE task_run ADD COLUMN {column} TEXT")


def down(migrator, db):
    """Drop the columns with what they hold."""
    # Not by the migrator: before SQLite 3.35 it would build the table anew, and results point to it.
    for column in COLUMNS:
        db.execute_sql(f"ALTER TABLE task_run DROP COLUMN {column}")
