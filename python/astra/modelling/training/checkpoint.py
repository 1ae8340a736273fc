"""A training's state on disk, so that it goes on after whatever stopped it.

The file is replaced as a whole: at any moment it holds one complete state, the last or the one before it.
"""

from pathlib import Path
from typing import Any

import torch

from astra.errors import ConfigError, StorageError
from astra.system.atomic import replaced


def save(path: Path, state: dict[str, Any], fingerprint: str) -> None:
    """Replace the checkpoint.

    Args:
        path: Its file.
        state: Tensors and plain values, in dictionaries and lists.
        fingerprint: What the training is; another one cannot go on from here.

    Raises:
        StorageError: The file cannot be written.
    """
    try:
        with replaced(path, part=path.with_name(path.name + ".part")) as stream:
            torch.save({"fingerprint": fingerprint, "state": state}, stream)
    except OSError as error:
        raise StorageError(
            f"checkpoint {path}: {error.strerror}; make room or name another folder"
        ) from error


def load(path: Path, fingerprint: str) -> dict[str, Any] | None:
    """The state to go on from; ``None`` if there is no checkpoint.

    Raises:
        ConfigError: The checkpoint is of another training, or damaged.
    """
    remedy = "remove it to start over, or name another folder"
    try:
        read = torch.load(path, map_location="cpu", weights_only=True)
        found, state = read["fingerprint"], read["state"]
    except FileNotFoundError:
        return None
    except Exception as error:  # noqa: BLE001 - of a damaged file, torch raises almost anything
        reason = " ".join(str(error).split())[:100]
        raise ConfigError(
            f"checkpoint {path}: damaged ({type(error).__name__}: {reason}); {remedy}"
        ) from error
    if found != fingerprint:
        raise ConfigError(
            f"checkpoint {path}: of a training with other options, another seed or other examples; {remedy}"
        )
    return state
