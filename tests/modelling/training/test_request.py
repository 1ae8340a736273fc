"""What is asked of a training, and the options that follow from it."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from astra.errors import ConfigError
from astra.modelling.training.request import Origin, SimulatorArguments, TrainingOptions, TrainingRequest
from astra.system.arguments import command_line

asked_for = partial(TrainingRequest, origin=Origin.SIMULATOR)


def test_options_are_those_asked_for_then_those_of_the_recipe_then_the_defaults(tmp_path):
    request = asked_for(output=tmp_path / "m.safetensors", epochs=3, patience=2)

    options = request.options(loss="linear", epochs=50, batch_size=64)

    assert (options.epochs, options.patience, options.batch_size, options.loss) == (3, 2, 64, "linear")
    assert options.learning_rate == 1e-3


def test_work_goes_beside_the_output_unless_a_folder_is_named(tmp_path):
    assert asked_for(output=tmp_path / "m.safetensors").folder == tmp_path / "m.training"
    assert asked_for(output=tmp_path / "m.safetensors", work=tmp_path / "w").folder == tmp_path / "w"


# > Options


@pytest.mark.parametrize(
    "wrong", [{"epochs": 0}, {"learning_rate": -1}, {"loss": "quadratic"}, {"averaging": 1.0}]
)
def test_options_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ConfigError, match=f"training option {next(iter(wrong))}: "):
        TrainingOptions(**wrong)


def test_the_learning_rate_rises_and_then_falls():
    options = TrainingOptions(learning_rate=0.01, warm_up=0.25)

    rates = [options.rate(step, 100) for step in range(101)]

    assert np.argmax(rates) == 25
    assert rates[25] == pytest.approx(0.01)
    assert rates[0] < 0.001
    assert rates[100] < 1e-4
    assert (np.diff(rates[:26]) > 0).all()
    assert (np.diff(rates[25:]) < 0).all()


def test_several_isochrones_and_families_are_written_as_one_word_each():
    asked = SimulatorArguments(isochrones=[Path("padova"), Path("grids.whl")], families=["mist"])

    assert command_line(asked) == ("--isochrones=padova", "--isochrones=grids.whl", "--families=mist")
