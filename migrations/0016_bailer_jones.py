"""What Bailer-Jones et al. (2021, AJ 161, 147) have for a star, as catalogues of the survey carry it.

No result rests on them, so none becomes pending or stale, now or when they are filled.
"""

from peewee import PostgresqlDatabase

FILLED_BY = "`astra ingest`, when it reads a table that has them again"

COLUMNS = (
    *("r_med_geo", "r_lo_geo", "r_hi_geo"),
    *("r_med_photogeo", "r_lo_photogeo", "r_hi_photogeo"),
)


def up(migrator, db):
    """Add the columns, which is quick on a table of any size."""
    real = "DOUBLE PRECISION" if isinstance(db, PostgresqlDatabase) else "REAL"
    for column in COLUMNS:
        db.execute_sql(f"ALTER TABLE source ADD COLUMN {column} {real}")


def down(migrator, db):
    """Drop the columns, and the views of all sources that trials have, which `astra init` makes again."""
    trials = db.execute_sql("SELECT table_name FROM task_trial WHERE ebv_from IS NOT NULL").fetchall()
    for (table,) in trials:
        db.execute_sql(f'DROP VIEW IF EXISTS "{table}__source"')
    for column in reversed(COLUMNS):
        db.execute_sql(f"ALTER TABLE source DROP COLUMN {column}")
