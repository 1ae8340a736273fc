"""Views that call tables and columns as upstream Astra does, for SQL that was written for it.

They hold no data and are read only. On SQLite names of columns know no case. On PostgreSQL a name with
capitals needs quotes, so there each such column is in the view twice, the second time in lower case.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import peewee

from astra.database.connection import is_postgresql, one_line, translated
from astra.database.schemas import is_view_of, replace_view
from astra.database.waiting import patiently
from astra.errors import DatabaseUnreachable
from astra.ingest.values import EXACT_ZERO_POINTS

log = logging.getLogger("astra")


def _same(*names: str) -> dict[str, str]:
    return {name: name for name in names}


def _of_dr3(column: str) -> str:
    """A column where the zero-point of the parallax is exact, which is one of Gaia DR3."""
    exact = ", ".join(f"'{origin}'" for origin in EXACT_ZERO_POINTS)
    # A version that did not say what a zero-point is made from made none but exact ones.
    return (
        f"CASE WHEN plx_zero_point IS NOT NULL AND COALESCE(plx_zero_point_origin, '{EXACT_ZERO_POINTS[0]}') "
        f"IN ({exact}) THEN {column} END"
    )


_SPECTRA = {
    **_same(
        "pk", "source_pk", "created", "modified", "spectrum_pk", "release", "filetype", "apred", "apstar"
    ),
    **_same("obj", "telescope", "healpix", "field", "prefix", "n_visits", "snr", "spectrum_flags"),
    **_same("v_rad", "e_v_rad"),
}

_RESULTS = {
    **_same(
        "source_pk", "spectrum_pk", "task_pk", "v_astra", "created", "modified", "t_elapsed", "t_overhead"
    ),
    "tag": "COALESCE(tag, '')",
    **_same("k_mag", "ebv"),
    "A_k_mag": "a_k_mag",
    "L_fakemag": "l_fakemag",
    "e_L_fakemag": "e_l_fakemag",
    **_same("dist", "e_dist", "result_flags"),
    # As earlier versions called them.
    "L_fakemag_err": "e_l_fakemag",
    "L_fakemag_model_err": "e_model_l_fakemag",
    "dist_err": "e_dist",
    "nn_dist": "dist",
    "nn_dist_err": "e_dist",
    "nn_dist_model_err": "e_model_dist",
    "nn_parallax": "nn_parallax",
    "nn_parallax_err": "e_nn_parallax",
    "nn_parallax_model_err": "e_model_nn_parallax",
    "gdr3_parallax_w_zp": _of_dr3("gaia_parallax"),
    "gdr3_parallax_err": _of_dr3("e_gaia_parallax"),
    "gdr3_zeropoint": _of_dr3("plx_zero_point"),
    "weighted_parallax": "weighted_parallax",
    "weighted_parallax_err": "e_weighted_parallax",
    "weighted_dist": "weighted_dist",
    "weighted_dist_err": "e_weighted_dist",
    # A view only grows at its end, and one that was made by hand ends here.
    "v_astra_major_minor": "v_astra_major_minor",
    "fake_k_mag": "l_fakemag",
    "fake_k_mag_err": "e_l_fakemag",
}

#: The tables here that the views are of, and what their columns are called there.
VIEWS = {
    "apogee_coadded_spectrum_in_ap_star": ("apogee_coadded_spectrum_in_apstar", _SPECTRA),
    "astro_nn_dist_upstream": ("astro_nn_dist", _RESULTS),
}


def make_views(database: peewee.Database) -> None:
    """Make the views that are not there, and replace those that are others.

    So a view of such a name that somebody has made by hand is replaced, too; a table is not. What the
    database refuses is a warning.
    """
    tables = {name.lower() for name in database.get_tables()}
    for name in VIEWS:
        if name in tables:
            log.warning(
                "a table is called %s, so there is no view of this name for upstream's SQL: rename the "
                "table, and run `astra init` again",
                name,
            )
        elif not is_view_of(database, name, query := _query(database, name)):
            _replace(database, name, query)


@contextmanager
def views_aside(database: peewee.Database) -> Iterator[None]:
    """In a transaction of SQLite, drop the views that are there, and make them again as they were."""
    views = [view.sql for view in database.get_views() if view.name in VIEWS]
    drop_views(database)
    yield
    for sql in views:
        database.execute_sql(sql)


def drop_views(database: peewee.Database) -> None:
    """Drop the views that are there: no database takes away a column that a view uses."""
    for view in database.get_views():
        if view.name in VIEWS:
            database.execute_sql(f"DROP VIEW {view.name}")


def _columns(database: peewee.Database, view: str) -> dict[str, str]:
    _, columns = VIEWS[view]
    if not is_postgresql(database):
        return columns
    return columns | {name.lower(): column for name, column in columns.items() if name != name.lower()}


def _query(database: peewee.Database, name: str) -> str:
    table, _ = VIEWS[name]
    columns = ", ".join(f'{column} AS "{known}"' for known, column in _columns(database, name).items())
    # PostgreSQL would let whoever may write to a view of one table write to that table.
    read_only = " CROSS JOIN (SELECT 1) AS read_only" if is_postgresql(database) else ""
    return f"SELECT {columns} FROM {table}{read_only}"


def _replace(database: peewee.Database, name: str, query: str) -> None:
    what = f"the view {name}"
    try:
        try:
            patiently(database, what, lambda: replace_view(database, name, query))
        except peewee.ProgrammingError:  # it has other columns, or the same in another order
            patiently(database, what, lambda: _make_anew(database, name, query))
    except peewee.DatabaseError as error:
        if isinstance(translated(error), DatabaseUnreachable):
            raise
        log.warning(
            "the view %s cannot be made anew (%s): drop it and what rests on it, and run `astra init` again",
            name,
            one_line(error),
        )


def _make_anew(database: peewee.Database, name: str, query: str) -> None:
    with database.atomic():
        database.execute_sql(f"DROP VIEW IF EXISTS {name}")
        replace_view(database, name, query)
