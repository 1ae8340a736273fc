"""The numbers of a trained network: how they are read, checked and written.

Whatever is wrong with weights is a :class:`~astra.errors.ConfigError` before the first spectrum, on one
line. The formats themselves are in ``formats.py``; which weights are in force, in ``library.py``.
"""

import contextlib
import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from astra.damage import check_file, damage, reason
from astra.errors import ConfigError
from astra.pipelines.astronn_dist.weights import calibration, formats, kept, missing, validity
from astra.pipelines.astronn_dist.weights.calibration import Calibration
from astra.pipelines.astronn_dist.weights.formats import FOLDER_FILES, READERS, WrongWeights
from astra.pipelines.astronn_dist.weights.missing import MissingPixels
from astra.pipelines.astronn_dist.weights.validity import Validity
from astra.system.atomic import replaced

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

#: Suffixes of files of weights.
SUFFIXES = tuple(READERS)

#: The suffix of our own format, the only one that is written, and that of upstream's.
OURS, CHECKPOINT = ".safetensors", ".pt"

# Bytes of a file; one of ours has 6 MB, and three times as much with the state of an optimiser.
_LARGEST = 1 << 28

REMEDY = "name others with --weights"


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
    """What the maker of the weights noted; plain JSON. ``range``: what they are good for, on one line."""

    validity: Validity | None = None
    """What it needs to notice spectra unlike its training's; its table is in ``details`` as well."""

    missing: MissingPixels | None = None
    """What missing pixels cost it; in ``details`` as well."""

    calibration: Calibration | None = None
    """Its corrections by luminosity and signal-to-noise ratio; in ``details`` as well."""

    @property
    def range(self) -> str | None:
        """What the maker of the weights says they are good for, on one line."""
        return _stated_range(self.details)


# > Reading


def identify(path: str | os.PathLike[str]) -> tuple[str, str]:
    """Name and sha256 of weights, as in :class:`Weights`, without looking at what they hold.

    Raises:
        ConfigError: The path cannot be read, or is neither a folder nor a file of a known suffix.
    """
    with _faults_of(Path(path)):
        return _identity(Path(path))


def range_of(path: str | os.PathLike[str]) -> str | None:
    """What weights are good for, in the words of their maker; ``None`` where the format has no place for it.

    Raises:
        ConfigError: The file is damaged, or of another format.
    """
    path = Path(path)
    with _faults_of(path), _damage():
        if path.suffix != OURS:
            return None
        check_file(path, _LARGEST)
        return _stated_range(formats.read_details(path))


def load_weights(path: str | os.PathLike[str], remedy: str = REMEDY) -> Weights:
    """Read an Astra checkpoint (``.pt``), a ``.safetensors`` file or an astroNN model folder.

    Raises:
        ConfigError: The path cannot be read, or does not hold finite weights of this network; it ends with
            the remedy.
    """
    with _faults_of(Path(path), remedy):
        return read_weights(path)


def read_weights(path: str | os.PathLike[str]) -> Weights:
    """As :func:`load_weights`, for callers that write the message themselves.

    Raises:
        WrongWeights: What is wrong, on one line, without the path.
    """
    path = Path(path)
    name, sha256 = _identity(path)
    copy = kept.find(sha256) if path.suffix == CHECKPOINT else None
    with _damage():
        tensors, details = _read(copy or path)
        extra = {name: tensors[name] for name in (validity.MEAN, validity.COMPONENTS) if name in tensors}
        checked = _checked({name: tensor for name, tensor in tensors.items() if name not in extra})
        _stated_range(details)
        parts = validity.from_file(extra, details), missing.from_file(details), calibration.from_file(details)
        weights = Weights(name, sha256, checked, details, *parts)
    if path.suffix == CHECKPOINT and copy is None:
        kept.keep(sha256, _content(weights))
    return weights


def _read(path: Path) -> tuple[formats.Tensors, Mapping[str, Any]]:
    return (formats.read_astronn_folder if os.path.isdir(path) else READERS[path.suffix])(path)


def _identity(path: Path) -> tuple[str, str]:
    is_folder = os.path.isdir(path)
    if not is_folder and path.suffix not in SUFFIXES:
        raise WrongWeights(f"neither a folder nor a {' or '.join(SUFFIXES)} file")
    try:
        paths = [path / name for name in FOLDER_FILES] if is_folder else [path]
        for each in paths:
            check_file(each, _LARGEST)
        sha256 = _hash_of(paths)
    except (OSError, ValueError) as error:
        needs = f"; a model folder holds {' and '.join(FOLDER_FILES)}" if is_folder else ""
        raise WrongWeights(reason(error) + needs) from error
    return path.resolve().name if is_folder else path.stem, sha256


# The sha256 of files that were read, by what changes with their content.
_hashes: dict[tuple[tuple[int, ...], ...], str] = {}


def _hash_of(paths: list[Path]) -> str:
    """The sha256 of files one after the other; files that did not change are read only once."""
    with contextlib.ExitStack() as stack:
        streams = [stack.enter_context(path.open("rb")) for path in paths]
        found = [os.fstat(stream.fileno()) for stream in streams]
        state = tuple((s.st_dev, s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns) for s in found)
        if state not in _hashes:
            digest = hashlib.sha256()
            for stream in streams:
                while chunk := stream.read(1 << 20):
                    digest.update(chunk)
            _hashes[state] = digest.hexdigest()
        return _hashes[state]


# > Writing


def sha256_of(weights: Weights) -> str:
    """The sha256 that a file of these weights will have.

    Raises:
        WrongWeights: They are not weights of this network.
    """
    return hashlib.sha256(_content(weights)).hexdigest()


def details_in_file(weights: Weights) -> dict[str, Any]:
    """The details that a file of these weights will have: those of its maker, and its tables.

    Raises:
        WrongWeights: Tables and details do not belong together.
    """
    return _with_tables(weights)[1]


def save_weights(weights: Weights, path: str | os.PathLike[str]) -> None:
    """Write weights as ``.safetensors``; equal tensors and details give equal bytes.

    If this fails, the file is as it was before.

    Raises:
        ConfigError: They are not weights of this network, or the file cannot be written.
    """
    path = Path(path)
    if path.suffix != OURS:
        raise _fault(path, f"weights are written as {OURS} only", "give the path that suffix")
    try:
        with _faults_of(path, "nothing was written"):
            content = _content(weights)
        with replaced(path) as stream:
            stream.write(content)
    except (OSError, ValueError, TypeError) as error:
        raise _fault(path, reason(error), "choose another path, or details that JSON can hold") from error


def _content(weights: Weights) -> bytes:
    extra, details = _with_tables(weights)
    return formats.to_safetensors(_checked(weights.tensors) | extra, details)


def _with_tables(weights: Weights) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The tensors that come with the tables, and the details with these."""
    tensors, details = {}, dict(weights.details)
    _stated_range(details)
    if weights.validity is not None:
        tensors, table = validity.to_file(weights.validity)
        # Its maker may have noted more beside the table.
        details[validity.TABLE] = dict(details.get(validity.TABLE, {})) | table
    elif validity.TABLE in details:
        raise WrongWeights("its details have a table of validity without the tensors that belong to it")
    for kind, part in ((missing, weights.missing), (calibration, weights.calibration)):
        if part is not None:
            details[kind.TABLE] = kind.to_file(part)
        elif kind.TABLE in details:
            raise WrongWeights(
                f"its details have a table {kind.TABLE} that the weights themselves do not have"
            )
    return tensors, details


# > Checks


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


def _stated_range(details: Mapping[str, Any]) -> str | None:
    stated = details.get("range")
    if stated is not None and not (isinstance(stated, str) and stated.isprintable()):
        raise WrongWeights("the range in its details is not one line of text")
    return stated or None


# > Messages, on one line whatever a path or a library holds


@contextlib.contextmanager
def _damage() -> Iterator[None]:
    with damage(lambda why: WrongWeights(f"damaged, or of another format ({why})")):
        yield


@contextlib.contextmanager
def _faults_of(path: Path, remedy: str = REMEDY) -> Iterator[None]:
    try:
        yield
    except WrongWeights as error:
        raise _fault(path, str(error), remedy) from error


def _fault(path: Path, problem: str, remedy: str) -> ConfigError:
    return ConfigError(f"weights {shown(path)}: {' '.join(problem.split())}; {remedy}")


def shown(path: Path) -> str:
    """A path for a message, on one line."""
    return str(path) if str(path).isprintable() else repr(str(path))
