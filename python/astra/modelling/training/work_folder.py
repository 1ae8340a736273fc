"""The folder in which a training keeps its examples and its state, from which it goes on after any stop."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import Timeout

from astra.damage import check_file, damage
from astra.errors import AstraError, ConfigError, StorageError
from astra.spectra.grid import N_PIXELS
from astra.system.atomic import replaced
from astra.system.locking import locked_file

#: A row of flux: float16, with the lowest byte first.
STORED = np.dtype("<f2")
ROW = N_PIXELS * STORED.itemsize


@contextmanager
def explained(work: Path, kind: type[AstraError], remedy: str) -> Iterator[None]:
    """Turn an ``OSError`` into an error of this kind that names the folder and the remedy."""
    try:
        yield
    except OSError as error:
        raise kind(f"work folder {work}: {error.strerror or error}; {remedy}") from error


def check_space(folder: Path, number: int, what: str) -> None:
    """Raise an ``OSError`` unless there is room for so many rows of ``what``."""
    free, needed = shutil.disk_usage(folder).free, number * ROW
    if free < needed:
        room = f"{number:,} {what} need {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free"
        raise OSError(errno.ENOSPC, room)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Create the folder, and keep other trainings out of it.

    Raises:
        ConfigError: Another training uses it, or it cannot be created.
    """
    with explained(folder, ConfigError, "give another --work"):
        folder.mkdir(parents=True, exist_ok=True)
        held = ExitStack()
        try:
            held.enter_context(locked_file(folder / ".lock", 0))
        except Timeout:
            raise ConfigError(
                f"work folder {folder}: another training uses it; wait, or give another --work"
            ) from None
    with held:
        yield


# > The state of a training


def save_checkpoint(path: Path, state: dict[str, Any], fingerprint: str) -> None:
    """Replace the checkpoint: at any moment the file holds one complete state, the last or the one before it.

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
        message = f"checkpoint {path}: {error.strerror}; make room or name another folder"
        raise StorageError(message) from error


def load_checkpoint(path: Path, fingerprint: str) -> dict[str, Any] | None:
    """The state to go on from; ``None`` if there is no checkpoint.

    Raises:
        ConfigError: The checkpoint is of another training, or damaged.
    """
    remedy = "remove it to start over, or name another folder"
    with damage(lambda why: ConfigError(f"checkpoint {path}: damaged ({why}); {remedy}")):
        try:
            check_file(path)
        except FileNotFoundError:
            return None
        read = torch.load(path, map_location="cpu", weights_only=True)
        found, state = read["fingerprint"], read["state"]
    if found != fingerprint:
        raise ConfigError(
            f"checkpoint {path}: of a training with other options, another seed or other examples; {remedy}"
        )
    return state
