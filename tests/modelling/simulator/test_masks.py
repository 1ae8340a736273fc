"""Masks of bad pixels, sky lines and persistence, compared with those of real spectra."""

import re
import shutil

import numpy as np
import pytest

from astra.errors import ConfigError
from astra.modelling.simulator.masks import COVERED, SHIFT, MaskModel, read_patterns, telluric_depth
from astra.spectra.apstar import read_combined
from astra.spectra.grid import (
    BADDARK,
    BADFLAT,
    BADPIX,
    CRPIX,
    DETECTORS,
    LITTROW,
    N_GRID,
    PERSIST_HIGH,
    PERSIST_LOW,
    PERSIST_MED,
    SKYLINE,
    TELLURIC,
)
from astra.spectra.rectify import MASKED_BITS

NO_PATTERNS = np.zeros((0, N_GRID), np.int32)
FAULTS, PERSISTENCE = 0xFF, (PERSIST_HIGH, PERSIST_MED, PERSIST_LOW)

# As often as in the 22 real files.
VISITS = np.tile([1, 2, 3, 3, 3, 3, 3, 3, 3, 3, 3, 4, 4, 5, 5, 6, 6, 6, 6, 6, 8, 15], 30)


def _drawn(model, visits, seed):
    rng = np.random.default_rng(seed)
    return model.draw(visits, rng.integers(-SHIFT, SHIFT + 1, len(visits)), rng)


@pytest.fixture(scope="module")
def known(apstars):
    """The masks of simulated and of real spectra, shape (16, 8575) and (22, 8575)."""
    return read_patterns(apstars[0].parent)


@pytest.fixture(scope="module")
def drawn():
    """Masks of the model alone."""
    return _drawn(MaskModel(NO_PATTERNS), VISITS, 1)


def _share(masks, bits):
    """Share of the covered pixels, shape (N,)."""
    return ((masks[:, COVERED] & bits) > 0).mean(axis=1)


def _runs(masks, bits):
    """Lengths of runs of masked pixels."""
    lengths = []
    for row in (masks[:, COVERED] & bits) > 0:
        change = np.diff(np.concatenate([[0], row.astype(int), [0]]))
        lengths += [np.flatnonzero(change < 0) - np.flatnonzero(change > 0)]
    return np.concatenate(lengths)


def test_as_many_pixels_are_replaced_as_in_real_spectra(drawn, patterns):
    simulated, real = _share(drawn, MASKED_BITS), _share(patterns, MASKED_BITS)

    assert simulated.mean() == pytest.approx(real.mean(), abs=0.04)
    for percentile in (10, 50, 90):
        found, expected = np.percentile(simulated, percentile), np.percentile(real, percentile)
        assert 0.7 < found / expected < 1.3, percentile
    assert 0.01 < simulated.min() < simulated.max() < 0.85


def test_each_bit_is_about_as_frequent_as_in_real_spectra(drawn, patterns):
    for bit in (BADPIX, CRPIX, BADDARK, BADFLAT, LITTROW, SKYLINE, TELLURIC, *PERSISTENCE):
        assert 0.7 < _share(drawn, 1 << bit).mean() / _share(patterns, 1 << bit).mean() < 1.4, bit


@pytest.mark.parametrize("bit", PERSISTENCE)
def test_the_red_detector_has_no_persistence(drawn, bit):
    assert (drawn[:, 6344:8335] & (1 << bit) == 0).all()


def test_masked_pixels_come_in_runs_as_long_as_in_real_spectra(drawn, patterns):
    for bits in (FAULTS, 1 << SKYLINE):
        simulated, real = _runs(drawn, bits), _runs(patterns, bits)

        assert len(simulated) / len(drawn) == pytest.approx(len(real) / len(patterns), rel=0.3)
        assert simulated.mean() == pytest.approx(real.mean(), rel=0.2)
        for percentile in (25, 50, 75, 90):
            found, expected = np.percentile(simulated, percentile), np.percentile(real, percentile)
            assert abs(found - expected) <= max(3, 0.25 * expected), (bits, percentile)


def test_more_visits_bring_more_faults(drawn):
    few, some, many = (_share(drawn[VISITS == visits], FAULTS).mean() for visits in (1, 3, 15))

    assert 0.004 < few < 0.012
    assert few < some < many


def test_of_many_visits_as_many_pixels_are_faulty_as_in_the_worst_real_spectrum(drawn, patterns):
    assert _share(drawn[VISITS == 15], FAULTS).mean() == pytest.approx(
        _share(patterns, FAULTS).max(), rel=0.3
    )


def test_all_masks_are_different(drawn):
    assert len(np.unique(drawn, axis=0)) == len(drawn)


def test_the_same_generator_draws_the_same_masks(known):
    first, second = (_drawn(MaskModel(known), VISITS[:20], 5) for _ in range(2))

    assert np.array_equal(first, second)
    assert first.dtype == np.int32


def test_real_patterns_are_moved_and_laid_on_each_other(known):
    masks = _drawn(MaskModel(known[:1], real_share=1.0), VISITS[:40], 6) & ~(1 << TELLURIC)

    pattern = known[0] & ~(1 << TELLURIC)
    rolled = np.array([np.roll(pattern, shift) for shift in range(-SHIFT, SHIFT + 1)])
    exact = [(rolled == mask).all(axis=1).any() for mask in masks]
    assert 0.5 < np.mean(exact) < 0.95  # the others are two of them
    inside = [((mask & rolled) == rolled).all(axis=1).any() for mask in masks]
    assert all(inside)


def test_half_of_the_masks_are_real_patterns_where_there_are_some(known):
    # The model has no bit 14.
    masks = _drawn(MaskModel(known | (1 << 14)), VISITS[:200], 7)

    assert ((masks & (1 << 14)) > 0).any(axis=1).mean() == pytest.approx(0.5, abs=0.12)


def test_tellurics_are_shallow_bands_that_move_with_the_star():
    depth = telluric_depth(np.arange(-SHIFT, SHIFT + 1))

    assert depth.shape == (2 * SHIFT + 1, N_GRID)
    assert depth.min() >= 0
    assert 0.5 < depth.max() <= 1
    assert np.array_equal(depth[0, :-1], depth[1, 1:])


def test_the_deepest_tellurics_are_the_ones_that_are_flagged(known):
    shift = np.arange(-SHIFT, SHIFT + 1)
    flags = MaskModel(known).draw(np.full(len(shift), 3), shift, np.random.default_rng(8))

    depth, flagged = telluric_depth(shift), (flags & (1 << TELLURIC)) > 0
    share = flagged.mean(axis=1)
    assert ((share > 0.02) & (share < 0.3)).all()
    assert (np.where(flagged, depth, 1).min(axis=1) >= np.where(flagged, 0, depth).max(axis=1)).all()


# > Files


@pytest.fixture
def folder(simulated, tmp_path):
    """A folder with one sound file."""
    shutil.copy(min(simulated.glob("apStar-*.fits")), tmp_path)
    return tmp_path


def test_patterns_are_those_of_the_combined_spectra(apstars):
    found = read_patterns(apstars[0].parent)

    for pattern, path in zip(found, apstars, strict=True):
        assert np.array_equal(pattern, read_combined(path).pixel_flags)


def test_a_pattern_is_read_from_each_of_the_real_files(patterns):
    assert patterns.shape == (22, N_GRID)


def test_a_folder_without_spectra_is_one_clear_line(tmp_path):
    with pytest.raises(ConfigError, match=re.escape(f"no apStar files in {tmp_path}")):
        read_patterns(tmp_path)


@pytest.mark.parametrize("damage", ["empty", "truncated", "text", "short"])
def test_a_damaged_file_is_named_in_one_line(folder, damage):
    from astropy.io import fits

    path = folder / "apStar-r6-2M00000000+0000000.fits"
    (sound,) = folder.glob("apStar-*")
    if damage == "short":
        hdus = [fits.PrimaryHDU(), *(fits.ImageHDU(np.zeros((3, 100), np.int16)) for _ in range(3))]
        fits.HDUList(hdus).writeto(path)
    else:
        content = {"empty": b"", "truncated": sound.read_bytes()[:300_000], "text": b"no FITS" * 1000}
        path.write_bytes(content[damage])

    with pytest.raises(ConfigError, match=re.escape(str(path))) as caught:
        read_patterns(folder)

    assert "\n" not in str(caught.value)


def test_some_spectra_lack_a_detector_or_a_large_part_of_one():
    masks = _drawn(MaskModel(NO_PATTERNS, lost_detector=0.5), np.tile(3, 200), 5)

    # Bad pixels alone cover a few per cent.
    covered = [((masks[:, begin:end] & (1 << BADPIX)) > 0).mean(axis=1) for begin, end in DETECTORS]
    lost = np.array(covered) > 0.3
    assert 0.4 < lost.any(axis=0).mean() < 0.6
    assert 0.4 < (np.array(covered).max(axis=0) > 0.99).mean() / lost.any(axis=0).mean() < 0.8
    assert 0 < (lost.sum(axis=0) == 2).mean() < 0.15
    assert not lost.all(axis=0).any()
    assert lost.any(axis=1).all()
