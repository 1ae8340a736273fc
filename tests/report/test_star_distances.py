"""All distances of a star side by side, with their places on one axis."""

import numpy as np
import pytest
from builders import a_result, a_run, a_source, a_spectrum, on_sqlite
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import truncnorm

from astra.models import AstroNNdist
from astra.report.star_details import read_star
from astra.report.star_distances import Axis, Estimate, _from_parallax, axis_of, bars, estimates

distances = st.floats(0.1, 1e6)


def by_name(source) -> dict[str, Estimate]:
    return {part.name: part for part in estimates(read_star(str(source.sdss_id)).details)}


@on_sqlite
def test_every_distance_of_a_star_is_there_as_the_database_has_it(db):
    source = a_source(plx=0.25, e_plx=0.02, r_med_geo=4000.0, r_lo_geo=3800.0, r_hi_geo=4300.0)
    given = {"gaia_parallax": 0.29, "e_gaia_parallax": 0.02, "plx_zero_point": -0.04, "nn_parallax": 0.2}
    given |= {"weighted_parallax": 0.25, "e_weighted_parallax": 0.01, "dist_lo": 4600.0, "dist_hi": 5300.0}
    given |= {
        "best_dist": 4000.0,
        "best_dist_lo": 3850.0,
        "best_dist_hi": 4160.0,
        "best_dist_from": "weighted",
    }
    a_result(a_spectrum(source), run_pk=a_run(weights_name="toy").pk, **given)

    found = by_name(source)

    assert list(found) == [
        "Distance to use",
        "Spectrum",
        "Gaia parallax, inverted",
        "Weighted mean",
        "Bailer-Jones et al., geometric",
    ]
    assert (found["Distance to use"].low, found["Distance to use"].high) == (3850, 4160)
    assert found["Distance to use"].note == "spectrum and Gaia, weighted by their errors"
    assert (found["Spectrum"].distance, found["Spectrum"].low) == (pytest.approx(4919.68), 4600)
    assert "weights toy" in found["Spectrum"].note
    assert found["Gaia parallax, inverted"].distance == pytest.approx(1000 / 0.29)
    assert "zero-point −0.040 mas taken off" in found["Gaia parallax, inverted"].note
    assert found["Weighted mean"].distance == pytest.approx(4000)
    assert found["Bailer-Jones et al., geometric"].high == 4300


@on_sqlite
def test_each_spectrum_and_each_earlier_result_has_its_row(db):
    source = a_source()
    for weights in ("one", "two"):
        spectrum = a_spectrum(source)
        a_result(spectrum, run_pk=a_run(weights_name=weights).pk, v_astra=1_002_000)
    old = a_result(spectrum, run_pk=a_run(weights_name="former").pk, dist=4000.0, v_astra=1_000_000)

    assert old.v_astra_major_minor < AstroNNdist.get(AstroNNdist.task_pk != old.task_pk).v_astra_major_minor
    notes = {name: part.note for name, part in by_name(source).items()}

    assert "weights one" in notes["Spectrum 1"]
    assert "weights two" in notes["Spectrum 2"]
    assert "weights former" in notes["Spectrum 2, earlier result"]


@on_sqlite
@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"flag_fakemag_unreliable": True}, "the spectrum is not fit for science"),
        ({"parallax_pull": -7.25}, "contradict each other, by 7.2 of their errors"),
        ({}, "astra run astronn_dist"),
    ],
)
def test_without_a_distance_to_use_the_reason_is_said(db, values, said):
    source = a_source()
    a_result(a_spectrum(source), **values)

    assert said in by_name(source)["Distance to use"].note


@on_sqlite
def test_what_has_no_distance_says_why(db):
    source = a_source(plx=-0.3, e_plx=0.2)
    a_result(a_spectrum(source), flag_missing_photometry=True, k_mag=0.0)

    found = by_name(source)

    assert np.isnan(found["Spectrum"].distance)
    assert found["Spectrum"].note.startswith("no Ks magnitude")
    assert "not positive" in found["Gaia parallax, inverted"].note


@given(st.floats(0.01, 10), st.floats(0.01, 2))
def test_the_interval_of_a_parallax_is_that_of_a_normal_one_above_zero(parallax, relative):
    error = relative * parallax

    found = _from_parallax("", "", parallax, error)

    oracle = truncnorm(-1 / relative, np.inf, parallax, error)
    assert [1000 / found.high, 1000 / found.low] == pytest.approx(
        oracle.ppf([0.1586553, 0.8413447]).tolist(), rel=1e-4
    )


@given(st.lists(st.tuples(distances, st.floats(0, 0.9), st.floats(0, 50)), min_size=1, max_size=6))
def test_every_distance_has_a_place_on_the_axis_in_the_order_of_the_distances(given):
    found = [Estimate("", "", d, d * (1 - low), d * (1 + high)) for d, low, high in given]

    axis = axis_of(found)
    shown = bars(found, axis)

    assert axis.low < axis.high
    for part, bar in zip(found, shown, strict=True):
        assert 0 <= bar.start <= bar.at <= bar.end <= 100
        assert axis.low < part.distance < axis.high
        assert bar.beyond == (part.high > axis.high)
    order = np.argsort([part.distance for part in found])
    assert (np.diff(np.array([bar.at for bar in shown])[order]) >= 0).all()


@given(distances, st.floats(1.0001, 1e4), st.booleans())
def test_an_axis_has_a_few_round_ticks_inside_of_it(low, factor, logarithmic):
    axis = Axis(low, low * factor, logarithmic or factor > 20)

    ticks = axis.ticks()

    assert len(ticks) <= 7
    assert all(0 <= place <= 100 for _, place in ticks)
    if not axis.logarithmic or factor > 10:
        assert len(ticks) > 0


def test_numbers_have_two_digits_of_their_error():
    assert [Estimate("", "", d, d - e, d + e).form for d, e in ((91.2, 0.13), (812.0, 33), (26.7, 1.2))] == [
        ",.2f",
        ",.0f",
        ",.1f",
    ]


def test_a_star_without_a_result_has_no_distances():
    assert estimates([]) == []
    assert axis_of([Estimate("", "", np.nan, np.nan, np.nan)]) is None
