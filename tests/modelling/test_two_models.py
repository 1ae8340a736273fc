"""Two models on the same spectra: which differs where, and which is better by Gaia and by the truth."""

import json

import numpy as np
import pytest
from builders import on_sqlite

from astra.cli.console import absent_as_null
from astra.errors import UsageError
from astra.modelling.comparison import Compared
from astra.modelling.two_models import OF_STARS, Better, compare_models, sample_of_database
from astra.models import AstroNNdist
from astra.report.paired.pairs import bit_columns, compared_columns

N = 400
DIST = 1000.0


def side(factor, scatter, seed):
    """Results of giants at one distance, off by a factor and a scatter, with errors of a tenth."""
    off = factor * np.exp(scatter * np.random.default_rng(seed).standard_normal(N))
    columns = {name: np.full(N, np.nan) for name in compared_columns(AstroNNdist)}
    columns |= {name: np.zeros(N, np.int64) for name in bit_columns(AstroNNdist)}
    dist = DIST * off
    return columns | {
        "dist": dist,
        "e_dist": 0.1 * dist,
        "e_model_dist": 0.05 * dist,
        "L_fakemag": np.full(N, 30.0),
        "k_mag": np.full(N, 8.0),
        "A_k_mag": np.full(N, 0.1),
        "nn_parallax": 1000 / dist,
        "e_nn_parallax": 100 / dist,
        "gaia_parallax": np.full(N, 1000 / DIST),
        "e_gaia_parallax": np.full(N, 0.02),
        "plx_zero_point": np.full(N, -0.03),
    }


STARS = dict.fromkeys(OF_STARS, np.full(N, 50.0)) | {"spectrum_flags": np.zeros(N, np.int64)}
STARS["ruwe"] = np.ones(N)
IDS = [f"2M{place}" for place in range(N)]
TRUTH = {name: Compared(name, "rgb", 50.0, DIST) for name in IDS}


@pytest.fixture(scope="module")
def found():
    return compare_models(("a", "b"), (side(1.0, 0.2, 1), side(1.05, 0.05, 2)), STARS, IDS, TRUTH)


def test_a_planted_shift_is_found_and_the_better_model_named(found):
    whole = found.changes.all
    (part, better), *_ = found.gaia

    assert whole.n == N
    assert whole.median == pytest.approx(0.05, abs=0.04)
    assert part.trial.width < part.production.width
    assert better.verdict == "second"
    assert found.truth.first[-1].scatter > 1.5 * found.truth.second[-1].scatter
    assert {each.verdict for each in found.truth.better} == {"second"}


def test_a_model_is_no_better_than_itself():
    one = side(1.0, 0.2, 1)

    found = compare_models(("a", "a"), (one, one), STARS, IDS, TRUTH)

    assert found.changes.all.identical == N
    assert {better.verdict for _, better in found.gaia} == {"neither"}
    assert found.truth.better == []


def test_what_chance_could_have_done_is_no_verdict():
    assert Better("all", "all", 100, 0.59, 0.05).verdict == "neither"
    assert Better("all", "all", 100, 0.61, 0.05).verdict == "second"
    assert Better("all", "all", 100, 0.39, 0.05).verdict == "first"


def test_all_of_it_is_json(found):
    printed = json.loads(json.dumps(absent_as_null(found.as_json()), allow_nan=False))

    assert printed["distances"]["gaia"][0]["better"] == "second"


def test_stars_of_another_simulation_and_no_spectra_are_refused():
    one = side(1.0, 0.2, 1)

    with pytest.raises(UsageError, match="none of the spectra is of a star of this simulation"):
        compare_models(("a", "b"), (one, one), STARS, IDS, {})
    with pytest.raises(UsageError, match="nothing to compare"):
        compare_models(("a", "b"), ({}, {}), {}, [])


@on_sqlite
def test_a_database_without_spectra_gives_none(db):
    assert sample_of_database(5).spectra == []
