"""Which weights are in force, and why."""

import os
from dataclasses import dataclass
from pathlib import Path

from astra.config import Settings, load_settings
from astra.errors import ConfigError
from astra.pipelines.astronn_dist.weights.files import OURS, SUFFIXES, reason, shown

#: The published model below the folder that ``MWM_ASTRA`` names.
MWM_ASTRA_FILE = Path("pipelines", "astroNN_dist", "astroNN_dist_model_parameter.pt")

#: Holds one file, the model that comes with the package; its stem is the model's name.
EMBEDDED_FOLDER = Path(__file__).with_name("default")

#: How a model was chosen that nobody named.
EMBEDDED = "embedded default"


@dataclass(frozen=True)
class Chosen:
    """Weights that are there, unread, and what named them."""

    path: Path
    origin: str


def chosen_weights(option: str | None) -> Chosen:
    """As :func:`find_weights`, with the settings in force.

    Raises:
        ConfigError: The weights are not there.
    """
    return find_weights(option, load_settings())


def find_weights(option: str | None, settings: Settings) -> Chosen:
    """The file or folder of the weights in force.

    In this order: the option, the configuration, the published model below ``MWM_ASTRA``, the embedded
    default. A value with a "/" or a known suffix is a path; any other is the name of a model in
    ``models_dir``, or else of the embedded default, or else of a folder that exists.

    Raises:
        ConfigError: What is named is not there, or nothing is named and nothing is embedded.
    """
    for value, origin in ((option, "--weights"), (settings.weights, "weights in the configuration")):
        if value is not None:
            return Chosen(named(value, origin, settings.models_dir), origin)
    if settings.mwm_astra is not None:
        path, origin = Path(settings.mwm_astra, MWM_ASTRA_FILE), "weights of MWM_ASTRA"
        return Chosen(_existing([path], origin, "correct or unset MWM_ASTRA, or give --weights"), origin)
    if (path := embedded_default()) is not None:
        return Chosen(path, EMBEDDED)
    raise ConfigError("no weights are named, and this package embeds no default model; give --weights")


def embedded_default() -> Path | None:
    """The file of the model that comes with the package; ``None`` if it was built without one.

    Raises:
        ConfigError: There are several.
    """
    found = sorted(EMBEDDED_FOLDER.glob(f"*{OURS}"))
    if len(found) > 1:
        names = ", ".join(path.stem for path in found)
        raise ConfigError(f"{shown(EMBEDDED_FOLDER)} holds several models ({names}); install astra anew")
    return found[0] if found else None


def files_of(name: str, models_dir: Path) -> list[Path]:
    """Where a model of this name may lie in the folder of models; of several, the first is taken."""
    return [models_dir / (name + suffix) for suffix in (*SUFFIXES, "")]


def named(value: str, origin: str, models_dir: Path) -> Path:
    """The file or folder that a path or a name stands for.

    Raises:
        ConfigError: It is not there; the message begins with ``origin``.
    """
    remedy = (
        f"give a path that exists, or the name of a model in {shown(models_dir)} (see `astra models list`)"
    )
    if not value:
        raise ConfigError(f"{origin}: empty; {remedy}")
    path = Path(os.path.expanduser(value))
    if "/" in value or path.suffix in SUFFIXES:
        return _existing([path], origin, remedy)
    candidates = files_of(value, models_dir)
    embedded = embedded_default()
    if embedded is not None and embedded.stem == value:
        candidates.append(embedded)
    if os.path.isdir(path):
        candidates.append(path)  # last: a folder that happens to lie here hides no model of that name
    return _existing(candidates, origin, f"put the model there, or {remedy}")


def _existing(candidates: list[Path], origin: str, remedy: str) -> Path:
    """The first that exists."""
    for path in candidates:
        try:
            path.stat()
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            raise ConfigError(f"{origin}: {shown(path)}: {reason(error)}; {remedy}") from error
        return path
    raise ConfigError(f"{origin}: not found: {', '.join(map(shown, candidates))}; {remedy}")
