"""Spectra whose files the system withheld, so that later runs try them again and results stay as they are."""

from peewee import PostgresqlDatabase

TABLE = """
CREATE TABLE task_withheld (
    task TEXT NOT NULL, spectrum_pk {integer} NOT NULL REFERENCES spectrum (pk),
    reason TEXT NOT NULL, tried {time} NOT NULL,
    PRIMARY KEY (task, spectrum_pk)
)
"""


def up(migrator, db):
    """Make the table."""
    is_postgresql = isinstance(db, PostgresqlDatabase)
    integer, time = ("BIGINT", "TIMESTAMP") if is_postgresql else ("INTEGER", "DATETIME")
    db.execute_sql(TABLE.format(integer=integer, time=time))


def down(migrator, db):
    """Drop the table: what it names is pending again where it has no result, and stays as it is elsewhere."""
    db.execute_sql("DROP TABLE task_withheld")
