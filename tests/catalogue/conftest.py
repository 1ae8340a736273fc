"""A survey in the database, a way to write its catalogue, and what plain SQL says of it."""

import pytest
from full_survey import fill

from astra.catalogue.create import Request
from astra.catalogue.create import create as write
from astra.models.base import database
from astra.running.signals import StopRequest

#: Every third star has two spectra.
STARS, SPECTRA = 300, 400

# The view, and beside it what the catalogue has from the tables; written by hand, not by the code under test.
SQL = """
SELECT distances.*, source.healpix, source.pmra, source.e_pmra, source.pmde, source.e_pmde,
    source.nu_eff_used_in_astrometry, source.pseudocolour, source.astrometric_params_solved,
    source.g_mag, source.bp_mag, source.rp_mag, source.j_mag, source.e_j_mag, source.h_mag, source.e_h_mag,
    source.k_mag AS source_k_mag, source.e_k_mag, source.ebv AS source_ebv, source.e_ebv, source.ebv_origin,
    s.filetype, s.apred, s.apstar, s.obj, s.prefix, s.commissioning, s.n_visits, s.v_rad, s.e_v_rad
FROM distances
JOIN apogee_coadded_spectrum_in_apstar AS s ON s.spectrum_pk = distances.spectrum_pk
LEFT JOIN source ON source.pk = distances.source_pk
ORDER BY distances.spectrum_pk
"""


@pytest.fixture
def survey(db):
    """400 spectra of 300 stars, all of them with a row."""
    assert fill(db, STARS) == SPECTRA
    return db


@pytest.fixture
def create(tmp_path):
    """Writes the catalogue of the database in use; gives what was written."""

    def call(name="catalogue.fits", *, on_progress=lambda done, total: None, **wanted):
        request = Request(output=tmp_path / name, **wanted)
        with StopRequest() as stop:
            return write(request, database, stop, on_progress)

    return call


@pytest.fixture
def in_sql():
    """What plain SQL gives: for each column, by its name in the database, its values in order."""

    def call(db):
        cursor = db.execute_sql(SQL)
        names = [each[0] for each in cursor.description]
        return dict(zip(names, zip(*cursor.fetchall(), strict=True), strict=True))

    return call
