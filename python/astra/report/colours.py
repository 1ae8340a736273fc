"""The colours of pages and of their figures, on light screens, on paper, and on dark screens."""

from collections.abc import Sequence

import numpy as np

_STEPS = 48


def _between(*stops: str) -> str:
    """Colours from the first to the last of a few, linear in between."""
    rgb = np.array([[int(stop[i : i + 2], 16) for i in (1, 3, 5)] for stop in stops])
    places = np.linspace(0, len(stops) - 1, _STEPS)
    channels: Sequence[np.ndarray] = [np.interp(places, range(len(stops)), channel) for channel in rgb.T]
    return ",".join(f"#{round(r):02x}{round(g):02x}{round(b):02x}" for r, g, b in zip(*channels, strict=True))


# From too near over right to too far, on either screen.
_ERRORS = _between("#2c6fb3", "#86b0d8", "#bfbfb8", "#e0a276", "#bf4a22")

#: Variables of the style sheet on a light screen, and on paper; of densities, many stars are dark.
LIGHT = {
    "page": "#fdfdfc",
    "ink": "#1b2127",
    "muted": "#5c6771",
    "line": "#dde1e4",
    "panel": "#f4f5f5",
    "accent": "#2c6cb0",
    "warn": "#b4531a",
    "point": "#4a86c8",
    "flagged": "#d07438",
    "class-1": "#c23b3b",
    "class-2": "#b87708",
    "class-3": "#1f8556",
    "class-4": "#2c6cb0",
    "class-5": "#7d4fb8",
    "class-6": "#12818f",
    "density": _between("#cfe0ef", "#93bbdd", "#5690c6", "#3369a8", "#3b4192", "#2b1a55"),
    "errors": _ERRORS,
}

#: The same on a dark one, where many stars are bright.
DARK = {
    "page": "#14181c",
    "ink": "#e3e7ea",
    "muted": "#99a3ad",
    "line": "#333b43",
    "panel": "#1b2026",
    "accent": "#74aceb",
    "warn": "#eb9a62",
    "point": "#4a86c8",
    "flagged": "#d07438",
    "class-1": "#ec7b7b",
    "class-2": "#e8a94a",
    "class-3": "#5fc08f",
    "class-4": "#74aceb",
    "class-5": "#b793e6",
    "class-6": "#5cc3cf",
    "density": _between("#24405c", "#2f6593", "#3f8dbb", "#5fb5c4", "#a5d8b0", "#f6f0a9"),
    "errors": _ERRORS,
}
