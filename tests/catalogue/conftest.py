"""A survey in the database, a way to write its catalogue, and what plain SQL says of it."""

import contextlib
import resource
import shutil

import debian_packages
import pytest
from catalogue_values import SPECTRA, STARS
from conftest import CI
from full_survey import fill

from astra.catalogue.create import Request
from astra.catalogue.create import create as write
from astra.config import Settings, load_settings
from astra.database.connection import bound_to, database, open_database
from astra.running.ending import StopRequest

from fitsverify import verdict

# The view, and beside it what the catalogue has from the tables; written by hand, not by the code under test.
SQL = """
SELECT distances.*, source.healpix, source.pmra, source.e_pmra, source.pmde, source.e_pmde,
    source.nu_eff_used_in_astrometry, source.pseudocolour, source.astrometric_params_solved,
    source.g_mag, source.bp_mag, source.rp_mag, source.r_med_geo, source.r_lo_geo, source.r_hi_geo,
    source.r_med_photogeo, source.r_lo_photogeo, source.r_hi_photogeo,
    source.j_mag, source.e_j_mag, source.h_mag, source.e_h_mag,
    source.k_mag AS source_k_mag, source.e_k_mag, source.ebv AS source_ebv, source.e_ebv, source.ebv_origin,
    s.filetype, s.apred, s.apstar, s.obj, s.prefix, s.commissioning, s.n_visits, s.v_rad, s.e_v_rad
FROM distances
JOIN apogee_coadded_spectrum_in_apstar AS s ON s.spectrum_pk = distances.spectrum_pk
LEFT JOIN source ON source.pk = distances.source_pk
ORDER BY distances.spectrum_pk
"""


def _filled(place):
    settings = Settings.model_validate({"database": place, "models_dir": "/nowhere"})
    with bound_to(open_database(settings)) as opened:
        assert fill(opened, STARS) == SPECTRA


@pytest.fixture(scope="session")
def sqlite_survey(sqlite_template, tmp_path_factory):
    """The survey in a file, made once."""
    path = shutil.copyfile(sqlite_template, tmp_path_factory.mktemp("survey") / "astra.db")
    _filled({"path": path})
    return path


@pytest.fixture(scope="session")
def postgres_survey(postgres, postgres_template):
    """The survey on the server, made once."""
    with postgres.database(postgres_template) as dbname:
        _filled({"url": postgres.url(dbname)})
        yield postgres.url(dbname)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def survey(request, monkeypatch):
    """160 spectra of 120 stars, all of them with a row; for tests that only read."""
    if request.param == "sqlite":
        monkeypatch.setenv("ASTRA_DATABASE_PATH", str(request.getfixturevalue("sqlite_survey")))
    else:
        monkeypatch.setenv("ASTRA_DATABASE_URL", request.getfixturevalue("postgres_survey"))
    with bound_to(open_database(load_settings())) as opened:
        yield opened


@pytest.fixture
def create(tmp_path):
    """Writes the catalogue of the database in use; gives what was written."""

    def call(name="catalogue.fits", *, on_progress=lambda done, total: None, **wanted):
        request = Request(output=tmp_path / name, **wanted)
        with StopRequest() as stop:
            return write(request, database, stop, on_progress)

    return call


@pytest.fixture(scope="session")
def _written(tmp_path_factory):
    return tmp_path_factory.mktemp("written"), {}


@pytest.fixture
def written(_written, request, survey):
    """The catalogue of the survey in a format, made once for all tests that only read it."""
    folder, made = _written
    place = request.node.callspec.params["survey"]

    def call(file_format):
        if (place, file_format) not in made:
            asked = Request(output=folder / f"{place}.{file_format.extension}")
            made[place, file_format] = write(asked, database)
        return made[place, file_format]

    return call


@pytest.fixture
def full_disk():
    """A context in which a file cannot grow beyond some bytes, as on a disk that is full."""

    @contextlib.contextmanager
    def call(size):
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return call


@pytest.fixture
def in_sql():
    """What plain SQL gives: for each column, by its name in the database, its values in order."""

    def call(db):
        cursor = db.execute_sql(SQL)
        names = [each[0] for each in cursor.description]
        return dict(zip(names, zip(*cursor.fetchall(), strict=True), strict=True))

    return call


@pytest.fixture
def verified():
    """Runs fitsverify on a file; gives its verdict."""
    debian_packages.needed("fitsverify", install_it=CI)
    return verdict
