"""How many stars of each luminosity a survey has: volumes, colours, and the mix of classes."""

import numpy as np
import pytest

from astra.modelling.simulator.selection import BLUER, class_mix, mix_line, seen


def test_of_equally_frequent_stars_a_survey_has_more_of_the_brighter_ones():
    magnitude = np.array([6.0, 3.0, 0.0, -2.0])

    found = seen(np.ones(4), magnitude, np.full(4, 0.7))

    assert (np.diff(found) > 0).all()
    # Each step of 3 mag is a volume 60 times as large while the disc does not end.
    assert 10 < found[1] / found[0] < 70
    assert found[3] / found[2] < 16  # and 16 times as large for 2 mag


def test_each_field_has_as_many_stars_whatever_there_are():
    magnitude, colour = np.array([5.0, -1.0]), np.full(2, 0.8)

    one, many = seen(np.ones(2), magnitude, colour), seen(np.full(2, 50.0), magnitude, colour)

    np.testing.assert_allclose(one, many)


def test_blue_stars_are_seldom_targets_and_those_between_are_some_in_the_halo_alone():
    magnitude = np.full(3, 1.0)

    red, between, blue = seen(np.ones(3), magnitude, np.array([0.7, 0.4, 0.1]))

    assert blue / red == pytest.approx(BLUER, rel=0.5)
    assert blue < between < red


def test_no_star_without_a_number_is_seen():
    assert seen(np.array([0.0, 1.0]), np.zeros(2), np.ones(2))[0] == 0


def test_the_mix_is_given_in_words_the_most_frequent_class_first():
    kinds = np.array(["dwarf", "rgb", "rgb", "rgb"])

    assert class_mix(kinds) == {"rgb": 0.75, "dwarf": 0.25}
    assert mix_line(kinds) == "rgb 75.0 %, dwarf 25.0 %"
