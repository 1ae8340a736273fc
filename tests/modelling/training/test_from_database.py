"""From a database to weights: what the file says of itself, and the same numbers if it is stopped."""

import os
import signal

import numpy as np
import pytest
from builders import on_sqlite, slow_on_sqlite
from parallax_survey import insert_stars, luminosities, observed, write_stars

from astra.errors import ConfigError, Interrupted, UsageError
from astra.modelling.training.from_database import train_from_database
from astra.modelling.training.loop import CHECKPOINT
from astra.modelling.training.request import DatabaseArguments, Origin, TrainingRequest
from astra.models import ApogeeCoaddedSpectrumInApStar
from astra.pipelines.astronn_dist.network.sampling import network_on, sample
from astra.pipelines.astronn_dist.weights.files import load_weights
from astra.spectra.apstar import read_combined
from astra.spectra.rectify import rectify

# What is computed does not depend on the database; what is selected is tested on both.

N_STARS = 100
PIXELS = ("flux", "e_flux", "pixel_flags")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Files of a few stars, and their luminosities."""
    fakemag = luminosities(12)
    return write_stars(tmp_path_factory.mktemp("files"), fakemag), fakemag


@pytest.fixture
def survey(db, files):
    """A database of some more stars than files."""
    paths, fakemag = files
    places = np.arange(N_STARS) % len(paths)
    insert_stars(
        N_STARS,
        [paths[place] for place in places],
        **observed(fakemag[places], np.full(N_STARS, 3.0)),
        snr=np.linspace(210, 450, N_STARS),
    )


PLACE = {"database.path": "survey.db"}


def request(folder, **options):
    options = {"epochs": 2, "batch_size": 16} | options
    return TrainingRequest(output=folder / "made.safetensors", origin=Origin.DATABASE, **options)


@slow_on_sqlite
def test_the_file_says_what_it_was_made_of_and_what_it_is_worth(survey, tmp_path):
    insert_stars(3, "/nowhere", ruwe=5.0)

    cuts = DatabaseArguments(max_ebv=3.0, zero_point=-0.01)
    path = train_from_database(request(tmp_path, seed=4, database=cuts), PLACE)

    made = load_weights(path)
    assert path == tmp_path / "made.safetensors"
    assert made.sha256 in (tmp_path / "made.report.html").read_text()
    trained_on = made.details["trained_on"]
    assert (trained_on["spectra"], trained_on["stars"]) == (N_STARS, N_STARS)
    assert sum(trained_on["parts"].values()) == N_STARS
    assert trained_on["cuts"]["max_ebv"] == 3.0
    assert (trained_on["left_out"]["ruwe"], trained_on["left_out"]["unreadable"]) == (3, 0)
    assert trained_on["zero_point"] == -0.01
    assert trained_on["database"] == {"database.path": "survey.db"}
    assert len(trained_on["digest"]) == 64
    assert (made.details["seed"], made.details["options"]["loss"]) == (4, "linear")
    metrics = made.details["metrics"]
    assert metrics["test"]["number"] == trained_on["parts"]["test"]
    assert metrics["validation"]["number"] == trained_on["parts"]["validation"]
    assert np.isfinite([metrics["test"][name] for name in ("nll", "scale", "pull_width")]).all()
    assert made.range.startswith("stars like the 100 of its training: L_fakemag")
    assert "S/N 212 to 448" in made.range


@pytest.mark.slow
@on_sqlite
def test_a_training_that_is_stopped_at_every_stage_comes_to_the_same_file(survey, tmp_path, monkeypatch):
    monkeypatch.setattr("astra.modelling.training.rectified.CHUNK", 30)
    monkeypatch.setattr("astra.modelling.training.from_database.CHUNK", 5)
    (tmp_path / "whole").mkdir()
    whole = train_from_database(request(tmp_path / "whole"), PLACE).read_bytes()
    stages = []

    for stage in ("spectra", "training", "test"):

        def stop(what, done, total, at=stage):
            stages.append((at, what))
            if what == at and done:
                os.kill(os.getpid(), signal.SIGTERM)

        with pytest.raises(Interrupted, match=f"{stage}.*SIGTERM|SIGTERM.*{stage}"):
            train_from_database(request(tmp_path), PLACE, on_progress=stop)
        assert not (tmp_path / "made.safetensors").exists()

    path = train_from_database(request(tmp_path), PLACE, on_progress=lambda *now: stages.append(("", now[0])))
    assert path.read_bytes() == whole
    assert ("test", "spectra") not in stages
    assert ("", "training") not in stages


@pytest.mark.slow
@on_sqlite
def test_another_training_in_the_same_folder_reads_no_spectrum_again(survey, tmp_path):
    train_from_database(request(tmp_path), PLACE)
    stages = []
    again = request(tmp_path, overwrite=True, epochs=1)

    train_from_database(again, PLACE, on_progress=lambda what, *_: stages.append(what))

    assert "spectra" not in stages
    assert not (again.folder / "seed-0" / CHECKPOINT).exists()


@on_sqlite
def test_an_output_that_is_there_is_refused_before_any_work(survey, tmp_path):
    (tmp_path / "made.safetensors").write_text("mine")

    with pytest.raises(UsageError, match="--overwrite"):
        train_from_database(request(tmp_path), PLACE)

    assert [path.name for path in tmp_path.glob("made*")] == ["made.safetensors"]
    assert (tmp_path / "made.safetensors").read_text() == "mine"


@on_sqlite
def test_stars_too_few_for_three_parts_are_refused(survey, tmp_path):
    spectra = ApogeeCoaddedSpectrumInApStar
    spectra.update(source=spectra.select(spectra.source).limit(1)).execute()

    with pytest.raises(ConfigError, match="no star fell to the .* part of 1 stars"):
        train_from_database(request(tmp_path), PLACE)


@pytest.mark.slow
@on_sqlite
def test_with_three_negative_parallaxes_of_ten_the_scale_is_right_to_one_per_cent(db, tmp_path):
    generator = np.random.default_rng(1)
    kinds = generator.choice([10.0, 40.0], 60)
    files = write_stars(tmp_path, kinds)
    places = np.arange(6000) % len(files)
    significance = np.where(generator.random(6000) < 0.4, 30.0, 0.02)
    columns = observed(kinds[places], significance, seed=1)
    insert_stars(6000, [files[place] for place in places], **columns)
    assert 0.28 < (columns["plx"] < 0).mean() < 0.32

    path = train_from_database(request(tmp_path, epochs=12, batch_size=64), PLACE)

    made = load_weights(path)
    found = made.details["metrics"]["test"]
    assert found["scale"] == pytest.approx(1, abs=3 * found["e_scale"])
    assert found["e_scale"] < 0.005
    predicted = predictions(made, files)
    weight = predicted.e_fakemag**-2.0
    truth = np.sum(weight * predicted.fakemag * kinds) / np.sum(weight * predicted.fakemag**2)
    assert truth == pytest.approx(1, abs=0.01)


def predictions(weights, files):
    """What inference makes of these files."""
    pixels = [read_combined(file) for file in files]
    flux, _ = rectify(*(np.stack([getattr(each, name) for each in pixels]) for name in PIXELS))
    return sample(network_on("cpu", weights), flux, [file.name for file in files])
