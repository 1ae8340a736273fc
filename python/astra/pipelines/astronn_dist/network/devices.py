"""Where the network computes."""

import os

from astra.errors import ConfigError

#: What the drivers of GPUs put there (NVIDIA, below Windows, AMD): looking is faster than to load torch.
DRIVERS = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")


def choose_device(name: str) -> str:
    """``"cpu"`` or ``"cuda"``, from ``"auto"`` or one of these.

    Raises:
        ConfigError: CUDA is asked for, and torch can use none here.
    """
    if name == "cpu" or (name == "auto" and not any(map(os.path.exists, DRIVERS))):
        return "cpu"
    import torch

    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise ConfigError("device cuda: this machine has none that torch can use; take --device cpu")
    return "cuda" if available else "cpu"
