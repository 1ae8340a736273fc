"""The installed models: a list, the details of each, and the import of others."""

import dataclasses
import os
import re
import shlex
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from astra.config import Settings
from astra.errors import ConfigError, UsageError
from astra.pipelines.astronn_dist.weights import files, finding
from astra.pipelines.astronn_dist.weights.files import SUFFIXES, Weights, load_weights, reason, shown
from astra.pipelines.astronn_dist.weights.formats import FOLDER_FILES, WrongWeights

FORMATS = {".safetensors": "safetensors", ".pt": "checkpoint"}
FOLDER_FORMAT = "astroNN folder"

#: Where a model lies.
PACKAGE, MODELS_FOLDER, ELSEWHERE = "package", "models folder", "elsewhere"

_NAME = re.compile(r"[^\W_][\w.+-]*")
_NORMALISATION = ("input_mean", "labels_std")


@dataclass(frozen=True)
class Listed:
    """One model of the list; of a damaged one, what is wrong with it."""

    name: str
    path: Path
    place: str
    format: str
    bytes: int
    sha256: str | None = None
    range: str | None = None
    fault: str | None = None
    chosen_by: str | None = None
    """What chose it, if it is the one in force."""
    hidden_by: Path | None = None
    """The model that is taken for the name in its place; this one is found by its path alone."""


@dataclass(frozen=True)
class Listing:
    """All installed models, and the reason if none of them is in force."""

    models: list[Listed]
    problem: str | None


# > What there is


def list_models(settings: Settings) -> Listing:
    """The embedded default, those in the folder of models, and the one in force, wherever it lies.

    Raises:
        ConfigError: The folder of models is there but cannot be read.
    """
    chosen, problem = None, None
    try:
        chosen = finding.find_weights(None, settings)
    except ConfigError as error:
        problem = str(error)
    places = dict.fromkeys(_in_folder(settings.models_dir), MODELS_FOLDER)
    if (embedded := finding.embedded_default()) is not None:
        places = {embedded: PACKAGE} | places
    if chosen is not None and not any(_same(path, chosen.path) for path in places):
        places[chosen.path] = ELSEWHERE
    return Listing([_listed(path, place, settings) for path, place in places.items()], problem)


def _in_folder(folder: Path) -> Iterator[Path]:
    try:
        found = sorted(folder.iterdir(), key=lambda path: (_name(path), path.name))
    except FileNotFoundError:
        return
    except OSError as error:
        raise _unusable(folder, error) from error
    for path in found:
        holds_model = path.suffix in SUFFIXES or any(os.path.exists(path / name) for name in FOLDER_FILES)
        if holds_model and not path.name.startswith("."):
            yield path


def _unusable(folder: Path, error: OSError) -> ConfigError:
    return ConfigError(f"models folder {shown(folder)}: {reason(error)}; set ASTRA_MODELS_DIR")


def _listed(path: Path, place: str, settings: Settings) -> Listed:
    facts: dict[str, Any] = {}
    with suppress(ConfigError):
        facts["sha256"] = files.identify(path)[1]
    try:
        facts["range"] = files.read_weights(path).range
    except WrongWeights as error:
        facts["fault"] = str(error)
    facts["chosen_by"] = _chosen_by(path, settings)
    if place != ELSEWHERE and not _is_found_by_name(path, settings):
        facts["hidden_by"] = _taken(_name(path), settings)
    return Listed(_name(path), path, place, _format(path), _size(path), **facts)


def _taken(name: str, settings: Settings) -> Path | None:
    """The model that a name stands for, or ``None``."""
    with suppress(ConfigError):
        return finding.named(name, "name", settings.models_dir)
    return None


def _is_found_by_name(path: Path, settings: Settings) -> bool:
    taken = _taken(_name(path), settings)
    return taken is not None and _same(path, taken)


# > One of them


def describe_model(value: str | None, settings: Settings) -> dict[str, Any]:
    """All that is known of a model, as JSON can hold it.

    Args:
        value: A name or a path; ``None`` takes the model in force.
        settings: Where models are, and which is in force.

    Raises:
        ConfigError: There is no such model, or it is damaged.
    """
    if value is None:
        path = finding.find_weights(None, settings).path
    else:
        path = finding.named(value, "model", settings.models_dir)
    return _described(path, load_weights(path, "see `astra models list`"), settings)


def _described(path: Path, weights: Weights, settings: Settings) -> dict[str, Any]:
    sizes = [tensor.size for name, tensor in weights.tensors.items() if name not in _NORMALISATION]
    validity = weights.validity
    return {
        "name": weights.name,
        "sha256": weights.sha256,
        "path": str(path),
        "format": _format(path),
        "bytes": _size(path),
        "chosen_by": _chosen_by(path, settings),
        "parameters": sum(sizes),
        "labels_std": weights.tensors["labels_std"].item(),
        "range": weights.range,
        "widens_errors": validity is not None,
        "components": 0 if validity is None else len(validity.components),
        "details": {name: value for name, value in weights.details.items() if name != "range"},
        "use": _command(path, settings),
    }


def _chosen_by(path: Path, settings: Settings) -> str | None:
    """What chose this model, if it is the one in force."""
    with suppress(ConfigError):
        chosen = finding.find_weights(None, settings)
        return chosen.origin if _same(path, chosen.path) else None
    return None


def _command(path: Path, settings: Settings) -> str:
    """A command that runs with this model."""
    value = _name(path) if _is_found_by_name(path, settings) else str(path.absolute())
    return f"astra run astronn_dist --weights {shlex.quote(value)}"


# > Another one


def import_model(
    path: str | os.PathLike[str], name: str, settings: Settings, *, overwrite: bool = False
) -> dict[str, Any]:
    """Convert weights of any format to ``.safetensors`` in the folder of models.

    Args:
        path: A checkpoint, an astroNN folder or a ``.safetensors`` file.
        name: What ``--weights`` shall call it.
        settings: Where models are.
        overwrite: Replace a model of this name.

    Returns:
        The new model, as :func:`describe_model` describes it.

    Raises:
        UsageError: The name is not allowed, or taken.
        ConfigError: The weights cannot be read, or the folder of models not be written.
    """
    _check_name(name)
    taken = [file for file in finding.files_of(name, settings.models_dir) if os.path.lexists(file)]
    if taken and not overwrite:
        raise UsageError(
            f"there is a model {name} already ({shown(taken[0])}); choose another name, or give --overwrite"
        )
    weights = load_weights(path, "nothing was imported")
    source: dict[str, Any] = {"file": os.path.basename(os.path.realpath(path)), "sha256": weights.sha256}
    if "imported_from" in weights.details:
        source["imported_from"] = weights.details["imported_from"]
    target = settings.models_dir / (name + files.OURS)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unusable(target.parent, error) from error
    details = {**weights.details, "imported_from": source}
    files.save_weights(dataclasses.replace(weights, details=details), target)
    return _described(target, load_weights(target), settings)


def _check_name(name: str) -> None:
    embedded = finding.embedded_default()
    if not _NAME.fullmatch(name):
        fault = "begin with a letter or a digit, and go on with these or any of . _ + -"
    elif name.endswith(SUFFIXES):
        fault = f"leave out {' and '.join(SUFFIXES)}"
    elif embedded is not None and name == embedded.stem:
        fault = "this is the name of the embedded default"
    else:
        return
    raise UsageError(f"cannot name a model {name!r}: {fault}")


# > Files


def _same(path: Path, other: Path) -> bool:
    return os.path.realpath(path) == os.path.realpath(other)


def _name(path: Path) -> str:
    return path.stem if path.suffix in SUFFIXES else path.absolute().name


def _format(path: Path) -> str:
    return FOLDER_FORMAT if os.path.isdir(path) else FORMATS.get(path.suffix, "unknown")


def _size(path: Path) -> int:
    parts = [path / name for name in FOLDER_FILES] if os.path.isdir(path) else [path]
    return sum(os.path.getsize(part) for part in parts if os.path.exists(part))
