"""Upstream's function that writes the summary catalogue; ``astra create`` does more."""

from pathlib import Path
from typing import Any

from astra.catalogue.create import Request, create
from astra.models.base import BaseModel
from astra.tasks.contract import Task
from astra.tasks.installed import installed_tasks


def create_astra_all_star_product(
    pipeline_model: type[BaseModel], overwrite: bool = False, **options: Any
) -> Path:
    """Write the summary catalogue of a pipeline as FITS into the current folder.

    Args:
        pipeline_model: The model of its results, e.g. ``AstroNNdist``.
        overwrite: Whether to replace an existing file.
        **options: None of upstream's other options.

    Returns:
        The file.

    Raises:
        TypeError: No installed task has such results, or there are other options.
        UsageError: The file exists.
        ConfigError: Results of different weights would mix.
        StorageError: The disk is full, or the folder cannot be written.
    """
    for name in options:
        raise TypeError(
            f"create_astra_all_star_product has no option {name!r}: write `astra create "
            f"astraAllStar{pipeline_model.__name__}`, which takes conditions as --where \"apred = 'dr17'\""
        )
    for task in installed_tasks().values():
        if isinstance(task, Task) and task.output_model is pipeline_model:
            return create(Request(product=task.name, overwrite=overwrite)).path
    raise TypeError(f"no installed task has the results {pipeline_model!r}: `astra tasks` lists them")
