"""What is asked of a training: refused before the work where it cannot end well."""

import os
import signal
import subprocess
import sys

import pytest
import torch

from astra.errors import ConfigError, Interrupted, UsageError
from astra.modelling.training.loop import Epoch
from astra.modelling.training.request import TrainingRequest, epoch_progress, session


def nobody_listens(what, done, total):
    """Takes the progress."""


def test_options_are_those_given_then_those_of_the_recipe_then_the_defaults(tmp_path):
    request = TrainingRequest(tmp_path / "m.safetensors", epochs=3, patience=2)

    options = request.options(loss="linear", epochs=50, batch_size=64)

    assert (options.epochs, options.patience, options.batch_size, options.loss) == (3, 2, 64, "linear")
    assert options.learning_rate == 1e-3


def test_work_goes_beside_the_output_unless_told_otherwise(tmp_path):
    assert TrainingRequest(tmp_path / "m.safetensors").folder == tmp_path / "m.training"
    assert TrainingRequest(tmp_path / "m.safetensors", work=tmp_path / "w").folder == tmp_path / "w"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("m.pt", "m.pt: weights are written as .safetensors only"),
        ("there.safetensors", "exists; choose another name, or give --overwrite"),
        ("folder.safetensors", "a folder; give the name of a file"),
        ("reported.safetensors", "its report, .*reported.report.html, is a folder; move it away"),
        ("absent/m.safetensors", "cannot write in the folder .*absent"),
    ],
)
def test_an_output_that_cannot_be_is_refused_before_anything_is_made(tmp_path, name, message):
    (tmp_path / "there.safetensors").touch()
    (tmp_path / "folder.safetensors").mkdir()
    (tmp_path / "reported.report.html").mkdir()
    request = TrainingRequest(tmp_path / name)

    with pytest.raises(UsageError, match=message), session(request, nobody_listens):
        pass

    assert not request.folder.exists()


def test_a_file_may_be_replaced_on_request(tmp_path):
    (tmp_path / "there.safetensors").touch()

    TrainingRequest(tmp_path / "there.safetensors", overwrite=True).check()


def test_two_trainings_do_not_share_a_folder(tmp_path):
    request = TrainingRequest(tmp_path / "m.safetensors")

    with session(request, nobody_listens):
        with pytest.raises(ConfigError, match="another training uses it"), session(request, nobody_listens):
            pass
    with session(request, nobody_listens) as work:
        assert work.device in ("cpu", "cuda")


def test_the_folder_of_a_training_that_was_killed_is_free(tmp_path):
    request = TrainingRequest(tmp_path / "m.safetensors", work=tmp_path)
    code = f"import filelock, os; filelock.FileLock({str(tmp_path / '.lock')!r}).acquire(); os._exit(9)"
    subprocess.run([sys.executable, "-c", code], check=False)

    with session(request, nobody_listens):
        pass


def test_a_work_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").touch()
    request = TrainingRequest(tmp_path / "m.safetensors", work=tmp_path / "file" / "work")

    with pytest.raises(ConfigError, match="Not a directory; give another --work"):
        with session(request, nobody_listens):
            pass


def test_threads_are_those_asked_for_and_afterwards_those_of_before(tmp_path):
    before = torch.get_num_threads()

    with session(TrainingRequest(tmp_path / "m.safetensors", threads=before + 1), nobody_listens):
        assert torch.get_num_threads() == before + 1

    assert torch.get_num_threads() == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_work_at_the_next_sign_of_progress(tmp_path, number):
    with session(TrainingRequest(tmp_path / "m.safetensors"), nobody_listens) as work:
        work.progress("spectra", 1, 10)
        os.kill(os.getpid(), number)
        with pytest.raises(Interrupted, match=rf"{number.name} \(spectra\); run again to go on") as error:
            work.progress("spectra", 2, 10)

    assert error.value.exit_code == 75


def test_every_epoch_makes_one_line(caplog):
    caplog.set_level("INFO", "astra")
    seen = []
    progress = epoch_progress(lambda *now: seen.append(now))
    epochs = [Epoch(number, 0.5, 0.25, None, 1e-3, 7.0) for number in (1, 2, 3)]

    progress(11, 40, epochs[:1])  # a training that goes on has logged these already
    progress(20, 40, epochs[:1])
    progress(21, 40, epochs[:2])
    progress(31, 40, epochs)

    assert caplog.messages == [
        f"epoch {number}: training 0.5000, validation 0.2500 (7 s)" for number in (2, 3)
    ]
    assert seen == [("training", step, 40) for step in (11, 20, 21, 31)]
