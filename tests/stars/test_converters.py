"""Converters under astroNN's names: its numbers, with units, and NaN for what is absent."""

import inspect

import numpy as np
import pytest
from astropy import units
from hypothesis import given
from hypothesis import strategies as st

from astra.stars import converters

BOTH = [
    "absmag_to_fakemag",
    "absmag_to_pc",
    "extinction_correction",
    "fakemag_to_absmag",
    "fakemag_to_mag",
    "fakemag_to_parallax",
    "fakemag_to_pc",
    "mag_to_absmag",
    "mag_to_fakemag",
]
VALUES = {
    "mag": [9.3, 12.0],
    "absmag": [-1.6, 4.2],
    "fakemag": [45.0, 700.0],
    "parallax": [0.5, 3.1],
    "pc": [850.0, 320.0],
    "extinction": [0.1, 0.02],
    "parallax_err": [0.02, 0.03],
    "fakemag_err": [4.0, 50.0],
    "pc_err": [50.0, 20.0],
}
# Errors of magnitudes, which astroNN divides by the magnitude.
OTHERWISE = {"mag_to_absmag", "fakemag_to_mag"}
magnitudes = st.floats(-10, 20)


@pytest.mark.parametrize("name", BOTH)
def test_numbers_are_those_of_astronn(fakemag_to_pc, name):
    gaia = inspect.getmodule(fakemag_to_pc)
    theirs, ours = getattr(gaia, name), getattr(converters, name)
    assert list(inspect.signature(theirs).parameters) == list(inspect.signature(ours).parameters)
    arguments = {each: np.array(VALUES[each]) for each in inspect.signature(theirs).parameters}
    if name in OTHERWISE:
        arguments = {each: array for each, array in arguments.items() if not each.endswith("_err")}

    expected, found = theirs(**arguments), ours(**arguments)

    expected, found = (each if isinstance(each, tuple) else (each,) for each in (expected, found))
    assert len(found) == len(expected)
    for own, their in zip(found, expected, strict=True):
        np.testing.assert_allclose(own.value, getattr(their, "value", their), rtol=1e-12)


@given(magnitudes, st.floats(1.1, 1e5))
def test_what_is_converted_there_and_back_is_the_same(absmag, dist):
    fakemag = converters.absmag_to_fakemag(absmag)
    mag = converters.fakemag_to_mag(fakemag, dist)

    assert converters.fakemag_to_absmag(fakemag).value == pytest.approx(absmag, abs=1e-9)
    assert converters.fakemag_to_pc(fakemag, mag).to_value("pc") == pytest.approx(dist, rel=1e-9)
    assert converters.absmag_to_pc(absmag, mag).to_value("kpc") == pytest.approx(dist / 1000, rel=1e-9)
    for far in (dist * units.pc, (1000 / dist) * units.mas, 1000 / dist, dist / 1000 * units.kpc):
        assert converters.mag_to_absmag(mag, far).value == pytest.approx(absmag, abs=1e-9)


@pytest.mark.parametrize("name", sorted(OTHERWISE))
def test_errors_of_magnitudes_are_those_of_shifted_values(name):
    convert = getattr(converters, name)
    first, second, _ = inspect.signature(convert).parameters
    value, far = VALUES[first][0], VALUES[second][0]

    _, found = convert(value, far, far * 1e-6)

    shift = abs(convert(value, far * (1 + 1e-6)) - convert(value, far))
    assert found.value == pytest.approx(shift.value, rel=1e-5)


@pytest.mark.parametrize("absent", [np.nan, -9999.0, 99.99, -9999.99])
def test_absent_values_stay_absent_and_leave_others_alone(absent):
    dist, error = converters.fakemag_to_pc([45.0, 45.0], [absent, 9.3], [4.0, 4.0])

    assert (np.isnan(dist).tolist(), np.isnan(error).tolist()) == ([True, False], [True, False])
    assert np.isnan(converters.fakemag_to_absmag(min(absent, 0.0)))
    assert np.isnan(converters.mag_to_absmag(9.3, -0.2))
    assert converters.mag_to_fakemag(9.3, -0.2) < 0 * units.mas
    masked = np.ma.masked_array([9.3, 9.3], [False, True])
    assert np.isnan(converters.absmag_to_fakemag(masked)).tolist() == [False, True]


def test_a_wrong_unit_is_one_line():
    for wrong in (9.3 * units.mag, 5 * units.Jy):
        with pytest.raises(ValueError, match="neither of parallaxes nor of distances"):
            converters.mag_to_fakemag(9.3, wrong)
    with pytest.raises(ValueError, match="fakemag is in pc, and not in mas"):
        converters.fakemag_to_absmag(5 * units.pc)
