"""What the report computes, against other implementations and against plain Python."""

import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from astra.report.population import R_SUN, Z_SUN, galactocentric, graticule, mollweide
from astra.report.result_arrays import CLASSES, UNKNOWN, classify, colour
from astra.report.summaries import (
    LeftOut,
    bins_for,
    density,
    ends_of,
    histogram,
    running,
    running_evenly,
    steps,
    summary,
    within,
)

LONGITUDES, LATITUDES = st.floats(0, 359.9), st.floats(-89.9, 89.9)


def test_the_map_is_the_mollweide_projection_of_matplotlib():
    from matplotlib.projections.geo import MollweideAxes

    rng = np.random.default_rng(1)
    l, b = rng.uniform(-179.9, 179.9, 500), np.append(rng.uniform(-90, 90, 498), [-90, 90])  # noqa: E741
    expected = MollweideAxes.MollweideTransform(200).transform(np.radians(np.stack([-l, b], axis=1)))

    x, y = mollweide(l, b)

    np.testing.assert_allclose(np.stack([x, y], axis=1), expected / math.sqrt(2), atol=2e-3)


def test_the_map_keeps_areas():
    rng = np.random.default_rng(2)
    l, b = rng.uniform(0, 360, 200_000), np.degrees(np.arcsin(rng.uniform(-1, 1, 200_000)))  # noqa: E741

    x, y = mollweide(l, b)

    inside = (np.abs(x) < 0.5) & (np.abs(y) < 0.5)
    assert inside.mean() == pytest.approx(1 / (2 * math.pi), rel=0.02)


def test_the_graticule_has_both_edges_and_the_middle():
    lines = graticule()

    assert [line[0][90] for line in lines[:13:6]] == pytest.approx([2, 0, -2], abs=1e-4)
    assert len(lines) == 13 + 5


def test_places_in_the_galaxy_are_those_of_astropy_mirrored_to_put_the_sun_at_positive_x():
    from astropy import units
    from astropy.coordinates import Galactic, Galactocentric, SkyCoord

    rng = np.random.default_rng(3)
    l, b, dist = rng.uniform(0, 360, 100), rng.uniform(-90, 90, 100), rng.uniform(10, 20_000, 100)  # noqa: E741
    frame = Galactocentric(galcen_distance=R_SUN * units.kpc, z_sun=0 * units.pc)
    sky = SkyCoord(l * units.deg, b * units.deg, dist * units.pc, frame=Galactic)
    there = sky.transform_to(frame)

    x, y, z = galactocentric(l, b, dist)

    # astropy's centre of the Galaxy is Sgr A*, 0.07 degrees from l = b = 0.
    np.testing.assert_allclose(x, -there.x.to_value("kpc"), atol=0.03)
    np.testing.assert_allclose(y, there.y.to_value("kpc"), atol=0.03)
    np.testing.assert_allclose(z - Z_SUN, there.z.to_value("kpc"), atol=0.03)


@given(LONGITUDES, LATITUDES, st.floats(1, 1e5))
def test_no_star_changes_its_distance_from_the_sun(l, b, dist):  # noqa: E741
    x, y, z = galactocentric(np.array([l]), np.array([b]), np.array([dist]))

    assert math.dist((x[0], y[0], z[0]), (R_SUN, 0, Z_SUN)) == pytest.approx(dist / 1000, rel=1e-9)


FLOATS = st.floats(-1e6, 1e6) | st.just(math.nan)


@given(arrays.arrays(float, st.integers(0, 60), elements=FLOATS))
def test_a_histogram_loses_no_finite_value(values):
    found = histogram(values, steps(-100, 100, 7))

    assert found.counts.sum() + found.outside == np.isfinite(values).sum()


@given(arrays.arrays(float, (2, 40), elements=FLOATS))
def test_a_density_loses_no_star_with_two_finite_values(values):
    found = density(*values, steps(-1000, 1000, 5), steps(-10, 10, 3))

    assert found.counts.shape == (3, 5)
    assert found.counts.sum() + found.outside == np.isfinite(values).all(axis=0).sum()


def test_a_density_has_rows_of_y_from_below():
    found = density(np.array([0.1, 0.9]), np.array([0.9, 0.9]), steps(0, 1, 2), steps(0, 1, 2))

    assert found.counts.tolist() == [[0, 0], [1, 1]]


@given(arrays.arrays(float, st.integers(2, 50), elements=FLOATS))
def test_a_summary_is_that_of_the_finite_values(values):
    finite = [value for value in values.tolist() if math.isfinite(value)]

    found = summary(values)

    assert found.n == len(finite)
    if finite:
        assert found.median == pytest.approx(statistics.median(finite))
        assert found.beyond_3 == pytest.approx(sum(abs(value) > 3 for value in finite) / len(finite))
    else:
        assert math.isnan(found.median)


def test_the_width_and_the_error_of_the_median_are_those_of_a_normal_distribution():
    rng = np.random.default_rng(5)
    drawn = rng.normal(3, 2, (400, 250))

    whole = summary(drawn.ravel())

    assert whole.half_width == pytest.approx(2, rel=0.02)
    medians = np.median(drawn, axis=1)
    assert summary(drawn[0]).e_median == pytest.approx(medians.std(), rel=0.25)


def test_running_percentiles_leave_out_bins_with_few_stars():
    x, y = np.append(np.full(50, 0.5), 1.5), np.append(np.arange(50.0), 7)

    found = running(x, y, steps(0, 2, 2))

    assert found.median.tolist()[0] == 24.5
    assert math.isnan(found.median[1])


def test_classes_follow_their_rules_and_no_colour_means_unknown():
    m_ks = np.array([-4.0, -1.6, -1.6, 2.0, 4.0, 0.5, 4.0, np.nan])
    colours = np.array([0.9, 0.65, 0.95, 0.55, 0.4, 0.1, np.nan, 0.5])

    found = [CLASSES[code] if code != UNKNOWN else None for code in classify(m_ks, colours)]

    assert found == ["giant", "red clump", "giant", "subgiant", "dwarf", "hot", None, None]


def test_a_colour_is_dereddened_and_fillers_have_none():
    found = colour(np.array([11.0, 99.999, 11.0]), np.array([10.0, 10.0, 0.0]), np.array([0.2, 0.0, 0.0]))

    assert found[0] == pytest.approx(1 - 1.5 * 0.2)
    assert np.isnan(found[1:]).all()


@given(arrays.arrays(float, (2, 40), elements=FLOATS), st.booleans())
def test_each_star_is_inside_the_axes_outside_or_without_a_place(values, flipped):
    x_range = (1000.0, -1000.0) if flipped else (-1000.0, 1000.0)

    found = LeftOut.of(*values, x_range, (-10, 10))

    assert found.total == 40 == within(*values, x_range, (-10, 10)).sum() + found.outside + found.absent


@given(arrays.arrays(float, st.integers(1, 150), elements=st.floats(-1e6, 1e6)))
def test_no_one_of_few_stars_is_outside_of_a_range_that_leaves_out_a_share(values):
    low, high = ends_of(values, least=(0, 1))

    assert low <= values.min() <= values.max() <= high


def test_a_histogram_has_bins_as_its_stars_can_fill():
    found = [bins_for(stars, 80) for stars in (1, 30, 150, 1000, 10_000, 10**6)]

    assert found == sorted(found)
    assert found[0] == 5
    assert found[-1] == 80
    assert 10 <= found[2] <= 20


def test_running_percentiles_of_equal_numbers_lie_where_the_stars_are():
    x = np.append(np.linspace(0, 1, 90), np.linspace(10, 11, 10))

    found = running_evenly(x, 2 * x, 4)

    np.testing.assert_allclose(found.median, 2 * found.x)
    assert len(found.x) == 4
    assert found.x[2] < 1
    assert len(running_evenly(x[:9], x[:9], 4).x) == 0
