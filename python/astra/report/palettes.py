"""Colours of densities: on a light screen many stars are dark, on a dark one they are bright."""

import numpy as np

STEPS = 48


def _between(stops: tuple[str, ...]) -> list[str]:
    """So many colours from the first to the last of a few, linear in between."""
    rgb = np.array([[int(stop[i : i + 2], 16) for i in (1, 3, 5)] for stop in stops])
    places = np.linspace(0, len(stops) - 1, STEPS)
    channels = [np.interp(places, range(len(stops)), rgb[:, channel]) for channel in range(3)]
    return [f"#{round(r):02x}{round(g):02x}{round(b):02x}" for r, g, b in zip(*channels, strict=True)]


DENSITY_LIGHT = _between(("#cfe0ef", "#93bbdd", "#5690c6", "#3369a8", "#3b4192", "#2b1a55"))
DENSITY_DARK = _between(("#24405c", "#2f6593", "#3f8dbb", "#5fb5c4", "#a5d8b0", "#f6f0a9"))
