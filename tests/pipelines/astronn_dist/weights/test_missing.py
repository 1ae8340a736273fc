"""What missing pixels cost, by the tables that a model's file may hold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from astra.pipelines.astronn_dist.estimating import Model
from astra.pipelines.astronn_dist.network.sampling import network_on
from astra.pipelines.astronn_dist.weights.files import load_weights
from astra.pipelines.astronn_dist.weights.formats import WrongWeights
from astra.pipelines.astronn_dist.weights.missing import (
    MissingPixels,
    cost,
    from_file,
    missing_shares,
    to_file,
)
from astra.spectra.combined import CombinedSpectrum
from astra.spectra.coverage import coverage_of
from astra.spectra.grid import BADPIX, CHIPS, DETECTORS, N_GRID
from astra.spectra.rectify import rectify

NONE = np.array([0.0, 1.0]), np.array([0.0, 0.0])
BLUE = np.array([0.7, 0.9, 1.0]), np.array([0.0, 0.1, 0.4])
TABLES = MissingPixels(BLUE, NONE, (np.array([0.5, 1.0]), np.array([0.0, 0.3])))
PLAIN = {name: {"share": [0.5, 1.0], "relative_error": [0.0, 0.3]} for name in ("blue", "green", "red")}


def a_spectrum(lost=None, how="masked"):
    """Flux, errors and flags, of which a detector may be lost in one way or another."""
    random = np.random.default_rng(1)
    flux, e_flux = 1000 + random.normal(0, 10, N_GRID), np.full(N_GRID, 10.0)
    flags = np.where(random.random(N_GRID) < 0.1, 1 << BADPIX, 0).astype(np.int32)
    if lost is not None:
        pixels = slice(*DETECTORS[lost])
        if how == "masked":
            flags[pixels] |= 1 << BADPIX
        elif how == "without weight":
            e_flux[pixels] = np.inf
        else:
            flux[pixels] = 0
    return flux, e_flux, flags


@pytest.mark.parametrize("how", ["masked", "without weight", "zeros"])
@pytest.mark.parametrize("lost", [0, 1, 2, None])
def test_the_shares_are_those_that_are_not_covered(lost, how):
    spectrum = a_spectrum(lost, how)

    shares = missing_shares(*(array[None] for array in rectify(*spectrum)))[0]

    covered = coverage_of(CombinedSpectrum(*spectrum))
    np.testing.assert_allclose(1 - shares, covered[1:], atol=1e-12)
    assert (shares[lost] == 1) if lost is not None else (shares < 0.2).all()


@given(shares=st.tuples(*3 * (st.floats(0, 1),)))
def test_the_costs_of_the_detectors_add_in_quadrature(shares):
    blue, green, red = shares
    expected = np.hypot(np.interp(blue, *BLUE), np.interp(red, [0.5, 1], [0, 0.3]))

    assert cost(np.array([shares]), TABLES)[0] == pytest.approx(expected, abs=1e-12)
    assert cost(np.array([[0.4, green, 0.4]]), TABLES)[0] == 0


@pytest.mark.parametrize("lost", [0, 1, 2, None])
def test_a_model_adds_them_to_its_error_and_leaves_whole_spectra_as_they_are(toy_weights, lost):
    network = network_on("cpu", load_weights(toy_weights))
    flux, e_flux = (array[None] for array in rectify(*a_spectrum(lost)))

    plain, _ = Model(network, None).predict(flux, e_flux, ["a"], n_draws=5, seed=0)
    found, _ = Model(network, None, TABLES).predict(flux, e_flux, ["a"], n_draws=5, seed=0)

    assert found.fakemag == plain.fakemag
    assert found.e_model_fakemag == plain.e_model_fakemag
    added = {0: 0.4, 1: 0.0, 2: 0.3, None: 0.0}[lost]
    assert found.e_fakemag == pytest.approx(np.hypot(plain.e_fakemag, added * plain.fakemag), rel=1e-12)
    if not added:
        assert found.e_fakemag == plain.e_fakemag


def test_they_come_back_from_a_file_as_they_were_written():
    read = from_file({"missing_pixels": to_file(TABLES)})

    for name, curve in vars(TABLES).items():
        np.testing.assert_array_equal(getattr(read, name), curve)
    assert from_file({"range": "stars"}) is None


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"blue": PLAIN["blue"]}, "no tables blue, green, red"),
        (PLAIN | {"infrared": PLAIN["red"]}, "no tables blue, green, red, or others"),
        ([], "no tables blue"),
        (PLAIN | {"red": {"share": [0.5]}}, "red, in the details has no lists share and relative_error"),
        (PLAIN | {"red": {"share": [0.5], "relative_error": []}}, "has 1 shares and 0 errors"),
        (PLAIN | {"red": {"share": [0.5, 0.4], "relative_error": [0, 0]}}, "not in ascending order of share"),
        (PLAIN | {"red": {"share": [0.5, 1.1], "relative_error": [0, 0]}}, "a share above 1"),
        (PLAIN | {"red": {"share": [0.5, 1], "relative_error": [0, -1]}}, "negative number"),
    ],
)
def test_half_a_table_is_refused(table, words):
    assert len(CHIPS) == 3
    with pytest.raises(WrongWeights, match=words):
        from_file({"missing_pixels": table})
