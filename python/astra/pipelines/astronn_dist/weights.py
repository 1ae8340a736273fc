"""The numbers of a trained network: where they are found, how they are read, checked and written.

Whatever is wrong with weights is a :class:`~astra.errors.ConfigError` before the first spectrum, on one
line. The formats themselves are in ``weight_formats.py``.
"""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from astra.errors import ConfigError
from astra.pipelines.astronn_dist import weight_formats
from astra.pipelines.astronn_dist.weight_formats import (
    FOLDER_FILES,
    READERS,
    WrongWeights,
    read_astronn_folder,
)

#: Shape of every tensor of the network.
SHAPES = {
    "input_mean": (7514,),
    "labels_std": (1,),
    "conv1.weight": (2, 1, 8),
    "conv1.bias": (2,),
    "conv2.weight": (4, 2, 8),
    "conv2.bias": (4,),
    "dense_1.weight": (192, 7512),
    "dense_1.bias": (192,),
    "dense_2.weight": (64, 192),
    "dense_2.bias": (64,),
    "dense_output.weight": (1, 64),
    "dense_output.bias": (1,),
    "dense_var.weight": (1, 64),
    "dense_var.bias": (1,),
}

#: Suffixes of files of weights; by name, the first that exists is taken, and then a folder.
SUFFIXES = tuple(READERS)

#: The published model below the folder that ``MWM_ASTRA`` names.
MWM_ASTRA_FILE = Path("pipelines", "astroNN_dist", "astroNN_dist_model_parameter.pt")


@dataclass(frozen=True, eq=False)
class Weights:
    """A trained network."""

    name: str
    """The file's name without its suffix, or the folder's."""

    sha256: str
    """Of the file, or of the two files of a folder one after the other (JSON, HDF5)."""

    tensors: Mapping[str, np.ndarray]
    """float32 arrays as in ``SHAPES``: ``input_mean`` is in normalised flux, ``labels_std`` in mas."""

    details: Mapping[str, Any] = field(default_factory=dict)
    """What the maker of the weights noted; plain JSON."""


class WeightsSettings(Protocol):
    """The settings that :func:`find_weights` looks at."""

    weights: str | None
    mwm_astra: Path | None
    models_dir: Path


# > Finding


def find_weights(option: str | None, settings: WeightsSettings) -> Path:
    """The file or folder of the weights in force.

    In this order: the option, the configuration, the published model below ``MWM_ASTRA``. A value with a
    "/" or a known suffix is a path; any other is the name of a model in ``models_dir``, or else of a folder
    that exists.

    Raises:
        ConfigError: Nothing is named, or what is named is not there.
    """
    for value, origin in ((option, "--weights"), (settings.weights, "weights in the configuration")):
        if value is not None:
            return _named(value, origin, settings.models_dir)
    if settings.mwm_astra is not None:
        path = Path(settings.mwm_astra, MWM_ASTRA_FILE)
        return _existing([path], "weights of MWM_ASTRA", "correct or unset MWM_ASTRA, or give --weights")
    raise ConfigError("no weights are named, and no default model is embedded yet; give --weights")


def _named(value: str, origin: str, models_dir: Path) -> Path:
    remedy = f"give a path that exists, or the name of a model in {_shown(models_dir)}"
    if not value:
        raise ConfigError(f"{origin}: empty; {remedy}")
    path = Path(os.path.expanduser(value))
    if "/" in value or path.suffix in SUFFIXES:
        return _existing([path], origin, remedy)
    candidates = [models_dir / (value + suffix) for suffix in (*SUFFIXES, "")]
    if os.path.isdir(path):
        candidates.append(path)  # last: a folder that happens to lie here hides no model of that name
    return _existing(candidates, origin, f"put the model there, or {remedy}")


def _existing(candidates: list[Path], origin: str, remedy: str) -> Path:
    """The first that exists."""
    for path in candidates:
        try:
            path.stat()
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            raise ConfigError(f"{origin}: {_shown(path)}: {_reason(error)}; {remedy}") from error
        return path
    raise ConfigError(f"{origin}: not found: {', '.join(map(_shown, candidates))}; {remedy}")


# > Reading and writing


def identify(path: str | os.PathLike[str]) -> tuple[str, str]:
    """Name and sha256 of weights, as in :class:`Weights`, without looking at what they hold.

    Raises:
        ConfigError: The path cannot be read, or is neither a folder nor a file of a known suffix.
    """
    path = Path(path)
    is_folder = os.path.isdir(path)
    if not is_folder and path.suffix not in SUFFIXES:
        raise _fault(path, f"neither a folder nor a {' or '.join(SUFFIXES)} file")
    digest = hashlib.sha256()
    try:
        for file in [path / name for name in FOLDER_FILES] if is_folder else [path]:
            with file.open("rb") as stream:
                while chunk := stream.read(1 << 20):
                    digest.update(chunk)
    except (OSError, ValueError) as error:
        needs = f"; a model folder holds {' and '.join(FOLDER_FILES)}" if is_folder else ""
        raise _fault(path, _reason(error) + needs) from error
    return path.resolve().name if is_folder else path.stem, digest.hexdigest()


def load_weights(path: str | os.PathLike[str]) -> Weights:
    """Read an Astra checkpoint (``.pt``), a ``.safetensors`` file or an astroNN model folder.

    Raises:
        ConfigError: The path cannot be read, or does not hold finite weights of this network.
    """
    path = Path(path)
    name, sha256 = identify(path)
    read = read_astronn_folder if os.path.isdir(path) else READERS[path.suffix]
    try:
        tensors, details = read(path)
        tensors = _checked(tensors)
    except WrongWeights as error:
        raise _fault(path, str(error)) from error
    except Exception as error:  # noqa: BLE001 - of a damaged file, the libraries raise almost anything
        raise _fault(path, f"damaged, or of another format ({_reason(error)})") from error
    return Weights(name, sha256, tensors, details)


def save_weights(weights: Weights, path: str | os.PathLike[str]) -> None:
    """Write weights as ``.safetensors``; equal tensors and details give equal bytes.

    Raises:
        ConfigError: They are not weights of this network, or the file cannot be written.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise _fault(path, "weights are written as .safetensors only", "give the path that suffix")
    try:
        path.write_bytes(weight_formats.to_safetensors(_checked(weights.tensors), weights.details))
    except WrongWeights as error:
        raise _fault(path, str(error), "nothing was written") from error
    except (OSError, ValueError, TypeError) as error:
        raise _fault(path, _reason(error), "choose another path, or details that JSON can hold") from error


def _checked(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The tensors as float32, if they are those of the network."""
    if missing := SHAPES.keys() - tensors.keys():
        raise WrongWeights(f"tensors are missing: {', '.join(sorted(missing))}")
    if unexpected := tensors.keys() - SHAPES.keys():
        raise WrongWeights(f"tensors do not belong: {', '.join(sorted(map(str, unexpected)))}")
    checked = {}
    for name, shape in SHAPES.items():
        tensor = np.asarray(tensors[name])
        if tensor.dtype.kind != "f" or tensor.shape != shape:
            raise WrongWeights(
                f"{name} is {tensor.dtype} of shape {tensor.shape}, not float of shape {shape}"
            )
        with np.errstate(over="ignore"):
            checked[name] = np.ascontiguousarray(tensor, dtype=np.float32)
        if not np.isfinite(checked[name]).all():
            raise WrongWeights(f"{name} holds NaN or infinity")
    if checked["labels_std"] <= 0:
        raise WrongWeights(f"labels_std is {checked['labels_std'].item()}, not positive")
    return checked


# > Messages, on one line whatever a path or a library holds


def _fault(path: Path, problem: str, remedy: str = "name others with --weights") -> ConfigError:
    return ConfigError(f"weights {_shown(path)}: {' '.join(problem.split())}; {remedy}")


def _shown(path: Path) -> str:
    return str(path) if str(path).isprintable() else repr(str(path))


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
