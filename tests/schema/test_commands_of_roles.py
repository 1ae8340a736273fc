"""Every command under every role ends as the documentation says, and rights on tables are those in it."""

import re
import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import guests
import pytest
import typer
from astropy.table import Table
from builders import a_source, a_spectrum, write_apstar, write_mwmstar

from astra.cli import app
from astra.config import load_settings
from astra.database.connection import bound_to, open_database
from astra.schema.roles import CHANGE, KEEP

from documents import DOCS
from roles import sql

PAGE = (DOCS / "postgresql.md").read_text()
SECTION = " ".join(re.search(r"## What each role can do\n(.*?)\n## ", PAGE, re.DOTALL)[1].split(" "))
TRIAL = "trial-x"
OBJ = "2M06154934-0100415"
PLACE = f"dr17/apogee/spectro/redux/dr17/stars/apo25m/M67/apStar-dr17-{OBJ}.fits"
ALLSTAR = {"FILE": "apStar-r5-A.fits", "APOGEE_ID": "A", "TELESCOPE": "apo25m", "FIELD": "210-08", "K": 12.5}

pytestmark = pytest.mark.postgres


def _commands(path, command):
    if not command.hidden:
        inner = getattr(command, "commands", {})
        yield from [] if inner else [" ".join(path)]
        for name, each in inner.items():
            yield from _commands((*path, name), each)


def _documented(role):
    """The exit code of each command, by the table of the page."""
    rows = [line.strip("| ").split(" | ") for line in SECTION.splitlines() if line.startswith("| `astra")]
    column = ("owner", "writer", "reader").index(role) + 1
    return {
        name: 0 if row[column] == "yes" else int(row[column])
        for row in rows
        for name in re.findall(r"`astra ([^`]+)`", row[0].partition(" (")[0])
    }


def _without_database():
    text = " ".join(SECTION.partition("need no database: ")[2].partition("In the tables")[0].split())
    return re.findall(r"`astra ([^`]+)`", text)


def test_the_page_has_all_commands():
    documented = [*_documented("owner"), *_without_database()]

    assert sorted(documented) == sorted(_commands((), typer.main.get_command(app)))


@pytest.fixture
def sas(tmp_path, monkeypatch):
    """An archive with one file, and an empty folder for what is fetched from it; the address."""
    file = tmp_path / "there" / "sas" / PLACE
    for folder in (file.parent, tmp_path / "sas"):
        folder.mkdir(parents=True)
    write_apstar(file, header={"OBJID": OBJ, "FIELD": "M67", "TELESCOP": "apo25m"})
    monkeypatch.setenv("SAS_BASE_DIR", str(tmp_path / "sas"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    handler = partial(SimpleHTTPRequestHandler, directory=tmp_path / "there")
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def surveyed(astra, survey, prefix, simulated, sas, toy_weights, tmp_path):
    """Roles; simulated stars with results, in production and in a trial; one spectrum that is pending."""
    run = ("run", "astronn_dist", "--weights", toy_weights)
    for words in (
        ("init", "--roles", "--role-prefix", prefix),
        ("models", "import", toy_weights, "--name", "mine"),
        ("ingest", "apstar", simulated, "--catalog", simulated / "targets.csv"),
        run,
        ("trials", "new", "astronn_dist", TRIAL),
        (*run, "--seed", 1, "--into", TRIAL),
    ):
        code, _, err = astra(*words)
        assert code == 0, err
    product = f"apstar/dr17/dr17/apo25m/m67/{OBJ}/ap/s"
    with bound_to(open_database(load_settings())):
        a_spectrum(a_source(sdss4_apogee_id=OBJ), PLACE, obj=OBJ, product_id=product)


@pytest.fixture
def commands(simulated, sas, upstream_on_sqlite, toy_weights, tmp_path):
    """Arguments of the commands that use the database, in an order in which an owner can give all."""
    upstream_on_sqlite.add()
    new, allstar, catalog = tmp_path / "new.fits", tmp_path / "allStar.fits", tmp_path / "catalog.csv"
    write_apstar(new, header={"OBJID": "2M00000001+0000001"})
    new = new.rename(tmp_path / "apStar-dr17-2M00000001+0000001.fits")
    Table([ALLSTAR]).write(allstar)
    catalog.write_text(f"sdss4_apogee_id,k_mag\n{OBJ},9.5\n")
    mwmstar = write_mwmstar(tmp_path / "mwmStar-0.6.0-103020000.fits", {})
    (row,) = (simulated / "targets.csv").read_text().splitlines()[1:2]
    weights = ("--weights", toy_weights)
    return {
        "init": (),
        "trials list": (),
        "trials compare": (TRIAL,),
        "trials new": ("astronn_dist", "trial-y"),
        "trials promote": (TRIAL,),
        "trials rollback": (TRIAL,),
        "trials drop": (TRIAL, "--yes"),
        "fetch": (OBJ, "--archive", sas),
        "ingest apstar": (new, "--release", "dr17"),
        "ingest allstar": (allstar, "--release", "dr12"),
        "ingest mwmstar": (mwmstar,),
        "ingest catalog": (catalog,),
        "ingest astra": ("--from", upstream_on_sqlite.address),
        "srun": ("astronn_dist", "--dry-run"),
        "run": ("astronn_dist", *weights),
        "status": (),
        "show": (row.split(",")[0],),
        "query": ("--limit", 2),
        "report": ("astronn_dist", "--output", tmp_path / "report.html"),
        "serve": ("--port", 0),
        "create": ("astraAllStarAstroNNdist", "--output", tmp_path / "c.fits", "--mixed"),
        "compare": (simulated,),
        "models compare": (toy_weights, toy_weights, "--limit", 2),
        "models remove": ("mine",),
        "doctor": (),
    }


@pytest.mark.slow
@pytest.mark.parametrize("role", ["owner", "writer", "reader"])
def test_every_command_ends_as_documented(
    astra, surveyed, become, prefix, commands, toy_weights, monkeypatch, tmp_path, role
):
    monkeypatch.setenv("ASTRA_WEIGHTS", str(toy_weights))
    monkeypatch.chdir(tmp_path)
    # All of it but the waiting for whoever looks at the pages.
    monkeypatch.setattr("astra.serve.serving.serve", lambda *_, **__: None)
    if role != "owner":
        become(f"{prefix}_{role}")

    ended = {name: astra(*name.split(), *arguments) for name, arguments in commands.items()}

    said = {name: err for name, (_, _, err) in ended.items()}
    assert {name: code for name, (code, *_) in ended.items()} == _documented(role), said
    assert "Traceback" not in str(said)


def test_commands_that_need_no_database_ask_none(astra, monkeypatch, simulated, toy_weights, tmp_path):
    monkeypatch.setenv("ASTRA_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    spectrum = next(simulated.glob("apStar-*.fits"))
    arguments = {
        "distance": (spectrum, "--weights", toy_weights),
        "explain": (5,),
        "models show": (toy_weights,),
        "models card": (toy_weights,),
        "models import": (toy_weights, "--name", "mine"),
        "simulate": (tmp_path / "simulated", "--n", 2),
        "tasks show": ("astronn_dist",),
        "tasks new": ("my_task", tmp_path / "my-task"),
        "completion": ("bash",),
    }
    # To train takes minutes: that is done by other tests, none of which has a database.
    names = [name for name in _without_database() if name != "train astronn_dist"]

    ended = {name: astra(*name.split(), *arguments.get(name, ())) for name in names}

    assert {name: code for name, (code, *_) in ended.items()} == dict.fromkeys(names, 0), ended


# > Tables


def _rights(url, prefix):
    query = (
        "SELECT relname, string_agg(privilege_type, ',') FROM pg_class, aclexplode(relacl) "
        f"WHERE grantee = '{prefix}_writer'::regrole AND relkind IN ('r', 'v') GROUP BY relname"
    )
    return {name: {*rights.split(",")} for name, rights in sql(url, query)}


def test_rights_on_tables_are_those_documented(surveyed, survey, prefix):
    words = {"read": "SELECT", "insert": "INSERT", "update": "UPDATE", "delete": "DELETE"}
    rows = [line.strip("| ").split(" | ") for line in SECTION.splitlines() if line.startswith("| `")]
    listed = {
        name: {words[word] for word in rights.split(", ")}
        for cells, rights in (row for row in rows if len(row) == 2)
        for name in re.findall(r"`(\w+)`", cells)
    }
    found = _rights(survey, prefix)

    assert {name: found[name] for name in listed} == listed
    for name in ("astro_nn_dist", "astro_nn_dist_trial_x"):
        assert found[name] == {*KEEP}
    for name in ("apogee_coadded_spectrum_in_apstar", "apogee_combined_spectrum"):
        assert found[name] == {*CHANGE}


def test_results_of_a_package_that_is_installed_later_cannot_be_deleted(
    astra, survey, become, prefix, tmp_path, monkeypatch
):
    astra("init", "--roles", "--role-prefix", prefix)
    # As an earlier version gave them.
    sql(survey, f'ALTER DEFAULT PRIVILEGES IN SCHEMA astra GRANT DELETE ON TABLES TO "{prefix}_writer"')
    sql(survey, f'GRANT DELETE ON astro_nn_dist TO "{prefix}_writer"', "CREATE TABLE mine (pk INT)")
    guests.install(tmp_path / "guest", monkeypatch, guests.GOOD, "count_pixels", migrations=guests.MIGRATIONS)

    code, _, err = astra("init")

    assert code == 0, err
    found = _rights(survey, prefix)
    assert found["guest_result"] == found["astro_nn_dist"] == {*KEEP}
    assert found["schema_migration_guest"] == {"SELECT"}
    assert found["mine"] == {*CHANGE}  # nobody knows what it is for
    assert f"the rights of {prefix}_writer are those that this version needs" in err
    sql(survey, "CREATE TABLE later (pk INT)")
    assert _rights(survey, prefix)["later"] == {*KEEP}
    assert "the rights of" not in astra("init")[2]


def test_a_writer_ingests_a_repaired_file_whose_spectrum_has_a_result(
    astra, survey, become, prefix, toy_weights, tmp_path
):
    astra("init", "--roles", "--role-prefix", prefix)
    writer = become(f"{prefix}_writer")
    good, copy = tmp_path / "a" / "apStar-dr17-X.fits", tmp_path / "apStar-dr17-X.fits"
    good.parent.mkdir()
    write_apstar(good, header={"OBJID": "X"})
    copy.touch()
    astra("ingest", "apstar", tmp_path)
    assert astra("run", "astronn_dist", "--weights", toy_weights)[0] == 0
    shutil.copyfile(good, copy)

    code, _, err = astra("ingest", "apstar", copy)

    assert code == 0, err
    assert "stays, without a path" in err
    assert sql(writer, "SELECT count(*) FROM astro_nn_dist") == [(2,)]
