"""The three formats of weights; each reader gives tensors in the layout of the checkpoint, and details.

.pt            Astra checkpoint: a PyTorch file with ``model_state_dict``
.safetensors   our own: tensors named as in the checkpoint; nothing in it can be executed
a folder       of astroNN: astroNN_model_parameter.json and Keras' model_weights.h5
"""

import json
import math
import pickle
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from astra.damage import importing
from astra.errors import AstraError
from astra.system.processes import silenced

if TYPE_CHECKING:
    import h5py

ARCHITECTURE = "ApogeeDistBCNN"

#: Before this version, a crafted checkpoint gets past ``weights_only``.
SAFE_TORCH = "2.6"
FOLDER_FILES = ("astroNN_model_parameter.json", "model_weights.h5")

# What a folder says of its network that the shapes of the tensors do not show.
_ASTRONN_PARAMETERS = {
    "activation": "relu",
    "last_layer_activation": "softplus",
    "pool_length": 4,
    "dropout_rate": 0.3,
    "input_std": {"input": [1.0], "input_err": [1.0], "labels_err": [1.0]},
    "labels_mean": {"output": [0.0], "variance_output": [0.0]},
}

# Numbers in the largest array, that of dense_1.
_LARGEST_TENSOR = 7512 * 192

Tensors = Mapping[str, np.ndarray]


class WrongWeights(AstraError):
    """A file does not hold weights of this network; who asked for it adds its path and the remedy."""


# > Astra checkpoint


def read_checkpoint(path: Path) -> tuple[Tensors, Mapping[str, Any]]:
    """Read a PyTorch file with ``model_state_dict``; one that would run code is refused."""
    with importing("torch"):
        import torch

    if torch.torch_version.TorchVersion(torch.__version__) < SAFE_TORCH:
        raise WrongWeights(
            f"torch {torch.__version__} may run code that a checkpoint holds (CVE-2025-32434): "
            f"upgrade torch to {SAFE_TORCH}, or convert the weights to .safetensors elsewhere"
        )
    try:
        # torch warns at length of kinds of pickles; what matters is refused below.
        with silenced():
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WrongWeights(
            "damaged, or more than tensors: loading it could run code, so it is refused"
        ) from error
    if not isinstance(content, dict) or not isinstance(content.get("model_state_dict"), dict):
        raise WrongWeights("no dictionary with model_state_dict")
    state = content["model_state_dict"]
    for name, tensor in state.items():
        if not torch.is_tensor(tensor) or not tensor.is_floating_point():
            raise WrongWeights(f"{name} is not a tensor of floating-point numbers")
    # By way of float64, because numpy knows no bfloat16.
    return {name: tensor.detach().to(torch.float64).numpy() for name, tensor in state.items()}, {}


# > safetensors


def read_safetensors(path: Path) -> tuple[Tensors, Mapping[str, Any]]:
    """Read what :func:`to_safetensors` wrote."""
    with importing("safetensors"):
        from safetensors import safe_open

    details = read_details(path)
    with safe_open(path, framework="numpy") as file:
        return {name: file.get_tensor(name) for name in file.offset_keys()}, details


def read_details(path: Path) -> Mapping[str, Any]:
    """What the maker of a ``.safetensors`` file noted in it, without reading its tensors."""
    with importing("safetensors"):
        from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        text = (file.metadata() or {}).get("astra", "null")
    note = json.loads(text, parse_float=_finite, parse_constant=_finite)
    if not isinstance(note, dict) or note.get("architecture") != ARCHITECTURE:
        raise WrongWeights(f"its metadata does not say astra: architecture {ARCHITECTURE}")
    if not isinstance(note.get("details"), dict):
        raise WrongWeights("the details in its metadata are not a JSON object")
    return note["details"]


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise WrongWeights(f"the details in its metadata hold {text}")
    return number


def to_safetensors(tensors: Tensors, details: Mapping[str, Any]) -> bytes:
    """The content of a ``.safetensors`` file; the same for equal tensors and details."""
    from safetensors.numpy import save

    note = {"architecture": ARCHITECTURE, "details": dict(details)}
    # One key only: safetensors writes several in an order that changes from run to run.
    return save(dict(tensors), metadata={"astra": json.dumps(note, sort_keys=True, allow_nan=False)})


# > astroNN


def read_astronn_folder(path: Path) -> tuple[Tensors, Mapping[str, Any]]:
    """Read a model folder as astroNN 1.1 saves it."""
    parameters = json.loads((path / FOLDER_FILES[0]).read_text(encoding="utf-8"))
    for name, expected in _ASTRONN_PARAMETERS.items():
        if (found := parameters.get(name, expected)) != expected:
            raise WrongWeights(f"another network: {name} is {found!r}, not {expected!r}")
    normalisation = {
        "input_mean": np.asarray(parameters["input_mean"]["input"]),
        "labels_std": np.asarray(parameters["labels_std"]["output"]),
    }
    return normalisation | _keras_tensors(path / FOLDER_FILES[1]), {}


def _keras_tensors(path: Path) -> Tensors:
    layers = _keras_layers(path)
    names = {"output": "dense_output", "variance_output": "dense_var"}
    names |= dict(zip(_numbered(layers, "conv1d"), ("conv1", "conv2"), strict=True))
    names |= dict(zip(_numbered(layers, "dense"), ("dense_1", "dense_2"), strict=True))
    if other := layers.keys() - names.keys():
        raise WrongWeights(f"another network: layers {', '.join(sorted(other))}")
    tensors = {}
    for keras_name, name in names.items():
        # Keras has (pixel, in, out) and (in, out), PyTorch (out, in, pixel) and (out, in).
        tensors[f"{name}.weight"] = layers[keras_name]["kernel"].T
        tensors[f"{name}.bias"] = layers[keras_name]["bias"]
    return tensors


def _keras_layers(path: Path) -> dict[str, dict[str, np.ndarray]]:
    """Kernel and bias of each layer that has any."""
    with importing("h5py"):
        import h5py

    layers: dict[str, dict[str, np.ndarray]] = {}
    with h5py.File(path, "r") as file:
        _check_links(file)
        # The file of a model, not of weights alone, has them in a group, beside the state of the optimiser.
        for names, dataset in _datasets(file.get("model_weights", file), set()):
            layer, *_, variable = names
            layers.setdefault(layer, {})[variable.removesuffix(":0")] = dataset[()]
    return layers


def _datasets(
    group: "h5py.Group", seen: set[int], above: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], "h5py.Dataset"]]:
    """The arrays of a group and of those in it, each with the names of its place.

    Whatever would be read from other files, or is larger than any tensor of the network, is refused.
    """
    import h5py

    address = h5py.h5o.get_info(group.id).addr
    if address in seen:
        raise WrongWeights(f"{'/'.join(above)} is in the file twice")
    seen.add(address)
    _check_links(group)
    for name, item in group.items():
        names = *above, name
        if isinstance(item, h5py.Group):
            yield from _datasets(item, seen, names)
            continue
        if item.is_virtual or item.external:
            raise WrongWeights(f"{'/'.join(names)} is not in the file, but in others: it is refused")
        if max(item.size, math.prod(item.chunks or ())) > _LARGEST_TENSOR:
            raise WrongWeights(f"another network: {'/'.join(names)} has the shape {item.shape}")
        yield names, item


def _check_links(group: "h5py.Group") -> None:
    import h5py

    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise WrongWeights(f"{name} is a link, which may lead to other files: it is refused")


def _numbered(layers: Mapping[str, Any], kind: str) -> list[str]:
    """The layers of one kind in order: Keras calls them conv1d, conv1d_1, …, starting anywhere."""
    found = {
        int(match[1] or 0): name for name in layers if (match := re.fullmatch(rf"{kind}(?:_(\d+))?", name))
    }
    if len(found) != 2:
        raise WrongWeights(f"another network: {len(found)} layers {kind}, not 2")
    return [found[number] for number in sorted(found)]


READERS: Mapping[str, Callable[[Path], tuple[Tensors, Mapping[str, Any]]]] = {
    ".safetensors": read_safetensors,
    ".pt": read_checkpoint,
}
