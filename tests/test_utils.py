"""``astra.utils``, the small functions that upstream's users know."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astra import utils
from astra.errors import ConfigError


@given(st.integers(0, 2147), st.integers(0, 999), st.integers(0, 999))
def test_a_version_becomes_an_integer_and_a_version_again(major, minor, patch):
    version = f"{major}.{minor}.{patch}"

    number = utils.version_string_to_integer(version)

    assert (type(number), number // 1000) == (int, major * 1000 + minor)
    assert utils.version_integer_to_string(number) == version


@given(st.lists(st.tuples(*[st.integers(0, 999)] * 3), min_size=2))
def test_versions_sort_as_their_integers(versions):
    numbers = [utils.version_string_to_integer(".".join(map(str, version))) for version in sorted(versions)]

    assert numbers == sorted(numbers)


def test_home_and_variables_are_expanded_in_a_path(monkeypatch):
    monkeypatch.setenv("SURVEY", "/data")

    assert utils.expand_path("$SURVEY/${SURVEY}x/$") == "/data//datax/$"
    assert utils.expand_path("~/x") == f"{os.environ['HOME']}/x"
    with pytest.raises(ConfigError, match=r"^\$SURVEYS/x: .*variable SURVEYS is not set; set it"):
        utils.expand_path("$SURVEYS/x")


@pytest.mark.parametrize(
    ("structure", "flat"),
    [
        (None, []),
        (42, [42]),
        ("text", ["text"]),
        ({"a": "x", "b": {"c": ["y", (1, None, {2})]}}, ["x", "y", 1, 2]),
        pytest.param((number for number in range(3)), [0, 1, 2], id="a generator"),
    ],
    ids=str,
)
def test_what_is_nested_becomes_one_list(structure, flat):
    assert utils.flatten(structure) == flat
