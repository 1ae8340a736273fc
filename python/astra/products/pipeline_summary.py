"""Upstream's function that writes the summary catalogue; ``astra create`` does more."""

from pathlib import Path
from typing import Any

from astra.catalogue.create import Request, create
from astra.models import AstroNNdist
from astra.models.base import BaseModel


def create_astra_all_star_product(
    pipeline_model: type[BaseModel], overwrite: bool = False, **options: Any
) -> Path:
    """Write ``astraAllStarAstroNNdist`` as FITS into the current folder.

    Args:
        pipeline_model: ``AstroNNdist``.
        overwrite: Whether to replace an existing file.
        **options: None of upstream's other options.

    Returns:
        The file.

    Raises:
        TypeError: The model is another one, or there are other options.
        UsageError: The file exists.
        ConfigError: Results of different weights would mix.
        StorageError: The disk is full, or the folder cannot be written.
    """
    for name in options:
        raise TypeError(
            f"create_astra_all_star_product has no option {name!r}: write `astra create "
            "astraAllStarAstroNNdist`, which takes conditions as --where \"apred in ('dr17', '1.3')\""
        )
    if pipeline_model is not AstroNNdist:
        raise TypeError(f"no such product of {pipeline_model!r}; there is that of AstroNNdist")
    return create(Request(overwrite=overwrite)).path
