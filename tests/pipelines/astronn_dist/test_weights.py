"""Weights: three formats, one meaning; and one line for whatever is wrong with them."""

import hashlib
import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
import safetensors.numpy
import torch

from astra.errors import ConfigError
from astra.pipelines.astronn_dist.weights import (
    MWM_ASTRA_FILE,
    SHAPES,
    Weights,
    find_weights,
    identify,
    load_weights,
    save_weights,
)

JSON, HDF5 = "astroNN_model_parameter.json", "model_weights.h5"


@pytest.fixture(scope="module")
def tensors():
    random = np.random.default_rng(0)
    tensors = {name: random.normal(0, 0.1, shape).astype(np.float32) for name, shape in SHAPES.items()}
    return tensors | {"labels_std": np.array([100.0], np.float32)}


@pytest.fixture
def settings(tmp_path):
    models_dir = tmp_path / "models"
    models_dir.mkdir()
    return SimpleNamespace(weights=None, mwm_astra=None, models_dir=models_dir)


def write_checkpoint(path, tensors):
    torch.save({"model_state_dict": {name: torch.tensor(value) for name, value in tensors.items()}}, path)
    return path


def write_folder(path, tensors, first=0, group="model_weights", **parameters):
    """A model folder as astroNN and Keras write it, with layers numbered from ``first``."""
    path.mkdir()
    said = {
        "input_mean": {"input": tensors["input_mean"].tolist()},
        "labels_std": {"output": tensors["labels_std"].tolist()},
        "activation": "relu",
        "last_layer_activation": "softplus",
        "pool_length": 4,
        "dropout_rate": 0.3,
        "labels_mean": {"output": [0.0], "variance_output": [0.0]},
    }
    (path / JSON).write_text(json.dumps(said | parameters))
    numbered = [f"_{first}" if first else "", f"_{first + 1}"]
    layers = {
        f"conv1d{numbered[0]}": "conv1",
        f"conv1d{numbered[1]}": "conv2",
        f"dense{numbered[0]}": "dense_1",
        f"dense{numbered[1]}": "dense_2",
        "output": "dense_output",
        "variance_output": "dense_var",
    }
    with h5py.File(path / HDF5, "w") as file:
        for keras_name, name in layers.items():
            layer = file.create_group("/".join([group, keras_name, keras_name]))
            layer["kernel:0"] = tensors[f"{name}.weight"].T
            layer["bias:0"] = tensors[f"{name}.bias"]
        file.create_group(f"{group}/flatten")
    return path


def write_safetensors(path, tensors, details=None):
    save_weights(Weights("", "", tensors, details or {}), path)
    return path


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
    "metadata", [None, {"astra": "{"}, {"astra": "[]"}, {"astra": '{"architecture": "X"}'}]
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


@pytest.mark.parametrize("name", ["model.pt", "model.safetensors", "model"])
def test_what_may_not_be_read_is_refused(open_tmp_path, ordinary_user, tensors, name):
    write = {"model": write_folder, "model.pt": write_checkpoint}.get(name, write_safetensors)
    path = write(open_tmp_path / name, tensors)
    (path / JSON if path.is_dir() else path).chmod(0)
    code = (
        "import sys; from astra.pipelines.astronn_dist.weights import load_weights; load_weights(sys.argv[1])"
    )

    command = [sys.executable, "-c", code, str(path)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True, **ordinary_user)

    last_line = done.stderr.strip().splitlines()[-1]
    assert last_line.startswith("astra.errors.ConfigError: ")
    assert "Permission denied" in last_line


# > Finding


def test_the_option_comes_first_then_the_configuration_then_mwm_astra(settings, tmp_path):
    published = tmp_path / MWM_ASTRA_FILE
    published.parent.mkdir(parents=True)
    for path in (published, settings.models_dir / "a.pt", settings.models_dir / "b.pt"):
        path.touch()
    settings.mwm_astra = tmp_path

    assert find_weights(None, settings) == published
    settings.weights = "b"
    assert find_weights(None, settings) == settings.models_dir / "b.pt"
    assert find_weights("a", settings) == settings.models_dir / "a.pt"


def test_without_any_setting_the_message_asks_for_weights(settings):
    with pytest.raises(ConfigError, match=r"no default model is embedded.*--weights"):
        find_weights(None, settings)


def test_mwm_astra_without_the_file_is_an_error_and_no_fallback(settings, tmp_path):
    settings.mwm_astra = tmp_path / "mwm"

    with pytest.raises(ConfigError, match=r"MWM_ASTRA: not found: .*/mwm/pipelines/astroNN_dist/"):
        find_weights(None, settings)


def test_a_name_is_a_safetensors_file_before_a_checkpoint_before_a_folder(settings):
    folder, checkpoint, ours = (settings.models_dir / name for name in ("m", "m.pt", "m.safetensors"))

    folder.mkdir()
    assert find_weights("m", settings) == folder
    checkpoint.touch()
    assert find_weights("m", settings) == checkpoint
    ours.touch()
    assert find_weights("m", settings) == ours


def test_a_folder_that_lies_here_hides_no_model_of_its_name(settings, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine").mkdir()
    assert find_weights("mine", settings).resolve() == tmp_path / "mine"

    (settings.models_dir / "mine.safetensors").touch()

    assert find_weights("mine", settings) == settings.models_dir / "mine.safetensors"


def test_a_slash_or_a_suffix_makes_a_path(settings, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("m.pt", "m.safetensors", "sub"):
        (settings.models_dir / name).touch()
    Path("sub/deeper").mkdir(parents=True)
    for name in ("m.pt", "m.safetensors", "sub/deeper"):
        Path(name).touch()

    for value in ("m.pt", "m.safetensors", "./m.pt", "./sub", "sub/deeper", str(tmp_path / "m.pt")):
        assert find_weights(value, settings).resolve() == (tmp_path / value).resolve()


def test_a_tilde_is_the_home_of_the_user(settings):
    path = Path.home() / "model.pt"
    path.touch()

    assert find_weights("~/model.pt", settings) == path


@pytest.mark.parametrize("value", ["m", "m.pt", "./m", "/no/such/m.safetensors", "~nobody-of-this-name/m.pt"])
@pytest.mark.parametrize("origin", ["--weights", "configuration"])
def test_what_is_not_found_is_named_with_where_it_was_named(settings, value, origin):
    option = value if origin == "--weights" else None
    settings.weights = value

    with pytest.raises(ConfigError, match=rf"{origin}: not found: .*m.*{settings.models_dir}"):
        find_weights(option, settings)


@pytest.mark.parametrize("value", ["", "two\nlines", "nul\0", "x" * 5000, "file/m.pt"])
def test_odd_names_are_refused_on_one_line(settings, value, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("file").touch()

    with pytest.raises(ConfigError, match="--weights") as caught:
        find_weights(value, settings)

    assert str(caught.value).isprintable()


def test_a_name_is_looked_up_even_if_the_folder_of_models_is_none(settings, tmp_path):
    (tmp_path / "file").touch()
    settings.models_dir = tmp_path / "file"

    with pytest.raises(ConfigError, match="Not a directory"):
        find_weights("m", settings)
