"""``astra models compare`` on files, on a database, and against the truth of a simulation."""

import json
import re

import numpy as np
import pytest

from astra.models import AstroNNdist
from astra.pipelines.astronn_dist.weights.files import Weights, load_weights, save_weights


@pytest.fixture
def brighter(toy_weights, tmp_path):
    """The small weights, but luminosities are a quarter larger, so that distances are 0.8 of theirs."""
    tensors = dict(load_weights(toy_weights).tensors)
    tensors["labels_std"] = tensors["labels_std"] * np.float32(1.25)
    path = tmp_path / "brighter.safetensors"
    save_weights(Weights("brighter", "", tensors), path)
    return path


def _compared(astra, toy_weights, brighter, *words):
    code, out, err = astra("models", "compare", str(toy_weights), str(brighter), *map(str, words))
    assert code == 0, err
    return out


def test_files_are_compared_without_a_database(astra, simulated, toy_weights, brighter):
    files = sorted(simulated.glob("apStar-*.fits"))[:6]

    words = ("--catalog", simulated / "targets.csv", "--truth", simulated, "--json")
    found = json.loads(_compared(astra, toy_weights, brighter, *files, *words))

    assert found["spectra"] == 6
    assert found["distances"]["with_result"] == {"both": 6, "first": 0, "second": 0}
    assert (found["first"], found["second"]) == (str(toy_weights), str(brighter))
    medians = [part["median"] for part in found["distances"]["parts"]]
    assert medians == pytest.approx([-0.2] * len(medians), abs=1e-6)
    assert {each["stars"] for each in found["distances"]["truth"]["first"] if each["kind"] == "all"} == {6}


def test_of_a_database_nothing_is_written_and_the_shift_is_said(astra, db, simulated, toy_weights, brighter):
    assert astra("ingest", "apstar", str(simulated), "--catalog", str(simulated / "targets.csv"))[0] == 0

    shown = _compared(astra, toy_weights, brighter, "--limit", 5)

    assert re.search(r"^5 spectra, ", shown, re.MULTILINE)
    assert "Distance by the second / by the first - 1" in shown
    assert "-20.0%" in shown
    assert AstroNNdist.select().count() == 0


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--catalog", "t.csv"), 2, "--catalog is of the stars of files: name files"),
        (("nowhere.fits",), 2, "cannot read nowhere.fits"),
    ],
)
def test_what_cannot_be_compared_is_one_line(astra, db, toy_weights, brighter, words, code, said):
    found, _, err = astra("models", "compare", str(toy_weights), str(brighter), *words)

    assert found == code
    assert said in err
