"""The models at hand: all are listed, damaged or not; one is described; another one gets a name."""

import hashlib
import json
import os
from types import SimpleNamespace

import numpy as np
import pytest
from weights_files import write_checkpoint, write_folder

from astra.errors import ConfigError, UsageError
from astra.pipelines.astronn_dist.weights.files import SHAPES, Weights, load_weights, save_weights
from astra.pipelines.astronn_dist.weights.library import (
    MWM_ASTRA_FILE,
    describe_model,
    find_weights,
    import_model,
    list_models,
)
from astra.pipelines.astronn_dist.weights.validity import Validity

DETAILS = {
    "range": "red giants and dwarfs, S/N > 50",
    "trained_on": {"simulated": 100_000},
    "seed": 3,
    "metrics": {"rgb": {"median": 0.01}},
}


@pytest.fixture
def settings(tmp_path, embedded_folder):
    models_dir = tmp_path / "models"
    models_dir.mkdir()
    return SimpleNamespace(weights=None, mwm_astra=None, models_dir=models_dir)


@pytest.fixture(scope="module")
def tensors():
    tensors = {name: np.zeros(shape, np.float32) for name, shape in SHAPES.items()}
    return tensors | {"labels_std": np.array([30.0], np.float32)}


def a_model(path, tensors, details=None, validity=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    save_weights(Weights("", "", tensors, details or {}, validity), path)
    return path


def a_checkpoint(path, tensors):
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_checkpoint(path, tensors)


def a_validity():
    return Validity(
        np.zeros(7514, np.float16), np.ones((2, 7514), np.float16), np.array([0.0, 0.1]), np.array([0.0, 0.5])
    )


# > The list


def test_the_embedded_default_comes_first_and_is_in_force_unless_another_is_named(
    settings, tensors, embedded_folder
):
    a_model(embedded_folder / "sim1.safetensors", tensors, DETAILS)
    a_model(settings.models_dir / "mine.safetensors", tensors)

    default, mine = list_models(settings).models
    settings.weights = "mine"
    unused, chosen = list_models(settings).models

    assert (default.name, default.place, default.chosen_by) == ("sim1", "package", "embedded default")
    assert default.range == DETAILS["range"]
    assert (mine.name, mine.place, mine.chosen_by, mine.range) == ("mine", "models folder", None, None)
    assert (unused.chosen_by, chosen.chosen_by) == (None, "weights in the configuration")


def test_a_model_in_force_that_lies_elsewhere_is_listed_as_well(settings, tensors, tmp_path):
    path = a_checkpoint(tmp_path / MWM_ASTRA_FILE, tensors)
    settings.mwm_astra = tmp_path

    (found,) = list_models(settings).models

    assert (found.path, found.place, found.format) == (path, "elsewhere", "checkpoint")
    assert found.chosen_by == "weights of MWM_ASTRA"
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert found.bytes == path.stat().st_size


def test_damaged_models_are_listed_with_their_faults(settings, tensors):
    folder = settings.models_dir
    a_checkpoint(folder / "a.pt", tensors | {"conv1.bias": np.full(2, np.nan, np.float32)})
    (folder / "b.safetensors").write_bytes(b"no model")
    (folder / "c").mkdir()
    (folder / "c" / "model_weights.h5").touch()
    (folder / "d.pt").symlink_to(folder / "nowhere.pt")
    a_model(folder / "e.safetensors", tensors)

    found = list_models(settings).models

    assert [model.name for model in found] == ["a", "b", "c", "d", "e"]
    faults = ["conv1.bias holds NaN", "damaged", "No such file", "No such file"]
    for model, fault in zip(found, faults, strict=False):
        assert fault in model.fault
    assert found[-1].fault is None
    assert [model.sha256 is None for model in found] == [False, False, True, True, False]


def test_what_is_no_model_is_not_listed(settings, tensors):
    for name in ("notes.txt", ".hidden.safetensors", ".m.safetensors.123.tmp"):
        (settings.models_dir / name).touch()
    (settings.models_dir / "plots").mkdir()

    assert list_models(settings).models == []


def test_a_model_that_another_one_hides_says_by_which(settings, tensors, embedded_folder):
    default = a_model(embedded_folder / "m.safetensors", tensors)
    checkpoint = a_checkpoint(settings.models_dir / "m.pt", tensors)
    ours = a_model(settings.models_dir / "m.safetensors", tensors)

    hidden = {model.path: model.hidden_by for model in list_models(settings).models}

    assert hidden == {default: ours, checkpoint: ours, ours: None}


def test_without_any_model_the_list_is_empty_and_says_why_none_is_in_force(settings):
    settings.models_dir.rmdir()

    found = list_models(settings)

    assert found.models == []
    assert "embeds no default model" in found.problem


def test_a_wrong_setting_does_not_stop_the_list(settings, tensors):
    a_model(settings.models_dir / "mine.safetensors", tensors)
    settings.weights = "gone"

    found = list_models(settings)

    assert [model.name for model in found.models] == ["mine"]
    assert "weights in the configuration: not found" in found.problem


def test_a_folder_of_models_that_is_none_is_refused(settings, tmp_path):
    settings.models_dir = tmp_path / "file"
    settings.models_dir.touch()

    with pytest.raises(ConfigError, match="models folder .*file: Not a directory; set ASTRA_MODELS_DIR"):
        list_models(settings)


# > One of them


def test_a_model_is_described_by_what_it_holds_and_what_its_maker_noted(settings, tensors):
    path = a_model(settings.models_dir / "mine.safetensors", tensors, DETAILS, a_validity())

    found = describe_model("mine", settings)

    assert (found["name"], found["path"], found["format"]) == ("mine", str(path), "safetensors")
    assert found["sha256"] == load_weights(path).sha256
    assert found["parameters"] == sum(map(np.size, tensors.values())) - 7514 - 1
    assert (found["labels_std"], found["range"], found["components"]) == (30.0, DETAILS["range"], 2)
    assert found["details"]["metrics"] == {"rgb": {"median": 0.01}}
    assert (found["chosen_by"], found["use"]) == (None, "astra run astronn_dist --weights mine")
    json.dumps(found, allow_nan=False)


def test_the_model_in_force_is_described_if_none_is_named(settings, tensors, embedded_folder):
    a_model(embedded_folder / "sim1.safetensors", tensors, DETAILS)

    found = describe_model(None, settings)

    assert (found["name"], found["chosen_by"]) == ("sim1", "embedded default")
    assert find_weights(found["use"].split()[-1], settings).path == embedded_folder / "sim1.safetensors"


def test_a_model_that_its_name_does_not_find_is_used_by_its_path(settings, tensors, tmp_path):
    path = a_model(tmp_path / "else where" / "mine.safetensors", tensors)

    assert describe_model(str(path), settings)["use"] == f"astra run astronn_dist --weights '{path}'"


@pytest.mark.parametrize("value", ["none", "none.pt", "./none", ""])
def test_a_model_that_is_not_there_is_refused(settings, value):
    with pytest.raises(ConfigError, match="^model: "):
        describe_model(value, settings)


def test_a_damaged_model_is_not_described(settings):
    (settings.models_dir / "bad.safetensors").write_bytes(b"no model")

    with pytest.raises(ConfigError, match="bad.safetensors: damaged.*; see `astra models list`"):
        describe_model("bad", settings)


# > Another one


@pytest.fixture(
    params=["checkpoint", "safetensors", "folder", pytest.param("astroNN", marks=pytest.mark.real)]
)
def source(request, tensors, tmp_path):
    """Weights in each format; of folders, also one that astroNN has written."""
    match request.param:
        case "checkpoint":
            return a_checkpoint(tmp_path / "model.pt", tensors)
        case "safetensors":
            return a_model(tmp_path / "model.safetensors", tensors, DETAILS, a_validity())
        case "folder":
            return write_folder(tmp_path / "model", tensors)
    return request.getfixturevalue("reference") / "astroNN_folder"


def test_every_format_is_imported_with_its_origin(source, settings):
    original = load_weights(source)

    found = import_model(str(source), "mine", settings)

    imported = load_weights(settings.models_dir / "mine.safetensors")
    assert found["sha256"] == imported.sha256
    assert imported.details == dict(original.details) | {
        "imported_from": {"file": source.name, "sha256": original.sha256}
    }
    for tensor in SHAPES:
        np.testing.assert_array_equal(imported.tensors[tensor], original.tensors[tensor])
    assert (imported.validity is None) == (original.validity is None)
    assert find_weights("mine", settings).path == settings.models_dir / "mine.safetensors"


def test_a_second_import_keeps_the_first_origin(settings, tensors, tmp_path):
    source = a_checkpoint(tmp_path / "first.pt", tensors)
    import_model(source, "one", settings)
    import_model(settings.models_dir / "one.safetensors", "two", settings)

    origin = load_weights(settings.models_dir / "two.safetensors").details["imported_from"]

    assert origin["file"] == "one.safetensors"
    assert origin["imported_from"] == {
        "file": "first.pt",
        "sha256": hashlib.sha256(source.read_bytes()).hexdigest(),
    }


def test_the_same_import_gives_the_same_file(settings, tensors, tmp_path):
    source = a_checkpoint(tmp_path / "model.pt", tensors)

    assert import_model(source, "one", settings)["sha256"] == import_model(source, "two", settings)["sha256"]


@pytest.mark.parametrize("there", ["mine.safetensors", "mine.pt", "mine"])
def test_a_name_that_is_taken_needs_overwrite(settings, tensors, tmp_path, there):
    source = a_checkpoint(tmp_path / "model.pt", tensors)
    (settings.models_dir / there).mkdir() if there == "mine" else (settings.models_dir / there).touch()

    with pytest.raises(UsageError, match="there is a model mine already .*--overwrite"):
        import_model(source, "mine", settings)
    assert os.listdir(settings.models_dir) == [there]

    import_model(source, "mine", settings, overwrite=True)
    assert find_weights("mine", settings).path == settings.models_dir / "mine.safetensors"


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "a/b", "../x", "/x", "-x", ".x", "a b", "x.pt", "x.safetensors", "two\nlines", "nul\0"],
)
def test_what_is_no_name_is_refused(settings, tensors, tmp_path, name):
    source = a_checkpoint(tmp_path / "model.pt", tensors)

    with pytest.raises(UsageError, match="cannot name a model") as caught:
        import_model(source, name, settings)

    assert str(caught.value).isprintable()
    assert os.listdir(settings.models_dir) == []


@pytest.mark.parametrize("name", ["sim1", "sim0"])
def test_the_name_of_a_model_of_the_package_is_not_given_to_another(settings, tensors, embedded_folder, name):
    path = a_model(embedded_folder / f"{name}.safetensors", tensors)

    with pytest.raises(UsageError, match="a model of the package has this name"):
        import_model(path, name, settings, overwrite=True)


@pytest.mark.parametrize("name", ["x" * 300, "Größe-2.1_b+c"])
def test_long_and_foreign_names_work_or_are_refused_on_one_line(settings, tensors, tmp_path, name):
    source = a_checkpoint(tmp_path / "model.pt", tensors)
    if len(name) < 255:
        assert import_model(source, name, settings)["name"] == name
        return

    with pytest.raises(ConfigError, match="File name too long"):
        import_model(source, name, settings)
    assert os.listdir(settings.models_dir) == []


def test_damaged_weights_are_not_imported(settings, tmp_path):
    (tmp_path / "bad.pt").write_bytes(b"no model")

    with pytest.raises(ConfigError, match=r"bad.pt: damaged.*; nothing was imported"):
        import_model(tmp_path / "bad.pt", "mine", settings)
    with pytest.raises(ConfigError, match=r"gone.pt: No such file.*; nothing was imported"):
        import_model(tmp_path / "gone.pt", "mine", settings)

    assert os.listdir(settings.models_dir) == []


def test_the_folder_of_models_is_made_where_that_is_possible(settings, tensors, tmp_path):
    source = a_checkpoint(tmp_path / "model.pt", tensors)
    settings.models_dir = tmp_path / "new" / "models"
    import_model(source, "mine", settings)
    assert settings.models_dir.is_dir()

    (tmp_path / "file").touch()
    settings.models_dir = tmp_path / "file" / "models"
    with pytest.raises(ConfigError, match="models folder .*: Not a directory"):
        import_model(source, "mine", settings)
