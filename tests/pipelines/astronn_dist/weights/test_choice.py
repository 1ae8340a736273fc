"""Which weights are in force: the order of what may name them, and one line for what is not there."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from astra.errors import ConfigError
from astra.pipelines.astronn_dist.weights.library import (
    EMBEDDED,
    MWM_ASTRA_FILE,
    Chosen,
    embedded_default,
    embedded_models,
    find_weights,
)


@pytest.fixture
def settings(tmp_path):
    models_dir = tmp_path / "models"
    models_dir.mkdir()
    return SimpleNamespace(weights=None, mwm_astra=None, models_dir=models_dir)


def test_the_option_comes_first_then_the_configuration_then_mwm_astra_then_the_embedded_default(
    settings, tmp_path, embedded_folder
):
    default = embedded_folder / "sim1.safetensors"
    default.touch()
    assert find_weights(None, settings) == Chosen(default, EMBEDDED)

    published = tmp_path / MWM_ASTRA_FILE
    published.parent.mkdir(parents=True)
    for path in (published, settings.models_dir / "a.pt", settings.models_dir / "b.pt"):
        path.touch()
    settings.mwm_astra = tmp_path

    assert find_weights(None, settings) == Chosen(published, "weights of MWM_ASTRA")
    settings.weights = "b"
    assert find_weights(None, settings) == Chosen(
        settings.models_dir / "b.pt", "weights in the configuration"
    )
    assert find_weights("a", settings) == Chosen(settings.models_dir / "a.pt", "--weights")


def test_where_nothing_is_embedded_the_message_asks_for_weights(settings, embedded_folder):
    with pytest.raises(ConfigError, match=r"embeds no default model; give --weights"):
        find_weights(None, settings)


def test_earlier_defaults_stay_in_the_package_and_are_taken_by_their_names(settings, embedded_folder):
    default, earlier = (embedded_folder / f"{name}.safetensors" for name in ("sim1", "sim0"))
    for path in (earlier, default):
        path.touch()

    assert embedded_default() == find_weights(None, settings).path == default
    assert find_weights("sim0", settings).path == earlier
    assert list(embedded_models()) == ["sim1", "sim0"]


def test_the_package_has_its_default_and_no_more_models_than_its_page_says():
    assert embedded_default().suffix == ".safetensors"
    assert sum(path.stat().st_size for path in embedded_models().values()) < 20e6


def test_the_embedded_default_has_a_name_unless_a_model_of_the_user_has_it(settings, embedded_folder):
    default = embedded_folder / "sim1.safetensors"
    default.touch()
    assert find_weights("sim1", settings).path == default

    (settings.models_dir / "sim1.pt").touch()

    assert find_weights("sim1", settings).path == settings.models_dir / "sim1.pt"


def test_mwm_astra_without_the_file_is_an_error_and_no_fallback(settings, tmp_path):
    settings.mwm_astra = tmp_path / "mwm"

    with pytest.raises(ConfigError, match=r"MWM_ASTRA: not found: .*/mwm/pipelines/astroNN_dist/"):
        find_weights(None, settings)


def test_a_name_is_a_safetensors_file_before_a_checkpoint_before_a_folder(settings):
    folder, checkpoint, ours = (settings.models_dir / name for name in ("m", "m.pt", "m.safetensors"))

    folder.mkdir()
    assert find_weights("m", settings).path == folder
    checkpoint.touch()
    assert find_weights("m", settings).path == checkpoint
    ours.touch()
    assert find_weights("m", settings).path == ours


def test_a_folder_that_lies_here_hides_no_model_of_its_name(settings, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine").mkdir()
    assert find_weights("mine", settings).path.resolve() == tmp_path / "mine"

    (settings.models_dir / "mine.safetensors").touch()

    assert find_weights("mine", settings).path == settings.models_dir / "mine.safetensors"


def test_a_slash_or_a_suffix_makes_a_path(settings, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("m.pt", "m.safetensors", "sub"):
        (settings.models_dir / name).touch()
    Path("sub/deeper").mkdir(parents=True)
    for name in ("m.pt", "m.safetensors", "sub/deeper"):
        Path(name).touch()

    for value in ("m.pt", "m.safetensors", "./m.pt", "./sub", "sub/deeper", str(tmp_path / "m.pt")):
        assert find_weights(value, settings).path.resolve() == (tmp_path / value).resolve()


def test_a_tilde_is_the_home_of_the_user(settings):
    path = Path.home() / "model.pt"
    path.touch()

    assert find_weights("~/model.pt", settings).path == path


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
