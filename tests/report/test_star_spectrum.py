"""The spectrum of a star as it is drawn: a step for each pixel that can be used, gaps, names that fit."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from astra.report.star_details import Pixels
from astra.report.star_spectrum import masked_runs, names_with_room, rows, steps_of, whole
from astra.spectra.grid import CHIPS, DETECTORS, N_PIXELS, wavelength
from astra.spectra.lines import LINES

WAVELENGTH = wavelength()[np.concatenate([np.arange(first, end) for first, end in DETECTORS])]
CHIP = slice(0, 400)

masks = st.lists(st.integers(0, 399), max_size=300).map(lambda lost: np.isin(np.arange(400), lost))


def a_spectrum(lost: np.ndarray) -> Pixels:
    """Values that differ from pixel to pixel, and 1 where a pixel is masked, as ``rectify`` leaves it."""
    everywhere = np.zeros(N_PIXELS, bool)
    everywhere[: len(lost)] = lost
    value = 0.9 + 1e-4 * np.arange(N_PIXELS)
    rectified, error = np.where(everywhere, 1.0, value), np.where(everywhere, 1.0, 0.01)
    flux = np.where(everywhere, 0.0, 100 * value)
    return Pixels(WAVELENGTH, flux, np.ones(N_PIXELS), rectified, error)


@given(masks)
def test_each_pixel_that_can_be_used_is_drawn_with_its_value_and_no_other(lost):
    pixels = a_spectrum(lost)

    x, y = steps_of(pixels, CHIP, pixels.rectified, pixels.e_rectified).line()

    shown = np.isfinite(x)
    middles, values = x[shown].reshape(-1, 2).mean(axis=1), y[shown].reshape(-1, 2)
    at = np.abs(WAVELENGTH[CHIP, None] - middles).argmin(axis=0)
    assert at.tolist() == np.flatnonzero(~lost).tolist()
    assert np.array_equal(values, np.stack([pixels.rectified[at]] * 2, axis=1))


@given(masks)
def test_no_line_crosses_a_gap_and_the_gaps_are_those_that_are_shaded(lost):
    pixels = a_spectrum(lost)

    x, _ = steps_of(pixels, CHIP, pixels.rectified, pixels.e_rectified).line()
    left, right = masked_runs(pixels, CHIP)

    middles = 0.5 * (x[1:] + x[:-1])
    middles = middles[np.isfinite(middles)]
    assert not any(
        ((middles > low * (1 + 1e-7)) & (middles < high * (1 - 1e-7))).any()
        for low, high in zip(left, right, strict=True)
    )
    assert len(left) == np.count_nonzero(np.diff(lost.astype(int), prepend=0) == 1)


@given(masks, st.sampled_from([1, 4, 7]))
def test_the_band_is_the_value_and_its_error(lost, every):
    pixels = a_spectrum(lost)

    steps = steps_of(pixels, CHIP, pixels.rectified, pixels.e_rectified, every)
    x, y = steps.band()

    assert len(x) == len(y)
    assert np.isnan(x).tolist() == np.isnan(y).tolist()
    finite = y[np.isfinite(y)]
    ends = np.concatenate([steps.value - steps.error, steps.value + steps.error])
    assert np.allclose(sorted(finite), sorted(np.repeat(ends, 2)))


def test_a_bin_is_the_mean_of_the_pixels_that_can_be_used_in_it():
    pixels = a_spectrum(np.array([False, True, True, False, True, True, True, True]))

    steps = steps_of(pixels, slice(0, 8), pixels.rectified, pixels.e_rectified, 4)

    assert np.allclose(steps.value, [pixels.rectified[[0, 3]].mean()])
    assert np.allclose(steps.error, [0.01 / np.sqrt(2)])


def test_a_detector_without_a_pixel_and_a_lone_pixel_are_drawn():
    lost = np.ones(N_PIXELS, bool)
    lost[5000] = False
    pixels = a_spectrum(lost)

    found = rows(pixels, "key")

    assert len(found["plots"]) == 3
    assert found["used"]["blue"] == 0
    assert whole(pixels, "key", 4)["outside"] == 0


def test_rows_have_one_scale_so_that_lines_can_be_compared():
    items = [plot.item for plot in rows(a_spectrum(np.zeros(10, bool)), "key")["plots"]]

    figures = [item["doc"]["roots"][0]["attributes"] for item in items]
    ends = [[figure[axis]["attributes"] for axis in ("x_range", "y_range")] for figure in figures]
    widths = {round(x["end"] - x["start"], 6) for x, _ in ends}
    heights = {(y["start"], y["end"]) for _, y in ends}
    assert len(widths) == len(heights) == 1


def test_names_of_lines_do_not_touch_and_the_strong_come_first():
    for chip in CHIPS:
        first, last = WAVELENGTH[chip][[0, -1]]
        lines = [line for line in LINES if first <= line.wavelength <= last]

        always, on_wide = names_with_room(lines)

        assert min(np.diff(sorted(line.wavelength for line in always))) >= 26
        assert min(np.diff(sorted(line.wavelength for line in [*always, *on_wide]))) >= 8
        assert not set(always) & set(on_wide)
        strong = [line for line in lines if line.strong]
        assert sum(line in always for line in strong) >= 0.5 * len(strong)
