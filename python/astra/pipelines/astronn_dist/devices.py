"""Where the network computes."""

from astra.errors import ConfigError


def choose_device(name: str) -> str:
    """``"cpu"`` or ``"cuda"``, from ``"auto"`` or one of these.

    Raises:
        ConfigError: CUDA is asked for, and torch can use none here.
    """
    if name == "cpu":
        return name
    import torch

    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise ConfigError("device cuda: this machine has none that torch can use; take --device cpu")
    return "cuda" if available else "cpu"
