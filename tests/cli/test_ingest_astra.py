"""``astra ingest astra``, as an operator calls it."""

import json

import pytest
from builders import on_postgresql
from upstream_database import DR17, SCHEMA

from astra.models import ApogeeCoaddedSpectrumInApStar, Source


@pytest.fixture
def profile(upstream, tmp_path, monkeypatch):
    """The settings file has a profile ``survey`` for upstream's database."""
    where = {"schema": SCHEMA, "password": "s3same"} if upstream.schema else {}
    where |= {"url" if "://" in upstream.address else "path": upstream.address}
    (tmp_path / "survey.yml").write_text(json.dumps({"databases": {"survey": where}}))
    monkeypatch.setenv("ASTRA_CONFIG", str(tmp_path / "survey.yml"))
    upstream.add()
    upstream.add({"sdss_id": 2}, **DR17, obj="2M06154935-0100415")
    for table in ("source", "apogee_coadded_spectrum_in_ap_star"):
        upstream.change(table)
    return "survey"


def test_a_profile_names_the_database_and_the_counts_are_said(astra, profile):
    code, out, err = astra("ingest", "astra", "--from", profile)

    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "spectra: 2 new, 0 updated, 0 unchanged",
        "sources: 2 new, 0 updated, 0 unchanged",
        "modified until: 2026-03-01 12:00:00",
    ]
    assert Source.select().count() == ApogeeCoaddedSpectrumInApStar.select().count() == 2


def test_the_next_call_starts_where_the_last_ended(astra, profile, upstream):
    _, out, _ = astra("ingest", "astra", "--from", profile, "--json")
    source = upstream.tables["source"]
    source.update(k_mag=11.0, modified="2026-03-02 08:00:00.000001").where(source.sdss_id == 2).execute()
    until = json.loads(out)["modified_until"]

    code, out, _ = astra("ingest", "astra", "--from", profile, "--since", until, "--json")

    found = json.loads(out)
    # What was modified at that very moment is read again.
    assert (code, found["seen"], found["sources_updated"], found["sources_unchanged"]) == (0, 2, 1, 1)
    assert found["modified_until"] == "2026-03-02 08:00:00.000001"


def test_a_dry_run_counts_and_writes_nothing(astra, profile):
    code, out, _ = astra("ingest", "astra", "--from", profile, "--dry-run")
    _, as_json, _ = astra(
        "ingest", "astra", "--from", profile, "--dry-run", "--json", "--since", "2026-03-02"
    )

    assert (code, out.endswith(": 2 spectra\n")) == (0, True)
    assert json.loads(as_json)["spectra"] == 0
    assert Source.select().count() == 0


def test_an_environment_variable_names_the_database(astra, upstream, monkeypatch):
    upstream.add()
    address = upstream.address if "://" in upstream.address else f"sqlite:///{upstream.address}"
    monkeypatch.setenv("ASTRA_FROM_URL", address)

    code, _, _ = astra("ingest", "astra", *(["--schema", SCHEMA] if upstream.schema else []))

    assert (code, Source.select().count()) == (0, 1)


def test_a_database_that_is_not_named_is_one_line(astra, db):
    code, _, err = astra("ingest", "astra")

    assert code == 2
    assert "--from is missing: name a profile of `databases:` in astra.yml, or set ASTRA_FROM_URL" in err


def test_a_name_that_nothing_has_is_one_line_with_the_profiles(astra, profile):
    code, _, err = astra("ingest", "astra", "--from", "servey")

    assert code == 2
    assert (
        "--from servey: no such profile, address or SQLite file; the profiles of `databases:` are survey"
        in err
    )


def test_secrets_of_a_profile_are_hidden(astra, profile):
    _, out, _ = astra("config", "show")

    assert "databases.survey" in out
    assert "s3same" not in out


@on_postgresql
@pytest.mark.parametrize("form", ["{user}:s3same@{place}", "{user}@{place}?password=s3same"])
def test_a_password_in_the_arguments_is_warned_of(astra, upstream, form):
    upstream.add()
    user, _, place = upstream.address.partition("@")
    with_password = form.format(user=user, place=place)

    code, _, err = astra("ingest", "astra", "--from", with_password, "--schema", SCHEMA)

    assert (code, err.count("which others see in the list of processes")) == (0, 1)
    assert "s3same" not in err


@on_postgresql
def test_a_server_that_is_not_there_is_one_line_without_the_password(astra, db):
    code, _, err = astra("ingest", "astra", "--from", "postgresql://me:secret@127.0.0.1:1/survey")

    assert code == 69
    assert "astra: error: SDSS Astra's database: cannot reach PostgreSQL" in err
    assert "secret" not in err


def test_a_file_that_is_not_there_is_one_line(astra, db, monkeypatch):
    monkeypatch.setenv("ASTRA_FROM_URL", "sqlite:////nowhere/astra.db")

    code, _, err = astra("ingest", "astra")

    assert (code, err) == (78, "astra: error: SDSS Astra's database: no such file: /nowhere/astra.db\n")
