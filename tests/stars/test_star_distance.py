"""What ``astra.distance`` returns: a sequence of stars that can be kept, shown and written."""

import copy
import multiprocessing
import pickle
import sys
import warnings

import numpy as np
import pytest
from astropy import units
from builders import write_apstar

import astra
from astra.errors import AstraWarning, ConfigError, SpectrumError
from astra.models import Distance
from astra.spectra.apstar import read_combined
from astra.stars.star_distance import BESIDE

NAMED = {"OBJID": "2M00000001+0000001"}
STAR = {"k_mag": 10.0, "e_k_mag": 0.02, "ra": 120.0, "dec": -30.0}


@pytest.fixture
def estimate(toy_weights):
    """``astra.distance`` with small weights, of so many stars."""

    def call(count=None, **star):
        random = np.random.default_rng(3)
        flux = 100 + random.normal(0, 1, (count or 1, 8575))
        arrays = flux, np.ones(flux.shape), np.zeros(flux.shape, int)
        arrays = arrays if count else [array[0] for array in arrays]
        return astra.distance(*arrays, weights=str(toy_weights), device="cpu", **STAR | {"ebv": 0.1} | star)

    return call


def columns(stars):
    """All that is in a table, without units."""
    return [np.asarray(getattr(stars, name)).tolist() for name in stars._names()]


# > A sequence


def test_stars_are_counted_iterated_and_taken_one_by_one_or_some_of_them(estimate):
    stars = estimate(5)

    assert (
        len(stars),
        [len(part) for part in (stars[1:3], stars[stars.dist > 0 * units.pc], stars[[0, 4]])],
    ) == (
        5,
        [2, 5, 2],
    )
    assert [star.identity for star in stars] == stars.identity.tolist()
    assert stars[-1].dist == stars.dist[4]
    assert (type(stars[0].flag_bad), type(stars[0].result_flags)) == (bool, int)
    assert (stars[2].draws.shape, stars[1:3].draws.shape) == ((100,), (2, 100))
    assert stars[2].draws.mean().value == pytest.approx(stars[2].L_fakemag.value, rel=1e-5)


def test_one_star_is_no_sequence_and_a_column_no_index(estimate):
    for wrong in (len, iter, lambda star: star[0]):
        with pytest.raises(TypeError, match="the result of one star"):
            wrong(estimate())
    with pytest.raises(TypeError, match=r"a column is an attribute: \.dist"):
        estimate(2)["dist"]
    with pytest.raises(IndexError):
        estimate(2)[2]


@pytest.mark.parametrize("count", [None, 3])
@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda stars: pickle.loads(pickle.dumps(stars))])
def test_a_copy_and_a_pickle_are_the_same(estimate, count, again):
    stars = estimate(count)

    found = again(stars)

    np.testing.assert_equal(columns(found), columns(stars))
    assert (found.meta, repr(found)) == (stars.meta, repr(stars))
    assert (found.draws == stars.draws).all()


def test_another_process_gets_the_same(estimate):
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.map(repr, [estimate(2)]) == [repr(estimate(2))]


# > What follows


def test_luminosities_moduli_and_places_are_those_of_the_columns(estimate):
    star = estimate()

    assert star.m_ks_abs.value == pytest.approx(5 * np.log10(star.L_fakemag.value) - 10)
    assert star.distmod.value == pytest.approx((star.k_mag - star.A_k_mag - star.m_ks_abs).value)
    assert star.e_m_ks_abs.value == pytest.approx(5 / np.log(10) * (star.e_L_fakemag / star.L_fakemag).value)
    place = estimate(2).skycoord
    assert (place.ra.deg.tolist(), place.dec.deg.tolist()) == ([120.0] * 2, [-30.0] * 2)
    np.testing.assert_array_equal(place.distance.value, estimate(2).best_dist.value)


def test_without_a_magnitude_there_is_no_modulus_and_without_coordinates_no_place(estimate):
    with pytest.warns(AstraWarning, match="the Ks magnitude is missing"):
        star = estimate(k_mag=None, ra=None)

    assert np.isnan(star.distmod)
    assert np.isfinite(star.m_ks_abs)
    with pytest.raises(ValueError, match="specify ra and dec"):
        _ = star.skycoord


def test_an_extinction_stands_for_a_reddening(estimate):
    assert (
        estimate(ebv=None, a_k=0.1, e_a_k=0.02).dist == estimate(ebv=0.1 / 0.3517, e_ebv=0.02 / 0.3517).dist
    )
    assert estimate(ebv=None, a_k=100 * units.mmag).A_k_mag.value == pytest.approx(0.1)
    with pytest.raises(TypeError, match="a_k and ebv say the same: give one of them"):
        estimate(a_k=0.1)


# > Shown and written


def test_two_lines_say_who_how_far_and_what_is_wrong(estimate):
    star = estimate(ebv=None)
    first, second = repr(star).splitlines()
    of_three, flags = repr(estimate(3, ebv=[0.1, np.nan, 0.1])).splitlines()

    assert first.startswith(f"<StarDistance {star.identity}: {star.dist.value:,.0f} pc (")
    assert "Missing extinction" in second
    assert of_three.startswith("<StarDistance of 3 stars: ")
    assert "Missing extinction (E(B-V)); A_k_mag taken as 0 (1)" in flags


def test_a_notebook_shows_one_star_line_by_line_and_several_as_rows(estimate):
    one, many = estimate()._repr_html_(), estimate(30, identity=[f"<{n}>" for n in range(30)])._repr_html_()

    assert "<th>distance</th>" in one
    assert many.count("<tr>") == 21
    assert "&lt;3&gt;" in many
    assert "and 10 more" in many


def test_a_table_has_all_columns_with_identifiers(estimate):
    table = estimate(2).to_table()

    names = [name for name in table.colnames if name != "identity"]
    assert (
        {"m_ks_abs", "e_m_ks_abs", "sdss4_apogee_id", "ra"} <= {*names} <= {*Distance._meta.fields, "j_mag"}
    )
    assert not {*BESIDE} & {*names}
    assert [name for name in table.colnames if not table[name].info.description] == []
    assert table["m_ks_abs"].unit == units.mag


# > Files


def test_a_list_of_files_is_a_sequence_and_a_damaged_one_is_a_flagged_row(tmp_path, toy_weights):
    paths = [tmp_path / f"apStar-dr17-2M0000000{n}+0000001.fits" for n in range(3)]
    for path in paths:
        write_apstar(path, header={"K": 9.5, "OBJID": path.stem[12:]})
    paths[1].write_bytes(b"not FITS")

    with pytest.warns(AstraWarning, match="1 of 3 files"):
        stars = astra.distance_from_apstar(paths, ebv=0.1, weights=str(toy_weights))

    assert stars.flag_no_result.tolist() == [False, True, False]
    assert "not a readable FITS file" in stars[1].no_result_reason
    assert "not a readable FITS file" in repr(stars[1])
    alone = astra.distance_from_apstar(paths[2], ebv=0.1, weights=str(toy_weights))
    assert alone.dist == stars[2].dist
    assert alone.sdss4_apogee_id == "2M00000002+0000001"
    with pytest.raises(SpectrumError):
        astra.distance_from_apstar(paths[1], weights=str(toy_weights))


def test_values_of_a_catalogue_go_before_the_header_and_arguments_before_both(tmp_path, toy_weights):
    path = write_apstar(
        tmp_path / "apStar-dr17-2M00000001+0000001.fits", header=NAMED | {"K": 9.5, "AK_TARG": 0.3}
    )
    table = tmp_path / "targets.csv"
    table.write_text("apogee_id,k_mag,ebv,e_ebv\n2M00000001+0000001,9.0,0.2,0.05\n")

    of_table, of_both = (
        astra.distance_from_apstar(path, catalog=table, weights=str(toy_weights), **star)
        for star in ({}, {"ebv": 0.4})
    )

    assert (of_table.k_mag.value, of_table.ebv.value) == (9.0, 0.2)
    assert (of_both.k_mag.value, of_both.ebv.value) == (9.0, 0.4)
    assert of_table.e_nn_parallax / of_table.nn_parallax > of_both.e_nn_parallax / of_both.nn_parallax


def test_a_catalogue_that_does_not_list_the_stars_is_said(tmp_path, toy_weights, caplog):
    path = write_apstar(tmp_path / "apStar-dr17-2M00000001+0000001.fits", header=NAMED | {"K": 9.5})
    table = tmp_path / "targets.csv"
    table.write_text("apogee_id,k_mag\n2M00000009+0000001,9.0\n")

    found = astra.distance_from_apstar(path, ebv=0.1, catalog=table, weights=str(toy_weights))

    assert found.k_mag.value == 9.5
    assert "lists the stars of 0 of 1 spectra; not listed: apogee_id 2M00000001+0000001" in caplog.text


def test_what_is_read_from_a_file_can_be_given_and_has_the_identity_of_its_pixels(tmp_path, toy_weights):
    path = write_apstar(tmp_path / "apStar-dr17-2M00000001+0000001.fits")
    read, of_file = read_combined(path), astra.distance_from_apstar(path, 9.0, 0.1, weights=str(toy_weights))

    plain, named = (
        astra.distance(read, k_mag=9.0, ebv=0.1, identity=name, weights=str(toy_weights))
        for name in (None, of_file.identity)
    )

    assert plain.identity == read.digest()
    assert named.L_fakemag == of_file.L_fakemag


# > Drawn


@pytest.fixture
def pyplot():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    from matplotlib import pyplot

    yield pyplot
    pyplot.close("all")


def drawn_as_lines(axis):
    return np.concatenate([line.get_ydata() for line in axis.lines if len(line.get_ydata()) > 100])


def test_a_plot_has_the_spectrum_without_masked_pixels_the_draws_and_the_place(estimate, pyplot):
    spectrum = 100 + np.random.default_rng(3).normal(0, 1, 8575), np.ones(8575), np.zeros(8575, int)
    spectrum[2][1000:1300] = 1
    star = astra.distance(*spectrum, **STAR, j_mag=10.6, ebv=0.1)

    axes = star.plot()

    assert sorted(axes) == ["blue", "draws", "green", "place", "red"]
    flux = drawn_as_lines(axes["blue"])
    assert np.isnan(flux[1000 - 246 : 1300 - 246]).all()
    assert np.isnan(flux).sum() == 300
    assert not np.isnan(drawn_as_lines(axes["red"])).any()
    assert {text.get_text() for text in axes["red"].texts} >= {"Al I", "Si I"}
    assert sum(bar.get_height() for bar in axes["draws"].patches[:-1]) == 100
    (point,) = [
        container.lines[0].get_xydata()[0] for container in axes["place"].containers if container.lines
    ]
    extinction = star.A_k_mag.value
    assert point == pytest.approx([0.6 - 1.5 * extinction, star.m_ks_abs.value], abs=0.02)
    axes["place"].figure.canvas.draw()  # an axis that cannot be drawn says so only here


@pytest.mark.parametrize("missing", [{"k_mag": None, "j_mag": 10.6}, {"j_mag": None}, {"ebv": None}])
def test_a_star_of_which_less_is_known_is_drawn_as_well(estimate, pyplot, missing):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstraWarning)
        star = estimate(**missing)

    axes = star.plot()

    labels = [text.get_text() for text in axes["place"].get_legend().get_texts()]
    assert labels[0] == "simulated stars"
    assert ("free of extinction" in axes["place"].get_xlabel()) == ("ebv" not in missing)
    axes["place"].figure.canvas.draw()


def test_several_stars_and_an_absent_matplotlib_are_one_clear_line(estimate, monkeypatch):
    with pytest.raises(TypeError, match=r"these are 3: plot one of them, e\.g\. stars\[0\]"):
        estimate(3).plot()
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ConfigError, match=r"astra-distances\[plot\]"):
        estimate().plot()
