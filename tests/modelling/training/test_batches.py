"""The batches of an epoch: their noise and masks, their order, and what is dropped."""

import dataclasses

import numpy as np
import pytest

from astra.modelling.simulator.noise import correlation
from astra.modelling.training.batches import Batches, new_generator, random_bits
from astra.pipelines.astronn_dist.network.dropout import DROPOUT_RATE, THRESHOLD
from astra.spectra.grid import CHIPS


def augmented(examples, seed: int = 0) -> np.ndarray:
    batches = Batches(examples, len(examples), 0)
    return batches.flux(np.arange(len(examples)), new_generator(seed, 1))


def test_a_spectrum_that_lacks_nothing_is_left_as_it_is(make_examples):
    examples = make_examples(5)

    np.testing.assert_array_equal(augmented(examples), examples.flux.astype(np.float32))


def test_each_spectrum_gets_noise_of_its_own_scale_that_is_larger_than_stated(make_examples):
    examples = make_examples(40)
    examples.noise[:] = np.linspace(0, 0.1, 40)

    noise = augmented(examples) - examples.flux

    assert not noise[0].any()
    ratio = noise.std(axis=1)[1:] / examples.noise[1:]
    assert 1.0 < ratio.min() < 1.2 < ratio.max() < 1.6
    assert np.corrcoef(noise[1:])[~np.eye(39, dtype=bool)].std() < 0.06


def test_noise_has_the_correlation_and_the_profile_of_simulated_spectra(make_examples):
    examples = make_examples(400, noise=0.01)

    noise = (augmented(examples) - examples.flux) / 0.01

    for number, chip in enumerate(CHIPS):
        part = noise[:, chip]
        found = [np.mean(part[:, lag:] * part[:, :-lag]) for lag in (1, 2, 3, 10)] / np.mean(part**2)
        np.testing.assert_allclose(found, correlation(number, np.array([1, 2, 3, 10])), atol=0.03)
    blue, red = noise[:, CHIPS[0]], noise[:, CHIPS[2]]
    assert red[:, -200:].std() > 1.3 * red[:, :200].std()
    assert blue[:, :200].std() > 1.1 * blue[:, -200:].std()


def test_noise_makes_no_negative_flux(make_examples):
    assert augmented(make_examples(10, noise=2.0)).min() == -1


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_a_continuum_that_passes_through_zero_makes_no_flux_without_a_bound(make_examples, noise):
    examples = make_examples(10, noise=noise)
    examples.flux[3, 7290:7295] = [18, 24, 73, 8264, -8264]

    flux = augmented(examples)[3, 7290:7295]

    assert (flux[:4] == 10).all()
    assert flux[4] == (-1 if noise else -10)


def test_each_spectrum_gets_one_of_the_masks_over_its_noise(make_examples):
    examples = make_examples(30, noise=0.1, masked=0.3)
    patterns = np.unpackbits(examples.masks, axis=1, count=7514).astype(bool)

    masked = augmented(examples) == 0

    chosen = [int(np.flatnonzero((patterns == row).all(axis=1)).item()) for row in masked]
    assert len(set(chosen)) > 3


def test_noise_and_masks_are_those_of_the_generator(make_examples):
    examples = make_examples(10, noise=0.1, masked=0.3)

    np.testing.assert_array_equal(augmented(examples, seed=1), augmented(examples, seed=1))
    assert (augmented(examples, seed=1) != augmented(examples, seed=2)).mean() > 0.5


def test_a_memory_mapped_file_gives_the_same_as_an_array(make_examples, tmp_path):
    examples = make_examples(20, noise=0.1)
    np.save(tmp_path / "flux.npy", examples.flux)
    mapped = dataclasses.replace(examples, flux=np.load(tmp_path / "flux.npy", mmap_mode="r"))

    np.testing.assert_array_equal(augmented(mapped), augmented(examples))
    assert mapped.digest() == examples.digest()


# > Epochs


def test_an_epoch_uses_each_example_once_in_another_order_than_the_last(make_examples):
    examples = make_examples(24)
    batches = Batches(examples, 8, 0, part_size=3, with_bits=False)

    epochs = [
        [label for parts in batches.epoch(epoch) for part in parts for label in part.fakemag]
        for epoch in (0, 1)
    ]

    assert sorted(epochs[0]) == sorted(epochs[1]) == sorted(examples.fakemag)
    assert epochs[0] != epochs[1]
    assert [len(part.fakemag) for part in next(batches.epoch(0))] == [3, 3, 2]


def test_an_epoch_that_starts_late_goes_on_with_the_same_batches(make_examples):
    examples = make_examples(40, noise=0.1, masked=0.3)
    batches = Batches(examples, 8, 0, part_size=4, with_bits=True)

    late = list(batches.epoch(1, 3))

    for parts, expected in zip(late, list(batches.epoch(1))[3:], strict=True):
        for part, other in zip(parts, expected, strict=True):
            np.testing.assert_array_equal(part.flux, other.flux)
            np.testing.assert_array_equal(part.bits[0], other.bits[0])


def test_fewer_examples_than_a_batch_are_one_batch(make_examples):
    assert len(Batches(make_examples(5), 128, 0, part_size=64, with_bits=False)) == 1


def test_random_bits_keep_units_as_often_as_inference_does():
    bits = random_bits(20, new_generator(1))[0]

    kept = (bits < THRESHOLD - 2**15).mean()

    assert kept == pytest.approx(1 - DROPOUT_RATE, abs=0.005)
