"""Keep with each run the options of its task that change numbers, so that results of others do not mix."""


def up(migrator, db):
    """Add the column; the runs so far count as made with the defaults."""
    db.execute_sql("ALTER TABLE task_run ADD COLUMN options TEXT")


def down(migrator, db):
    """Drop the column with what it holds."""
    # Not by the migrator: before SQLite 3.35 it would build the table anew, and results point to it.
    db.execute_sql("ALTER TABLE task_run DROP COLUMN options")
