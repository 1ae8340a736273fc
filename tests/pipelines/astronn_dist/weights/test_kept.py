"""A checkpoint that was read once needs no torch the next time, and no other file stands for it."""

import sys
from pathlib import Path

import numpy as np
import platformdirs
import pytest
from weights_files import write_checkpoint

from astra.pipelines.astronn_dist.weights.files import SHAPES, Weights, identify, load_weights
from astra.system.processes import warn_once


def _tensors(seed: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    # As some checkpoints hold them: more digits than the network has.
    tensors = {name: random.normal(0, 0.1, shape) for name, shape in SHAPES.items()}
    return tensors | {"labels_std": np.array([100.0])}


@pytest.fixture
def checkpoint(tmp_path):
    return write_checkpoint(tmp_path / "survey.pt", _tensors(0))


@pytest.fixture
def without_torch(monkeypatch):
    """From when it is called, torch cannot be imported."""
    return lambda: monkeypatch.setitem(sys.modules, "torch", None)


def _copies() -> list[Path]:
    return list((platformdirs.user_cache_path("astra") / "weights").iterdir())


def _assert_same(one: Weights, other: Weights) -> None:
    assert (one.name, one.sha256, one.details) == (other.name, other.sha256, other.details)
    for name, tensor in one.tensors.items():
        np.testing.assert_array_equal(other.tensors[name], tensor)


def test_a_checkpoint_is_read_with_torch_once(checkpoint, without_torch):
    first = load_weights(checkpoint)
    without_torch()

    _assert_same(first, load_weights(checkpoint))


def test_a_checkpoint_that_was_replaced_is_read_anew(checkpoint):
    load_weights(checkpoint)
    write_checkpoint(checkpoint, _tensors(1))

    found = load_weights(checkpoint)

    assert found.sha256 == identify(checkpoint)[1]
    np.testing.assert_array_equal(found.tensors["conv1.bias"], _tensors(1)["conv1.bias"].astype(np.float32))
    assert len(_copies()) == 2


@pytest.mark.parametrize(
    "damage", [lambda bytes_: bytes_[:-1], lambda bytes_: bytes_[:-1] + b"\1", lambda _: b""]
)
def test_a_damaged_copy_is_made_anew(checkpoint, without_torch, damage):
    first = load_weights(checkpoint)
    (copy,) = _copies()
    copy.write_bytes(damage(copy.read_bytes()))

    _assert_same(first, load_weights(checkpoint))
    without_torch()
    _assert_same(first, load_weights(checkpoint))


def test_without_a_place_for_copies_weights_are_read_and_that_is_said_once(checkpoint, caplog):
    warn_once.cache_clear()
    place = platformdirs.user_cache_path("astra")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("a file, not a folder")

    load_weights(checkpoint)
    load_weights(checkpoint)

    (warning,) = caplog.messages
    assert warning.startswith(f"a copy of the weights cannot be kept in {place / 'weights'} (")


def test_weights_that_are_refused_leave_no_copy(tmp_path):
    wrong = write_checkpoint(tmp_path / "wrong.pt", _tensors(0) | {"labels_std": np.array([-1.0])})

    with pytest.raises(Exception, match="not positive"):
        load_weights(wrong)

    assert not (platformdirs.user_cache_path("astra") / "weights").exists()
