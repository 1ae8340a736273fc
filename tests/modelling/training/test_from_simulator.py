"""From simulated stars to weights: what the file says of itself, and the same numbers if it is stopped."""

import json

import numpy as np
import pytest

from astra.errors import ConfigError, Interrupted, UsageError
from astra.modelling.training import from_simulator
from astra.modelling.training.from_simulator import conditions_of, train_from_simulator
from astra.modelling.training.loop import CHECKPOINT
from astra.modelling.training.request import TrainingRequest
from astra.pipelines.astronn_dist.weights.files import load_weights

N_STARS = 256


def request(folder, **options):
    folder.mkdir(exist_ok=True)
    return TrainingRequest(folder / "made.safetensors", **({"epochs": 2, "batch_size": 32} | options))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Weights from a few stars of the compact simulator."""
    asked = request(tmp_path_factory.mktemp("made"))
    return asked, train_from_simulator(asked, n_stars=N_STARS)


def test_the_file_says_what_it_was_made_from_and_for(made):
    asked, path = made
    weights = load_weights(path)

    details = weights.details
    assert path == asked.output
    assert details["trained_on"]["stars"]["training"] == N_STARS
    assert details["trained_on"]["simulator"] == "compact simulator"
    assert details["seed"] == 0
    assert details["options"]["epochs"] == 2
    assert "giants" in weights.range
    assert weights.validity is not None
    assert {"rgb", "dwarf", "all"} <= details["metrics"]["single"].keys()
    assert json.loads(json.dumps(details)) == details


def test_both_heads_are_for_fewer_pairs_than_were_learnt_from_and_predictions_for_more_warm_ones():
    learnt, prediction, error = (conditions_of(name) for name in ("training", "prediction", "error"))

    for head in (prediction, error):
        assert 0 < head.companions["dwarf"] < 0.5 * learnt.companions["dwarf"]
    assert 0.5 >= prediction.warm_companions > learnt.warm_companions > error.warm_companions > 0.25


def test_predictions_are_for_dwarfs_and_subgiants_stranger_than_those_learnt_from():
    learnt, prediction, error = (conditions_of(name) for name in ("training", "prediction", "error"))

    for kind in ("dwarf", "subgiant"):
        assert prediction.foreign[kind] == 1 > learnt.foreign[kind]
    assert prediction.foreign["rgb"] == learnt.foreign["rgb"]
    assert prediction.broad == 1
    assert learnt.broad == error.broad == 0
    assert error.foreign == learnt.foreign


def test_a_report_lies_beside_it(made):
    _, path = made

    report = path.with_suffix(".report.html").read_text()

    assert load_weights(path).sha256[:12] in report


def test_doubt_begins_at_the_last_hundredth_of_unseen_stars(made):
    _, path = made

    validity = load_weights(path).validity

    begins, unknown = validity.excess
    assert 0.005 < begins < 0.05
    assert unknown == pytest.approx(1.5 * begins)
    assert validity.relative_error.tolist() == [0, 1]


@pytest.mark.slow
def test_one_seed_gives_one_file_also_if_it_was_stopped(made, tmp_path):
    _, path = made
    asked = request(tmp_path / "again")

    def stop_in_training(what, done, total):
        if what == "training" and done >= 9:
            raise Interrupted("stopped")

    with pytest.raises(Interrupted):
        train_from_simulator(asked, n_stars=N_STARS, on_progress=stop_in_training)
    again = train_from_simulator(asked, n_stars=N_STARS)

    assert again.read_bytes() == path.read_bytes()
    assert not (asked.folder / "seed-0" / CHECKPOINT).exists()


@pytest.mark.slow
def test_another_seed_learns_otherwise_from_the_same_stars(made, tmp_path, monkeypatch):
    asked, path = made
    other = request(tmp_path / "other", seed=1, work=asked.folder)
    drawn = []
    monkeypatch.setattr(from_simulator, "simulated_examples", _told(from_simulator.simulated_examples, drawn))

    second = train_from_simulator(other, n_stars=N_STARS)

    assert {recipe.seed for recipe in drawn} == {101, 102, 103, 106}
    first, second = load_weights(path), load_weights(second)
    assert not np.array_equal(first.tensors["dense_1.weight"], second.tensors["dense_1.weight"])
    np.testing.assert_array_equal(first.validity.components, second.validity.components)


def _told(function, recipes):
    def call(simulator, recipe, *arguments, **options):
        recipes.append(recipe)
        return function(simulator, recipe, *arguments, **options)

    return call


def test_one_folder_of_published_data_without_the_other_is_refused(tmp_path):
    with pytest.raises(UsageError, match="--isochrones go together"):
        train_from_simulator(request(tmp_path), n_stars=N_STARS, spectra_models=tmp_path)


def test_a_folder_without_emulators_is_named(tmp_path):
    with pytest.raises(ConfigError, match="cannon_giants"):
        train_from_simulator(request(tmp_path), n_stars=N_STARS, spectra_models=tmp_path, isochrones=tmp_path)
