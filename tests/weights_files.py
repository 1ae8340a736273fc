"""Weights in the two formats of others; our own is written by ``save_weights``."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch

JSON, HDF5 = "astroNN_model_parameter.json", "model_weights.h5"

Tensors = dict[str, np.ndarray]


def write_checkpoint(path: Path, tensors: Tensors) -> Path:
    """A checkpoint as Astra writes it."""
    torch.save({"model_state_dict": {name: torch.tensor(value) for name, value in tensors.items()}}, path)
    return path


def write_folder(
    path: Path, tensors: Tensors, first: int = 0, group: str = "model_weights", **parameters: Any
) -> Path:
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
