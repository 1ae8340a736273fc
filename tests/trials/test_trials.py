"""Results beside production: a run into a trial leaves production as it is, and works like any other run."""

import json

import guests
import psycopg2
import pytest
from builders import a_source, a_spectrum, slow_on_sqlite, write_apstar
from many_results import OF_PRODUCTION, a_run_with, add_results, register, two_sets

from astra.config import load_settings
from astra.database.connection import bound_to, now, open_database
from astra.database.schemas import read_foreign_keys
from astra.ingest.references import References
from astra.models import AstroNNdist, Distance, Source, TaskRun, TaskTrial
from astra.pipelines.astronn_dist.weights.files import identify
from astra.running.rows import read_inputs
from astra.schema import upgrade as schema
from astra.tasks.contract import Provenance
from astra.tasks.installed import find_task
from astra.tasks.trials import entered
from astra.tasks.withheld import Withheld, note, noted_among
from astra.trials.making import make_trial

from roles import sql

TRIAL = "trial-x"
TABLE = "astro_nn_dist_trial_x"


@pytest.fixture
def three_spectra(db, tmp_path):
    """Three pending spectra with files."""
    return [a_spectrum(a_source(), write_apstar(tmp_path / f"apStar-dr17-{n}.fits")) for n in range(3)]


def rows(database, table):
    return database.execute_sql(f"SELECT * FROM {table} ORDER BY spectrum_pk").fetchall()


def test_a_run_into_a_trial_is_not_seen_by_production(astra, db, three_spectra, toy_weights):
    run = ("run", "astronn_dist", "--weights", toy_weights)
    assert astra(*run, "--limit", 2)[0] == 0
    before, view = rows(db, "astro_nn_dist"), rows(db, "distances")

    code, out, err = astra(*run, "--seed", 1, "--into", TRIAL, "--json")

    assert code == 0, err
    found = json.loads(out)
    assert (found["task"], found["measured"]) == ("astronn_dist@trial-x", 3)
    assert (rows(db, "astro_nn_dist"), rows(db, "distances")) == (before, view)
    (production,) = json.loads(astra("status", "astronn_dist", "--json")[1])["tasks"]
    (trial,) = json.loads(astra("status", "astronn_dist@trial-x", "--json")[1])["tasks"]
    assert [(each["task"], each["done"], each["pending"]) for each in (production, trial)] == [
        ("astronn_dist", 2, 1),
        ("astronn_dist@trial-x", 3, 0),
    ]
    assert [len(each["runs"]) for each in (production, trial)] == [1, 1]


def test_a_trial_of_which_nobody_names_the_weights_takes_those_of_production(
    astra, db, three_spectra, toy_weights
):
    assert astra("run", "astronn_dist", "--weights", toy_weights, "--limit", 1)[0] == 0

    code, out, err = astra("run", "astronn_dist", "--seed", 1, "--into", TRIAL, "--limit", 1, "--json")

    assert code == 0, err
    assert json.loads(out)["weights"]["name"] == toy_weights.stem
    assert {run.weights_sha256 for run in TaskRun.select()} == {identify(toy_weights)[1]}


def test_a_user_without_a_name_makes_a_trial_too(db, monkeypatch):
    def unknown():
        raise KeyError("getpwuid(): uid not found: 12345")

    monkeypatch.setattr("getpass.getuser", unknown)

    assert make_trial(find_task("astronn_dist"), TRIAL).made_by


def test_the_rule_of_weights_and_retries_are_those_of_the_set(astra, db, three_spectra, toy_weights):
    run = ("run", "astronn_dist", "--weights", toy_weights)
    a_spectrum(a_source(), "/nowhere/apStar-dr17-lost.fits")
    into = (*run, "--seed", 1, "--into", TRIAL)
    assert [astra(*run)[0], astra(*into)[0]] == [0, 0]

    code, _, err = astra(*run, "--into", TRIAL)
    assert code == 78
    assert "rows of astronn_dist@trial-x in this version come from seed 1, this run would use 0" in err
    (tried,) = json.loads(astra("status", "astronn_dist@trial-x", "--json")[1])["tasks"]
    assert tried["withheld"] == 1
    code, out, _ = astra(*into, "--overwrite", "--json")
    assert (code, json.loads(out)["measured"]) == (0, 3)
    assert {run.task for run in TaskRun.select()} == {"astronn_dist", "astronn_dist@trial-x"}


@slow_on_sqlite
def test_the_processes_of_a_run_write_into_the_trial(astra, db, three_spectra, toy_weights):
    code, _, err = astra("run", "astronn_dist", "--weights", toy_weights, "--into", TRIAL, "--workers", 2)

    assert code == 0, err
    assert (len(rows(db, TABLE)), AstroNNdist.select().count()) == (3, 0)


def test_the_table_of_a_trial_is_like_that_of_production(db):
    make_trial(find_task("astronn_dist"), TRIAL)

    def facts(table):
        indexes = sorted((tuple(index.columns), index.unique) for index in db.get_indexes(table))
        columns = [(each.name, each.data_type, each.null, each.primary_key) for each in db.get_columns(table)]
        keys = sorted((key.columns, key.referred) for key in read_foreign_keys(db) if str(key.table) == table)
        return indexes, columns, keys

    assert facts(TABLE) == facts("astro_nn_dist")
    assert len(facts(TABLE)[2]) == 3


def test_an_ingest_that_merges_sources_moves_the_rows_of_trials(db):
    two_sets(db, 2)

    with db.atomic():
        References().move(1, 2)

    assert db.execute_sql(f"SELECT DISTINCT source_pk FROM {TABLE}").fetchall() == [(2,)]


def test_init_gives_trials_the_columns_that_production_has_got(db):
    make_trial(find_task("astronn_dist"), TRIAL)
    db.execute_sql("ALTER TABLE astro_nn_dist ADD COLUMN extra DOUBLE PRECISION")

    done, again = (schema.upgrade(db, load_settings()) for _ in range(2))

    assert (done.columns, again.columns) == ([f"{TABLE}.extra"], [])
    assert "extra" in [column.name for column in db.get_columns(TABLE)]


def test_what_a_killed_process_has_left_of_a_trial_is_made_anew(astra, db):
    db.execute_sql(f"CREATE TABLE {TABLE} (half INTEGER)")

    assert astra("trials", "new", "astronn_dist", TRIAL)[0] == 0
    assert rows(db, TABLE) == []


def test_trials_are_listed_and_dropped(astra, db):
    assert astra("trials", "list")[1] == "there are no trials; `astra run TASK --into trial-NAME` makes one\n"
    two_sets(db, 3)
    a_spectrum(a_source())

    (found,) = json.loads(astra("trials", "list", "--json")[1])["trials"]

    assert (found["name"], found["task"], found["state"]) == (TRIAL, "astronn_dist", "open")
    assert (found["rows"], found["pending"], found["weights"]) == (3, 1, ["new (sha256 newnewnewnew)"])
    assert "trial-x" in astra("trials", "list")[1]
    assert astra("trials", "drop", TRIAL, "--yes")[:2] == (0, "trial-x is gone\n")
    assert (TaskTrial.select().count(), TABLE in db.get_tables()) == (0, False)
    assert Distance.select().count() == 3


def test_a_dry_run_makes_no_trial(astra, db, three_spectra, toy_weights):
    run = ("run", "astronn_dist", "--weights", toy_weights, "--into", TRIAL, "--dry-run")

    code, _, err = astra(*run)

    assert (code, "task astronn_dist has no trial-x" in err) == (2, True)
    assert TaskTrial.select().count() == 0
    astra("trials", "new", "astronn_dist", TRIAL)
    assert astra(*run)[:2] == (0, "3 pending\n")


def test_a_task_of_a_guest_has_trials_too(astra, db, tmp_path, monkeypatch, three_spectra):
    guests.install(tmp_path / "guest", monkeypatch, guests.GOOD, "count_pixels")
    guests.make_table(db)
    assert astra("run", "count_pixels", "--limit", 2)[0] == 0
    assert astra("run", "count_pixels", "--into", TRIAL)[0] == 0
    db.execute_sql("UPDATE guest_result_trial_x SET pixels = -1")

    assert astra("trials", "promote", "count_pixels@trial-x")[0] == 0
    promoted = db.execute_sql("SELECT pixels FROM guest_result").fetchall()
    assert astra("trials", "rollback", TRIAL)[0] == 0

    assert promoted == [(-1,)] * 3
    assert len(rows(db, "guest_result")) == 2
    assert (-1,) not in db.execute_sql("SELECT pixels FROM guest_result").fetchall()


# > E(B-V) of its own


@pytest.fixture
def with_results(db):
    """Ten spectra with results of production, made from the inputs as they are."""
    with db.atomic():
        register(db, 10)
        add_results(db, "astro_nn_dist", a_run_with("old"), OF_PRODUCTION, 1, 10)
    return db


@pytest.fixture
def old_weights(monkeypatch):
    """The provenance of these results is that of a run now, and nothing is loaded."""
    task = find_task("astronn_dist")
    provenance = Provenance("old", "old" * 8, 0, 100)
    monkeypatch.setattr(task, "identify", lambda **options: provenance)
    monkeypatch.setattr(task, "prepare", lambda **options: None)
    monkeypatch.setattr(task, "go_on", None)


def derived(database, table):
    query = f"SELECT spectrum_pk, ebv, l_fakemag, a_k_mag, result_flags FROM {table} ORDER BY 1"
    return database.execute_sql(query).fetchall()


def test_a_trial_with_another_column_derives_the_results_of_production_again(
    astra, with_results, old_weights
):
    db, run = with_results, ("run", "astronn_dist", "--into", TRIAL)
    db.execute_sql("ALTER TABLE source ADD COLUMN dust DOUBLE PRECISION")
    db.execute_sql("UPDATE source SET dust = 0.5 WHERE pk < 10")
    before = rows(db, "astro_nn_dist")

    code, out, err = astra(*run, "--ebv-from", "dust", "--json")

    assert code == 0, err
    found = json.loads(out)
    assert (found["rederived"], found["processed"]) == (10, 0)
    assert rows(db, "astro_nn_dist") == before
    assert {source.ebv for source in Source.select()} == {0.1}
    expected = [(pk, 0.5, 10.0, pytest.approx(0.3517 * 0.5), 0) for pk in range(1, 10)]
    assert derived(db, TABLE) == [*expected, (10, 0.0, 10.0, 0.0, 4)]
    # Nothing goes round in circles; a changed Ks is seen.
    assert "nothing is pending" in astra(*run, "--ebv-from", "dust")[1]
    star = Source.get_by_id(3)
    star.k_mag = 11.0
    star.save()
    assert json.loads(astra(*run, "--json")[1])["rederived"] == 1
    assert derived(db, TABLE)[2][1] == 0.5
    db.execute_sql("UPDATE source SET dust = 0.7 WHERE pk = 4")
    assert json.loads(astra(*run, "--json")[1])["rederived"] == 1
    assert derived(db, TABLE)[3][1] == 0.7


def test_a_trial_takes_the_extinction_of_a_table_and_new_spectra_get_it_too(
    astra, with_results, tmp_path, toy_weights
):
    db = with_results
    table = tmp_path / "dust.csv"
    table.write_text("sdss_id,ebv,e_ebv\n" + "".join(f"{pk},0.3,0.02\n" for pk in (1, 2, 99)))

    code, _, err = astra("trials", "new", "astronn_dist", TRIAL, "--ebv-from", table)

    assert code == 0, err
    assert "has E(B-V) of 2 of 10 sources; the others have none in trial-x" in err
    with entered(find_task("astronn_dist"), TRIAL) as task:
        _, spectra = read_inputs(task, [1, 3])
        assert [spectrum.source.ebv for spectrum in spectra][:1] == [0.3]
        assert spectra[0].source.e_ebv == 0.02
        assert spectra[1].source.ebv != spectra[1].source.ebv
    _, spectra = read_inputs(find_task("astronn_dist"), [1])
    assert spectra[0].source.ebv == 0.1
    with db.atomic():
        References().move(1, 2)
    with entered(find_task("astronn_dist"), TRIAL) as task:
        assert task.key == "astronn_dist@trial-x"
        assert Source.get_by_id(2).ebv == 0.3


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--ebv-from", "ebv"), 2, "--ebv-from is for a trial: give --into"),
        (("--into", TRIAL, "--ebv-from", "ph_qual"), 2, "that column of source holds"),
        (
            ("--into", TRIAL, "--ebv-from", "nowhere.csv"),
            2,
            "neither a column of the table source nor a file",
        ),
        (("--into", "trial x"), 2, "cannot name a trial"),
    ],
)
def test_arguments_that_make_no_sense_are_one_line(astra, with_results, old_weights, words, code, said):
    found, _, err = astra("run", "astronn_dist", *words)

    assert (found, said in err) == (code, True), err
    assert TaskTrial.select().count() == 0


def test_a_trial_with_an_extinction_of_its_own_has_no_other_and_is_not_promoted(
    astra, with_results, old_weights
):
    assert astra("trials", "new", "astronn_dist", TRIAL, "--ebv-from", "e_ebv")[0] == 0

    code, _, err = astra("run", "astronn_dist", "--into", TRIAL, "--ebv-from", "ebv")
    assert (code, "was made with E(B-V) from column e_ebv" in err) == (78, True)
    code, _, err = astra("trials", "promote", TRIAL)
    assert (code, "would derive its results again from source.ebv" in err) == (78, True)


# > Roles


@pytest.mark.postgres
def test_the_owner_makes_and_promotes_trials_and_a_writer_works_in_them(
    astra, survey, become, prefix, toy_weights, tmp_path, monkeypatch
):
    run = ("run", "astronn_dist", "--weights", toy_weights)
    with bound_to(open_database(load_settings())):
        a_spectrum(a_source(), write_apstar(tmp_path / "apStar-dr17-1.fits"))
    assert astra("init", "--roles", "--role-prefix", prefix)[0] == 0
    assert astra(*run)[0] == 0
    writer = become(f"{prefix}_writer")

    code, _, err = astra(*run, "--seed", 1, "--into", TRIAL)
    assert (code, "Traceback" in err) == (74, False)
    assert "only the owner of the tables may: let them run `astra trials new astronn_dist trial-x`" in err
    monkeypatch.setenv("ASTRA_DATABASE_URL", survey)
    assert astra("trials", "new", "astronn_dist", TRIAL)[0] == 0
    monkeypatch.setenv("ASTRA_DATABASE_URL", writer)
    code, _, err = astra(*run, "--seed", 1, "--into", TRIAL)
    assert code == 0, err
    for command in (("promote", TRIAL), ("rollback", TRIAL), ("drop", TRIAL, "--yes")):
        code, _, err = astra("trials", *command)
        assert (code, "own" in err, "Traceback" in err) == (74, True, False), err
    for refused in (f"DELETE FROM {TABLE}", "DELETE FROM task_trial"):
        with pytest.raises(psycopg2.Error, match="permission denied"):
            sql(writer, refused)
    become(f"{prefix}_reader")
    assert astra("trials", "list")[0] == astra("status", "astronn_dist@trial-x")[0] == 0
    monkeypatch.setenv("ASTRA_DATABASE_URL", survey)
    assert astra("init", "--roles", "--role-prefix", prefix)[0] == 0
    assert [astra("trials", *words)[0] for words in (("promote", TRIAL), ("rollback", TRIAL))] == [0, 0]
    monkeypatch.setenv("ASTRA_DATABASE_URL", writer)
    assert astra(*run, "--seed", 1, "--into", TRIAL, "--overwrite")[0] == 0


def test_no_name_of_a_trial_is_in_the_way_of_the_sources_of_another(astra, db):
    register(db, 3)
    new = ("trials", "new", "astronn_dist")

    for words in (
        (TRIAL, "--ebv-from", "ebv"),
        (f"{TRIAL}-source",),
        ("y-source",),
        ("y", "--ebv-from", "ebv"),
    ):
        code, _, err = astra(*new, *words)
        assert code == 0, err


def test_a_trial_that_takes_results_over_tries_withheld_files_again_as_production_does(astra, db):
    two_sets(db, 3)
    task = find_task("astronn_dist")
    note(task, [Withheld(2, "Input/output error: there", now(db))])

    trial = make_trial(task, "trial-dust", "ebv")

    with entered(task, trial.name) as within:
        assert noted_among(within, [1, 2, 3]) == noted_among(task, [1, 2, 3]) == {2}
