"""The version of Astra: as pip knows it, and as the integers that result rows carry."""

import re
from importlib import metadata

#: What pip calls this package: `astra` is another one.
DISTRIBUTION = "astra-distances"

__version__ = metadata.version(DISTRIBUTION)


def version_string_to_integer(version: str) -> int:
    """Fold a version into one sortable integer.

    Args:
        version: A PEP 440 version, e.g. ``"0.2.1"`` or ``"0.2.1.dev3"``.

    Returns:
        major * 10**6 + minor * 10**3 + patch.
    """
    major, minor, patch = (int(part) for part in re.findall(r"\d+", f"{version}.0.0")[:3])
    return major * 10**6 + minor * 10**3 + patch


def version_integer_to_string(number: int) -> str:
    """The version that an integer stands for.

    Args:
        number: major * 10**6 + minor * 10**3 + patch.

    Returns:
        E.g. ``"0.2.1"``.
    """
    major, rest = divmod(number, 10**6)
    return f"{major}.{rest // 1000}.{rest % 1000}"


V_ASTRA = version_string_to_integer(__version__)
V_ASTRA_MAJOR_MINOR = V_ASTRA // 1000
