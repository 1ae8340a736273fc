"""Weights: three formats, one meaning; and one line for whatever is wrong with them."""

import dataclasses
import hashlib
import os
import pickle
import shutil
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
import safetensors.numpy
import torch
from weights_files import HDF5, JSON, write_checkpoint, write_folder

from astra.errors import ConfigError
from astra.pipelines.astronn_dist.weights.calibration import Calibration
from astra.pipelines.astronn_dist.weights.files import (
    SHAPES,
    Weights,
    identify,
    load_weights,
    range_of,
    save_weights,
)
from astra.pipelines.astronn_dist.weights.formats import to_safetensors
from astra.pipelines.astronn_dist.weights.missing import MissingPixels
from astra.pipelines.astronn_dist.weights.validity import Validity


@pytest.fixture(scope="module")
def tensors():
    random = np.random.default_rng(0)
    tensors = {name: random.normal(0, 0.1, shape).astype(np.float32) for name, shape in SHAPES.items()}
    return tensors | {"labels_std": np.array([100.0], np.float32)}


def write_safetensors(path, tensors, details=None, validity=None):
    save_weights(Weights("", "", tensors, details or {}, validity), path)
    return path


def a_validity(count=3, table=((0.0, 0.02, 0.05), (0.0, 0.1, 1.5))):
    random = np.random.default_rng(1)
    mean, components = random.normal(0, 0.1, 7514), random.normal(0, 0.01, (count, 7514))
    return Validity(mean.astype(np.float16), components.astype(np.float16), *map(np.array, table))


WRITERS = {"checkpoint.pt": write_checkpoint, "ours.safetensors": write_safetensors, "folder": write_folder}


@pytest.fixture(params=WRITERS)
def written(request, tmp_path, tensors):
    """The same weights in each of the three formats."""
    return WRITERS[request.param](tmp_path / request.param, tensors)


def assert_refused(path, *words):
    """With one line that names the path, the problem and the remedy."""
    with pytest.raises(ConfigError) as caught:
        load_weights(path)
    message = str(caught.value)
    assert message.isprintable()
    for word in (str(path), "--weights", *words):
        assert word in message


# > Reading


def test_each_format_gives_the_same_tensors(written, tensors):
    weights = load_weights(written)

    assert weights.tensors.keys() == SHAPES.keys()
    for name, expected in tensors.items():
        assert weights.tensors[name].dtype == np.float32
        np.testing.assert_array_equal(weights.tensors[name], expected)


def test_the_folder_and_the_checkpoint_of_the_reference_hold_the_same_network(reference, reference_weights):
    folder, checkpoint = load_weights(reference / "astroNN_folder"), load_weights(reference_weights)

    for name, tensor in checkpoint.tensors.items():
        np.testing.assert_array_equal(folder.tensors[name], tensor)
    assert checkpoint.tensors["labels_std"].item() == pytest.approx(25.9646954)


def test_weights_are_named_after_the_file_or_the_folder(tmp_path, tensors, monkeypatch):
    folder = write_folder(tmp_path / "model_3", tensors)
    file = write_checkpoint(tmp_path / "dr17.v2.pt", tensors)
    monkeypatch.chdir(folder)

    assert load_weights(folder).name == load_weights(".").name == "model_3"
    assert load_weights(file).name == "dr17.v2"


def test_the_checksum_is_of_the_file_and_of_a_folder_of_json_and_hdf5_together(tmp_path, tensors):
    file = write_checkpoint(tmp_path / "model.pt", tensors)
    folder = write_folder(tmp_path / "model", tensors)
    (folder / "training_history.csv").write_text("not part of it")

    both = (folder / JSON).read_bytes() + (folder / HDF5).read_bytes()
    assert load_weights(file).sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert load_weights(folder).sha256 == hashlib.sha256(both).hexdigest()


def test_weights_can_be_identified_without_reading_them(written):
    weights = load_weights(written)

    assert identify(written) == (weights.name, weights.sha256)


def test_weights_are_hashed_once_and_anew_when_they_change(written, monkeypatch):
    hashed = []
    monkeypatch.setattr(hashlib, "sha256", lambda new=hashlib.sha256: hashed.append(1) or new())
    file = written / HDF5 if written.is_dir() else written

    before = identify(written)
    assert identify(written) == before
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    time.sleep(0.02)  # longer than the system's clock of files ticks
    file.write_bytes(content)

    assert identify(written) != before
    assert len(hashed) == 2


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_a_checkpoint_may_have_another_precision(tmp_path, tensors, dtype):
    state = {name: torch.tensor(value).to(dtype) for name, value in tensors.items()}
    torch.save({"model_state_dict": state}, tmp_path / "model.pt")

    weights = load_weights(tmp_path / "model.pt")

    np.testing.assert_array_equal(weights.tensors["conv1.weight"], state["conv1.weight"].float())


def test_a_checkpoint_may_hold_parameters_and_more_than_the_network(tmp_path, tensors):
    state = {name: torch.nn.Parameter(torch.tensor(value)) for name, value in tensors.items()}
    torch.save({"model_state_dict": state, "epoch": 30}, tmp_path / "model.pt")

    assert load_weights(tmp_path / "model.pt").tensors["labels_std"] == [100]


@pytest.mark.parametrize(("first", "group"), [(0, "."), (2, "model_weights"), (9, "model_weights")])
def test_keras_may_number_its_layers_from_anywhere_and_leave_out_the_group(tmp_path, tensors, first, group):
    weights = load_weights(write_folder(tmp_path / "model", tensors, first, group))

    for name, expected in tensors.items():
        np.testing.assert_array_equal(weights.tensors[name], expected)


# > Writing


def test_weights_come_back_as_they_were_written(tmp_path, tensors):
    details = {"trained_on": "dr17", "epochs": 30, "loss": [0.5, 0.25]}
    path = write_safetensors(tmp_path / "new.safetensors", tensors, details)

    weights = load_weights(path)

    assert weights.name == "new"
    assert weights.details == details
    for name, expected in tensors.items():
        np.testing.assert_array_equal(weights.tensors[name], expected)


def test_equal_models_have_equal_files_wherever_they_come_from(tmp_path, tensors):
    contents = set()
    for index, (name, write) in enumerate(WRITERS.items()):
        path = tmp_path / f"{index}.safetensors"
        save_weights(load_weights(write(tmp_path / name, tensors)), path)
        contents.add(path.read_bytes())

    assert len(contents) == 1


def test_the_order_of_tensors_and_details_does_not_matter(tmp_path, tensors):
    one = write_safetensors(tmp_path / "one.safetensors", tensors, {"a": 1, "b": {"c": 2, "d": 3}})
    backwards = dict(reversed(tensors.items()))
    other = write_safetensors(tmp_path / "other.safetensors", backwards, {"b": {"d": 3, "c": 2}, "a": 1})

    assert one.read_bytes() == other.read_bytes()


def test_the_file_has_one_metadata_key_with_sorted_json(tmp_path, tensors):
    path = write_safetensors(tmp_path / "new.safetensors", tensors, {"b": 1, "a": 2})

    with safetensors.safe_open(path, framework="numpy") as file:
        metadata = file.metadata()

    assert metadata == {"astra": '{"architecture": "ApogeeDistBCNN", "details": {"a": 2, "b": 1}}'}


def test_what_cannot_be_written_is_refused_and_leaves_no_file(tmp_path, tensors):
    folder = tmp_path / "models"
    folder.mkdir()
    bad = tensors | {"conv1.bias": np.array([np.nan, 0], np.float32)}
    for weights, name in (
        (Weights("", "", bad), "model.safetensors"),
        (Weights("", "", tensors, {"when": object()}), "model.safetensors"),
        (Weights("", "", tensors, {"loss": np.nan}), "model.safetensors"),
        (Weights("", "", tensors), "model.pt"),
        (Weights("", "", tensors), "no such folder/model.safetensors"),
    ):
        with pytest.raises(ConfigError, match=name):
            save_weights(weights, folder / name)

        assert not list(folder.iterdir())


def test_a_failed_write_leaves_the_file_that_was_there(tmp_path, tensors, monkeypatch):
    path = write_safetensors(tmp_path / "model.safetensors", tensors)
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(ConfigError, match="No space left on device"):
        write_safetensors(path, tensors, {"other": 1})

    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.glob("*model*")] == [path.name]
    assert [file.name for file in tmp_path.glob(".*model*")] == []


# > What a model knows of its range


def test_a_model_may_say_what_it_is_good_for(tmp_path, tensors):
    path = write_safetensors(tmp_path / "model.safetensors", tensors, {"range": "red giants, S/N > 50"})

    assert range_of(path) == load_weights(path).range == "red giants, S/N > 50"


def test_no_range_is_none_in_every_format(written):
    assert range_of(written) is None
    assert load_weights(written).range is None


@pytest.mark.parametrize("stated", [5, ["giants"], "two\nlines", "\x1b[2J"])
def test_a_range_that_is_no_line_of_text_is_neither_written_nor_read(tmp_path, tensors, stated):
    with pytest.raises(ConfigError, match="range in its details is not one line of text"):
        write_safetensors(tmp_path / "model.safetensors", tensors, {"range": stated})

    path = tmp_path / "other.safetensors"
    path.write_bytes(to_safetensors(tensors, {"range": stated}))
    assert_refused(path, "range in its details")
    with pytest.raises(ConfigError, match="range in its details"):
        range_of(path)


def test_a_damaged_file_has_no_range_to_tell(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"no model")

    with pytest.raises(ConfigError, match="model.safetensors: damaged"):
        range_of(path)


def test_validity_comes_back_as_it_was_written(tmp_path, tensors):
    validity = a_validity()
    path = write_safetensors(tmp_path / "model.safetensors", tensors, {"validity": {"note": 1}}, validity)

    weights = load_weights(path)

    assert weights.tensors.keys() == SHAPES.keys()
    for name in ("mean", "components", "excess", "relative_error"):
        np.testing.assert_array_equal(getattr(weights.validity, name), getattr(validity, name))
    table = {"excess": [0.0, 0.02, 0.05], "relative_error": [0.0, 0.1, 1.5]}
    assert weights.details == {"validity": table | {"note": 1}}
    with safetensors.safe_open(path, framework="numpy") as file:
        assert file.get_tensor("validity.components").dtype == np.float16


def test_equal_models_with_validity_have_equal_files(tmp_path, tensors):
    validity = a_validity(table=((0, 1), (0, 2)))
    wider = Validity(
        validity.mean.astype(float), validity.components.astype(np.float32), np.array([0.0, 1.0]), [0.0, 2.0]
    )
    one = write_safetensors(tmp_path / "one.safetensors", tensors, {"a": 1}, validity)
    other = write_safetensors(tmp_path / "other.safetensors", tensors, {"a": 1}, wider)
    again = tmp_path / "again.safetensors"
    save_weights(load_weights(one), again)

    assert one.read_bytes() == other.read_bytes() == again.read_bytes()


def test_the_other_parts_come_back_as_well_and_so_does_their_absence(tmp_path, tensors):
    validity = dataclasses.replace(a_validity(), understated=1.3)
    curve = np.array([0.5, 1.0]), np.array([0.0, 0.3])
    calibration = Calibration(np.array([-1.0]), np.array([50.0]), np.array([[0.1]]), np.array([[0.9]]))
    whole = Weights("", "", tensors, {}, validity, MissingPixels(curve, curve, curve), calibration)
    path = tmp_path / "model.safetensors"
    save_weights(whole, path)

    read = load_weights(path)

    assert read.validity.understated == 1.3
    np.testing.assert_array_equal(read.missing.green, curve)
    for name, values in vars(calibration).items():
        np.testing.assert_array_equal(getattr(read.calibration, name), values)
    assert read.details.keys() == {"validity", "missing_pixels", "calibration"}
    save_weights(read, tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()
    plain = load_weights(write_safetensors(path, tensors))
    assert plain.missing is None
    assert plain.calibration is None


@pytest.mark.parametrize("name", ["missing_pixels", "calibration"])
def test_a_table_that_stands_in_the_details_alone_is_not_written(tmp_path, tensors, name):
    with pytest.raises(ConfigError, match=f"a table {name} that the weights themselves do not have"):
        write_safetensors(tmp_path / "model.safetensors", tensors, {name: {}})


TABLE = {"excess": [0.0, 1.0], "relative_error": [0.0, 1.0]}


@pytest.mark.parametrize(
    ("change", "table", "words"),
    [
        ({"validity.mean": None}, TABLE, "missing: validity.mean"),
        ({"validity.components": None}, TABLE, "missing: validity.components"),
        ({}, None, "missing: validity in the details"),
        ({"validity.mean": None, "validity.components": None}, TABLE, "missing: validity.mean"),
        ({"validity.more": np.zeros(3, np.float16)}, TABLE, "do not belong: validity.more"),
        ({"validity.mean": np.zeros(7513, np.float16)}, TABLE, "validity.mean has shape"),
        ({"validity.mean": np.zeros((1, 7514), np.float16)}, TABLE, "validity.mean has shape"),
        ({"validity.mean": np.zeros(7514, np.int32)}, TABLE, "validity.mean is int32, not float"),
        ({"validity.components": np.zeros(7514, np.float16)}, TABLE, "validity.components has shape"),
        ({"validity.components": np.zeros((0, 7514), np.float16)}, TABLE, "validity.components has shape"),
        ({"validity.components": np.zeros((752, 7514), np.float16)}, TABLE, "validity.components has shape"),
        ({"validity.components": np.full((1, 7514), np.nan)}, TABLE, "validity.components holds NaN"),
        ({"validity.mean": np.full(7514, np.inf, np.float16)}, TABLE, "validity.mean holds NaN or infinity"),
        ({"validity.mean": np.full(7514, 1e6)}, TABLE, "more than float16 can"),
        ({}, 5, "no lists excess and relative_error"),
        ({}, [], "no lists excess and relative_error"),
        ({}, {"excess": [0.0]}, "no lists excess and relative_error"),
        ({}, {"excess": "01", "relative_error": [0, 1]}, "no lists excess and relative_error"),
        ({}, {"excess": [], "relative_error": []}, "0 excesses and 0 errors"),
        ({}, {"excess": [0, 1], "relative_error": [0]}, "2 excesses and 1 errors"),
        ({}, {"excess": [1, 0], "relative_error": [0, 1]}, "not in ascending order"),
        ({}, {"excess": [1, 1], "relative_error": [0, 1]}, "not in ascending order"),
        ({}, {"excess": [-1, 1], "relative_error": [0, 1]}, "negative number"),
        ({}, {"excess": [0, 1], "relative_error": [0, -1]}, "negative number"),
        ({}, {"excess": [0, "1"], "relative_error": [0, 1]}, "something other than numbers"),
        ({}, {"excess": [0, None], "relative_error": [0, 1]}, "something other than numbers"),
        ({}, {"excess": [False, True], "relative_error": [0, 1]}, "something other than numbers"),
        ({}, {"excess": [0, [1]], "relative_error": [0, 1]}, "something other than numbers"),
        ({}, {"excess": [0, 10**400], "relative_error": [0, 1]}, "a number too large"),
        ({}, TABLE | {"understated": 0.9}, "understated is 0.9, not a number from 1 on"),
        ({}, TABLE | {"understated": "1"}, "understated is '1', not a number from 1 on"),
    ],
)
def test_half_a_validity_is_refused(tmp_path, tensors, change, table, words):
    validity = a_validity()
    held = tensors | {"validity.mean": validity.mean, "validity.components": validity.components} | change
    details = {} if table is None else {"validity": table}
    path = tmp_path / "model.safetensors"
    path.write_bytes(to_safetensors({n: v for n, v in held.items() if v is not None}, details))

    assert_refused(path, words)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_details_that_hold_no_finite_number_are_refused(tmp_path, tensors, number):
    note = '{"architecture": "ApogeeDistBCNN", "details": {"loss": [0.5, NUMBER]}}'.replace("NUMBER", number)
    path = tmp_path / "model.safetensors"
    safetensors.numpy.save_file(tensors, path, {"astra": note})

    assert_refused(path, f"details in its metadata hold {number}")


def test_a_validity_that_could_not_be_read_again_is_not_written(tmp_path, tensors):
    path = tmp_path / "model.safetensors"
    good = a_validity()
    for validity, details in (
        (Validity(good.mean[:5], good.components, good.excess, good.relative_error), {}),
        (Validity(good.mean, good.components, good.excess[::-1], good.relative_error), {}),
        (Validity(good.mean, good.components, good.excess * np.nan, good.relative_error), {}),
        (None, {"validity": TABLE}),
        (good, {"validity": 5}),
    ):
        with pytest.raises(ConfigError, match=r"model.safetensors"):
            write_safetensors(path, tensors, details, validity)

        assert not path.exists()


# > What is not weights


@pytest.mark.parametrize("name", ["model.pt", "model.safetensors", "model.onnx", "model", "a/b/model.pt"])
def test_what_is_not_there_is_refused(tmp_path, name):
    assert_refused(tmp_path / name)


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"PK\x03\x04" + b"\0" * 60, b"\x80\x04K\x01.", b"{}"])
@pytest.mark.parametrize("name", ["model.pt", "model.safetensors", "model.txt"])
def test_a_file_that_is_something_else_is_refused(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)

    assert_refused(path)


def test_a_file_that_was_cut_off_is_refused_wherever_it_was_cut(tmp_path, tensors):
    for name in ("checkpoint.pt", "ours.safetensors"):
        path = WRITERS[name](tmp_path / name, tensors)
        content = path.read_bytes()
        for length in (1, 7, 100, 1000, len(content) // 2, len(content) - 1):
            path.write_bytes(content[:length])

            assert_refused(path)


@pytest.mark.parametrize("missing", [JSON, HDF5])
def test_a_folder_without_its_two_files_is_refused(tmp_path, tensors, missing):
    folder = write_folder(tmp_path / "model", tensors)
    (folder / missing).unlink()

    assert_refused(folder, JSON, HDF5)


@pytest.mark.parametrize("damaged", [JSON, HDF5])
@pytest.mark.parametrize("content", [b"", b"[]", b"\xff\xfe", b'{"input_mean": 1}', b"[" * 100_000])
def test_a_folder_with_a_damaged_file_is_refused(tmp_path, tensors, damaged, content):
    folder = write_folder(tmp_path / "model", tensors)
    (folder / damaged).write_bytes(content)

    assert_refused(folder)


@pytest.mark.parametrize(
    "parameters",
    [
        {"activation": "tanh"},
        {"last_layer_activation": "linear"},
        {"pool_length": 2},
        {"dropout_rate": 0.2},
        {"labels_mean": {"output": [3.0], "variance_output": [3.0]}},
        {"input_std": {"input": [2.0], "input_err": [1.0], "labels_err": [1.0]}},
    ],
)
def test_a_folder_of_another_network_is_refused_though_the_shapes_fit(tmp_path, tensors, parameters):
    assert_refused(write_folder(tmp_path / "model", tensors, **parameters), *parameters)


def test_a_folder_with_other_layers_is_refused(tmp_path, tensors):
    folder = write_folder(tmp_path / "model", tensors)
    for layer in ("conv1d_7", "batch_normalization"):
        changed = shutil.copytree(folder, tmp_path / layer)
        with h5py.File(changed / HDF5, "a") as file:
            file[f"model_weights/{layer}/{layer}/kernel:0"] = np.ones(3)

        assert_refused(changed, "another network")


class RunsCode:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("protocol", [2, 4])
def test_a_pickle_that_would_run_code_does_not_run_it(tmp_path, protocol):
    trace = tmp_path / "it ran"
    paths = tmp_path / "zipped.pt", tmp_path / "plain.pt", tmp_path / "old.pt"
    content = {"model_state_dict": RunsCode(trace)}
    torch.save(content, paths[0], pickle_protocol=protocol)
    paths[1].write_bytes(pickle.dumps(content, protocol))
    torch.save(content, paths[2], pickle_protocol=protocol, _use_new_zipfile_serialization=False)

    for path in paths:
        assert_refused(path, "refused")
        assert not trace.exists()


def test_a_torch_that_is_not_safe_for_checkpoints_reads_none(tmp_path, tensors, monkeypatch):
    path = write_checkpoint(tmp_path / "good.pt", tensors)
    monkeypatch.setattr(torch, "__version__", "2.5.1+cpu")

    with pytest.raises(ConfigError, match=r"torch 2.5.1\+cpu may run code .* upgrade torch to 2.6"):
        load_weights(path)


@pytest.mark.parametrize(
    "content", [[], {}, {"model_state_dict": None}, {"model_state_dict": {"conv1.bias": 1}}]
)
def test_a_checkpoint_of_something_else_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "model.pt")

    assert_refused(tmp_path / "model.pt")


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        {"astra": "{"},
        {"astra": "[]"},
        {"astra": '{"architecture": "X"}'},
        {"astra": '{"architecture": "ApogeeDistBCNN"}'},
        {"astra": '{"architecture": "ApogeeDistBCNN", "details": [1]}'},
    ],
)
def test_a_safetensors_file_that_is_not_ours_is_refused(tmp_path, tensors, metadata):
    path = tmp_path / "model.safetensors"
    safetensors.numpy.save_file(tensors, path, metadata)

    assert_refused(path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"conv1.bias": None}, "missing: conv1.bias"),
        ({"conv3.bias": np.zeros(2, np.float32)}, "do not belong: conv3.bias"),
        ({"dense_1.weight": np.zeros((7512, 192), np.float32)}, "dense_1.weight"),
        ({"labels_std": np.array(100, np.float32)}, "labels_std"),
        ({"labels_std": np.array([0], np.float32)}, "labels_std is 0.0, not positive"),
        ({"labels_std": np.array([-1], np.float32)}, "labels_std is -1.0, not positive"),
        ({"dense_var.bias": np.array([np.nan], np.float32)}, "dense_var.bias holds NaN or infinity"),
        ({"dense_var.bias": np.array([np.inf], np.float32)}, "dense_var.bias holds NaN or infinity"),
        ({"dense_var.bias": np.array([1e300])}, "dense_var.bias holds NaN or infinity"),
        ({"dense_var.bias": np.array([1])}, "dense_var.bias"),
        ({"dense_var.bias": np.array([1j])}, "dense_var.bias"),
    ],
)
def test_tensors_that_are_not_those_of_the_network_are_refused(tmp_path, tensors, change, words):
    changed = {name: value for name, value in (tensors | change).items() if value is not None}

    assert_refused(write_checkpoint(tmp_path / "model.pt", changed), words)


@pytest.mark.parametrize(
    "path", ["two\nlines/model.pt", "bell\a.safetensors", "nul\0.pt", "x" * 5000 + ".pt"]
)
def test_odd_paths_are_refused_on_one_line(path):
    with pytest.raises(ConfigError) as caught:
        load_weights(path)

    assert str(caught.value).isprintable()


@pytest.mark.heavy
@pytest.mark.parametrize("name", ["model.pt", "model.safetensors", "model"])
def test_what_may_not_be_read_is_refused(open_tmp_path, ordinary_user, tensors, name):
    write = {"model": write_folder, "model.pt": write_checkpoint}.get(name, write_safetensors)
    path = write(open_tmp_path / name, tensors)
    (path / JSON if path.is_dir() else path).chmod(0)
    room = "astra.pipelines.astronn_dist.weights.files"
    code = f"import sys; from {room} import load_weights; load_weights(sys.argv[1])"

    command = [sys.executable, "-c", code, str(path)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True, **ordinary_user)

    last_line = done.stderr.strip().splitlines()[-1]
    assert last_line.startswith("astra.errors.ConfigError: ")
    assert "Permission denied" in last_line
