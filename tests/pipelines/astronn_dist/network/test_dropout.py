"""The random bits behind dropout: fair, independent, and the same wherever they are computed."""

import hashlib

import numpy as np
import pytest

from astra.pipelines.astronn_dist.network.bcnn import TorchNetwork
from astra.pipelines.astronn_dist.network.dropout import (
    DROPOUT_RATE,
    GAMMA,
    LAYERS,
    THRESHOLD,
    dropout_factors,
    mixed,
)
from astra.pipelines.astronn_dist.weights.files import load_weights


def test_the_words_are_those_of_the_algorithm():
    """The first five of the public-domain implementation of S. Vigna (2015), begun with 1234567."""
    states = np.uint64(1234567) + np.arange(1, 6, dtype=np.uint64) * np.uint64(GAMMA)

    assert mixed(states).tolist() == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


@pytest.mark.parametrize("layer", LAYERS)
def test_torch_computes_the_same_bits(layer, toy_weights):
    network = TorchNetwork(load_weights(toy_weights))

    found = network._factors(layer, 3, ["a star", "another"], 200).numpy()

    expected = [dropout_factors(layer, 3, name, 200, 100) for name in ("a star", "another")]
    np.testing.assert_array_equal(found, np.concatenate(expected))


@pytest.fixture(scope="module")
def kept():
    """For each layer, which units 400 draws of a spectrum keep: bool of shape (400, units)."""
    return {layer: (dropout_factors(layer, 0, "a star", 0, 400) > 0).reshape(400, -1) for layer in LAYERS}


def assert_uncorrelated(one, other):
    correlation = np.corrcoef(one.ravel(), other.ravel())[0, 1]
    assert abs(correlation) < 5 / np.sqrt(one.size)


def test_a_factor_is_0_or_makes_up_for_those_that_are():
    for layer, shape in LAYERS.items():
        factors = dropout_factors(layer, 0, "a star", 0, 3)

        assert factors.shape == (3, *shape)
        assert factors.dtype == np.float32
        assert set(np.unique(factors)) == {np.float32(0), np.float32(1 / (1 - DROPOUT_RATE))}


def test_the_threshold_is_the_rate_to_16_bits():
    assert abs(THRESHOLD / 2**16 - (1 - DROPOUT_RATE)) < 2**-17


@pytest.mark.parametrize("layer", LAYERS)
def test_units_are_kept_at_the_rate_in_all_in_each_draw_and_each_of_them(kept, layer):
    share = 1 - DROPOUT_RATE
    for axis in (None, 0, 1):
        rate = kept[layer].mean(axis=axis)
        size = kept[layer].size // rate.size

        deviation = (rate - share) / np.sqrt(share * DROPOUT_RATE / size)
        # Of 15,028 units, one in 600 such arrays goes beyond 5.5.
        assert (np.abs(deviation) < 5.5).all()
        if rate.size > 1:
            assert np.std(deviation) == pytest.approx(1, abs=5 / np.sqrt(2 * rate.size))


@pytest.mark.parametrize("layer", LAYERS)
def test_draws_neighbouring_units_and_blocks_of_random_bits_are_independent(kept, layer):
    assert_uncorrelated(kept[layer][1:], kept[layer][:-1])
    for distance in (1, 2, 4, 16):
        assert_uncorrelated(kept[layer][:, distance:], kept[layer][:, :-distance])


def test_layers_are_independent(kept):
    for one, other in (("conv1", "features"), ("features", "dense_1"), ("conv1", "dense_1")):
        units = min(kept[one].shape[1], kept[other].shape[1])
        assert_uncorrelated(kept[one][:, :units], kept[other][:, :units])


@pytest.mark.parametrize("layer", LAYERS)
def test_stars_and_seeds_are_independent(kept, layer):
    for seed, name in ((0, "another star"), (1, "a star"), (-1, "a star"), (0, "a star "), (0, "")):
        other = (dropout_factors(layer, seed, name, 0, 400) > 0).reshape(400, -1)
        assert_uncorrelated(kept[layer], other)


@pytest.mark.parametrize("layer", LAYERS)
def test_a_draw_is_the_same_wherever_one_starts(layer):
    whole = dropout_factors(layer, 5, "a star", 0, 20)

    np.testing.assert_array_equal(dropout_factors(layer, 5, "a star", 7, 3), whole[7:10])


def test_masks_are_for_ever():
    """Other masks would move every published distance; they come with a new version of the pipeline only."""
    digest = hashlib.sha256()
    for layer in LAYERS:
        digest.update(
            np.packbits(dropout_factors(layer, 0, "apstar/…/2M00000068+5710233", 98, 4) > 0).tobytes()
        )

    assert digest.hexdigest() == "b350175cf18174a880e0ac02453272bab1bb002ebcb4ba6e1374a91dbd13fdc2"
