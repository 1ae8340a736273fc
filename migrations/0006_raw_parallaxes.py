"""Let the next ``astra run`` derive those results again whose mean has an unknown zero-point of Gaia in it.

Such a mean puts the star too far away, by more than its error says.
"""


def up(migrator, db):
    """Forget when the star of such a result was read, which is what makes it stale."""
    db.execute_sql(
        "UPDATE astro_nn_dist SET source_read = NULL "
        "WHERE gaia_parallax IS NOT NULL AND plx_zero_point IS NULL AND weighted_parallax IS NOT NULL"
    )


def down(migrator, db):
    """Nothing to undo: a result that is derived again is as before."""
