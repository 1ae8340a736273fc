"""Every public object can be copied, pickled, and handed to another process."""

import copy
import multiprocessing
import pickle

import numpy as np
import pytest

import astra
from astra import errors
from astra.models import AstroNNdist, Distance, Source
from astra.pipelines.astronn_dist import astronn_dist
from astra.spectra.combined import CombinedSpectrum
from astra.spectra.lines import LINES

SPECTRUM = CombinedSpectrum(np.ones(8575), np.ones(8575), np.zeros(8575, np.int32))
ERRORS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, (Exception, Warning))
]


@pytest.fixture(scope="module")
def other_process():
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        yield lambda one: pool.apply(max, [[one]])


@pytest.fixture(params=["copy", "deepcopy", "pickle", "process"])
def again(request, other_process):
    ways = {
        "copy": copy.copy,
        "deepcopy": copy.deepcopy,
        "pickle": lambda one: pickle.loads(pickle.dumps(one)),
        "process": other_process,
    }
    return ways[request.param]


def test_tasks_are_found_by_their_names_and_a_copy_is_another_object(again):
    found = again(astronn_dist)

    assert found.name == astronn_dist.name
    assert (found is astronn_dist) == (again is not copy.copy)


def test_values_stay_equal(again):
    for value in (astra.Option(help="what"), LINES[0]):
        assert repr(again(value)) == repr(value)


def test_spectra_keep_their_pixels_and_their_identity(again):
    found = again(SPECTRUM)

    assert (type(found), found.digest()) == (CombinedSpectrum, SPECTRUM.digest())


@pytest.mark.parametrize(
    "row", [Distance(dist=3.5), AstroNNdist(task_pk=3, dist=3.5), Source(pk=3, ra=3.5)], ids=repr
)
def test_rows_keep_their_values(again, row):
    found = again(row)

    assert type(found) is type(row)
    np.testing.assert_equal(found.__data__, row.__data__)


@pytest.mark.parametrize("kind", ERRORS)
def test_errors_keep_their_words(again, kind):
    error = kind("what is wrong")

    found = again(error)

    assert (type(found), str(found)) == (kind, str(error))
    assert "what is wrong" in str(found)
