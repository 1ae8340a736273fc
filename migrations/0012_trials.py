"""Trials: which there are, and what they take for the E(B-V) of sources where that comes from a table.

No result becomes stale by it.
"""

from peewee import PostgresqlDatabase

TRIAL = """
CREATE TABLE task_trial (
    task TEXT NOT NULL, name TEXT NOT NULL, table_name TEXT NOT NULL, ebv_from TEXT, state TEXT NOT NULL,
    created {time} NOT NULL DEFAULT {now}, made_by TEXT NOT NULL,
    promoted {time}, promoted_version INTEGER, rolled_back {time},
    PRIMARY KEY (task, name)
)
"""
EBV = """
CREATE TABLE task_trial_ebv (
    pk {key}, task TEXT NOT NULL, name TEXT NOT NULL, source_pk {integer} NOT NULL REFERENCES source (pk),
    ebv {real}, e_ebv {real}
)
"""

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
    """Make both tables, which are empty."""
    types = ON_POSTGRESQL if isinstance(db, PostgresqlDatabase) else ON_SQLITE
    for table in (TRIAL, EBV):
        db.execute_sql(table.format(**types))
    db.execute_sql("CREATE INDEX tasktrialebv_source_pk ON task_trial_ebv (source_pk)")


def down(migrator, db):
    """Drop both tables; the tables of trials stay, and nothing knows of them."""
    for table in ("task_trial_ebv", "task_trial"):
        db.execute_sql(f"DROP TABLE {table}")
