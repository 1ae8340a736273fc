"""Copies of checkpoints that were read, as ``.safetensors``: to read a checkpoint, torch has to be loaded.

A copy lies in the user's cache folder under two checksums, that of the checkpoint and its own. So it stands
for that checkpoint alone, and only as it was written. Where none can be kept, each process loads torch.
"""

import hashlib
from pathlib import Path

import platformdirs

from astra import NO_HOME
from astra.system.atomic import replaced
from astra.system.processes import warn_once

_SUFFIX = ".safetensors"


def find(sha256: str) -> Path | None:
    """The copy of a checkpoint.

    Args:
        sha256: Of the checkpoint.
    """
    for path in _folder().glob(f"{sha256}-*{_SUFFIX}"):
        try:
            if path.name == _name(sha256, path.read_bytes()):
                return path
        except OSError:
            continue
    return None


def keep(sha256: str, content: bytes) -> None:
    """Keep a copy for later processes.

    Args:
        sha256: Of the checkpoint.
        content: The same weights as ``.safetensors``.
    """
    folder = _folder()
    try:
        if folder.is_relative_to(NO_HOME):
            raise FileNotFoundError("there is no home folder")
        folder.mkdir(parents=True, exist_ok=True)
        with replaced(folder / _name(sha256, content)) as stream:
            stream.write(content)
    except OSError as error:
        warn_once(
            f"a copy of the weights cannot be kept in {folder} ({error.strerror or error}): each process "
            "loads torch to read them, which takes seconds; `astra models import` converts them once"
        )


def _folder() -> Path:
    return platformdirs.user_cache_path("astra") / "weights"


def _name(sha256: str, content: bytes) -> str:
    return f"{sha256}-{hashlib.sha256(content).hexdigest()}{_SUFFIX}"
