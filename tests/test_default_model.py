"""The embedded default model is worth what is said of it.

The full figures, on thousands of stars of the full simulator and on catalogues of real ones, are those of
``make validate``; here are enough stars to notice a model that is broken or was swapped.
"""

import csv

import numpy as np
import pytest

from astra.modelling.simulator import compact
from astra.modelling.simulator.sample import simulate
from astra.pipelines.astronn_dist.distances.distance import unreliable
from astra.pipelines.astronn_dist.network.sampling import corrected, network_on, sample
from astra.pipelines.astronn_dist.weights.files import load_weights
from astra.pipelines.astronn_dist.weights.library import embedded_default
from astra.spectra.apstar import read_combined
from astra.spectra.rectify import rectify

M_GIANT = "2M17334253-1654573"

#: Largest median |Δd/d|: the measured figure of each class and what so few stars may be off.
SCATTER = {"rgb": 0.13, "red_clump": 0.10, "subgiant": 0.12, "dwarf": 0.08}


@pytest.fixture(scope="module")
def weights():
    return load_weights(embedded_default())


@pytest.fixture(scope="module")
def predict(weights):
    """Predictions as the task makes them, from pixels."""
    network = network_on("cpu", weights)

    def predict(pixels, names):
        flux, e_flux = rectify(*pixels)
        return corrected(sample(network, flux, names), flux, e_flux, weights)

    return predict


@pytest.fixture(scope="module")
def real(apstar_files, targets, predict):
    """Kind, prediction and flag of the real spectra."""
    with targets.open() as lines:
        kinds = {row["file"]: row["kind"] for row in csv.DictReader(lines)}
    read = [read_combined(path) for path in apstar_files]
    pixels = [np.stack([getattr(one, name) for one in read]) for name in ("flux", "e_flux", "pixel_flags")]
    found = predict(pixels, [path.name for path in apstar_files])
    flagged = unreliable(found.fakemag, found.e_fakemag)
    return {
        path.name: (kinds[path.name], fakemag, flag)
        for path, fakemag, flag in zip(apstar_files, found.fakemag, flagged, strict=True)
    }


def test_it_is_small_and_says_what_it_is_good_for(weights):
    assert embedded_default().stat().st_size <= 7e6
    assert weights.range
    assert weights.details["trained_on"]["stars"]["training"] > 100_000
    assert weights.validity is not None
    assert weights.missing is not None
    assert weights.calibration is not None


def test_simulated_stars_get_their_distances_and_honest_errors(predict):
    stars = simulate(compact.load(), 512, seed=2026)
    chosen = (stars.snr >= 50) & (stars.flux_ratio == 0)
    pixels = [getattr(stars, name)[chosen] for name in ("flux", "e_flux", "pixel_flags")]

    found = predict(pixels, [f"star {row}" for row in np.flatnonzero(chosen)])

    kind, true = stars.stars.kind[chosen], stars.fakemag[chosen]
    for name, largest in SCATTER.items():
        rows = kind == name
        assert np.median(np.abs(true[rows] / found.fakemag[rows] - 1)) < largest, name
    pull = (found.fakemag - true) / found.e_fakemag
    assert 0.75 < np.diff(np.percentile(pull, [16, 84]))[0] / 2 < 1.15
    assert np.mean(np.abs(pull) > 3) < 0.02
    assert np.mean(unreliable(found.fakemag, found.e_fakemag)) < 0.3


def test_a_real_m_giant_is_a_giant(real):
    (fakemag,) = (found for name, (_, found, _) in real.items() if M_GIANT in name)

    assert -8 < 5 * np.log10(fakemag) - 10 < -4


def test_every_real_m_and_l_dwarf_is_flagged(real):
    flags = [flag for kind, _, flag in real.values() if kind == "M or L dwarf"]

    assert len(flags) == 15
    assert all(flags)


def test_noise_without_a_star_is_flagged(predict):
    generator = np.random.default_rng(1)
    flux = 100 * np.clip(1 + 0.3 * generator.standard_normal((4, 8575)), 0.01, None)
    pixels = (flux, np.full_like(flux, 1.0), np.zeros(flux.shape, int))

    found = predict(pixels, list("abcd"))

    assert unreliable(found.fakemag, found.e_fakemag).all()
