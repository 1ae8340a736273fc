"""The tables that say how wrong a model is, from stars whose errors are known."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy_simulator import a_sample

from astra.modelling.training import error_tables
from astra.modelling.training.error_tables import (
    ABS_KS,
    LIMITS,
    NARROWEST,
    ORDINARY,
    SHARES,
    SNR,
    Found,
    cost_of,
    fit_calibration,
    fit_missing,
    found_for,
    quantile,
    without,
)
from astra.modelling.training.evaluate import distance_error, half_width, pulls
from astra.modelling.training.simulated import examples_of
from astra.pipelines.astronn_dist.distances.distance import UNRELIABLE
from astra.pipelines.astronn_dist.network.bcnn import ApogeeDistBCNN
from astra.pipelines.astronn_dist.network.sampling import network_on, sample
from astra.pipelines.astronn_dist.weights.files import Weights
from astra.pipelines.astronn_dist.weights.missing import missing_shares
from astra.spectra.grid import DETECTORS
from astra.spectra.rectify import MASKED_BITS, rectify


def stars(n, *, bias=0.0, error=0.1, stated=0.1, abs_ks=(-6, 5), seed=0, wings=0.0) -> Found:
    """Stars whose predictions are off by ``bias`` in ln L, with a normal error, some with five times that."""
    random = np.random.default_rng(seed)
    fakemag = 10 ** (0.2 * random.uniform(*abs_ks, n) + 2)
    scatter = error * random.standard_normal(n) * np.where(random.random(n) < wings, 5, 1)
    snr = np.exp(random.uniform(*np.log((20, 500)), n))
    return Found(fakemag * np.exp(bias + scatter), fakemag, stated * fakemag, snr, np.zeros((n, 3)))


@pytest.fixture(scope="module")
def seen():
    """Some observed stars."""
    return a_sample(6, seed=1)


def quality(found: Found) -> tuple[float, float, float]:
    """Bias of the distance, width of the pulls, share beyond three."""
    pull = pulls(found.true, found.fakemag, found.e_fakemag)
    bias = np.median(distance_error(found.true, found.fakemag))
    return bias, half_width(pull), np.mean(np.abs(pull) > 3)


# > By luminosity and signal-to-noise ratio


@pytest.mark.parametrize("stated", [0.06, 0.15])
def test_what_is_biased_with_wrong_errors_is_right_on_other_stars(stated):
    fitted = fit_calibration([stars(12_000, bias=0.08, stated=stated)])

    bias, width, _ = quality(stars(12_000, bias=0.08, stated=stated, seed=1).calibrated(fitted))

    assert abs(bias) < 0.01
    assert width == pytest.approx(1, abs=0.03)


def test_corrections_differ_by_luminosity_and_noise_as_the_stars_do():
    bright = stars(10_000, bias=0.1, abs_ks=(-6, -3))
    bright = replace(bright, e_fakemag=np.where(bright.snr < 70, 0.05, 0.15) * bright.fakemag)
    faint = stars(10_000, bias=-0.1, abs_ks=(-1, 5))
    both = Found.joined([bright, faint])

    found = both.calibrated(fit_calibration([both]))

    for rows in (found.snr < 40, found.snr > 120):
        for part in (slice(0, 10_000), slice(10_000, None)):
            chosen = np.flatnonzero(rows)
            bias, width, _ = quality(found.take(chosen[np.isin(chosen, np.arange(20_000)[part])]))
            assert abs(bias) < 0.015
            assert width == pytest.approx(1, abs=0.08)


def test_sets_count_the_same_however_many_their_stars_are():
    narrow = {"abs_ks": (-2, -0.5)}
    many, few = stars(12_000, bias=0.06, **narrow), stars(4_000, bias=-0.04, seed=1, **narrow)

    fitted = fit_calibration([many, few])

    inside = (ABS_KS >= -2) & (ABS_KS <= -0.5)
    assert np.median(fitted.shift[inside]) == pytest.approx(0.01, abs=0.012)


def test_at_a_luminosity_that_no_star_has_only_wings_at_its_noise_may_widen_errors():
    fitted = fit_calibration([stars(5_000, bias=0.1, stated=0.05, abs_ks=(-4, 2))])

    far = (ABS_KS < -4.6) | (ABS_KS > 2.6)
    assert (fitted.shift[far] == 0).all()
    assert (fitted.factor[far] >= 1).all()
    assert (fitted.factor[far] <= 1 / NARROWEST).all()


def test_wings_of_any_set_widen_the_errors_but_by_no_more_than_is_allowed():
    plain, winged = stars(12_000), stars(12_000, wings=0.03, seed=1)
    inside = (ABS_KS > -5.6) & (ABS_KS < 4.6)

    without_wings, with_wings = (fit_calibration(sets).factor[inside] for sets in ([plain], [plain, winged]))

    assert 1.02 < np.median(with_wings / without_wings) < 1.02 / NARROWEST
    assert np.median(without_wings) == pytest.approx(1, abs=0.03)


def test_spectra_that_lack_a_detector_and_flagged_stars_hardly_count():
    good, odd = stars(5_000), stars(5_000, bias=0.5, seed=1)
    lost = replace(odd, missing=np.tile([0.0, ORDINARY + 0.01, 0.0], (5_000, 1)))
    flagged = replace(odd, e_fakemag=0.5 * odd.fakemag)

    alone = fit_calibration([good])

    np.testing.assert_array_equal(fit_calibration([Found.joined([good, lost])]).shift, alone.shift)
    moved = fit_calibration([Found.joined([good, flagged])]).shift
    assert np.abs(moved - alone.shift).max() < 0.1


@given(st.lists(st.tuples(st.integers(-20, 20), st.integers(1, 4)), min_size=1, max_size=30))
def test_the_weighted_median_lies_where_half_of_the_weight_is(pairs):
    values, weights = np.array(pairs, float).T

    found = quantile(values, weights, 0.5)

    assert weights[values < found].sum() <= 0.5 * weights.sum() + weights.max()
    assert weights[values > found].sum() <= 0.5 * weights.sum() + weights.max()


def test_a_table_is_of_every_luminosity_and_all_signal_to_noise_ratios_that_are_simulated():
    assert ABS_KS[0] <= -8
    assert ABS_KS[-1] >= 7
    assert 20 <= SNR[0] < 30
    assert 300 < SNR[-1] <= 500


# > What a network says of examples


def test_it_is_what_inference_says_of_them(seen):
    flux, e_flux = rectify(seen.flux, seen.e_flux, seen.pixel_flags)
    random = np.random.default_rng(0)
    state = {name: tensor.numpy() for name, tensor in ApogeeDistBCNN().state_dict().items()}
    state = {name: random.normal(0, 0.03, array.shape).astype(np.float32) for name, array in state.items()}
    state |= {"input_mean": 1 + state["input_mean"], "labels_std": np.array([50.0], np.float32)}
    weights, told = Weights("toy", "", state), []
    expected = sample(network_on("cpu", weights), flux, [str(n) for n in range(len(seen))], n_draws=100)

    found = found_for(
        weights,
        examples_of(seen, observed=True),
        seed=1,
        device="cpu",
        on_progress=lambda *numbers: told.append(numbers),
    )

    np.testing.assert_allclose(found.fakemag, expected.fakemag, rtol=0.05)
    np.testing.assert_allclose(found.e_fakemag, expected.e_fakemag, rtol=0.2)
    np.testing.assert_allclose(found.true, seen.fakemag, rtol=1e-6)
    np.testing.assert_allclose(found.missing, missing_shares(flux, e_flux), atol=0.01)
    # Below lines the errors are larger, relative to the continuum they are those of the photons.
    np.testing.assert_allclose(found.snr, seen.snr, rtol=0.5)
    assert told[-1] == (len(seen), len(seen))


# > By missing pixels


@pytest.mark.parametrize("share", [0.8, 1.0])
@pytest.mark.parametrize("detector", [0, 1, 2])
def test_a_detector_lacks_exactly_the_share_that_it_is_to_lack(seen, detector, share):
    chip = DETECTORS[detector]

    lost = without(seen, chip, share, np.random.default_rng(0))

    before = np.mean((seen.pixel_flags[:, slice(*chip)] & MASKED_BITS) > 0, axis=1)
    after = np.mean((lost.pixel_flags[:, slice(*chip)] & MASKED_BITS) > 0, axis=1)
    assert (before < 0.8).all()
    np.testing.assert_allclose(after, share, atol=1e-3)
    elsewhere = np.ones(seen.flux.shape[1], bool)
    elsewhere[slice(*chip)] = False
    for name in ("flux", "e_flux", "pixel_flags"):
        np.testing.assert_array_equal(getattr(lost, name)[:, elsewhere], getattr(seen, name)[:, elsewhere])


def test_pixels_are_lost_in_one_stretch(seen):
    begin, end = DETECTORS[1]

    lost = without(seen, (begin, end), 0.8, np.random.default_rng(0))

    taken = (lost.e_flux > seen.e_flux)[:, begin:end]
    kept = ((lost.pixel_flags & MASKED_BITS) == 0)[:, begin:end]
    for row in range(len(seen)):
        from_first = np.roll(kept[row], -np.flatnonzero(taken[row])[0])
        assert np.count_nonzero(np.diff(np.flatnonzero(from_first)) > 200) <= 1


@pytest.mark.parametrize("extra", [0.0, 0.12])
def test_the_cost_is_what_errors_lack_at_the_luminosity_that_suffers_most(extra):
    faint, bright = {"abs_ks": (LIMITS[0], 5)}, {"abs_ks": (-6, LIMITS[0] - 0.5)}
    whole = Found.joined([stars(8_000, **faint), stars(8_000, seed=1, **bright)])
    hurt = stars(8_000, error=np.hypot(0.1, extra), seed=1, **bright)
    lost = Found.joined([stars(8_000, **faint), hurt])

    assert cost_of(lost, whole) == pytest.approx(extra, abs=0.03)


def test_what_whole_spectra_lack_is_no_cost():
    whole = stars(8_000, stated=0.06)

    assert cost_of(whole, whole) == 0


def test_where_the_median_is_off_results_become_unreliable():
    assert cost_of(stars(3_000, bias=0.09, stated=0.3), stars(3_000, stated=0.3)) == UNRELIABLE


def test_costs_rise_with_what_is_missing_and_begin_at_what_real_masks_have(seen, monkeypatch):
    asked = []

    def find(lost):
        flux, e_flux = rectify(lost.flux, lost.e_flux, lost.pixel_flags)
        asked.append(missing_shares(flux, e_flux).max(axis=0))

    costs = iter([0.1, 0.05, 0.3] * 3)
    monkeypatch.setattr(error_tables, "cost_of", lambda lost, whole: next(costs))

    fitted = fit_missing(seen, find, np.random.default_rng(0))

    for shares, errors in vars(fitted).values():
        assert shares.tolist() == [ORDINARY, *SHARES]
        assert errors.tolist() == [0, 0.1, 0.1, 0.3]
    assert [int(np.argmax(shares)) for shares in asked[1:]] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
