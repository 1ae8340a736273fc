"""A training from its request to its files: what it holds, and what stops it."""

import os
import signal
import subprocess
import sys
from functools import partial

import pytest
import torch

from astra.errors import ConfigError, Interrupted, UsageError
from astra.modelling.training.request import Origin, TrainingRequest
from astra.modelling.training.session import check, session

asked_for = partial(TrainingRequest, origin=Origin.SIMULATOR)


def nobody_listens(what, done, total):
    """Takes the progress."""


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
    request = asked_for(output=tmp_path / name)

    with pytest.raises(UsageError, match=message), session(request, nobody_listens):
        pass

    assert not request.folder.exists()


def test_a_file_may_be_replaced_on_request(tmp_path):
    (tmp_path / "there.safetensors").touch()

    check(asked_for(output=tmp_path / "there.safetensors", overwrite=True))


def test_two_trainings_do_not_share_a_folder(tmp_path):
    request = asked_for(output=tmp_path / "m.safetensors")

    with session(request, nobody_listens):
        with pytest.raises(ConfigError, match="another training uses it"), session(request, nobody_listens):
            pass
    with session(request, nobody_listens) as current:
        assert current.device in ("cpu", "cuda")


def test_the_folder_of_a_training_that_was_killed_is_free(tmp_path):
    request = asked_for(output=tmp_path / "m.safetensors", work=tmp_path)
    code = f"import filelock, os; filelock.FileLock({str(tmp_path / '.lock')!r}).acquire(); os._exit(9)"
    subprocess.run([sys.executable, "-c", code], check=False)

    with session(request, nobody_listens):
        pass


def test_a_work_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").touch()
    request = asked_for(output=tmp_path / "m.safetensors", work=tmp_path / "file" / "work")

    with pytest.raises(ConfigError, match="Not a directory; give another --work"):
        with session(request, nobody_listens):
            pass


def test_threads_are_those_asked_for_and_afterwards_those_of_before(tmp_path):
    before = torch.get_num_threads()

    with session(asked_for(output=tmp_path / "m.safetensors", threads=before + 1), nobody_listens):
        assert torch.get_num_threads() == before + 1

    assert torch.get_num_threads() == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_work_at_the_next_sign_of_progress(tmp_path, number):
    with session(asked_for(output=tmp_path / "m.safetensors"), nobody_listens) as current:
        current.progress("spectra", 1, 10)
        os.kill(os.getpid(), number)
        with pytest.raises(Interrupted, match=rf"{number.name} \(spectra\); run again to go on") as error:
            current.progress("spectra", 2, 10)

    assert error.value.exit_code == 75
