"""The installed models: which is in force and why, the details of each; import and removal."""

import dataclasses
import os
import re
import shlex
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from astra.config import Settings, expand_path, in_a_home, load_settings
from astra.damage import reason
from astra.errors import ConfigError, UsageError, nearest
from astra.pipelines.astronn_dist.weights import files
from astra.pipelines.astronn_dist.weights.files import SUFFIXES, Weights, load_weights, shown
from astra.pipelines.astronn_dist.weights.formats import FOLDER_FILES, WrongWeights

#: The published model below the folder that ``MWM_ASTRA`` names.
MWM_ASTRA_FILE = Path("pipelines", "astroNN_dist", "astroNN_dist_model_parameter.pt")

#: Holds the models that come with the package, a file each, whose stem is the model's name.
EMBEDDED_FOLDER = Path(__file__).with_name("default")

#: The name of the default among them; the others were it before, and are taken where they are named.
DEFAULT = "simulated-6"

#: How a model was chosen that nobody named.
EMBEDDED = "embedded default"

FORMATS = {".safetensors": "safetensors", ".pt": "checkpoint"}
FOLDER_FORMAT = "astroNN folder"

#: Where a model lies.
PACKAGE, MODELS_FOLDER, ELSEWHERE = "package", "models folder", "elsewhere"

#: Names, in the details of a model, what whoever imported it has stated.
STATED_BY_IMPORTER = "stated_by_importer"

# The options of `astra models import` that state details.
_OPTIONS = {"description": "describe", "range": "range"}

_NAME = re.compile(r"[^\W_][\w.+-]*")
_NORMALISATION = ("input_mean", "labels_std")


# > Which is in force


@dataclass(frozen=True)
class Chosen:
    """Weights that are there, unread, and what named them."""

    path: Path
    origin: str


def chosen_weights(option: str | None) -> Chosen:
    """As :func:`find_weights`, with the settings in force.

    Raises:
        ConfigError: The weights are not there.
    """
    return find_weights(option, load_settings())


def find_weights(option: str | None, settings: Settings) -> Chosen:
    """The file or folder of the weights that a task without rows takes.

    In this order: the option, the configuration, the published model below ``MWM_ASTRA``, the embedded
    default. A value with a "/" or a known suffix is a path; any other is the name of a model in
    ``models_dir``, or else of an embedded one, or else of a folder that exists.

    Raises:
        ConfigError: What is named is not there, or nothing is named and nothing is embedded.
    """
    for value, origin in ((option, "--weights"), (settings.weights, "weights in the configuration")):
        if value is not None:
            return Chosen(named(value, origin, settings.models_dir), origin)
    if settings.mwm_astra is not None:
        path, origin = Path(settings.mwm_astra, MWM_ASTRA_FILE), "weights of MWM_ASTRA"
        return Chosen(_existing([path], origin, "correct or unset MWM_ASTRA, or give --weights"), origin)
    if (path := embedded_default()) is not None:
        return Chosen(path, EMBEDDED)
    raise ConfigError("no weights are named, and this package embeds no default model; give --weights")


def embedded_default() -> Path | None:
    """The file of the default that comes with the package; ``None`` if it was built without one."""
    return embedded_models().get(DEFAULT)


def embedded_models() -> dict[str, Path]:
    """The files of all models that come with the package, by their names, the default first."""
    found = {path.stem: path for path in sorted(EMBEDDED_FOLDER.glob(f"*{files.OURS}"))}
    return dict(sorted(found.items(), key=lambda item: item[0] != DEFAULT))


def files_of(name: str, models_dir: Path) -> list[Path]:
    """Where a model of this name may lie in the folder of models; of several, the first is taken."""
    return [models_dir / (name + suffix) for suffix in (*SUFFIXES, "")]


def named(value: str, origin: str, models_dir: Path) -> Path:
    """The file or folder that a path or a name stands for.

    Raises:
        ConfigError: It is not there; the message begins with ``origin``.
    """
    remedy = (
        f"give a path that exists, or the name of a model in {shown(models_dir)} (see `astra models list`)"
    )
    if not value:
        raise ConfigError(f"{origin}: empty; {remedy}")
    try:
        path = Path(expand_path(value))
    except ConfigError as error:
        raise ConfigError(f"{origin}: {error}") from None
    if is_path(value) or path.suffix in SUFFIXES:  # a variable may stand for a file
        return _existing([path], origin, remedy)
    candidates = files_of(value, models_dir)
    if (embedded := embedded_models().get(value)) is not None:
        candidates.append(embedded)
    if os.path.isdir(path):
        candidates.append(path)  # last: a folder that happens to lie here hides no model of that name
    near = nearest(value, names_of_models(models_dir), None)
    return _existing(candidates, origin, f"put the model there, or {remedy}{near}")


def names_of_models(models_dir: Path) -> list[str]:
    """The names that ``--weights`` takes."""
    there = sorted(models_dir.iterdir()) if models_dir.is_dir() else []
    return [*embedded_models(), *(path.stem if path.suffix in SUFFIXES else path.name for path in there)]


def is_path(value: str) -> bool:
    """Whether a value stands for a path, and for no name."""
    return "/" in value or value.endswith(SUFFIXES)


def _existing(candidates: list[Path], origin: str, remedy: str) -> Path:
    """The first that exists."""
    for path in candidates:
        try:
            path.stat()
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            raise ConfigError(f"{origin}: {shown(path)}: {reason(error)}; {remedy}") from error
        return path
    raise ConfigError(f"{origin}: not found: {', '.join(map(shown, candidates))}; {remedy}")


# > What there is


@dataclass(frozen=True)
class InForce:
    """The weights that a run takes if nobody names any, or the reason why there are none."""

    chosen: Chosen | None
    problem: str | None = None


def without_rows(settings: Settings) -> InForce:
    """The weights that a task without rows takes."""
    try:
        return InForce(find_weights(None, settings))
    except ConfigError as error:
        return InForce(None, str(error))


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
    earlier_default: bool = False
    """Whether it comes with the package because it was the default before."""


@dataclass(frozen=True)
class Listing:
    """All installed models, and the reason if none of them is in force."""

    models: list[Listed]
    problem: str | None


def list_models(settings: Settings, in_force: InForce | None = None) -> Listing:
    """The embedded models, those in the folder of models, and the one in force, wherever it lies.

    Args:
        settings: Where models are.
        in_force: Which is in force; ``None`` takes the one of a task without rows.

    Raises:
        ConfigError: The folder of models is there but cannot be read.
    """
    in_force = in_force or without_rows(settings)
    chosen = in_force.chosen
    places = dict.fromkeys(embedded_models().values(), PACKAGE)
    places |= dict.fromkeys(_in_folder(settings.models_dir), MODELS_FOLDER)
    if chosen is not None and not any(_same(path, chosen.path) for path in places):
        places[chosen.path] = ELSEWHERE
    models = [_listed(path, place, chosen, settings) for path, place in places.items()]
    return Listing(models, in_force.problem)


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


def _listed(path: Path, place: str, chosen: Chosen | None, settings: Settings) -> Listed:
    facts: dict[str, Any] = {"chosen_by": _chosen_by(path, chosen), "earlier_default": _was_default(path)}
    with suppress(ConfigError):
        facts["sha256"] = files.identify(path)[1]
    try:
        facts["range"] = files.read_weights(path).range
    except (ConfigError, WrongWeights) as error:
        facts["fault"] = str(error)
    if place != ELSEWHERE and not _is_found_by_name(path, settings):
        facts["hidden_by"] = _taken(_name(path), settings)
    return Listed(_name(path), path, place, _format(path), _size(path), **facts)


def _taken(name: str, settings: Settings) -> Path | None:
    """The model that a name stands for, or ``None``."""
    with suppress(ConfigError):
        return named(name, "name", settings.models_dir)
    return None


def _is_found_by_name(path: Path, settings: Settings) -> bool:
    taken = _taken(_name(path), settings)
    return taken is not None and _same(path, taken)


# > One of them


def describe_model(value: str | None, settings: Settings, in_force: InForce | None = None) -> dict[str, Any]:
    """All that is known of a model, as JSON can hold it.

    Args:
        value: A name or a path; ``None`` takes the model in force.
        settings: Where models are.
        in_force: Which is in force; ``None`` takes the one of a task without rows.

    Raises:
        ConfigError: There is no such model, or it is damaged.
    """
    in_force = in_force or without_rows(settings)
    path = path_of(value, settings, in_force)
    return _described(path, load_weights(path, "see `astra models list`"), settings, in_force.chosen)


def path_of(value: str | None, settings: Settings, in_force: InForce) -> Path:
    """The file or folder of a name or a path; ``None`` takes the model in force.

    Raises:
        ConfigError: There is no such model.
    """
    if value is not None:
        return named(value, "model", settings.models_dir)
    if in_force.chosen is not None:
        return in_force.chosen.path
    raise ConfigError(in_force.problem)


def _described(path: Path, weights: Weights, settings: Settings, chosen: Chosen | None) -> dict[str, Any]:
    sizes = [tensor.size for name, tensor in weights.tensors.items() if name not in _NORMALISATION]
    validity, missing, calibration = weights.validity, weights.missing, weights.calibration
    return {
        "name": weights.name,
        "sha256": weights.sha256,
        "path": str(path),
        "format": _format(path),
        "bytes": _size(path),
        "chosen_by": _chosen_by(path, chosen),
        "earlier_default": _was_default(path),
        "parameters": sum(sizes),
        "labels_std": weights.tensors["labels_std"].item(),
        "range": weights.range,
        "widens_errors": validity is not None,
        "components": 0 if validity is None else len(validity.components),
        "cost_of_a_detector": None
        if missing is None
        else {n: c[1][-1].item() for n, c in vars(missing).items()},
        "calibration_nodes": 0 if calibration is None else calibration.shift.size,
        "details": {name: value for name, value in weights.details.items() if name != "range"},
        "use": f"astra run astronn_dist --weights {shlex.quote(value_for(path, settings))}",
    }


def _chosen_by(path: Path, chosen: Chosen | None) -> str | None:
    """What chose this model, if it is the one in force."""
    return chosen.origin if chosen and _same(path, chosen.path) else None


def _was_default(path: Path) -> bool:
    """Whether a model comes with the package because it was the default before."""
    return any(_same(path, each) for name, each in embedded_models().items() if name != DEFAULT)


def value_for(path: Path, settings: Settings) -> str:
    """What ``--weights`` takes for this model: its name, where that finds it, or its path."""
    return _name(path) if _is_found_by_name(path, settings) else str(path.absolute())


# > Another one


def import_model(
    path: str | os.PathLike[str],
    name: str,
    settings: Settings,
    *,
    overwrite: bool = False,
    description: str | None = None,
    valid_for: str | None = None,
) -> dict[str, Any]:
    """Convert weights of any format to ``.safetensors`` in the folder of models.

    Args:
        path: A checkpoint, an astroNN folder or a ``.safetensors`` file.
        name: What ``--weights`` shall call it.
        settings: Where models are.
        overwrite: Replace a model of this name.
        description: What it is, in place of what its maker says.
        valid_for: What it is good for, likewise. The file keeps who stated it, and what its maker did.

    Returns:
        The new model, as :func:`describe_model` describes it.

    Raises:
        UsageError: The name is not allowed, or taken, or a text is not one line.
        ConfigError: The weights cannot be read, or the folder of models not be written.
    """
    _check_name(name)
    stated = {"description": description, "range": valid_for}
    stated = {key: text for key, text in stated.items() if text is not None}
    for key, text in stated.items():
        if not text.strip() or not text.isprintable():
            raise UsageError(f"--{_OPTIONS[key]} {text!r}: give one line of text")
    taken = [file for file in files_of(name, settings.models_dir) if os.path.lexists(file)]
    if taken and not overwrite:
        raise UsageError(
            f"there is a model {name} already ({shown(taken[0])}); choose another name, or give --overwrite"
        )
    weights = load_weights(path, "nothing was imported")
    source: dict[str, Any] = {"file": os.path.basename(os.path.realpath(path)), "sha256": weights.sha256}
    if "imported_from" in weights.details:
        source["imported_from"] = weights.details["imported_from"]
    source |= {key: weights.details[key] for key in stated if key in weights.details}
    target = in_a_home(settings.models_dir, "ASTRA_MODELS_DIR") / (name + files.OURS)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unusable(target.parent, error) from error
    by_importer = {STATED_BY_IMPORTER: sorted(stated)} if stated else {}
    details = {**weights.details, **stated, **by_importer, "imported_from": source}
    files.save_weights(dataclasses.replace(weights, details=details), target)
    return _described(target, load_weights(target), settings, without_rows(settings).chosen)


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        fault = "begin with a letter or a digit, and go on with these or any of . _ + -"
    elif name.endswith(SUFFIXES):
        fault = f"leave out {' and '.join(SUFFIXES)}"
    elif name in embedded_models():
        fault = "a model of the package has this name"
    else:
        return
    raise UsageError(f"cannot name a model {name!r}: {fault}")


def removable(name: str, settings: Settings) -> Path:
    """The file or folder of an imported model that can be removed.

    Raises:
        UsageError: It is not a model of the folder of models, or the configuration names it.
        ConfigError: There is no such model.
    """
    if is_path(name):
        raise UsageError(f"{name}: give the name of a model; a file of your own you can remove yourself")
    if not any(os.path.lexists(file) for file in files_of(name, settings.models_dir)):
        if name in embedded_models():
            what = "the default" if name == DEFAULT else "an earlier default"
            raise UsageError(f"cannot remove {name}: it is {what}, and comes with the package")
    path = named(name, "model", settings.models_dir)
    if path.parent != settings.models_dir:
        raise UsageError(f"cannot remove {name}: {shown(path)} is not in {shown(settings.models_dir)}")
    with suppress(ConfigError):
        chosen = settings.weights and named(settings.weights, "weights", settings.models_dir)
        if chosen and _same(chosen, path):
            raise UsageError(f"cannot remove {name}: the setting weights names it; change that first")
    return path


def remove_model(path: Path) -> None:
    """Remove a file of weights, or a folder of astroNN.

    Raises:
        ConfigError: It cannot be removed.
    """
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    except OSError as error:
        raise ConfigError(f"cannot remove {shown(path)}: {reason(error)}") from error


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
