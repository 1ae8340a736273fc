"""``astra init``, ``status`` and ``config show``, as a user sees them."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from builders import a_result, a_run, a_source, a_spectrum

from astra.config import OWN_FILE, UPSTREAM_FILES
from astra.models import AstroNNdist


def test_init_says_what_it_did_and_repeats_without_harm(astra, database_url, monkeypatch):
    monkeypatch.setenv("ASTRA_DATABASE_URL" if "://" in database_url else "ASTRA_DATABASE_PATH", database_url)

    first, second = astra("init"), astra("init")

    first_names = ("0001_tables", "0002_distances", "0003_weights_of_runs", "0004_claims", "0005_parallaxes")
    names = (
        *first_names,
        *("0006_raw_parallaxes", "0007_withheld", "0008_options_of_runs", "0009_versions_of_inputs"),
        *("0010_combined_spectra", "0011_coverage", "0012_trials", "0013_nights"),
        "0014_gaia",
        "0015_clean",
        "0016_bailer_jones",
    )
    applied = "".join(f"applied {name}\n" for name in names)
    assert first == (0, f"{database_url}: schema is ready\n", applied)
    assert second == (0, f"{database_url}: schema was up to date\n", "")


def test_init_makes_the_folder_of_the_default_database(astra):
    from astra.config import load_settings

    assert astra("init")[0] == 0
    path = load_settings().database.path
    assert [beside.name for beside in path.parent.iterdir() if beside.suffix == ".lock"] == []
    assert path.exists()


def test_init_where_one_may_not_write_is_one_line(astra, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("ASTRA_DATABASE_PATH", str(tmp_path / "file" / "x.db"))

    code, _, err = astra("init")

    assert code == 69
    assert err.startswith("astra: error: cannot make the folder of the database")


def test_init_on_a_newer_schema_is_refused(astra, db):
    from astra.schema import upgrade as schema

    schema.runner(db).History.create(name="9999_later")

    code, _, err = astra("init")

    assert code == 78
    assert "newer than this Astra" in err


def test_status_counts_what_is_pending_done_and_flagged(astra, db):
    run = a_run(outcome="done", measured=2, no_result=1)
    later = {"inputs_read": "2999-01-01 00:00:00.000000", "run_pk": run.pk}
    a_result(a_spectrum(a_source()), **later)
    a_result(a_spectrum(a_source(ebv=-1)), ebv=0, flag_missing_extinction=True, **later)
    failed = {"flag_no_result": True, "no_result_reason": "truncated: /a/b.fits has 3 bytes"}
    a_result(a_spectrum(a_source()), **failed, **later)
    a_spectrum(a_source())

    code, out, _ = astra("status", "--json")
    (found,) = json.loads(out)["tasks"]

    assert code == 0
    assert (found["spectra"], found["done"], found["pending"], found["bad"], found["warn"]) == (4, 3, 1, 1, 1)
    assert found["flags"]["flag_no_result"] == found["flags"]["flag_missing_extinction"] == 1
    assert found["no_result_reasons"] == {"truncated": 1}
    assert found["runs"][0]["run_pk"] == run.pk
    text = astra("status", "astronn_dist")[1]
    assert "no result: truncated (1)" in text
    assert "2 measured + 1 no_result" in text


def test_status_of_an_unknown_task_is_wrong_usage(astra, db):
    assert astra("status", "nonsense")[0] == 2


def test_config_shows_values_and_their_origin_and_hides_secrets(astra, monkeypatch):
    monkeypatch.setenv("ASTRA_DATABASE_URL", "postgresql://me:geheim@h/d")

    code, out, _ = astra("config", "show")
    as_json = json.loads(astra("config", "show", "--json")[1])

    assert code == 0
    assert "postgresql://me:********@h/d" in out
    assert as_json["database.url"] == {
        "value": "postgresql://me:********@h/d",
        "origin": "environment ASTRA_DATABASE_URL",
    }
    assert "geheim" not in out + str(as_json)


def test_config_names_the_file_and_warns_once_where_another_is_there_too(astra, monkeypatch):
    monkeypatch.delenv("ASTRA_CONFIG")
    own, upstreams, _ = (Path(place).expanduser() for place in (OWN_FILE, *UPSTREAM_FILES))
    upstreams.parent.mkdir()
    upstreams.touch()

    alone = astra("config", "show")
    own.parent.mkdir(parents=True)
    own.touch()
    both = astra("config", "show")

    assert (f"(settings file: {upstreams})" in alone[1], alone[2]) == (True, "")
    assert f"(settings file: {own})" in both[1]
    assert both[2] == f"warning: several settings files: {own} is read, {upstreams} not\n"


@pytest.mark.parametrize("more", [[], ["apogee", "--release", "dr17"]], ids=len)
def test_upstreams_migrate_is_answered_by_ingest(astra, more):
    code, out, err = astra("migrate", *more)

    assert (code, out) == (2, "")
    assert "`astra ingest apstar` and `astra ingest allstar`" in err.splitlines()[0]
    assert "migrate" not in astra("--help")[1]


@pytest.mark.parametrize(
    "words",
    [
        ["ingest", "apstar", "$SURVEY/spectra"],
        ["report", "--output=$SURVEY/x.html"],
        ["compare", "$SURVEY/spectra"],
        ["create", "astraAllStarAstroNNdist", "--output", "$SURVEY/x.fits"],
        ["srun", "astronn_dist", "--logs", "$SURVEY/logs"],
        ["run", "astronn_dist", "--weights", "$SURVEY/x.pt"],
        ["models", "show", "$SURVEY/x.pt"],
        ["models", "import", "$SURVEY/x.pt", "--name", "x"],
    ],
    ids=lambda words: " ".join(words[:2]),
)
@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_a_variable_in_a_path_of_an_option_that_is_not_set_is_named(astra, db, words):
    code, _, err = astra(*words)

    assert code in (2, 78)
    assert "the environment variable SURVEY is not set" in err.splitlines()[0]


def test_debug_shows_the_traceback_and_nothing_else_does(astra, db, monkeypatch):
    a_spectrum(a_source())
    monkeypatch.setattr(AstroNNdist, "from_spectrum", lambda *a, **k: 1 / 0)
    from astra.pipelines.astronn_dist import task as room
    from astra.pipelines.astronn_dist.weights.library import Chosen

    model = SimpleNamespace(estimate=lambda *a, **k: {})
    monkeypatch.setattr(room, "load_model", lambda *a: model)
    monkeypatch.setattr(room, "chosen_weights", lambda *a: Chosen(Path(__file__), "--weights"))
    monkeypatch.setattr(room, "identify", lambda path: ("x", "0" * 64))

    quiet, loud = astra("run", "astronn_dist"), astra("--debug", "run", "astronn_dist")

    assert quiet[0] == loud[0] == 70
    assert ": ZeroDivisionError: division by zero" in quiet[2]
    assert "Traceback" not in quiet[2]
    assert "Traceback" in loud[2]


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["report", "create"], "report"),
        (["create", "create"], "create"),
        (["--debug", "explain", "nothing"], "explain"),
        (["ingest", "apstar", "nowhere"], "ingest apstar"),
    ],
)
def test_wrong_usage_points_to_the_help_of_its_command(astra, db, words, command):
    code, _, err = astra(*words)

    assert code == 2
    assert err.splitlines()[-1] == f"Try `astra {command} --help`."
