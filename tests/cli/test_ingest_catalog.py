"""``astra ingest catalog``: what it prints."""

import json

import pytest

from astra.models import Source


@pytest.fixture
def stars(db, tmp_path):
    """Two sources, and a table with one of them."""
    for name, plx in (("2M00000001+0000001", 1.0), ("2M00000002+0000002", 2.0)):
        Source.create(sdss4_apogee_id=name, plx=plx, ra=10 * plx, dec=0.0)
    table = tmp_path / "t.ecsv"
    table.write_text(
        "# %ECSV 1.0\n# ---\n# datatype:\n# - {name: STAR, datatype: string}\n"
        "# - {name: Plx, unit: arcsec, datatype: float64}\nSTAR Plx\n2M00000002+0000002 0.0448\nother 0.1\n"
    )
    return table


def test_a_dry_run_shows_columns_and_changes(astra, stars):
    code, out, _ = astra("ingest", "catalog", stars, "--column", "apogee_id=STAR", "--dry-run")

    assert code == 0
    assert [" ".join(line.split()) for line in out.splitlines()] == [
        "table 1 of the file",
        "column taken for unit conversion values",
        "STAR apogee_id 2",
        "Plx plx arcsec × 1000 2",
        "would change: 1 values of 1 sources; 0 sources stay unchanged",
        "apogee_id 2M00000002+0000002: plx 2.0 → 44.8",
        "catalogue rows: 1 matched, 1 unmatched, 0 duplicate",
        "matched by apogee_id: 1",
    ]
    assert [row.plx for row in Source.select().order_by(Source.pk)] == [1.0, 2.0]


def test_what_was_done_is_said_in_a_few_lines(astra, stars):
    code, out, _ = astra("ingest", "catalog", stars, "--column", "apogee_id=STAR")

    assert code == 0
    assert out.splitlines() == [
        "sources: 1 updated, 0 unchanged; values changed: 1",
        "catalogue rows: 1 matched, 1 unmatched, 0 duplicate",
        "matched by apogee_id: 1",
    ]


def test_withdrawn_values_are_said_with_what_to_do(astra, stars):
    astra("ingest", "catalog", stars, "--column", "apogee_id=STAR")
    stars.write_text(stars.read_text().replace("0.0448", "nan"))

    out = astra("ingest", "catalog", stars, "--column", "apogee_id=STAR")[1]

    remedy = "the catalogue no longer has them; ingest the files again for those of the headers"
    assert out.splitlines()[-1] == f"1 values withdrawn: {remedy}"


def test_the_report_for_programs_has_all_of_it(astra, stars):
    out = astra("ingest", "catalog", stars, "--column", "apogee_id=STAR", "--dry-run", "--json")[1]

    found = json.loads(out)
    assert found["columns"][1] == {
        "column": "Plx",
        "name": "plx",
        "unit": "arcsec",
        "factor": 1000.0,
        "values": 2,
    }
    assert found["examples"] == [
        {"star": "apogee_id 2M00000002+0000002", "name": "plx", "old": 2.0, "new": 44.8}
    ]
    counts = ("catalog_matched", "catalog_unmatched", "sources_updated", "values_changed", "dry_run")
    assert [found[name] for name in counts] == [1, 1, 1, 1, True]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "no identifiers in the catalogue"),
        (["--match-radius", "0"], "--match-radius 0: give arcseconds above 0, and at most 60"),
        (
            ["--column", "apogee_id=STAR", "--epoch", "2016"],
            "--epoch is that of positions: give --match-radius",
        ),
    ],
)
def test_what_cannot_be_done_is_one_line(astra, stars, options, said):
    code, out, err = astra("ingest", "catalog", stars, *options)

    assert (code, out) == (2, "")
    (line,) = [line for line in err.splitlines() if line.startswith("astra: error: ")]
    assert said in line
