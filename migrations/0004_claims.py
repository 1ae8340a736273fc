"""What is in hand: the workers, and the spectra that each of them has claimed."""

from peewee import PostgresqlDatabase

WORKER = """
CREATE TABLE task_worker (
    pk {key}, task TEXT NOT NULL, run_pk {integer}, host TEXT NOT NULL, pid INTEGER NOT NULL,
    started {time} NOT NULL
)
"""

CLAIM = """
CREATE TABLE task_claim (
    task TEXT NOT NULL, spectrum_pk {integer} NOT NULL, worker_pk {integer}, token {integer},
    suspect {boolean} NOT NULL,
    held_back {boolean} NOT NULL, attempts INTEGER NOT NULL, since {time} NOT NULL,
    PRIMARY KEY (task, spectrum_pk)
)
"""

# Few rows, all of them short-lived: what is dead is to be swept out before the table has grown by much.
SWEPT = "ALTER TABLE task_claim SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000)"


def up(migrator, db):
    """Make both tables; no column refers to another table, so that nobody waits for a claim."""
    is_postgresql = isinstance(db, PostgresqlDatabase)
    types = {
        "key": "BIGSERIAL PRIMARY KEY" if is_postgresql else "INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT",
        "boolean": "BOOLEAN" if is_postgresql else "INTEGER",
        "integer": "BIGINT" if is_postgresql else "INTEGER",
        "time": "TIMESTAMP" if is_postgresql else "DATETIME",
    }
    db.execute_sql(WORKER.format(**types))
    db.execute_sql(CLAIM.format(**types))
    db.execute_sql("CREATE INDEX task_claim_worker_pk ON task_claim (worker_pk)")
    if is_postgresql:
        db.execute_sql(SWEPT)


def down(migrator, db):
    """Drop both tables: nothing may be in hand."""
    for table in ("task_claim", "task_worker"):
        db.execute_sql(f"DROP TABLE {table}")
