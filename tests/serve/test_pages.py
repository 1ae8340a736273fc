"""What the pages show: rows, filters, counts, words, and the queries of the documentation."""

import re
import sqlite3
from html import unescape

import guests
import pytest
from builders import a_result, a_source, a_spectrum, on_sqlite

from astra.models import AstroNNdist, Distance, Source
from astra.serve.questions import questions
from astra.serve.serving import prepared

from documents import blocks
from served_pages import opened, uncounted


def test_a_filter_chooses_what_the_same_condition_in_sql_does(pages):
    conditions = {
        "good=1": Distance.good,
        "good=0&telescope=apo25m": ~Distance.good & (Distance.telescope == "apo25m"),
        "dist__gt=449.5": Distance.dist > 449.5,
        "m_ks_abs__lt=1.2": Distance.m_ks_abs < 1.2,
        "parallax_pull__lt=-0.4": Distance.parallax_pull < -0.4,
        "best_dist_from=weighted&clean=1": Distance.clean,
    }

    for address, chosen in conditions.items():
        expected = sorted(row.spectrum_pk for row in Distance.select().where(chosen))
        assert sorted(row["spectrum_pk"] for row in pages.rows(f"/distances.json?{address}")) == expected
        assert 0 < len(expected) < 9, address


@on_sqlite
def test_values_are_counted_beside_the_rows(pages):
    page = pages.json("/distances.json")

    counts = {name: found["results"] for name, found in page["facet_results"].items()}
    assert {(entry["value"], entry["count"]) for entry in counts["telescope"]} == {
        ("apo25m", 6),
        ("lco25m", 3),
    }
    assert {(entry["value"], entry["count"]) for entry in counts["good"]} == {(1, 6), (0, 3)}
    # Of one value there is nothing to choose.
    assert "release" not in counts


@on_sqlite
def test_a_count_leads_to_its_rows_and_back(pages):
    chosen = pages.json("/distances.json")["facet_results"]["telescope"]["results"][1]
    (again,) = pages.get(f"/distances.json?{chosen['toggle_url'].partition('?')[2]}").json()["facet_results"][
        "telescope"
    ]["results"]

    assert (again["value"], again["count"], again["selected"]) == ("lco25m", 3, True)
    assert "telescope" not in again["toggle_url"]


@on_sqlite
def test_the_best_spectra_are_first(pages):
    snr = [row["snr"] for row in pages.rows("/distances.json")]

    assert snr == sorted(snr, reverse=True)


def test_every_column_is_described_in_the_words_of_its_model(pages):
    for model in (Distance, Source, AstroNNdist):
        page = unescape(pages.get(f"/{model._meta.table_name}").text)
        texts = dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", page))
        assert texts == {field.column_name: field.help_text for field in model._meta.sorted_fields}
    assert texts["dist"].endswith("[pc]")


def test_every_query_of_the_documentation_can_be_clicked_and_answers(survey, pages):
    for question in questions():
        assert question.heading in unescape(pages.get(f"/{question.name}").text)
        expected = survey.execute_sql(question.sql).fetchall()
        assert len(pages.rows(f"/{question.name}.json")) == len(expected) > 0, question.name


def test_the_queries_are_those_of_the_page_that_are_one_statement():
    page = [block.heading for block in blocks("docs/sql.md", "sql")]

    left_out = {"Stars of a list of one's own"}
    assert [question.heading for question in questions()] == [each for each in page if each not in left_out]
    assert not any("](" in question.text or "`" in question.text for question in questions())


@on_sqlite
def test_flags_are_said_in_words_and_numbers_with_their_units(pages):
    lost = a_row(pages, "flag_no_result=1")
    first = AstroNNdist.select().where(AstroNNdist.dist == 400.0).get()

    assert re.search(r'2048 <small title="The spectrum could not be read or used">no_result</small>', lost)
    row = pages.get(f"/astro_nn_dist/{first.task_pk}").text
    assert '<span title="400.0 pc" data-unit="pc">400</span>' in row


@on_sqlite
def test_a_row_of_the_view_leads_to_those_it_is_made_of(pages, served):
    source = Source.get(Source.sdss4_apogee_id == "2M08511710+1148160")
    page = a_row(pages, "dist=400.0")

    assert f'href="/{served.name}/source/{source.pk}"' in page
    assert "2M08511710+1148160" in pages.get(f"/source/{source.pk}").text


def a_row(pages, condition):
    page = pages.get(f"/distances?{condition}&_nofacet=1")
    assert page.status_code == 200
    return page.text


@on_sqlite
def test_nothing_can_be_written(pages):
    before = Source.select().count()

    for sql in ("DELETE FROM source", "ATTACH '/tmp/x.db' AS other", "PRAGMA journal_mode = delete"):
        assert pages.get(f".json?sql={sql}").status_code == 400
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        pages.database.connect(write=True).execute("DELETE FROM source")

    assert Source.select().count() == before


@on_sqlite
def test_a_page_elsewhere_that_calls_this_machine_by_its_own_name_reads_nothing(pages):
    assert pages.get("", host="evil.example:8001").status_code == 403
    assert (
        pages.get("", host="localhost:8001").status_code
        == pages.get("", host="127.0.0.1:9").status_code
        == 200
    )


@on_sqlite
def test_a_page_is_never_that_of_before(pages):
    assert pages.get("/distances").headers["cache-control"] == "no-cache"


# > Tables of other tasks


def test_the_table_of_another_task_is_described_by_its_own_model(db, tmp_path, monkeypatch, astra):
    guests.install(tmp_path / "guest", monkeypatch, guests.LINES, "line_width")
    from astra.tasks.installed import find_task

    model = find_task("line_width").output_model
    db.create_tables([model, *find_task("line_width").spectrum_models])
    spectrum = a_spectrum(a_source())
    model.create(
        spectrum_pk=spectrum.spectrum_pk,
        source_pk=spectrum.source_pk,
        width=0.5,
        flag_narrow=True,
        t_elapsed=0,
    )

    with prepared(db, uncounted) as served, opened(served) as pages:
        page = unescape(pages.get(f"/{model._meta.table_name}").text)

    assert "<dt>width</dt><dd>Equivalent width of the line [Angstrom]</dd>" in page
    assert "The width of a line in one spectrum." in page
    assert '1 <small title="Narrower than a pixel">narrow</small>' in page


@on_sqlite
def test_a_task_that_cannot_be_loaded_is_said_and_the_others_are_shown(db, tmp_path, monkeypatch, caplog):
    guests.install(tmp_path / "guest", monkeypatch, "raise OSError('broken')", "line_width")
    a_result(a_spectrum(a_source()))

    with prepared(db, uncounted) as served, opened(served) as pages:
        assert len(pages.rows("/distances.json")) == 1

    assert "broken" in caplog.text
    assert "its tables are shown without words" in caplog.text
