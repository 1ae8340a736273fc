"""From simulated stars to weights: what the file says of itself, and the same numbers if it is stopped."""

import json
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from toy_simulator import a_sample

from astra.errors import ConfigError, Interrupted, UsageError
from astra.modelling.simulator import sample as sample_module
from astra.modelling.simulator.sample import Sample
from astra.modelling.training import from_simulator, simulated
from astra.modelling.training.from_simulator import (
    conditions_of,
    metrics_of,
    predicted,
    train_from_simulator,
)
from astra.modelling.training.loop import CHECKPOINT
from astra.modelling.training.request import Origin, SimulatorArguments, TrainingRequest
from astra.pipelines.astronn_dist.network.sampling import corrected, network_on, sample
from astra.pipelines.astronn_dist.weights.files import load_weights
from astra.pipelines.astronn_dist.weights.library import embedded_default
from astra.pipelines.astronn_dist.weights.validity import excess
from astra.spectra.rectify import rectify

from tolerances import FLOAT32, FLOAT64

N_STARS = 128


def request(folder, *, seed=0, work=None, **simulator):
    folder.mkdir(exist_ok=True)
    return TrainingRequest(
        output=folder / "made.safetensors",
        origin=Origin.SIMULATOR,
        seed=seed,
        epochs=2,
        batch_size=16,
        work=work,
        simulator=SimulatorArguments(n_stars=N_STARS, **simulator),
    )


@contextmanager
def simulating_here(n_chunks, simulator, recipe, patterns):
    """As ``simulated._workers``, without other processes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulated, "_context", (simulator, recipe, patterns))
        yield SimpleNamespace(map=map)


@pytest.fixture(scope="module", autouse=True)
def few_stars():
    """Chunks of a quarter of the size, simulated in this process."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (sample_module, simulated, from_simulator):
            patch.setattr(module, "CHUNK", 64)
        patch.setattr(simulated, "_workers", simulating_here)
        patch.setattr(from_simulator, "LOST", 8)
        yield


@pytest.fixture(scope="module")
def made(few_stars, tmp_path_factory):
    """Weights from a few stars of the compact simulator."""
    asked = request(tmp_path_factory.mktemp("made"))
    return asked, train_from_simulator(asked)


def test_the_file_says_what_it_was_made_from_and_for(made):
    asked, path = made
    weights = load_weights(path)

    details = weights.details
    assert path == asked.output
    assert details["trained_on"]["stars"]["training"] == N_STARS
    assert details["trained_on"]["simulator"] == "compact simulator"
    assert details["seed"] == 0
    assert details["options"]["epochs"] == 2
    assert weights.range.startswith("nothing can be claimed: trained on 128 stars, tested with ")
    assert details["saw"]["training"]["stars"] == N_STARS
    assert weights.validity is not None
    assert weights.calibration.shift.shape == weights.calibration.factor.shape
    assert weights.missing.blue[1][0] == 0
    assert {"rgb", "dwarf", "all"} <= details["metrics"]["single"].keys()
    assert json.loads(json.dumps(details)) == details


def test_both_heads_are_for_fewer_pairs_than_were_learnt_from():
    learnt, prediction, error = (conditions_of(name) for name in ("training", "prediction", "error"))

    for head in (prediction, error):
        assert 0 < head.companions["dwarf"] < 0.5 * learnt.companions["dwarf"]
        assert 0 < head.warm_companions < learnt.warm_companions


def test_predictions_are_for_dwarfs_and_subgiants_stranger_than_those_learnt_from():
    learnt, prediction, error = (conditions_of(name) for name in ("training", "prediction", "error"))

    for kind in ("dwarf", "subgiant"):
        assert prediction.foreign[kind] == 1 > learnt.foreign[kind]
    assert prediction.foreign["rgb"] == learnt.foreign["rgb"]
    assert prediction.broad == 1
    assert learnt.broad == error.broad == 0
    assert error.foreign == learnt.foreign


def test_the_tables_of_errors_are_for_single_stars_of_both_luminosity_functions():
    flat, natural, error = (conditions_of(name) for name in ("flat", "natural", "error"))

    assert not any(flat.companions.values())
    assert flat.warm_companions == 0
    # Stars that still contract are in what is learnt from alone.
    grown = {kind: share for kind, share in error.mix.items() if kind != "young"}
    assert replace(error, companions=flat.companions, warm_companions=0.0, mix=grown) == flat
    assert natural.natural


def test_a_report_lies_beside_it(made):
    _, path = made

    report = path.with_suffix(".report.html").read_text()

    assert load_weights(path).sha256[:12] in report
    assert "Spectra unlike those of the training" in report


def test_doubt_begins_at_the_last_hundredth_of_unseen_stars(made):
    _, path = made

    validity = load_weights(path).validity

    begins, unknown = validity.excess
    assert 0.005 < begins < 0.05
    assert 1 <= validity.understated <= 2
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
        train_from_simulator(asked, stop_in_training)
    again = train_from_simulator(asked)

    assert again.read_bytes() == path.read_bytes()
    assert not (asked.folder / "seed-0" / CHECKPOINT).exists()


@pytest.mark.slow
def test_another_seed_learns_otherwise_from_the_same_stars(made, tmp_path, monkeypatch):
    asked, path = made
    other = request(tmp_path / "other", seed=1, work=asked.folder)
    drawn = []
    monkeypatch.setattr(from_simulator, "simulated_examples", _told(from_simulator.simulated_examples, drawn))

    second = train_from_simulator(other)

    assert {recipe.seed for recipe in drawn} == {101, 102, 103, 106, 107, 108}
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
        train_from_simulator(request(tmp_path, spectra_models=tmp_path))


def test_a_folder_without_emulators_is_named(tmp_path):
    with pytest.raises(ConfigError, match="apg_rvsynthgrid.*give the folder of spectra models"):
        train_from_simulator(request(tmp_path, spectra_models=tmp_path, isochrones=[tmp_path]))


# > Predictions for stars that were not learnt from: as `astra run` makes them, a chunk at a time

N = 20


@pytest.fixture(scope="module")
def weights():
    return load_weights(embedded_default())


@pytest.fixture(scope="module")
def chunks():
    """Two times 16 stars, of which 20 are asked for, and 16 that are not needed."""
    return [a_sample(16, seed) for seed in range(3)]


@pytest.fixture(scope="module")
def told():
    return []


@pytest.fixture(scope="module")
def found(weights, chunks, told):
    return predicted(weights, chunks, N, device="cpu", on_progress=lambda *numbers: told.append(numbers))


def test_they_are_those_of_the_network_with_what_the_model_adds_for_strange_spectra(weights, chunks, found):
    stars = Sample.joined(chunks).take(slice(N))
    flux, e_flux = rectify(stars.flux, stars.e_flux, stars.pixel_flags)
    plain = sample(network_on("cpu", weights), flux, [f"test {number}" for number in range(N)])
    expected = corrected(plain, flux, e_flux, weights)

    for name in ("fakemag", "e_fakemag", "e_model_fakemag"):
        np.testing.assert_allclose(found[name], getattr(expected, name), rtol=FLOAT32)
    assert (found["e_fakemag"] > plain.e_fakemag).any()
    validity = weights.validity
    strange = excess(flux, e_flux, validity.mean, validity.components, validity.understated)
    np.testing.assert_allclose(found["excess"], strange, rtol=FLOAT64)


def test_every_star_keeps_its_own_truth_and_none_beyond_the_number_is_taken(chunks, found):
    stars = Sample.joined(chunks).take(slice(N))

    assert len(found["true"]) == N
    np.testing.assert_array_equal(found["true"], stars.fakemag)
    for name in ("snr", "flux_ratio"):
        np.testing.assert_array_equal(found[name], getattr(stars, name))
    for name in ("kind", "teff", "logg"):
        np.testing.assert_array_equal(found[name], getattr(stars.stars, name))


def test_progress_begins_before_the_network_is_loaded_and_ends_at_the_number_of_stars(found, told):
    assert told == [(0, N), (16, N), (N, N)]
    with pytest.raises(Interrupted):
        predicted(None, [], N, device="cpu", on_progress=_stopped)


def _stopped(done, total):
    raise Interrupted("stopped")


def test_figures_are_of_single_stars_and_of_pairs_apart_with_enough_signal(found):
    figures = metrics_of(found)

    bright = found["snr"] >= 50
    assert 0 < bright.sum() < N
    covered = bright & ~found["beyond"]
    assert figures["single"]["all"]["n"] == (covered & (found["flux_ratio"] == 0)).sum()
    assert figures["with companion"]["all"]["n"] == (covered & (found["flux_ratio"] > 0)).sum()
    assert figures["beyond"]["all"]["n"] == (bright & found["beyond"]).sum()
