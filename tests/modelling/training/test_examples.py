"""Examples, and their split by star: no star in two parts, the shares as asked for, no other influence."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from astra.errors import ConfigError, UsageError
from astra.modelling.training.examples import Examples, Split, split

SEEDS = st.integers(0, 2**63 - 1)
# Few different stars among many, and any number that a database gives.
STARS = arrays(
    np.int64, st.integers(0, 300), elements=st.one_of(st.integers(0, 50), st.integers(0, 2**63 - 1))
)


def test_taking_some_keeps_their_values_together(make_examples):
    examples = make_examples(10, masked=0.3)

    some = examples.take(np.array([7, 2]))

    assert len(some) == 2
    assert some.star.tolist() == [7, 2]
    np.testing.assert_array_equal(some.flux[1], examples.flux[2])
    assert some.masks is examples.masks


@pytest.mark.parametrize("field", ["flux", "fakemag", "e_fakemag", "noise", "masks"])
def test_the_digest_knows_other_examples(make_examples, field):
    examples = make_examples(10, masked=0.3)
    before = examples.digest()

    getattr(examples, field)[0] += 1

    assert examples.digest() != before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"flux": np.zeros((3, 7514), np.float16)}, r"training examples: flux has shape \(3, 7514\)"),
        ({"snr": np.zeros(3)}, "training examples: snr has shape"),
        ({"fakemag": np.array([1, np.nan, np.inf])}, "training examples: 2 of fakemag are not finite"),
        ({"masks": np.zeros((2, 900), np.uint8)}, "training examples: masks"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(make_examples, change, message):
    size = 3 if "fakemag" in change else 4
    examples = dataclasses.replace(make_examples(size), **change)

    with pytest.raises(ConfigError, match=message):
        examples.check("training")


def test_no_examples_are_refused(make_examples):
    with pytest.raises(ConfigError, match="there are none"):
        make_examples(0).check("training")


# > The split


def examples_of(star):
    """Examples of these stars, without anything to see."""
    numbers = np.zeros(len(star), np.float32)
    flux = np.broadcast_to(np.float16(0), (len(star), 7514))
    return Examples(
        flux, numbers, numbers, np.asarray(star, np.int64), np.full(len(star), ""), numbers, numbers, None
    )


def parts_of(star, seed, **options):
    """The number of the part of each star."""
    part = np.full(len(star), -1)
    for number, indices in enumerate(split(examples_of(star), seed, **options)):
        part[indices] = number
    return part


@given(STARS, SEEDS)
def test_every_example_is_in_one_part_and_its_star_in_no_other(star, seed):
    parts = split(examples_of(star), seed)

    assert sorted(np.concatenate(parts).tolist()) == list(range(len(star)))
    stars = [set(star[indices].tolist()) for indices in parts]
    assert sum(map(len, stars)) == len(set(star.tolist()))
    assert all((np.diff(indices) > 0).all() for indices in parts)


@given(STARS, SEEDS, st.randoms())
def test_neither_order_nor_other_stars_move_a_star(star, seed, random):
    order = np.array(random.sample(range(len(star)), len(star)), int)
    fewer = order[: len(star) // 2]

    all_parts = parts_of(star, seed)

    assert np.array_equal(parts_of(star[order], seed), all_parts[order])
    assert np.array_equal(parts_of(star[fewer], seed), all_parts[fewer])


@pytest.mark.parametrize("first", [0, 10**9, 2**62])
@pytest.mark.parametrize("step", [1, 2, 64, 10_000])
@pytest.mark.parametrize(
    ("seed", "fractions"),
    [(0, (0.8, 0.1, 0.1)), (1, (0.34, 0.33, 0.33)), (2, (0.98, 0.02, 0.0)), (3, (0.8, 0.1, 0.1))],
)
def test_the_parts_have_the_shares_asked_for(first, step, seed, fractions):
    n = 20_000
    parts = split(examples_of(first + step * np.arange(n)), seed, fractions)

    for indices, fraction in zip(parts, fractions, strict=True):
        assert abs(len(indices) - n * fraction) <= 5 * np.sqrt(n * fraction * (1 - fraction))


def test_another_seed_gives_a_split_of_its_own():
    star = np.arange(20_000)

    both = (parts_of(star, 1) == 2) & (parts_of(star, 2) == 2)

    assert both.mean() == pytest.approx(0.01, abs=0.004)


def test_the_split_of_a_seed_is_for_ever():
    _, validation, test = split(examples_of(np.arange(30)), 0)

    assert (validation.tolist(), test.tolist()) == ([0, 6, 11], [4, 13, 18])
    assert Split._fields == ("training", "validation", "test")


@pytest.mark.parametrize("fractions", [(0.8, 0.1), (0.8, 0.1, 0.2), (1.1, -0.1, 0.0), (0.8, 0.2, np.nan)])
def test_fractions_whose_sum_is_not_1_are_refused(fractions):
    with pytest.raises(UsageError, match="fractions of the split .*sum is 1"):
        split(examples_of([1]), 0, fractions)
