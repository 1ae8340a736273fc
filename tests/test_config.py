"""Option over environment over file over default; every value knows its origin; secrets stay hidden."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astra import NO_HOME
from astra.config import (
    ENVIRONMENT,
    OWN_FILE,
    UPSTREAM_FILES,
    load_settings,
    overlooked_files,
    sas_base_dir,
)
from astra.errors import ConfigError

SECRET = "s3cr3t-of-the-survey"


@pytest.fixture
def settings_file():
    """Writes the settings file that is in force."""
    return Path(os.environ["ASTRA_CONFIG"]).write_text


def _shown(**options):
    return {name: (str(value), origin) for name, value, origin in load_settings(**options).flat()}


def test_without_any_setting_the_database_is_a_sqlite_file_of_the_user():
    settings = load_settings()

    assert settings.database.path == Path(os.environ["XDG_DATA_HOME"]) / "astra" / "astra.db"
    assert _shown()["database.path"][1] == "default"


def test_option_beats_environment_beats_file_beats_default(settings_file, monkeypatch):
    assert "weights" not in _shown()
    settings_file("weights: of-the-file")
    assert _shown()["weights"] == ("of-the-file", f"file {os.environ['ASTRA_CONFIG']}")
    monkeypatch.setenv("ASTRA_WEIGHTS", "of-the-environment")
    assert _shown()["weights"] == ("of-the-environment", "environment ASTRA_WEIGHTS")
    assert _shown(weights="of-the-option")["weights"] == ("of-the-option", "option")
    assert _shown(weights=None)["weights"][0] == "of-the-environment"


@pytest.mark.parametrize(("name", "variable"), ENVIRONMENT.items())
def test_every_variable_sets_its_setting(monkeypatch, name, variable):
    values = {"database.url": "postgresql://a@b/c", "database.schema": "other", "database.patience": "10"}
    value = values.get(name, "/some/where")
    monkeypatch.setenv(variable, value)

    assert _shown()[name][1] == f"environment {variable}"


def test_the_file_takes_the_parts_of_a_postgresql_database(settings_file):
    settings_file("database: {dbname: survey, host: h, user: u, port: 5433, schema: s}")

    database = load_settings().database

    assert (database.dbname, database.host, database.user, database.port, database.schema_) == (
        "survey",
        "h",
        "u",
        5433,
        "s",
    )
    assert database.path is None


def test_a_database_named_in_the_environment_puts_that_of_the_file_aside(settings_file, monkeypatch):
    settings_file("database: {dbname: survey, host: h, user: u}")
    monkeypatch.setenv("ASTRA_DATABASE_PATH", "/tmp/x.db")

    shown = _shown()

    assert shown["database.path"][0] == "/tmp/x.db"
    assert not shown.keys() & {"database.dbname", "database.host", "database.user"}


def test_a_password_in_the_environment_completes_the_database_of_the_file(settings_file, monkeypatch):
    settings_file("database: {dbname: survey, host: h, user: u}")
    monkeypatch.setenv("ASTRA_DATABASE_PASSWORD", SECRET)

    database = load_settings().database

    assert (database.dbname, database.password.get_secret_value()) == ("survey", SECRET)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"postgresql://me:{SECRET}@h:1/d", "postgresql://me:********@h:1/d"),
        ("postgresql://me@h/d", "postgresql://me@h/d"),
        (f"postgresql://h/d?password={SECRET}", "postgresql://h/d?********"),
        (f"postgresql://me:{SECRET}@x@h/d", "postgresql://me:********@h/d"),
        (SECRET, "********"),
    ],
)
def test_secrets_are_masked_wherever_settings_are_shown(monkeypatch, url, shown):
    monkeypatch.setenv("ASTRA_DATABASE_URL", url)
    monkeypatch.setenv("ASTRA_DATABASE_PASSWORD", SECRET)

    found = _shown()

    assert found["database.url"][0] == shown
    assert found["database.password"][0] == "********"
    assert SECRET not in repr(load_settings()) + str(found)


def test_two_databases_at_once_are_an_error_that_names_both(monkeypatch):
    monkeypatch.setenv("ASTRA_DATABASE_PATH", "/tmp/x.db")
    monkeypatch.setenv("ASTRA_DATABASE_URL", "postgresql://h/d")

    with pytest.raises(ConfigError, match=r"database.path .environment ASTRA_DATABASE_PATH.*database.url"):
        load_settings()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("databse: {path: x}", "'databse'.*no such setting; did you mean database"),
        ("0: x", "'0'.*known settings"),
        ("database: {pth: x}", "'database.pth'.*did you mean database.path"),
        ("database: x.db", "'database' a group of them"),
        ("- a list", "must hold 'name: value' lines"),
        ("database: {dbname: 'postgresql://me:geheim@h/d'}", "'database.dbname'"),
        ("database: {port: many}", "'database.port' .file .*valid integer"),
        ("database: {schema: 'A; DROP'}", "'database.schema'"),
        ("a: b: c", "not valid YAML"),
        ("\x00", "not valid YAML"),
    ],
)
def test_a_wrong_file_is_one_line_that_names_the_setting(settings_file, content, says):
    settings_file(content)

    with pytest.raises(ConfigError, match=says) as caught:
        load_settings()
    assert "\n" not in str(caught.value)
    assert os.environ["ASTRA_CONFIG"] in str(caught.value) or "known" in str(caught.value)


def test_no_message_about_a_file_quotes_its_lines(settings_file):
    settings_file(f"database:\n  password: {SECRET}: oops\n")

    with pytest.raises(ConfigError, match=r"line 2") as caught:
        load_settings()

    assert SECRET not in str(caught.value)


def test_a_named_file_that_is_not_there_is_an_error(monkeypatch, tmp_path):
    monkeypatch.setenv("ASTRA_CONFIG", str(tmp_path / "none.yml"))

    with pytest.raises(ConfigError, match=r"none.yml .named by ASTRA_CONFIG"):
        load_settings()


def test_the_default_file_may_be_absent(monkeypatch):
    monkeypatch.delenv("ASTRA_CONFIG")

    assert load_settings().weights is None


def test_a_file_that_may_not_be_read_or_is_a_folder_is_an_error(monkeypatch, tmp_path):
    monkeypatch.setenv("ASTRA_CONFIG", str(tmp_path))

    with pytest.raises(ConfigError, match="settings file cannot be read"):
        load_settings()


def test_empty_variables_count_as_not_set(monkeypatch):
    monkeypatch.setenv("SAS_BASE_DIR", "")
    monkeypatch.setenv("ASTRA_DATABASE_PATH", "")

    assert load_settings().sas_base_dir is None
    assert _shown()["database.path"][1] == "default"


def test_the_base_of_relative_paths_follows_the_environment(monkeypatch):
    assert sas_base_dir() is None
    monkeypatch.setenv("SAS_BASE_DIR", "/sas")
    assert sas_base_dir() == Path("/sas")


def test_home_is_expanded_and_settings_cannot_be_changed(settings_file):
    settings_file("sas_base_dir: ~/sas")
    settings = load_settings()

    assert settings.sas_base_dir == Path(os.environ["HOME"]) / "sas"
    with pytest.raises(ValueError, match="frozen"):
        settings.weights = "x"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("database.path", "$SURVEY/astra.db", "/data/survey/astra.db"),
        ("database.url", "sqlite:///${SURVEY}/astra.db", "sqlite:////data/survey/astra.db"),
        ("sas_base_dir", "${SURVEY}/sas", "/data/survey/sas"),
        ("mwm_astra", "$SURVEY", "/data/survey"),
        ("models_dir", "$SURVEY/${KIND}s", "/data/survey/models"),
        ("weights", "$SURVEY/x.pt", "/data/survey/x.pt"),
        ("slurm.gpu.logs", "$SURVEY/logs", "/data/survey/logs"),
    ],
)
def test_variables_stand_for_their_values_in_every_path(settings_file, monkeypatch, name, value, expected):
    monkeypatch.setenv("SURVEY", "/data/survey")
    monkeypatch.setenv("KIND", "model")
    content = value
    for key in reversed(name.split(".")):
        content = {key: content}
    settings_file(json.dumps(content))

    assert _shown()[name][0] == expected


@pytest.mark.parametrize("unset", [None, ""])
def test_a_variable_in_a_path_that_is_not_set_is_named(monkeypatch, unset):
    monkeypatch.setenv("ASTRA_WEIGHTS", "$SURVEY_/x.pt")
    if unset is not None:
        monkeypatch.setenv("SURVEY_", unset)

    with pytest.raises(ConfigError, match=r"'weights' .environment ASTRA_WEIGHTS.: .*SURVEY_ is not"):
        load_settings()


def test_only_paths_have_variables(monkeypatch):
    monkeypatch.setenv("ASTRA_DATABASE_PASSWORD", "~$HOME")

    assert load_settings().database.password.get_secret_value() == "~$HOME"


# > The files of upstream


@pytest.fixture
def places(monkeypatch):
    """Where settings files are looked for, ours first."""
    monkeypatch.delenv("ASTRA_CONFIG")
    found = [Path(place).expanduser() for place in (OWN_FILE, *UPSTREAM_FILES)]
    for place in found:
        place.parent.mkdir(parents=True, exist_ok=True)
    return found


def test_of_our_file_and_those_of_upstream_the_first_that_is_there_counts(places):
    for number, place in reversed(list(enumerate(places))):
        place.write_text(f"weights: number-{number}")

        assert _shown()["weights"] == (f"number-{number}", f"file {place}")
        assert overlooked_files() == places[number + 1 :]


FOREIGN = "database: {dbname: survey, domain: sdss}\nlogging: {level: 10}\nslurm: %s\nwieghts: x\n"


@pytest.mark.parametrize(
    ("slurm", "ignored"),
    [
        ("{gpu: {account: a, cluster: np}}", "database.domain, slurm.gpu.cluster, logging, wieghts"),
        ("{account: a}", "database.domain, logging, wieghts, slurm"),
    ],
)
def test_what_only_upstream_knows_in_its_own_file_is_one_line(places, caplog, slurm, ignored):
    places[1].write_text(FOREIGN % slurm)

    assert load_settings().database.dbname == "survey"
    load_settings()

    said = f"settings file {places[1]}: ignored, because only SDSS Astra knows them: {ignored}"
    assert [record.message for record in caplog.records] == [said]


def test_in_our_own_file_a_name_that_nobody_knows_stays_an_error(places):
    places[0].write_text("wieghts: x")

    with pytest.raises(ConfigError, match="'wieghts'"):
        load_settings()


def test_a_wrong_value_in_upstreams_file_stays_an_error(places):
    places[2].write_text("database: {port: many}")

    with pytest.raises(ConfigError, match=r"'database.port' .file .*valid integer"):
        load_settings()


@given(st.text(st.characters(codec="utf-8"), max_size=40))
def test_no_content_of_a_file_ends_in_anything_but_settings_or_a_config_error(content):
    import tempfile

    with tempfile.NamedTemporaryFile("w", suffix=".yml") as file, pytest.MonkeyPatch.context() as patch:
        file.write(content)
        file.flush()
        patch.setenv("ASTRA_CONFIG", file.name)
        message = ""
        try:
            load_settings()
        except ConfigError as error:
            message = str(error)
        assert "\n" not in message


# > Other databases, and where files lie


def test_databases_have_profiles_with_hidden_secrets(settings_file):
    settings_file("databases: {survey: {dbname: sdss5db, host: db, schema: astra_080, password: secret}}")

    shown = _shown()

    assert shown["databases.survey.schema"][0] == "astra_080"
    assert shown["databases.survey.password"][0] == "********"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("databases: {survey: {dbname: a, path: b.db}}", "'databases.survey'.*two databases are named"),
        ("databases: {survey: {dbnam: a}}", "'databases.survey.dbnam'"),
        ("databases: {survey: a.db}", "'databases' must hold profiles"),
        (
            "apstar_path: '/data/{apred}/{objekt}.fits'",
            "'apstar_path'.*no placeholder {objekt}; did you mean obj",
        ),
        ("apstar_path: '/data/{}.fits'", "'apstar_path'.*not a template of a path"),
        ("apstar_path: '/data/{obj.fits'", "'apstar_path'.*not a template of a path"),
    ],
)
def test_a_wrong_profile_or_template_is_named(settings_file, content, said):
    settings_file(content)

    with pytest.raises(ConfigError, match=said):
        load_settings()


# > Without a home


def test_what_has_its_place_in_a_home_says_what_names_another(astra, monkeypatch, tmp_path):
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "ASTRA_CONFIG"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", NO_HOME)

    assert astra("config", "show")[0] == 0
    for command in ("init", "status"):
        code, _, err = astra(command)
        assert code == 78
        assert "has no home folder that can be used: set ASTRA_DATABASE_PATH or ASTRA_DATABASE_URL" in err


@pytest.mark.parametrize(
    ("home", "expected"),
    [("made/later", "made/later"), ("a_file", NO_HOME), ("closed/home", NO_HOME), (".", ".")],
)
def test_a_home_that_cannot_be_entered_is_none(tmp_path, ordinary_user, open_tmp_path, home, expected):
    (open_tmp_path / "a_file").touch()
    (open_tmp_path / "closed").mkdir(mode=0)
    script = "import astra, os; print(os.environ['HOME'])"
    environment = os.environ | {"HOME": str(open_tmp_path / home)}

    found = subprocess.check_output(
        [sys.executable, "-c", script], text=True, env=environment, **ordinary_user
    )

    assert Path(found.strip()) == open_tmp_path / expected
