"""``astra simulate`` and ``astra compare``, as a user sees them."""

import json

import pytest
from toy_simulator import toy_simulator

from astra.cli import main
from astra.modelling.simulator import compact, sample
from astra.models import Distance


@pytest.fixture
def astra(capsys, monkeypatch):
    """Runs a command line with a small simulator; gives exit code, stdout, stderr."""
    monkeypatch.setattr(compact, "load", toy_simulator)
    monkeypatch.setattr(sample, "CHUNK", 4)

    def call(*arguments):
        code = main([str(argument) for argument in arguments])
        return code, *capsys.readouterr()

    return call


def test_from_a_simulation_to_the_comparison_with_the_truth(astra, db, tmp_path, toy_weights):
    folder = tmp_path / "my sim"

    code, out, _ = astra("simulate", folder, "--n", 6)

    assert code == 0
    first, second, *following = out.splitlines()
    assert first.startswith(f"6 stars in {folder} (")
    assert second.startswith("S/N ")
    assert following == [
        "next:",
        "  astra init",
        f"  astra ingest apstar '{folder}' --catalog '{folder}/targets.csv'",
        "  astra run astronn_dist",
        f"  astra compare '{folder}'",
    ]
    assert astra("ingest", "apstar", folder, "--catalog", folder / "targets.csv")[0] == 0
    assert astra("run", "astronn_dist", "--weights", toy_weights, "--limit", 5)[0] == 0
    assert Distance.select().where(Distance.flag_missing_extinction | Distance.flag_no_result).count() == 0

    code, out, err = astra("compare", folder)

    assert code == 0
    assert err == "1 of 6 stars are not in the database: ingest and run first\n"
    lines = out.splitlines()
    assert lines[1].split() == [
        "star",
        "kind",
        "S/N",
        "true",
        "[pc]",
        "distance",
        "[pc]",
        "off",
        "[%]",
        "off",
    ] + [
        "[sigma]",
        "flags",
    ]
    assert sum(line.startswith("2M") for line in lines) == 6
    assert sum("±" in line for line in lines) == 5
    assert sum("not in the database" in line for line in lines) == 1
    assert lines[-3].split()[:3] == ["all", "6", "5"]
    assert not any(line != line.rstrip() for line in lines)


def test_the_summary_alone(astra, db, tmp_path):
    astra("simulate", tmp_path / "sim", "--n", 3)

    code, out, _ = astra("compare", tmp_path / "sim", "--summary")

    assert code == 0
    assert "By kind" in out
    assert "2M" not in out


def test_the_comparison_as_json_has_no_nan(astra, db, tmp_path):
    astra("simulate", tmp_path / "sim", "--n", 3)

    code, out, _ = astra("compare", tmp_path / "sim", "--json")

    found = json.loads(out)
    assert code == 0
    assert len(found["stars"]) == 3
    assert found["stars"][0]["dist"] is None
    assert found["kinds"][-1]["kind"] == "all"
    assert found["kinds"][-1]["scatter"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--n", "0"], "cannot simulate 0 stars"),
        (["--seed", "-3"], "a seed of -3"),
        (["--min-snr", "900"], "a smallest S/N of 900"),
        (["--isochrones", "here"], "--spectra-models and --isochrones go together"),
        (["--n", "many"], "unable to parse string as an integer"),
    ],
)
def test_impossible_values_are_one_line_and_a_hint(astra, tmp_path, arguments, message):
    code, out, err = astra("simulate", tmp_path / "sim", *arguments)

    assert (code, out) == (2, "")
    assert message in err.splitlines()[0]
    assert len(err.splitlines()) == 2


def test_a_folder_that_is_not_empty_is_one_line_and_a_hint(astra, tmp_path):
    (tmp_path / "mine").touch()

    code, _, err = astra("simulate", tmp_path)

    assert code == 2
    assert err.splitlines()[0].startswith(f"astra: error: not empty: {tmp_path}")


def test_a_full_disk_is_one_line(astra, tmp_path):
    code, _, err = astra("simulate", tmp_path / "sim", "--n", 10**12)

    assert code == 74
    assert err.startswith("astra: error: no room in")
    assert len(err.splitlines()) == 1


def test_comparing_with_nothing_is_one_line_and_a_hint(astra, db, tmp_path):
    code, _, err = astra("compare", tmp_path)

    assert code == 2
    assert err.splitlines()[0] == (
        f"astra: error: no truth.csv in {tmp_path}: give a folder that `astra simulate` has filled"
    )


def test_progress_is_on_stderr(astra, tmp_path, monkeypatch):
    monkeypatch.setattr("astra.cli.progress.QUIET_S", 0.0)

    _, out, err = astra("simulate", tmp_path / "sim", "--n", 5)

    assert "stars: 5 of 5" in err
    assert "stars:" not in out
