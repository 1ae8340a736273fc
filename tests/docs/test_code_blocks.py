"""Every block of code in the README and in the documentation runs; those of SQL are in test_sql.py."""

import configparser
import os
import sqlite3
from pathlib import Path

import guests
import numpy as np
import pytest
from astropy.table import Table
from builders import N_PIXELS, a_result, a_source, a_spectrum, write_apstar, write_mwmstar
from weights_files import write_checkpoint, write_folder

from astra.cli import main
from astra.config import load_settings
from astra.pipelines.astronn_dist.weights.files import load_weights
from astra.schema.packages import MIGRATIONS_GROUP, installed_packages
from astra.system.plugins import TASKS_GROUP

from documents import Shell, blocks, pages, stand_ins

#: Blocks that no test runs, by their page: few, and each says why where it stands.
NOT_TESTED = dict.fromkeys(
    (
        f"docs/{name}.md"
        for name in (
            "contributing",
            "default-model",
            "ingest",
            "postgresql",
            "simulator",
            "sql",
            "start",
            "tasks",
        )
    ),
    1,
)
RUN_BY_A_TEST = {"sh", "sql", "python", "yaml", "ini"}
#: Samples of what the program prints (tests/test_operations.py), and what Sphinx fills in.
NO_CODE = {"text", "{toctree}", "{reference}", "{eval-rst}", "{include}"}
#: What the pages call a star that was ingested.
STAR = "2M00000001+0000001"
STARS = (STAR, "2M17334253-1654573", "2M20321065+5814059")
INGESTED = ("init", "ingest apstar spectra --catalog targets.csv")
MEASURED = (*INGESTED, "run astronn_dist")

WITH_SH = [page for page in pages() if blocks(page, "sh")]
WITH_PYTHON = [page for page in pages() if blocks(page, "python")]


def test_every_block_is_of_a_kind_that_a_test_runs():
    found = [block for page in pages() for block in blocks(page)]

    assert {block.language for block in found} <= RUN_BY_A_TEST | NO_CODE
    counted: dict[str, int] = {}
    for block in found:
        if block.not_tested:
            counted[block.page] = counted.get(block.page, 0) + 1
    assert counted == NOT_TESTED


# > Commands


@pytest.fixture(scope="session")
def downloads(tmp_path_factory, toy_weights) -> Path:
    """What the pages take for granted: spectra, a catalogue, two releases, weights of others."""
    folder = tmp_path_factory.mktemp("downloads")
    assert main(["simulate", str(folder / "spectra"), "--n", "5", "--seed", "2"]) == 0
    (folder / "targets.csv").symlink_to(folder / "spectra" / "targets.csv")
    (folder / "photometry.csv").write_text("ra,dec,k_mag\n10.5,-20.25,9.5\n")
    _write_releases(folder, a_star(folder))
    write_mwmstar(folder / "to" / "mwm_astra/0.6.0/spectra/star/00/00/mwmStar-0.6.0-103020000.fits", {})
    _write_upstream(folder / "upstream.db")
    tensors = load_weights(toy_weights).tensors
    weights = write_checkpoint(folder / "astroNN_dist_model_parameter.pt", tensors)
    for name in ("model_parameter.pt", "mine.pt"):
        (folder / name).symlink_to(weights)
    survey = folder / "to" / "mwm_astra" / "pipelines" / "astroNN_dist"
    survey.mkdir(parents=True)
    (survey / weights.name).symlink_to(weights)
    write_folder(folder / "to" / "astroNN_gaia_dr17_model_3", tensors)
    return folder


def a_star(folder: Path) -> str:
    """One of the stars that were downloaded."""
    return min((folder / "spectra").glob("apStar-*.fits")).stem.removeprefix("apStar-dr17-")


def _write_releases(folder: Path, star: str) -> None:
    """The tables of DR17 and DR19, with a star whose file is where the survey has it."""
    name = f"apStar-dr17-{star}.fits"
    columns = {"APOGEE_ID": star, "TELESCOPE": "apo25m", "FIELD": "M67", "FILE": name}
    columns |= {"RA": 132.8, "DEC": 11.8, "K": 10.2, "AK_TARG": 0.03, "SFD_EBV": 0.08, "SNR": 100.0}
    later = {"obj": star, "telescope": "apo25m", "field": "M67", "apred": "dr17", "release": "dr17"}
    later |= {"sdss_id": 71234567, "k_mag": 10.2, "ebv": 0.09}
    for table, row in (("allStar-dr17-synspec_rev1.fits", columns), ("mwmAllStar-0.6.0.fits.gz", later)):
        Table({column: [value] for column, value in row.items()}).write(folder / table)
    place = folder / "to" / "sas" / "dr17/apogee/spectro/redux/dr17/stars/apo25m/M67"
    place.mkdir(parents=True)
    (place / name).symlink_to(folder / "spectra" / name)


def _write_upstream(path: Path) -> None:
    """A database of SDSS Astra with the columns that the command takes."""
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE source (pk INTEGER PRIMARY KEY, sdss_id INTEGER, modified TEXT)")
        columns = "source_pk, release, apred, obj, telescope, field, healpix, modified"
        database.execute(f"CREATE TABLE apogee_coadded_spectrum_in_ap_star ({columns})")
    database.close()


@pytest.fixture
def shell(tmp_path, downloads, monkeypatch):
    """Runs the blocks of a page, one after the other, in a folder with what was downloaded."""
    folder = tmp_path / "work"
    folder.mkdir()
    for item in downloads.iterdir():
        (folder / item.name).symlink_to(item)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PATH", os.pathsep.join([str(stand_ins(tmp_path / "stand-ins")), os.environ["PATH"]]))
    monkeypatch.setenv("ASTRA_DATABASE_PATH", str(folder / "my.db"))
    _configure(f"databases: {{survey: {{path: {downloads / 'upstream.db'}}}}}", tmp_path, monkeypatch)
    lines = Shell(monkeypatch.setenv, monkeypatch.delenv)
    places = {"/path/to": str(downloads / "to")} | dict.fromkeys(STARS, a_star(downloads))

    def run(page: str, **more: str) -> None:
        if page in AFTER_THE_DEMONSTRATION:
            (folder / "demo").mkdir()
            (folder / "demo" / "spectra").symlink_to(downloads / "spectra")
            (folder / "demo" / "astra.db").symlink_to(folder / "my.db")
        text = "\n".join(block.text for block in blocks(page, "sh") if not block.not_tested)
        for name, place in (places | more).items():
            text = text.replace(name, place)
        lines.run(text)

    return run


#: What was done before, where a page begins with an ingested survey, or with a measured one.
BEFORE = {
    "docs/running.md": INGESTED,
    "docs/stars.md": INGESTED,
    "docs/modellers.md": INGESTED,
    "docs/versions.md": INGESTED,
    "docs/catalogue.md": MEASURED,
    "docs/operations.md": MEASURED,
    "docs/upgrades.md": MEASURED,
    "docs/query.md": MEASURED,
    "docs/reference/json.md": INGESTED,
    "docs/report.md": (*INGESTED, "run astronn_dist --limit 1"),  # each of them is drawn in every report
    "docs/sql.md": MEASURED,
    "docs/tour.md": MEASURED,
    "docs/trials.md": MEASURED,
    "docs/watching.md": MEASURED,
}
AFTER_THE_DEMONSTRATION = ("README.md", "docs/modellers.md", "docs/tour.md")
ON_A_SERVER = ("docs/postgresql.md", "docs/slurm.md")


@pytest.mark.parametrize("page", [page for page in WITH_SH if page not in ON_A_SERVER])
def test_the_commands_of_a_page_run(shell, page):
    for words in BEFORE.get(page, ()):
        assert main(words.split()) == 0

    shell(page)


@pytest.fixture
def survey_url(postgres, postgres_template):
    """The address of a PostgreSQL database with all tables."""
    with postgres.database(postgres_template) as dbname:
        yield postgres.url(dbname)


@pytest.mark.postgres
def test_a_database_on_a_server_is_made(shell, survey_url):
    shell("docs/postgresql.md", **{"postgresql://me@localhost/survey": survey_url})


@pytest.mark.postgres
def test_jobs_are_submitted_with_the_profiles_of_the_page(shell, survey_url, monkeypatch, tmp_path):
    monkeypatch.delenv("ASTRA_DATABASE_PATH")
    monkeypatch.setenv("ASTRA_DATABASE_URL", survey_url)
    _configure(blocks("docs/slurm.md", "yaml")[0].text, tmp_path, monkeypatch)

    shell("docs/slurm.md")


# > Settings


def _configure(text: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder / "astra.yml"
    path.write_text(text)
    monkeypatch.setenv("ASTRA_CONFIG", str(path))


@pytest.mark.parametrize("block", [b for page in pages() for b in blocks(page, "yaml")], ids=str)
def test_every_settings_file_is_understood(block, tmp_path, monkeypatch):
    _configure(block.text, tmp_path, monkeypatch)

    taken = [name for name, _, origin in load_settings().flat() if origin.startswith("file ")]

    assert taken


@pytest.mark.parametrize("block", [b for page in pages() for b in blocks(page, "ini")], ids=str)
def test_every_entry_point_is_of_a_group_that_is_read(block):
    read = configparser.ConfigParser(delimiters="=")

    read.read_string(block.text)

    assert set(read["options.entry_points"]) <= {TASKS_GROUP, MIGRATIONS_GROUP}


# > Python


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
@pytest.mark.parametrize("page", WITH_PYTHON)
def test_the_python_of_a_page_runs(db, page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    path = write_apstar(tmp_path / f"apStar-dr17-{STAR}.fits", header={"OBJID": STAR})
    a_result(a_spectrum(a_source(sdss4_apogee_id=STAR), path), dist=100.0)
    (tmp_path / "targets.csv").write_text(f"apogee_id,k_mag,ebv\n{STAR},10.2,0.08\n")
    names = {"__name__": "example"}

    for block in blocks(page, "python"):
        exec(compile(block.text, str(block), "exec"), names)

    assert capsys.readouterr().out or list(tmp_path.glob("*.ecsv"))


def test_what_the_task_of_a_page_knows_better_is_said(db, tmp_path, monkeypatch, capsys):
    parts = [block.text for block in blocks("docs/tasks.md", "python")]
    code = "\n".join(text for text in parts if "def median_flux(" in text or ".reported_by(" in text)
    guests.install(tmp_path / "guest", monkeypatch, code, "median_flux")
    star = a_source()
    for flux in (None, -np.ones(N_PIXELS)):
        a_spectrum(star, write_apstar(tmp_path / f"apStar-dr17-{flux is None}.fits", flux))

    assert main(["init"]) == main(["run", "median_flux"]) == 0
    assert main(["report", "median_flux", "--output", str(tmp_path / "a.html")]) == main(["status"]) == 0
    assert main(["status", "--metrics", "-"]) == 0
    main(["doctor"])

    page, said = (tmp_path / "a.html").read_text(), capsys.readouterr().out
    assert "How bright the spectra are</h2>" in page
    assert "<p>1 of 2 spectra have a flux above 0.</p>" in page
    assert "1 spectra have a flux below 0" in said
    assert 'astra_task_up{task="median_flux"} 1.0' in said
    assert "ok    tasks          median_flux: the first spectrum has flux" in said


def test_the_package_of_a_page_gets_its_table_by_the_migrations_of_the_page(
    db, tmp_path, monkeypatch, capsys
):
    parts = [block.text for block in blocks("docs/tasks.md", "python")]
    (code,) = [text for text in parts if "def median_flux(" in text]
    names = ("0001_table", "0002_scatter", "0003_index")
    given = dict(zip(names, (text for text in parts if "def up(" in text), strict=True))
    guests.install(tmp_path / "guest", monkeypatch, code, "median_flux", migrations=given)
    a_spectrum(a_source(), write_apstar(tmp_path / f"apStar-dr17-{STAR}.fits"))

    assert main(["init"]) == main(["run", "median_flux"]) == 0

    assert "1 measured + 0 no_result = 1 processed" in capsys.readouterr().out
    (package,) = installed_packages()
    assert "medianflux_flux" in {index.name for index in db.get_indexes("median_flux")}
    assert package.runner(db).down("0002_scatter") == ["0003_index", "0002_scatter"]
    assert "scatter" not in {column.name for column in db.get_columns("median_flux")}
