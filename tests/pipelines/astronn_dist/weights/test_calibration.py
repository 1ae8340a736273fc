"""The corrections by luminosity and signal-to-noise ratio that a model's file may hold."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import RegularGridInterpolator

from astra.pipelines.astronn_dist.estimating import Model
from astra.pipelines.astronn_dist.network.sampling import Prediction, calibrated, corrected, network_on
from astra.pipelines.astronn_dist.weights.calibration import Calibration, from_file, seen_snr, to_file
from astra.pipelines.astronn_dist.weights.files import load_weights
from astra.pipelines.astronn_dist.weights.formats import WrongWeights

from tolerances import FLOAT64

RANDOM = np.random.default_rng(3)
ABS_KS, SNR = np.array([-6.0, -2.0, -1.5, 4.0]), np.array([20.0, 50.0, 300.0])
TABLE = Calibration(ABS_KS, SNR, RANDOM.normal(0, 0.05, (4, 3)), RANDOM.uniform(0.7, 1.4, (4, 3)))
PLAIN = {
    "abs_ks": [-5.0, 0.0],
    "snr": [20.0, 100.0, 300.0],
    "shift": [[0.0, 0.1, 0.2], [0.0, 0.0, 0.0]],
    "factor": [[1.0, 1.1, 1.2], [1, 1, 1]],
}


def fakemag_of(abs_ks):
    return 10 ** (0.2 * np.asarray(abs_ks) + 2)


@given(abs_ks=st.floats(-9, 9), snr=st.floats(1, 2000))
def test_between_nodes_it_is_interpolated_and_beyond_them_it_stays(abs_ks, snr):
    inside = np.clip(abs_ks, -6, 4), np.log(np.clip(snr, 20, 300))
    expected = [
        RegularGridInterpolator((ABS_KS, np.log(SNR)), values)(inside).item()
        for values in (TABLE.shift, np.log(TABLE.factor))
    ]

    shift, factor = TABLE.at(fakemag_of([abs_ks]), np.array([snr]))

    assert shift[0] == pytest.approx(expected[0], abs=1e-9)
    assert factor[0] == pytest.approx(np.exp(expected[1]), rel=1e-9)


def test_a_star_has_the_same_correction_whatever_is_computed_with_it():
    fakemag, snr = fakemag_of(RANDOM.uniform(-8, 6, 500)), RANDOM.uniform(10, 500, 500)

    together = TABLE.at(fakemag, snr)

    for row in range(0, 500, 50):
        alone = TABLE.at(fakemag[row : row + 1], snr[row : row + 1])
        assert [values[row] for values in together] == [values[0] for values in alone]


def test_the_shift_moves_the_luminosity_and_its_errors_and_the_factor_scales_the_total_one():
    prediction = Prediction(np.array([40.0, 60.0]), np.array([4.0, 9.0]), np.array([2.0, 3.0]))
    snr = np.array([30.0, 200.0])

    found = calibrated(prediction, snr, TABLE)

    shift, factor = TABLE.at(prediction.fakemag, snr)
    np.testing.assert_allclose(np.log(found.fakemag / prediction.fakemag), shift, rtol=1e-9)
    relative, before = (each.e_fakemag / each.fakemag for each in (found, prediction))
    np.testing.assert_allclose(relative / before, factor, rtol=1e-9)
    np.testing.assert_allclose(
        found.e_model_fakemag / found.fakemag, prediction.e_model_fakemag / prediction.fakemag, rtol=1e-9
    )


def test_what_is_no_prediction_stays_none():
    nothing = np.array([np.nan, 0.0])

    found = calibrated(Prediction(nothing, nothing, nothing), np.array([100.0, 100.0]), TABLE)

    assert np.isnan(found.fakemag).all()
    assert np.isnan(found.e_fakemag).all()


def test_the_ratio_is_that_of_the_stated_errors_where_the_network_sees_something():
    e_flux = np.full((4, 7514), 0.02)
    flux = np.full(e_flux.shape, 0.9)
    flux[1, :4000] = e_flux[1, :4000] = 1.0
    e_flux[2, ::2] = np.inf
    flux[3] = e_flux[3] = 1.0

    assert seen_snr(flux, e_flux) == pytest.approx([50, 50, 50, 0])


def test_the_draws_of_a_model_are_moved_with_their_mean(toy_weights):
    weights = load_weights(toy_weights)
    network, names = network_on("cpu", weights), ["a", "b"]
    flux = 1 + RANDOM.normal(0, 0.1, (2, 7514))
    e_flux = np.full(flux.shape, 0.01)

    plain, before = Model(network, None).predict(flux, e_flux, names, n_draws=10, seed=0)
    found, draws = Model(network, None, None, TABLE).predict(flux, e_flux, names, n_draws=10, seed=0)

    expected = corrected(plain, flux, e_flux, dataclasses.replace(weights, calibration=TABLE))
    for name, values in vars(found).items():
        np.testing.assert_array_equal(values, getattr(expected, name))
    np.testing.assert_allclose(draws.mean(axis=1), found.fakemag, rtol=FLOAT64)
    np.testing.assert_allclose(draws / before, (found.fakemag / plain.fakemag)[:, None] * np.ones(10))


def test_it_comes_back_from_a_file_as_it_was_written():
    read = from_file({"calibration": to_file(TABLE)})

    for name, values in vars(TABLE).items():
        np.testing.assert_array_equal(getattr(read, name), values)
    assert from_file({"metrics": {}}) is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"snr": None}, "no lists abs_ks, snr, shift, factor"),
        ({"abs_ks": [-5.0]}, "shift is not 1 lists of 3 numbers"),
        ({"abs_ks": [], "shift": [], "factor": []}, "no nodes"),
        ({"abs_ks": [0.0, -5.0]}, "not in ascending order of abs_ks"),
        ({"snr": [20.0, 20.0, 300.0]}, "not in ascending order of snr"),
        ({"snr": [0.0, 100.0, 300.0]}, "not positive"),
        ({"factor": [[1.0, 1.1, 1.2], [1, 0, 1]]}, "not positive"),
        ({"factor": [[1.0, 1.1, 1.2], [1, 1]]}, "factor is not 2 lists of 3 numbers"),
        ({"shift": [[0.0, 0.1, "0.2"], [0.0, 0.0, 0.0]]}, "something other than numbers"),
        ({"shift": [[0.0, 0.1, float("nan")], [0.0, 0.0, 0.0]]}, "NaN or infinity"),
        ({"shift": [[0.0, 0.1, 10**400], [0.0, 0.0, 0.0]]}, "a number too large"),
    ],
)
def test_half_a_table_is_refused(change, words):
    with pytest.raises(WrongWeights, match=words):
        from_file({"calibration": PLAIN | change})
