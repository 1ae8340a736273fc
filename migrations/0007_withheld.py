"""Spectra whose files the system withheld, so that later runs try them again and results stay as they are.

Among them are those that have no result because of such an answer of the system: until now, no run would have
tried them again.
"""

import errno
import os

from peewee import PostgresqlDatabase

from astra.database.waiting import in_batches

atomic = False

ROWS = "results that a file withheld by the system is the reason of are noted, so that runs try them again"

TABLE = """
CREATE TABLE IF NOT EXISTS task_withheld (
    task TEXT NOT NULL, spectrum_pk {integer} NOT NULL REFERENCES spectrum (pk),
    reason TEXT NOT NULL, tried {time} NOT NULL,
    PRIMARY KEY (task, spectrum_pk)
)
"""


# Up to the first colon, a reason is what the system said.
NOTES = """
INSERT INTO task_withheld (task, spectrum_pk, reason, tried)
SELECT 'astronn_dist', spectrum_pk, max(no_result_reason), max(inputs_read) FROM astro_nn_dist
WHERE {{batch}} AND {kind} IN ({words}) AND inputs_read IS NOT NULL GROUP BY spectrum_pk
ON CONFLICT (task, spectrum_pk) DO UPDATE SET reason = EXCLUDED.reason, tried = EXCLUDED.tried
WHERE EXCLUDED.tried > task_withheld.tried
"""


def up(migrator, db):
    """Make the table, and note whose files were withheld so far, a part of the results at a time."""
    is_postgresql = isinstance(db, PostgresqlDatabase)
    integer, time = ("BIGINT", "TIMESTAMP") if is_postgresql else ("INTEGER", "DATETIME")
    # At once, and alone: until it is committed, nobody registers a spectrum.
    with db.atomic():
        db.execute_sql(TABLE.format(integer=integer, time=time))
    kind = "substr(no_result_reason, 1, instr(no_result_reason, ':') - 1)"
    words = sorted({os.strerror(number) for number in errno.errorcode})
    places = ", ".join([db.param] * len(words))
    if is_postgresql:
        kind = "split_part(no_result_reason, ':', 1)"
    in_batches(db, "astro_nn_dist", "task_pk", NOTES.format(kind=kind, words=places), words)


def down(migrator, db):
    """Drop the table: what it names is pending again where it has no result, and stays as it is elsewhere."""
    db.execute_sql("DROP TABLE task_withheld")
