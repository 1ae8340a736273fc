"""The survey of the report, on both databases, and its pages."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import peewee
import pytest
from conftest import copied
from report_survey import fill

from astra.config import Settings
from astra.database.connection import bound_to, open_database
from astra.models import Source
from astra.report.making import make_report


@pytest.fixture(scope="session")
def sqlite_survey(sqlite_template, toy_weights, once) -> Path:
    """A SQLite file with the survey, to be copied."""

    def filled(folder: Path) -> None:
        weights = shutil.copy(toy_weights, folder)
        _fill({"path": shutil.copyfile(sqlite_template, folder / "astra.db")}, folder, Path(weights))

    return once("report-survey", filled) / "astra.db"


@pytest.fixture(scope="session")
def postgres_survey(postgres, postgres_template, toy_weights, tmp_path_factory) -> Iterator[str]:
    """A PostgreSQL database with the survey, to be copied."""
    with postgres.database(postgres_template) as dbname:
        _fill({"url": postgres.url(dbname)}, tmp_path_factory.mktemp("survey"), toy_weights)
        yield dbname


def _fill(database: dict, folder: Path, weights: Path) -> None:
    settings = Settings.model_validate({"database": database, "models_dir": "/nowhere"})
    with bound_to(open_database(settings)):
        fill(folder, weights)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def survey(request, tmp_path, monkeypatch) -> Iterator[peewee.Database]:
    """The survey in a database of one's own, as ``db`` gives it."""
    with copied(request, "survey", tmp_path, monkeypatch) as opened:
        yield opened


@pytest.fixture
def first_star(survey) -> str:
    """The sdss_id of a star of the survey whose two spectra have files."""
    return str(Source.select().order_by(Source.pk).first().sdss_id)


@pytest.fixture(scope="session")
def pages(sqlite_survey, once) -> tuple[Path, Path]:
    """The report of the survey, and the page of its first star."""

    def written(folder: Path) -> None:
        settings = Settings.model_validate({"database": {"path": sqlite_survey}, "models_dir": "/nowhere"})
        with bound_to(open_database(settings)):
            make_report(folder / "report.html", settings)
            star = str(Source.select().order_by(Source.pk).first().sdss_id)
            make_report(folder / "star.html", settings, star)

    folder = once("pages", written)
    return folder / "report.html", folder / "star.html"
