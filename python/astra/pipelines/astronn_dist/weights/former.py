"""The weights that made rows before: found again by their checksum, so that a run can go on with them.

A name alone is not enough: other weights may have it by now.
"""

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from astra.config import Settings, expand_path
from astra.errors import ConfigError
from astra.pipelines.astronn_dist.weights import library
from astra.pipelines.astronn_dist.weights.files import identify, shown

# What has named weights, among the arguments of a run; a run notes the path itself as well.
_NAMED_BY = ("weights_path", "weights", "model_path")


def recorded_paths(arguments: str | None) -> list[Path]:
    """Where a run found its weights, or may have found them.

    Args:
        arguments: What it has on record of its arguments.
    """
    try:
        recorded = json.loads(arguments or "{}")
    except ValueError:
        return []
    paths = []
    for value in (recorded.get(name) for name in _NAMED_BY):
        if isinstance(value, str) and library.is_path(value):
            with suppress(ConfigError):
                paths.append(Path(expand_path(value)).absolute())
    return list(dict.fromkeys(paths))


def first_with(sha256: str, paths: Iterable[Path]) -> Path | None:
    """The first file or folder of weights that has this checksum."""
    for path in paths:
        with suppress(ConfigError):
            if identify(path)[1] == sha256:
                return path
    return None


def find_again(name: str, sha256: str, arguments: str | None, settings: Settings) -> Path:
    """The file or folder of the weights of a run.

    They are looked for below ``MWM_ASTRA``, in the package, by their name in ``models_dir``, and where the
    run found them.

    Args:
        name: Their name.
        sha256: Their checksum.
        arguments: What the run has on record of its arguments.
        settings: Where models are.

    Raises:
        ConfigError: They are not there; it says where they were looked for, and what else has their name.
    """
    survey = [] if settings.mwm_astra is None else [settings.mwm_astra / library.MWM_ASTRA_FILE]
    embedded, by_name = library.embedded_models(), library.files_of(name, settings.models_dir)
    recorded = [path for path in recorded_paths(arguments) if path not in by_name]
    found = first_with(sha256, [*survey, *embedded.values(), *by_name, *recorded])
    if found is not None:
        return found
    of_package = f"the package ({', '.join(embedded) or 'which has none'})"
    looked = [*map(shown, survey), of_package, f"{shown(settings.models_dir)} by name", *map(shown, recorded)]
    candidates = [*survey, *(path for each, path in embedded.items() if each == name), *by_name, *recorded]
    others = [shown(path) for path in dict.fromkeys(candidates) if os.path.exists(path)]
    content = f"; with other content: {', '.join(others)}" if others else ""
    chosen = library.without_rows(settings).chosen
    other = library.value_for(chosen.path, settings) if chosen else "NAME"
    raise ConfigError(
        f"rows of astronn_dist in this version come from weights {_called(name, sha256)}, which cannot be "
        f"found (in {', '.join(looked)}{content}): put them back, or name their file with --weights; or give "
        f"--weights {other} --overwrite to change to others (all anew, not a part)"
    )


def other_default(found: Path, settings: Settings) -> str | None:
    """What to say where a task without rows would take other weights than these; ``None`` where it would not.

    Raises:
        ConfigError: ``MWM_ASTRA`` is set, and has no weights.
    """
    if settings.mwm_astra is None and library.embedded_default() is None:
        return None
    default = library.find_weights(None, settings)
    (name, sha256), (default_name, default_sha256) = identify(found), identify(default.path)
    if sha256 == default_sha256:
        return None
    value = library.value_for(default.path, settings)
    return (
        f"the default is now {_called(default_name, default_sha256)}, {default.origin}; runs go on with "
        f"{_called(name, sha256)}, as the rows so far. To change, `astra run astronn_dist --weights {value} "
        "--overwrite` makes all rows anew; to try it beside them, `astra run astronn_dist --into trial-NAME "
        f"--weights {value}`"
    )


def _called(name: str, sha256: str) -> str:
    return f"{name} (sha256 {sha256[:12]})"
