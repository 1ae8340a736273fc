"""Take Gaia out of the means that have a parallax with an unknown zero-point in them.

Such a mean puts the star too far away, by more than its error says. Of two parallaxes, that of the spectrum
is left, as in every result since; where it does not count either, there is no mean. No result becomes stale.
"""

from astra.database.connection import moved_on_sql
from astra.database.waiting import in_batches

atomic = False

ROWS = "weighted_* of results whose Gaia parallax has no zero-point become those of the spectrum alone"

_COUNTS = "COALESCE((result_flags & 3) = 0 AND nn_parallax > 0 AND e_nn_parallax > 0, FALSE)"
_IS_DIST = f"{_COUNTS} AND 1000 / nn_parallax <= 1e10"
VALUES = {
    "weighted_parallax": (_COUNTS, "nn_parallax"),
    "e_weighted_parallax": (_COUNTS, "e_nn_parallax"),
    "weighted_dist": (_IS_DIST, "1000 / nn_parallax"),
    "e_weighted_dist": (_IS_DIST, "1000 / nn_parallax * (e_nn_parallax / nn_parallax)"),
}

CORRECTED = {"astro_nn_dist": tuple(VALUES)}

# The mean of one value may differ from it in its last digit.
STATEMENT = """
UPDATE astro_nn_dist SET {values}, modified = {now}
WHERE {{batch}} AND gaia_parallax IS NOT NULL AND plx_zero_point IS NULL AND weighted_parallax IS NOT NULL
  AND (NOT {counts} OR abs(weighted_parallax - nn_parallax) > 1e-9 * nn_parallax)
"""


def up(migrator, db):
    """Correct these four columns, a part of the table at a time."""
    values = ", ".join(
        f"{column} = CASE WHEN {condition} THEN {value} END" for column, (condition, value) in VALUES.items()
    )
    statement = STATEMENT.format(values=values, now=moved_on_sql(db, "modified"), counts=_COUNTS)
    in_batches(db, "astro_nn_dist", "task_pk", statement)


def down(migrator, db):
    """Nothing to undo: such a mean is wrong under any version."""
