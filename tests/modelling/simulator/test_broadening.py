"""Shifted and broadened spectra."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astra.modelling.simulator.observe import LIMB_DARKENING, PIXEL_KMS, broaden
from astra.spectra.grid import N_GRID

PIXELS = np.arange(N_GRID)
ZERO = np.zeros(1)

velocities = st.floats(-150, 150)
widths = st.floats(0, 20)
rotations = st.one_of(st.just(0.0), st.floats(1.5, 200))


def _line(centre=4000.0, depth=0.4, sigma=2.0, pixels=PIXELS):
    return 1 - depth * np.exp(-0.5 * ((pixels - centre) / sigma) ** 2)[None]


def _one(flux, velocity=0.0, gaussian=0.0, vsini=0.0):
    return broaden(flux, *(np.array([value]) for value in (velocity, gaussian, vsini)))[0]


def _moments(flux):
    """Equivalent width, centre and variance of what a line at pixel 4000 absorbs [pixels]."""
    near = slice(3850, 4150)
    absorbed, pixels = 1 - np.asarray(flux, float).ravel()[near], PIXELS[near]
    width = absorbed.sum()
    centre = (absorbed * pixels).sum() / width
    return width, centre, (absorbed * (pixels - centre) ** 2).sum() / width


@settings(max_examples=40, deadline=None)
@given(velocities, widths, rotations)
def test_a_line_keeps_its_equivalent_width_and_moves_by_its_velocity(velocity, gaussian, vsini):
    before = _moments(_line())

    width, centre, _ = _moments(_one(_line(), velocity, gaussian, vsini))

    assert width == pytest.approx(before[0], rel=2e-4)
    assert centre - before[1] == pytest.approx(velocity / PIXEL_KMS, abs=0.02)


@settings(max_examples=20, deadline=None)
@given(widths)
def test_a_gaussian_adds_its_variance(gaussian):
    variance = _moments(_one(_line(), gaussian=gaussian))[2]

    assert variance == pytest.approx(2.0**2 + (gaussian / PIXEL_KMS) ** 2, rel=0.005)


def _profile(x):
    inside = np.clip(1 - x**2, 0, None)
    return 2 * (1 - LIMB_DARKENING) * np.sqrt(inside) + 0.5 * np.pi * LIMB_DARKENING * inside


@pytest.mark.parametrize("vsini", [2.0, 10.0, 40.0, 120.0, 250.0])
def test_rotation_is_the_convolution_with_the_profile_of_a_disc(vsini):
    step = 0.05  # of a grid on which the profile is smooth [pixels]
    fine = np.arange(0, N_GRID, step)
    rng = np.random.default_rng(0)
    lines = list(zip(rng.uniform(500, 8000, 60), rng.uniform(0.05, 0.4, 60), strict=True))
    flux, exact = (np.prod([_line(*line, 2.5, grid) for line in lines], axis=0) for grid in (PIXELS, fine))
    reach = vsini / PIXEL_KMS
    half = int(np.ceil(reach / step))
    kernel = _profile(np.arange(-half, half + 1) * step / reach)
    expected = np.convolve(exact[0] - 1, kernel / kernel.sum(), mode="same")[:: round(1 / step)]

    found = _one(flux, vsini=vsini) - 1

    assert np.abs(found - expected)[100:-100].max() < 1e-3


def test_without_any_broadening_a_spectrum_stays_as_it_is():
    flux = _line().astype(np.float32)

    assert np.allclose(_one(flux), flux, atol=1e-6)


def test_a_shift_of_whole_pixels_is_exact():
    assert np.allclose(_one(_line(), velocity=7 * PIXEL_KMS), np.roll(_line()[0], 7), atol=1e-5)


def test_each_spectrum_is_broadened_on_its_own():
    flux = np.concatenate([_line(2000), _line(6000)])
    values = np.array([5.0, -30.0]), np.array([3.0, 0.0]), np.array([0.0, 60.0])

    together = broaden(flux, *values)

    assert together.dtype == np.float32
    for row in range(2):
        alone = broaden(flux[row : row + 1], *(value[row : row + 1] for value in values))
        assert np.allclose(together[row], alone[0], atol=1e-6)


def test_no_line_comes_back_at_the_other_end():
    flux = _line(N_GRID - 5)

    found = _one(flux, velocity=150.0, vsini=100.0)

    assert np.abs(found[:4000] - 1).max() < 1e-5


def test_no_spectra_give_no_spectra():
    empty = np.zeros(0)

    assert broaden(np.zeros((0, N_GRID)), empty, empty, empty).shape == (0, N_GRID)
