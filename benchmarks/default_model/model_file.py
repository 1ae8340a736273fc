"""The file of the model itself."""

from pathlib import Path

import numpy as np
from measuring import Model, load_model
from table import Line, Section

from astra.modelling.simulator.sample import Sample

LARGEST_SIZE = 7.0


def file_section(model: Model, spectra: Sample) -> Section:
    """Its size, and whether it is the same when it is loaded again.

    Args:
        model: The model.
        spectra: A few spectra to predict.
    """
    again = load_model(str(model.path))
    same = again.weights.sha256 == model.weights.sha256 and all(
        np.array_equal(again.weights.tensors[name], tensor) for name, tensor in model.weights.tensors.items()
    )
    first, second = (which.predict(spectra, "file")[0] for which in (model, again))
    same_numbers = np.array_equal(first.fakemag, second.fakemag) and np.array_equal(
        first.e_fakemag, second.e_fakemag
    )
    lines = [
        Line("size of the file [MB]", _size(model.path) / 1e6, high=LARGEST_SIZE, form=".2f"),
        Line("loaded again: the same tensors (1: yes)", same, low=1, form=".0f"),
        Line(f"loaded again: the same {len(spectra)} predictions (1: yes)", same_numbers, low=1, form=".0f"),
        Line("checks its range of validity (1: yes)", model.weights.validity is not None, form=".0f"),
    ]
    return Section("the file", lines, {"details": dict(model.weights.details)})


def _size(path: Path) -> int:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)
