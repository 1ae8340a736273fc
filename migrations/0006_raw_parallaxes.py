"""Let the next ``astra run`` derive those results again that averaged a parallax of Gaia with its zero-point.

They say how far a star is, and are wrong: without its zero-point, such a parallax no longer counts.
"""


def up(migrator, db):
    """Forget when the star of such a result was read, which is what makes it stale."""
    db.execute_sql(
        "UPDATE astro_nn_dist SET source_read = NULL "
        "WHERE gaia_parallax IS NOT NULL AND plx_zero_point IS NULL AND weighted_parallax IS NOT NULL"
    )


def down(migrator, db):
    """Nothing to undo: a result that is derived again is as before."""
