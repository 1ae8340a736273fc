"""Simulated apStar files: the layout of the survey's own, and the numbers of the simulation."""

import io
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_simulator import a_sample

from astra.modelling.simulator.apstar_files import calibrated, file_name, render_apstar, star_flags
from astra.modelling.simulator.observables import draw_observables
from astra.modelling.simulator.observe import NO_DATA
from astra.spectra.apstar import read_combined, read_header
from astra.spectra.rectify import rectify

N = 6


@pytest.fixture(scope="module")
def sample():
    return a_sample(N)


@pytest.fixture(scope="module")
def observables(sample):
    stars = sample.stars
    absolute = (stars.abs_j, stars.abs_h, sample.abs_ks)
    return draw_observables(absolute, sample.snr, sample.flux_ratio > 0, np.arange(N), seed=0)


def _with(sample, **changes):
    """The sample with other values of its first star."""
    arrays = {name: getattr(sample, name).copy() for name in changes}
    for name, value in changes.items():
        arrays[name][0] = value
    return replace(sample, **arrays)


def _written(tmp_path: Path, sample, observables, index=0, seed=0) -> Path:
    path = tmp_path / file_name(str(observables.apogee_id[index]))
    path.write_bytes(render_apstar(sample, observables, index, seed=seed))
    return path


def _hdus(sample, observables, n_visits, seed=0):
    return fits.open(
        io.BytesIO(render_apstar(_with(sample, n_visits=n_visits), observables, 0, seed=seed)), memmap=False
    )


def _layout(hdus):
    """Of each extension: its kind, numbers, shape, columns and unit."""
    found = []
    for hdu in hdus[1:]:
        unit, scale = (
            hdu.header.get("BUNIT"),
            [hdu.header.get(name) for name in ("CRVAL1", "CDELT1", "CTYPE1")],
        )
        if isinstance(hdu, fits.BinTableHDU):
            columns = [
                # The names of DR17 are two characters longer.
                (
                    c.name,
                    c.format.replace("192A", "180A").replace("32A", "30A"),
                    (c.dim or "").replace(" ", ""),
                )
                for c in hdu.columns
            ]
            found.append(("table", len(hdu.data), [(n, f, d.replace("(32,", "(30,")) for n, f, d in columns]))
        else:
            found.append(("image", hdu.header["BITPIX"], hdu.shape, unit, scale))
    return found


# > Layout


def test_the_layout_is_that_of_a_real_file_of_six_visits(shared, sample, observables):
    real = shared / "data" / "apstar" / "apStar-r8-2M19463571+3919069.fits"

    with fits.open(real) as theirs, _hdus(sample, observables, 6) as ours:
        assert _layout(ours) == _layout(theirs)
        assert set(theirs[0].header) - set(ours[0].header) == set()


def test_the_layout_is_that_of_a_real_file_of_one_visit(shared, sample, observables):
    real = shared / "data" / "apstar" / "apStar-r6-2M03290406+3117075.fits"

    with fits.open(real) as theirs, _hdus(sample, observables, 1) as ours:
        *our_images, our_table = _layout(ours)
        *their_images, their_table = _layout(theirs)
        assert our_images == their_images
        assert set(their_table[2]) - set(our_table[2]) == set()  # DR14 has four columns more


def test_the_level_of_the_flux_fits_the_h_magnitude_as_in_real_files(apstar_files, sample, observables):
    def level(hdus):
        flux, error = (np.atleast_2d(hdus[index].data)[0] for index in (1, 2))
        return np.median(flux[error < NO_DATA]) * 10 ** (0.4 * hdus[0].header["H"])

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of cards in real files
        real = []
        for path in apstar_files:
            with fits.open(path) as hdus:
                real.append(level(hdus))
    with _hdus(sample, observables, 3) as ours:
        assert level(ours) == pytest.approx(np.median(real), rel=0.03)


@given(n_visits=st.integers(1, 20), seed=st.integers(0, 2**40))
@settings(max_examples=15)
def test_every_file_is_sound(sample, observables, n_visits, seed):
    with _hdus(sample, observables, n_visits, seed) as hdus:
        hdus.verify("exception")
        header = hdus[0].header
        rows = n_visits + 2 if n_visits > 1 else 1
        assert [np.atleast_2d(hdu.data).shape for hdu in hdus[1:8]] == [(rows, 8575)] * 7
        assert header["NVISITS"] == n_visits
        assert [f"SNRVIS{n}" in header for n in (1, n_visits, n_visits + 1)] == [True, True, False]
        assert np.ravel(hdus[9].data["VHELIO"])[-1] == pytest.approx(
            header[f"VHELIO{n_visits}"], rel=1e-4, abs=1e-4
        )
        table = hdus[9].data[0]
        assert np.ravel(table["FILE"])[0] == header["SFILE1"]


# > Content


@pytest.mark.parametrize("n_visits", [1, 4])
def test_what_is_read_back_is_what_was_simulated(tmp_path, sample, observables, n_visits):
    sample = _with(sample, n_visits=n_visits)

    read = read_combined(_written(tmp_path, sample, observables))

    flux, error, flags = calibrated(sample, observables, 0)
    np.testing.assert_array_equal(read.flux, flux)
    np.testing.assert_array_equal(read.e_flux, error)
    np.testing.assert_array_equal(read.pixel_flags, flags)
    scale = np.median(flux[flux > 0] / sample.flux[0][flux > 0])
    np.testing.assert_allclose(flux, sample.flux[0] * scale, rtol=3e-7)
    good = error < NO_DATA
    np.testing.assert_allclose(error[good], sample.e_flux[0][good] * scale, rtol=3e-7)
    np.testing.assert_array_equal(good, sample.e_flux[0] < NO_DATA)
    np.testing.assert_array_equal(flags, sample.pixel_flags[0])


def test_a_file_is_rectified_like_the_simulated_arrays(tmp_path, sample, observables):
    read = read_combined(_written(tmp_path, sample, observables, index=1))

    from_file, _ = rectify(read.flux, read.e_flux, read.pixel_flags)
    from_arrays, _ = rectify(sample.flux[1], sample.e_flux[1], sample.pixel_flags[1])

    np.testing.assert_allclose(from_file, from_arrays, atol=2e-6)


@pytest.mark.parametrize("error", [np.inf, np.nan, 0.0, -1.0, 1e10, 1e30])
def test_a_pixel_without_a_usable_error_gets_that_of_the_survey(sample, observables, error):
    errors = sample.e_flux[0].copy()
    errors[4000] = error

    _, written, _ = calibrated(_with(sample, e_flux=errors), observables, 0)

    assert written[4000] == NO_DATA


def test_a_flux_that_is_not_finite_is_no_measurement(sample, observables):
    values = sample.flux[0].copy()
    values[4000:4002] = np.nan, np.inf

    flux, error, _ = calibrated(_with(sample, flux=values), observables, 0)

    assert flux[4000:4002].tolist() == [0, 0]
    assert error[4000:4002].tolist() == [NO_DATA, NO_DATA]


def test_a_spectrum_without_any_measurement_can_be_written(tmp_path, sample, observables):
    nothing = _with(sample, flux=np.nan, e_flux=np.inf, pixel_flags=1)

    read = read_combined(_written(tmp_path, nothing, observables))

    assert not read.flux.any()


def test_a_flag_that_the_mask_cannot_hold_is_refused(sample, observables):
    with pytest.raises(ValueError, match="bits 0 to 14"):
        render_apstar(_with(sample, pixel_flags=1 << 15), observables, 0, seed=0)


def test_the_visits_combine_to_the_combined_spectrum(sample, observables):
    with _hdus(sample, observables, 5) as hdus:
        flux, error, mask = (hdus[index].data for index in (1, 2, 3))
    good = error[0] < NO_DATA
    weight = error[2:, good].astype(float) ** -2

    combined = np.sum(flux[2:, good] * weight, axis=0) / weight.sum(axis=0)

    np.testing.assert_allclose(combined, flux[0, good], rtol=1e-5)
    np.testing.assert_allclose(weight.sum(axis=0) ** -0.5, error[0, good], rtol=1e-5)
    np.testing.assert_array_equal(flux[1], flux[0])
    np.testing.assert_array_equal(np.bitwise_or.reduce(mask[2:]), mask[0])
    np.testing.assert_array_equal(np.bitwise_and.reduce(mask[2:]), mask[1])
    assert np.any(mask[1] != mask[0])


def test_visits_scatter_by_more_than_their_errors_and_neighbouring_pixels_alike(sample, observables):
    with _hdus(sample, observables, 8) as hdus:
        flux, error = (hdus[index].data.astype(float) for index in (1, 2))
    good = error[0] < NO_DATA

    # Two visits have independent noise; the combined spectrum shares that of each.
    pulls = (flux[2, good] - flux[3, good]) / np.hypot(error[2, good], error[3, good])

    detector = np.digitize(np.flatnonzero(good), (3400, 6200))
    for number, understated in enumerate(sample.understated[0]):
        assert np.std(pulls[detector == number]) == pytest.approx(understated, rel=0.1)
    neighbours = np.mean(pulls[1:] * pulls[:-1]) / np.mean(pulls**2)
    assert 0.3 < neighbours < 0.6


def test_the_header_says_what_the_star_is_and_that_it_is_simulated(tmp_path, sample, observables):
    header = read_header(_written(tmp_path, sample, observables, index=2))

    assert header["SIMULATE"] is True
    assert header["FIELD"] == header["SURVEY"] == header["AKMETHOD"] == "simulated"
    assert header["OBJID"] == observables.apogee_id[2]
    for card, name in {"J": "j_mag", "K": "k_mag", "K_ERR": "e_k_mag", "RA": "ra", "GLAT": "b"}.items():
        assert header[card] == getattr(observables, name)[2]
    assert header["SNR"] == pytest.approx(sample.snr[2], rel=1e-5)
    assert header["VHELIO1"] == pytest.approx(header["VRAD1"] + header["BC1"], abs=2e-5)
    assert header["DATE"] == header[f"DATE{header['NVISITS']}"][:10]
    assert all(card.comment for card in header.cards if card.keyword not in ("COMMENT", "HISTORY"))


# > The same bytes


def test_the_same_star_gives_the_same_bytes_whatever_surrounds_it(sample, observables):
    alone = a_sample(2), observables.take(slice(2))

    assert render_apstar(*alone, 1, seed=0) == render_apstar(sample, observables, 1, seed=0)


def test_another_seed_gives_other_visits(sample, observables):
    sample = _with(sample, n_visits=3)

    assert render_apstar(sample, observables, 0, seed=0) != render_apstar(sample, observables, 0, seed=1)


# > Flags


def test_flags_of_the_spectrum_are_those_of_more_than_a_fifth_of_the_pixels():
    has_data = np.arange(8575) < 8000
    flags = np.zeros(8575, np.int16)
    flags[:1700] |= 1 << 9  # more than a fifth of 8000
    flags[:1500] |= 1 << 10 | 1 << 3  # less
    flags[:4000] |= 1 << 12  # sky lines are no fault of the spectrum

    assert star_flags(flags, has_data, 50) == 1 << 9
    assert star_flags(flags | np.int16(2), has_data, 4) == 1 << 9 | 1 << 4 | 1 << 0
    assert star_flags(flags, ~has_data & has_data, 50) == 0
