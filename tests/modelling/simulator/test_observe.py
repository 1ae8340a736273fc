"""From the spectrum of a star to the one in the archive: the instrument, shifts and broadening."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astra.modelling.simulator.emulators import EMULATED
from astra.modelling.simulator.masks import COVERED
from astra.modelling.simulator.observe import LIMB_DARKENING, NO_DATA, PIXEL_KMS, broaden
from astra.modelling.simulator.sample import observed
from astra.modelling.simulator.simulator import Conditions
from astra.spectra.grid import (
    BADPIX,
    DETECTORS,
    N_GRID,
    NOSKY,
    PERSIST_HIGH,
    PERSIST_LOW,
    PERSIST_MED,
    SKYLINE,
)
from astra.spectra.rectify import MASKED_BITS, rectify, usable

IDEAL = Conditions(
    noise=False,
    label_jitter=(0.0, 0.0, 0.0, 0.0),
    foreign={},
    mismatch=0.0,
    edges=0.0,
    depth=(0.0, 0.0),
    velocity=0.0,
    turbulence=0.0,
    response=(0.0, 0.0),
    wiggle=0.0,
    telluric=0.0,
    sky=0.0,
    persistence=0.0,
    lost_detector=0.0,
    companions={},
)
PERSISTENCE = PERSIST_LOW, PERSIST_MED, PERSIST_HIGH
GAPS = np.setdiff1d(np.arange(N_GRID), COVERED)
SEEN = np.isin(COVERED, EMULATED)


@pytest.fixture(scope="module")
def giants(simulator):
    """Stars that hardly rotate."""
    return simulator.population.draw(64, np.random.default_rng(2), {"rgb": 0.7, "red_clump": 0.3})


@pytest.fixture(scope="module")
def emulated(simulator, giants):
    """What the emulator gives for them."""
    return simulator.emulator.spectra(giants.labels())


def _rectified(flux, e_flux=None):
    flags = np.zeros(flux.shape, int)
    return rectify(flux, np.full(flux.shape, 0.01) if e_flux is None else e_flux, flags)[0]


def _observed(simulator, stars, **changes):
    return observed(simulator, stars, np.random.default_rng(3), replace(IDEAL, **changes))


def _difference(simulator, giants, emulated, **changes):
    """From the emulated spectra, star by star."""
    sample = _observed(simulator, giants, **changes)
    # The stated errors are the weights of the continuum.
    return (_rectified(sample.flux, sample.e_flux) - _rectified(emulated, sample.e_flux))[:, SEEN]


def test_of_an_ideal_observation_the_normalisation_gives_the_emulated_spectrum(simulator, giants, emulated):
    difference = _difference(simulator, giants, emulated)

    # Every twentieth star rotates faster than its lines are wide.
    assert np.percentile(np.abs(difference).max(axis=1), 80) < 0.01
    assert np.median(difference.std(axis=1)) < 0.002


@pytest.mark.parametrize(
    ("changes", "least", "most"),
    [
        ({"mismatch": 1.0}, 0.004, 0.012),  # the scatter of the emulator of giants is 0.006 in the median
        ({"wiggle": 0.005}, 0.003, 0.006),
        ({"response": (1.0, 0.0)}, 0.006, 0.012),
        ({"depth": (0.02, 0.05)}, 0.001, 0.006),
        ({"velocity": 1.5}, 0.001, 0.02),
        ({"turbulence": 4.0}, 0.0005, 0.02),
        ({"telluric": 0.015}, 0.0003, 0.005),
        ({"label_jitter": (35.0, 0.04, 0.03, 0.02)}, 0.0005, 0.01),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_each_imperfection_changes_the_spectrum_by_its_size(
    simulator, giants, emulated, changes, least, most
):
    ideal, real = (
        _difference(simulator, giants, emulated),
        _difference(simulator, giants, emulated, **changes),
    )

    assert least < np.median((real - ideal).std(axis=1)) < most


def test_some_stars_have_broader_lines_than_the_others(simulator, giants, emulated):
    changes = [_difference(simulator, giants, emulated, turbulence=4.0, broad=part) for part in (0.0, 1.0)]

    few, all_of_them = (change.std(axis=1) for change in changes)
    assert np.median(all_of_them) > 2 * np.median(few)


def test_persistence_lights_up_the_flagged_pixels_of_the_blue_detector_alone(simulator, giants):
    dark, bright = _observed(simulator, giants), _observed(simulator, giants, persistence=0.05)

    light = bright.flux / 1000 - dark.flux / 1000
    flagged = (bright.pixel_flags & (1 << PERSIST_HIGH)) > 0
    assert np.abs(light[~flagged]).max() < 1e-3
    affected = (light > 1e-3).any(axis=1)
    assert 0.1 < affected.mean() < 0.5
    assert 0.005 < np.median(light[affected][flagged[affected]]) < 0.1


def test_sky_lines_leave_residuals_beside_their_masks(simulator, giants):
    dark, sky = _observed(simulator, giants), _observed(simulator, giants, sky=0.5)

    residual = np.where(dark.e_flux < NO_DATA, (sky.flux - dark.flux) / dark.e_flux, 0.0)
    masked = (sky.pixel_flags & (1 << SKYLINE)) > 0
    beside = ~masked & (np.roll(masked, 1, axis=1) | np.roll(masked, -1, axis=1))
    assert 0.15 < residual[:, COVERED][beside[:, COVERED]].std() < 0.5
    reached = np.any([np.roll(masked, step, axis=1) for step in range(-7, 8)], axis=0)
    assert np.abs(residual[~reached]).max() < 1e-3


def _flagged(sample, *bits):
    return (sample.pixel_flags & sum(1 << bit for bit in bits)) > 0


def test_the_noise_is_larger_than_stated_and_larger_still_where_the_mask_says_so(noisy, clean):
    noise = (noisy.flux - clean.flux) / clean.e_flux
    lost = noisy.e_flux > 1e9
    overstated = _flagged(noisy, *PERSISTENCE, SKYLINE)
    replaced = _flagged(noisy, *range(BADPIX, NOSKY + 1)) & ~overstated & ~lost

    assert np.array_equal(noisy.pixel_flags, clean.pixel_flags)
    for number, (begin, end) in enumerate(DETECTORS):
        pixels = slice(begin, end)
        scaled = noise[:, pixels] / noisy.understated[:, number, None]
        good = ~(overstated | _flagged(noisy, *range(BADPIX, NOSKY + 1)))[:, pixels]
        assert scaled[good].std() == pytest.approx(1, abs=0.03)
        assert scaled[good].mean() == pytest.approx(0, abs=0.03)
        # The stated error of bad pixels is 1.25 times as large as elsewhere, the noise 1.5 times that.
        assert scaled[replaced[:, pixels]].std() == pytest.approx(1.5, abs=0.1)
    assert 1.0 < np.median(noisy.understated) < 1.3


def test_errors_say_the_signal_to_noise_ratio(noisy):
    good = ((noisy.pixel_flags & MASKED_BITS) == 0) & ~_flagged(noisy, *PERSISTENCE)
    for row in np.flatnonzero(good.sum(axis=1) > 3000)[::8]:
        ratio = np.median((noisy.flux / noisy.e_flux)[row][good[row]])
        assert ratio == pytest.approx(noisy.snr[row], rel=0.3)
    assert 20 <= noisy.snr.min() < 40
    assert 250 < noisy.snr.max() <= 500


def test_errors_of_masked_pixels_are_as_in_real_spectra(noisy, apstar_files):
    from astropy.io import fits

    def relative(e_flux, flags, bits):
        covered = np.zeros(N_GRID, bool)
        covered[COVERED] = True
        sound = covered & (e_flux < 1e9)
        return e_flux[sound & ((flags & bits) > 0)] / np.median(e_flux[sound & ((flags & MASKED_BITS) == 0)])

    real, simulated = {0xFF: [], 1 << SKYLINE: []}, {0xFF: [], 1 << SKYLINE: []}
    for path in apstar_files:
        with fits.open(path) as hdus:
            e_flux, flags = (np.atleast_2d(hdus[index].data)[0].astype(float) for index in (2, 3))
        for bits in real:
            real[bits] += [np.median(relative(e_flux, flags.astype(int), bits))]
    for row in range(60):
        # Noise is relative to the continuum, whose shape is of no interest here.
        e_flux = np.where(noisy.e_flux[row] < 1e9, noisy.e_flux[row], np.inf)
        for bits in simulated:
            values = relative(e_flux, noisy.pixel_flags[row], bits)
            simulated[bits] += [np.median(values)] if len(values) else []
    for bits in real:
        assert np.median(simulated[bits]) == pytest.approx(np.median(real[bits]), rel=0.2)


def test_pixels_without_information_hold_nothing_and_say_so(noisy):
    lost = noisy.e_flux > 1e9

    assert (noisy.flux[lost] == 0).all()
    assert (noisy.pixel_flags[lost] & (1 << BADPIX) > 0).all()
    assert lost[:, GAPS].all()
    share = lost[:, COVERED].any(axis=1).mean()
    assert 0.1 < share < 0.45  # 6 of the 22 real files
    assert (noisy.e_flux[lost] == np.float32(NO_DATA)).all()


def test_before_noise_every_covered_pixel_can_be_used(clean):
    assert (clean.flux[:, COVERED] > 0).all()
    assert (clean.e_flux[:, COVERED] < 1e9).all()


def test_every_spectrum_can_be_analysed(noisy):
    assert usable(noisy.flux, noisy.e_flux, noisy.pixel_flags).all()
    assert np.isfinite(noisy.flux).all()
    assert (noisy.e_flux > 0).all()


def test_arrays_are_as_small_as_they_can_be(noisy):
    assert (noisy.flux.dtype, noisy.e_flux.dtype) == (np.float32, np.float32)
    assert noisy.pixel_flags.dtype == np.int32


def test_visits_are_as_many_as_in_the_survey(noisy):
    assert noisy.n_visits.min() == 1
    assert noisy.n_visits.max() <= 16
    assert 2 <= np.median(noisy.n_visits) <= 5


def test_the_continuum_has_another_level_and_slope_on_each_detector(clean):
    levels = np.stack([np.median(clean.flux[:, begin:end], axis=1) for begin, end in DETECTORS], axis=1)

    assert (levels > 100).all()
    assert (levels[:, 0] / levels[:, 2]).std() > 0.2
    assert len(np.unique(levels.argmax(axis=1))) >= 2


def test_rotation_washes_out_the_lines_of_hot_stars_and_not_those_of_giants(simulator, giants, emulated):
    stars = simulator.population.draw(64, np.random.default_rng(4), {"hot": 1.0})
    still = _rectified(simulator.emulator.spectra(stars.labels()))
    hot, cool = (_rectified(_observed(simulator, some).flux) for some in (stars, giants))

    def narrow_structure(flux):
        return np.diff(flux, axis=1)[:, SEEN[1:]].std(axis=1)

    assert np.median(narrow_structure(hot) / narrow_structure(still)) < 0.8
    assert np.median(narrow_structure(cool) / narrow_structure(_rectified(emulated))) == pytest.approx(
        1, abs=0.01
    )


def test_the_response_is_that_of_real_spectra(simulator, giants, shared):
    """The mean of observed giants comes nearer to the published mean in the orders that a parabola leaves."""
    path = shared / "data/published_model/astroNN_gaia_dr17_model_3.astroNN_model_parameter.json"
    published = np.array(json.loads(path.read_text())["input_mean"]["input"])
    samples = (_observed(simulator, giants, response=(size, 0.0)) for size in (0.0, 1.0))
    differences = [_rectified(each.flux, each.e_flux).mean(axis=0) - published for each in samples]

    for begin, end in DETECTORS:
        pixels = np.flatnonzero(SEEN & (COVERED >= begin) & (COVERED < end))
        place = np.linspace(-1, 1, end - begin)[COVERED[pixels] - begin]
        without, orders = (
            np.abs(np.polynomial.legendre.legfit(place, each[pixels], 6)[3:5]) for each in differences
        )
        assert orders.max() < 0.012
        assert orders.sum() < 0.5 * without.sum()


# > Shifts and broadening

PIXELS = np.arange(N_GRID)

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


@settings(max_examples=40)
@given(velocities, widths, rotations)
def test_a_line_keeps_its_equivalent_width_and_moves_by_its_velocity(velocity, gaussian, vsini):
    before = _moments(_line())

    width, centre, _ = _moments(_one(_line(), velocity, gaussian, vsini))

    assert width == pytest.approx(before[0], rel=2e-4)
    assert centre - before[1] == pytest.approx(velocity / PIXEL_KMS, abs=0.02)


@settings(max_examples=20)
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
