"""Spectra whose files the system withheld, so that later runs try them again and results stay as they are.

Among them are those that have no result because of such an answer of the system: until now, no run would have
tried them again.
"""

import errno
import os

from peewee import PostgresqlDatabase

TABLE = """
CREATE TABLE task_withheld (
    task TEXT NOT NULL, spectrum_pk {integer} NOT NULL REFERENCES spectrum (pk),
    reason TEXT NOT NULL, tried {time} NOT NULL,
    PRIMARY KEY (task, spectrum_pk)
)
"""


# Up to the first colon, a reason is what the system said.
NOTES = """
INSERT INTO task_withheld (task, spectrum_pk, reason, tried)
SELECT 'astronn_dist', spectrum_pk, max(no_result_reason), max(inputs_read) FROM astro_nn_dist
WHERE {kind} IN ({words}) AND inputs_read IS NOT NULL GROUP BY spectrum_pk
"""


def up(migrator, db):
    """Make the table, and note whose files were withheld so far."""
    is_postgresql = isinstance(db, PostgresqlDatabase)
    integer, time = ("BIGINT", "TIMESTAMP") if is_postgresql else ("INTEGER", "DATETIME")
    db.execute_sql(TABLE.format(integer=integer, time=time))
    kind = "substr(no_result_reason, 1, instr(no_result_reason, ':') - 1)"
    words = sorted({os.strerror(number) for number in errno.errorcode})
    places = ", ".join([db.param] * len(words))
    if is_postgresql:
        kind = "split_part(no_result_reason, ':', 1)"
    db.execute_sql(NOTES.format(kind=kind, words=places), words)


def down(migrator, db):
    """Drop the table: what it names is pending again where it has no result, and stays as it is elsewhere."""
    db.execute_sql("DROP TABLE task_withheld")
