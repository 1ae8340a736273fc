"""Training, stopping and going on."""

import contextlib
import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch

from astra.errors import ConfigError, Interrupted
from astra.modelling.training.examples import Examples
from astra.modelling.training.loop import CHECKPOINT, Trained, train
from astra.modelling.training.network import compute_threads
from astra.modelling.training.request import TrainingOptions
from astra.pipelines.astronn_dist.weights.files import SHAPES, Weights, load_weights, save_weights

TINY = TrainingOptions(epochs=3, batch_size=16, averaging=0.5)

# In a process of its own: trains, and says after each step how far it is.
CHILD = """
import json, sys
from pathlib import Path
import numpy as np
from astra.modelling.training.examples import Examples
from astra.modelling.training.loop import train
from astra.modelling.training.request import TrainingOptions

folder = Path(sys.argv[1])
examples = [Examples(**np.load(folder / f"{name}.npz")) for name in ("training", "validation")]
options = TrainingOptions(**json.loads(sys.argv[2]))
train(*examples, options, folder, seed=3, progress=lambda done, total: print(done, flush=True))
"""


@pytest.fixture
def examples(make_examples) -> tuple[Examples, Examples]:
    return make_examples(48, 1, noise=0.01, masked=0.2), make_examples(16, 2, noise=0.01, masked=0.2)


def assert_same(found: Trained, expected: Trained) -> None:
    for name, value in expected.tensors.items():
        np.testing.assert_array_equal(found.tensors[name], value, err_msg=name)
    for one, other in zip(found.history, expected.history, strict=True):
        assert dataclasses.replace(one, seconds=0) == dataclasses.replace(other, seconds=0)


def test_training_finds_what_the_spectra_say(make_examples, tmp_path):
    training, validation = make_examples(256, 1, noise=0.01), make_examples(64, 2, noise=0.01)
    options = TrainingOptions(epochs=8, batch_size=32, averaging=0.8)

    trained = train(training, validation, options, tmp_path)

    spread = np.abs(np.log(validation.fakemag / np.median(validation.fakemag)))
    assert trained.history[trained.best_epoch - 1].median_error < 0.4 * np.median(spread)
    assert trained.history[-1].validation_nll < trained.history[0].validation_nll - 0.3
    assert len(trained.history) == 8
    json.dumps([dataclasses.asdict(epoch) for epoch in trained.history], allow_nan=False)


def test_the_result_is_weights_of_the_network(examples, tmp_path):
    trained = train(*examples, TINY, tmp_path)

    save_weights(Weights("new", "", trained.tensors), tmp_path / "new.safetensors")

    assert {name: value.shape for name, value in trained.tensors.items()} == SHAPES
    assert load_weights(tmp_path / "new.safetensors").tensors.keys() == SHAPES.keys()


def test_one_seed_gives_the_same_numbers_and_another_gives_others(examples, tmp_path):
    once, again, other = (
        train(*examples, TINY, tmp_path / name, seed=seed) for name, seed in (("a", 3), ("b", 3), ("c", 4))
    )

    assert_same(again, once)
    assert (other.tensors["dense_2.weight"] != once.tensors["dense_2.weight"]).all()


def test_any_number_of_threads_gives_the_same_numbers(make_examples, tmp_path):
    # Batches of two parts, for which there may be two threads.
    sets = make_examples(100, 1), make_examples(16, 2)
    options, before = TrainingOptions(epochs=1, batch_size=100), torch.get_num_threads()
    found = []
    try:
        for number in (1, 2):
            torch.set_num_threads(number)
            found.append(train(*sets, options, tmp_path / str(number), seed=1))
    finally:
        torch.set_num_threads(before)

    assert_same(*found)


@pytest.mark.parametrize(("allowed", "taken"), [(1, 1), (2, 2), (16, 2)])
def test_no_more_threads_compute_than_torch_may_use(allowed, taken):
    before = torch.get_num_threads()
    torch.set_num_threads(allowed)
    try:
        with compute_threads() as threads:
            barrier = threading.Barrier(taken + 1)
            waiting = [threads.submit(barrier.wait, 0.5) for _ in range(taken + 1)]
            names = {future.exception(5).__class__ for future in waiting}
        assert names == {threading.BrokenBarrierError}  # taken + 1 never ran at once
        assert torch.get_num_threads() == allowed
    finally:
        torch.set_num_threads(before)


def test_neither_torchs_random_numbers_nor_its_threads_are_touched(examples, tmp_path):
    torch.manual_seed(1)
    state, threads = torch.get_rng_state(), torch.get_num_threads()

    train(*examples, dataclasses.replace(TINY, epochs=1), tmp_path)

    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("step", [5, *(pytest.param(step, marks=pytest.mark.slow) for step in (2, 6))])
def test_a_training_that_was_killed_goes_on_to_the_same_numbers(examples, tmp_path, step):
    expected = train(*examples, TINY, tmp_path / "undisturbed", seed=3)
    work = tmp_path / "killed"
    work.mkdir()
    for name, value in zip(("training", "validation"), examples, strict=True):
        np.savez(work / name, **dataclasses.asdict(value))
    command = [sys.executable, "-c", CHILD, str(work), json.dumps(dataclasses.asdict(TINY))]

    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        for line in child.stdout:
            if int(line) == step:
                os.kill(child.pid, signal.SIGKILL)
    found = train(*examples, TINY, work, seed=3)

    assert child.returncode == -signal.SIGKILL
    assert_same(found, expected)


@pytest.mark.parametrize(("number", "last"), [(signal.SIGTERM, 4), (signal.SIGINT, 5)])
def test_a_signal_stops_it_after_the_batch_and_it_goes_on_from_there(examples, tmp_path, number, last):
    expected = train(*examples, TINY, tmp_path / "undisturbed", seed=3)
    steps = []

    def stop_in_second_epoch(done, total):
        steps.append(done)
        if done == last:
            os.kill(os.getpid(), number)

    with pytest.raises(Interrupted, match=f"stopped by {number.name} in epoch 2 of 3") as stopped:
        train(*examples, TINY, tmp_path, seed=3, progress=stop_in_second_epoch)
    assert stopped.value.exit_code == 75
    assert list(dict.fromkeys(steps)) == list(range(1, last + 1))

    told = len(steps)
    found = train(*examples, TINY, tmp_path, seed=3, progress=stop_in_second_epoch)

    # The signal came in the batch after the last that was told. Step 6 ends an epoch, and is told with it.
    assert list(dict.fromkeys(steps[told:])) == [6, 7, 8, 9]
    assert_same(found, expected)


def test_a_signal_while_the_last_epoch_is_validated_is_not_lost(examples, tmp_path):
    expected = train(*examples, TINY, tmp_path / "undisturbed", seed=3)

    def stop_after_the_last_batch(done, total):
        if done == total:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Interrupted, match="stopped by SIGTERM in epoch 3 of 3"):
        train(*examples, TINY, tmp_path, seed=3, progress=stop_after_the_last_batch)

    assert_same(train(*examples, TINY, tmp_path, seed=3), expected)


def test_every_epoch_makes_one_line_when_it_is_done_also_after_a_stop(examples, tmp_path, caplog):
    caplog.set_level("INFO", "astra")
    seen = []

    def epochs():
        return [line for line in caplog.messages if not line.startswith("stopping: ")]

    def stop_in_third_epoch(done, total):
        seen.append((done, len(epochs())))
        if len(seen) == 9:
            os.kill(os.getpid(), signal.SIGTERM)

    for _ in range(2):
        with contextlib.suppress(Interrupted):
            train(*examples, TINY, tmp_path, progress=stop_in_third_epoch)

    assert [done for done, lines in seen if lines == 3] == [9]
    assert {lines for _, lines in seen} == {0, 1, 2, 3}
    for number, line in enumerate(epochs(), 1):
        numbers = r"-?\d+\.\d{4}"
        assert re.fullmatch(
            rf"epoch {number} of \d+: training {numbers}, validation {numbers} \(\d+ s\).*", line
        )


def test_a_training_that_is_done_is_not_done_again(examples, tmp_path):
    expected = train(*examples, TINY, tmp_path)

    found = train(*examples, TINY, tmp_path, progress=lambda *_: pytest.fail("a step"))

    assert_same(found, expected)


@pytest.mark.parametrize("other", ["options", "seed", "examples"])
def test_another_training_does_not_go_on_from_its_checkpoint(examples, make_examples, tmp_path, other):
    train(*examples, dataclasses.replace(TINY, epochs=1), tmp_path)
    options = dataclasses.replace(TINY, epochs=2 if other == "options" else 1)
    training = make_examples(48, 5) if other == "examples" else examples[0]

    with pytest.raises(ConfigError, match="of a training with other options, another seed or other examples"):
        train(training, examples[1], options, tmp_path, seed=1 if other == "seed" else 0)


@pytest.mark.parametrize("damage", ["truncated", "empty", "of something else"])
def test_a_damaged_checkpoint_is_told_in_one_line(examples, tmp_path, damage):
    options = dataclasses.replace(TINY, epochs=1)
    train(*examples, options, tmp_path)
    path = tmp_path / CHECKPOINT
    content = path.read_bytes()
    path.write_bytes({"truncated": content[:100_000], "empty": b""}.get(damage, b"no checkpoint"))

    with pytest.raises(ConfigError, match=r"checkpoint.*: damaged .*; remove it") as refused:
        train(*examples, options, tmp_path)
    assert "\n" not in str(refused.value)


def test_it_stops_when_validation_has_not_improved_for_long_and_keeps_the_best(make_examples, tmp_path):
    training = make_examples(32, 1)
    # Labels that say nothing: what is learnt cannot help.
    training.fakemag[:] = training.fakemag[::-1]
    options = TrainingOptions(epochs=40, batch_size=16, patience=2, averaging=0.1, learning_rate=3e-3)

    trained = train(training, make_examples(32, 2), options, tmp_path)

    assert len(trained.history) == trained.best_epoch + 2 < 40


def test_the_linear_loss_learns_from_negative_labels(make_examples, tmp_path):
    training, validation = make_examples(128, 1, e_fakemag=60), make_examples(64, 2, e_fakemag=60)
    options = TrainingOptions(epochs=6, batch_size=32, averaging=0.8, loss="linear")
    assert (training.fakemag < 0).any()

    trained = train(training, validation, options, tmp_path)

    assert trained.history[-1].validation_nll < trained.history[0].validation_nll


def test_the_logarithmic_loss_refuses_labels_that_have_no_logarithm(make_examples, tmp_path):
    training = make_examples(16)
    training.fakemag[:3] = -1

    with pytest.raises(ConfigError, match="training examples: 3 labels are not positive; use the linear"):
        train(training, make_examples(16), TINY, tmp_path)


@pytest.mark.gpu
def test_a_gpu_learns_as_much_and_always_the_same(make_examples, tmp_path):
    examples = make_examples(256, 1, noise=0.01), make_examples(64, 2, noise=0.01)
    options = TrainingOptions(epochs=4, batch_size=32, averaging=0.8)

    once, again = (train(*examples, options, tmp_path / name, device="cuda") for name in "ab")
    on_cpu = train(*examples, options, tmp_path / "cpu")

    assert_same(again, once)
    assert once.history[-1].validation_nll == pytest.approx(on_cpu.history[-1].validation_nll, abs=0.3)
