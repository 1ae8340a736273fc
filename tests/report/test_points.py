"""Figures of the report that show stars as points: which, what is said of each, and what is not shown."""

import json
import math
import re

import numpy as np
import pytest
from builders import a_result, a_source, a_spectrum, on_sqlite

from astra.database.connection import database
from astra.database.sql import snapshot
from astra.models import Distance
from astra.report import figures
from astra.report.agreement import FEW, fields
from astra.report.contents import gather
from astra.report.figures import MOST_POINTS, Pointed, plot_cloud
from astra.report.losses import losses
from astra.report.page import short
from astra.report.population import gaia_distances
from astra.report.result_arrays import LEAST_A_K
from astra.report.star_table import address, star_table
from astra.spectra.identity import SIMULATED_FIELD


def now(read, *arguments, **options):
    """What is read at this moment."""
    with snapshot(database):
        return read(*arguments, **options)


def sources_of(canvas):
    """The data of the points that can be clicked."""
    return [
        each.data_source.data for each in canvas.renderers if figures.OF_STARS in each.data_source.tags
    ]  # fmt: skip


def test_each_star_inside_the_axes_is_one_point_that_knows_its_row():
    pointed, x, index = Pointed(), np.array([0.5, 2.0, np.nan, 0.25]), np.array([7, 8, 9, 3])

    canvas, left_out = plot_cloud(("x", "y"), x, x, (0, 1), (1, 0), 50, pointed=pointed, index=index)

    (data,) = sources_of(canvas)
    assert data["star"].tolist() == [7, 3]
    assert pointed.shown == {7, 3}
    assert (left_out.total, left_out.outside, left_out.absent) == (4, 1, 1)


def test_groups_share_the_stars_and_have_a_legend():
    x, is_first = np.linspace(0, 1, 5), np.arange(5) < 2

    canvas, _ = plot_cloud(
        ("x", "y"), x, x, (0, 1), (0, 1), 50, pointed=Pointed(), index=np.arange(5),
        groups=[("first", is_first, "point"), ("others", ~is_first, "warn"), ("none", x > 2, "ink")],
    )  # fmt: skip

    assert [data["star"].tolist() for data in sources_of(canvas)] == [[0, 1], [2, 3, 4]]
    assert [item.label.value for legend in canvas.legend for item in legend.items] == ["first", "others"]


def test_more_stars_are_counted_in_cells_and_those_of_the_table_stay_points():
    rng, pointed = np.random.default_rng(1), Pointed([5, 17])
    x = rng.uniform(0, 1, MOST_POINTS + 1)

    canvas, _ = plot_cloud(
        ("x", "y"), x, x, (0, 1), (0, 1), 50, pointed=pointed, index=np.arange(MOST_POINTS + 1)
    )

    assert [data["star"].tolist() for data in sources_of(canvas)] == [[5, 17]]
    image = next(each for each in canvas.renderers if "image" in each.data_source.data)
    assert np.nansum(image.data_source.data["image"][0]) == MOST_POINTS + 1


def test_the_page_says_of_each_star_what_the_view_has(survey):
    contents = now(gather)
    contents.pointed.shown.update(range(len(contents.rows)))

    table = now(star_table, contents)

    assert len(table["star"]) == len(contents.rows) == Distance.select().count()
    for place, row in enumerate(table["star"]):
        view = Distance.get(Distance.spectrum_pk == int(contents.rows["spectrum_pk"][row]))
        assert table["name"][place] == view.sdss4_apogee_id
        assert table["task"][place] == view.task_pk
        quality = "clean" if view.clean else "good" if view.good else "not good"
        assert table["flags"][place].startswith(quality)
        assert ("fakemag_unreliable" in table["flags"][place]) == view.flag_fakemag_unreliable
    assert "page" not in table


def test_the_address_of_a_page_leads_to_its_file_whatever_the_star_is_called():
    assert address("2M00+1") == "stars/2M00%2B1.html"
    assert "<" not in address('<script>"') + address("../../etc")
    assert "/" not in address("../../etc").removeprefix("stars/")


@on_sqlite
def test_simulated_stars_are_said_to_be_simulated_and_real_ones_are_not(db, tmp_path, astra):
    a_result(a_spectrum(a_source(), field="120+12"))
    real = page_of(astra, tmp_path)
    a_result(a_spectrum(a_source(), field=SIMULATED_FIELD))
    both = page_of(astra, tmp_path)

    assert "Simulated stars" not in real
    assert "1 of these spectra" in both


def page_of(astra, folder, *words):
    """The text of a report."""
    code, _, err = astra("report", "astronn_dist", "--output", folder / "a.html", "--overwrite", *words)
    assert (code, err) == (0, "")
    return (folder / "a.html").read_text()


def test_few_spectra_are_all_listed_and_many_are_not(db):
    for _ in range(FEW):
        a_result(a_spectrum(a_source()))
    few = now(gather)
    a_result(a_spectrum(a_source(), snr=12.0))

    assert sorted(few.outliers) == list(range(FEW))
    assert len(now(gather).outliers) < FEW


def test_a_parallax_below_its_error_has_no_middle_and_no_far_end(db):
    for parallax in (0.5, 0.05, -0.05, -0.5, math.nan):
        a_result(
            a_spectrum(a_source(plx=None)),
            nn_parallax=1.0, e_nn_parallax=0.1, gaia_parallax=parallax, e_gaia_parallax=0.1,
        )  # fmt: skip
    contents = now(gather)

    found = gaia_distances(len(contents.rows), contents.parallaxes)

    none = [math.nan] * 3
    beyond = [math.nan, 1000 / 0.05, math.inf]
    nearest_only = [math.nan, 1000 / 0.15, math.inf]
    expected = [[2000, 1000 / 0.6, 2500], nearest_only, beyond, [math.nan, math.nan, math.inf], none]
    order = np.argsort(contents.rows["spectrum_pk"])
    np.testing.assert_allclose(found[:, order].T, expected)


def test_a_field_that_is_off_stands_first(db):
    rng = np.random.default_rng(2)
    for name, shift in (("120+12", 0.0), ("000+00", 0.3), ("030+04", 0.0)):
        for _ in range(12):
            a_result(
                a_spectrum(a_source(j_mag=11.0), field=name),
                nn_parallax=1.0, e_nn_parallax=0.05, e_gaia_parallax=0.05,
                gaia_parallax=1.0 - shift + rng.normal(0, 0.05),
            )  # fmt: skip
    contents = now(gather)

    found = fields(contents.rows, contents.parallaxes)

    assert found.number == 3
    assert found.worst[0].name == "000+00"
    assert found.worst[0].stars == 12


def test_what_good_and_clean_leave_out_counts_every_spectrum(db):
    for number in range(60):
        bad = number < 15
        spectrum = a_spectrum(a_source(), snr=10.0 + number)
        a_result(spectrum, flag_fakemag_unreliable=bad, not_clean=0, not_checked=0)

    text = losses(now(gather))

    assert "45\n(75.0 %) are <code>good</code>" in text
    figure = json.loads(re.search(r'id="data-losses-snr">(.*?)</script>', text)[1])
    assert figure["target_id"] == "plot-losses-snr"


def test_less_extinction_than_the_eye_sees_is_drawn_at_that_and_none_is_not_known(db):
    for a_k in (0.0, 1e-9, 0.2):
        a_result(a_spectrum(a_source()), A_k_mag=a_k)

    found = np.sort(now(gather).rows.extinction)

    np.testing.assert_allclose(found, [LEAST_A_K, 0.2, np.nan])


@pytest.mark.parametrize(
    ("value", "text"), [(1610.4, "1,610"), (0.012345, "0.0123"), (-3.0, "−3"), (1e-7, "1e−07")]
)
def test_short_numbers_have_three_digits(value, text):
    assert short(value) == text


# > Pages of single stars, and labels


@on_sqlite
def test_the_page_of_a_star_does_not_replace_that_of_all(db, tmp_path, astra, monkeypatch):
    monkeypatch.chdir(tmp_path)
    a_result(a_spectrum(a_source(sdss4_apogee_id="2M00000002+0000002")))

    assert [astra("report", *words)[0] for words in ([], ["--star", "2M00000002+0000002"])] == [0, 0]

    files = {path.name for path in tmp_path.glob("*.html")}
    assert files == {"astronn_dist-report.html", "star-2M00000002+0000002.html"}


@on_sqlite
def test_each_star_can_have_its_page_beside_the_report(db, tmp_path, astra):
    for name in ("2M<b>", "2M00000002+0000002"):
        a_result(a_spectrum(a_source(sdss4_apogee_id=name)))
    text = page_of(astra, tmp_path, "--stars")

    table = json.loads(re.search(r'id="stars">(.*?)</script>', text)[1])
    files = {path.name for path in (tmp_path / "stars").iterdir()}
    assert files == {"2M%3Cb%3E.html", "2M00000002+0000002.html", "bokeh.js"}
    assert sorted(table["page"]) == ["stars/2M%253Cb%253E.html", "stars/2M00000002%2B0000002.html"]
    code, _, err = astra("report", "--stars", "--output", tmp_path / "b.html")
    assert code == 2
    assert "stars exists already: give --overwrite" in err


@on_sqlite
def test_m_ks_is_shown_against_the_labels_of_a_table(db, tmp_path, astra):
    for name in ("2M00000001+0000001", "2M00000002+0000002"):
        a_result(a_spectrum(a_source(sdss4_apogee_id=name)))
    table = tmp_path / "labels.csv"
    table.write_text("APOGEE_ID,TEFF,LOGG\n2M00000001+0000001,4800,2.5\n2M00000002+0000002,-9999,-9999\n")

    text = page_of(astra, tmp_path, "--labels", table)

    assert "The median Teff is 4,800" in text
    assert "1 of 2 good stars has no\nTeff there" in text


@on_sqlite
@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "No such file or directory"), ("apogee_id,teff\na,1\n", "it needs the columns teff and logg")],
)
def test_a_table_without_labels_is_refused_in_one_line(db, tmp_path, astra, content, message):
    a_result(a_spectrum())
    if content:
        (tmp_path / "t.csv").write_text(content)

    code, _, err = astra("report", "--labels", tmp_path / "t.csv", "--output", tmp_path / "a.html")

    assert code == 2
    assert message in err
    assert not (tmp_path / "a.html").exists()
