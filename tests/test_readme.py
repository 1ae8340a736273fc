"""What the README says is so: its queries run, its tables equal the code."""

import re

import pytest
from builders import a_result, a_run, a_source, a_spectrum
from conftest import ROOT

from astra.config import ENVIRONMENT
from astra.models import AstroNNdist, Distance

README = (ROOT / "README.md").read_text()
QUERIES = re.findall(r"```sql\n(.*?);\n```", README, re.DOTALL)


def _table(heading: str) -> list[list[str]]:
    section = README.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = [line.strip("| \n").split("|") for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip().strip("`") for cell in row] for row in rows[2:]]


def _a_survey():
    run = a_run()
    for k_mag, plx in ((9.0, 2.1), (10.0, -0.3), (11.0, 5.0)):
        source = a_source(k_mag=k_mag, plx=plx, e_plx=0.1, ruwe=1.0)
        for snr in (50.0, 90.0):
            a_result(
                a_spectrum(source, snr=snr), run_pk=run.pk, dist=100 * k_mag / 9 * 4, e_dist=10.0 * k_mag
            )
    a_result(a_spectrum(a_source(plx=2.0, e_plx=0.1)), run_pk=run.pk, flag_missing_photometry=True, dist=1.0)


def test_there_are_five_queries_and_all_ask_for_good_results():
    assert len(QUERIES) == 5
    assert all(re.search(r"\bgood\b", query) for query in QUERIES)


def test_the_queries_give_what_the_text_says(db):
    _a_survey()
    volume, flags, field, gaia, uncertain = (db.execute_sql(query).fetchall() for query in QUERIES)

    assert [round(row[3], 3) for row in volume] == [400.0, 444.444, 488.889]
    assert flags == [(7, 6, 0, 1, 0, 0)]
    assert [row[1] for row in field] == sorted(row[1] for row in field)
    assert len(field) == 3
    assert [row[2] for row in gaia] == [5.0, -0.3, 2.1]
    assert gaia[0][3] == pytest.approx((gaia[0][1] - 5.0) / (0.01 + 1e6 * 110.0**2 / 488.8888888**4) ** 0.5)
    assert [row[3] for row in uncertain] == sorted((row[3] for row in uncertain), reverse=True)


def test_the_table_of_columns_is_that_of_the_model():
    documented = {name: (unit, text) for name, unit, text in _table("Columns of the results")}

    for field in AstroNNdist._meta.sorted_fields:
        text = re.sub(r" \[[^\]]*\]$", "", field.help_text)
        assert documented.pop(field.column_name) == (field.unit or "", text)
    assert not documented


def test_the_table_of_flags_is_that_of_the_model():
    documented = {name: (bit, text) for name, bit, text in _table("Flags")}

    for name in (
        "flag_fakemag_unreliable",
        "flag_missing_photometry",
        "flag_missing_extinction",
        "flag_no_result",
    ):
        flag = vars(AstroNNdist)[name]
        assert documented[name] == (str(flag.value.bit_length() - 1), flag.help_text)
    assert {"flag_bad", "flag_warn"} < documented.keys()
    assert {name for name in Distance._meta.fields if name.startswith("flag_")} == documented.keys()


def test_every_setting_is_documented():
    for name, variable in ENVIRONMENT.items():
        assert f"`{name}` | `{variable}`" in README or f"`{variable}`" in README, name


def test_the_python_example_runs(db, tmp_path, capsys):
    from builders import write_apstar

    a_result(a_spectrum(a_source(), write_apstar(tmp_path / "apStar-dr17-x.fits")), dist=100.0)
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)

    exec(example, {})

    assert " 100.0 " in capsys.readouterr().out
