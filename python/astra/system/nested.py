"""Collections within collections."""

from collections.abc import Iterable, Mapping
from typing import Any


def flatten(structure: Any) -> list[Any]:
    """All that is in mappings (their values) and other collections, at any depth, in one list.

    A text is one thing; ``None`` is nothing.
    """
    if structure is None:
        return []
    if isinstance(structure, str | bytes) or not isinstance(structure, Iterable):
        return [structure]
    items = structure.values() if isinstance(structure, Mapping) else structure
    return [inner for item in items for inner in flatten(item)]
