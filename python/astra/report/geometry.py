"""Where stars are: on a map of the sky, and in the Galaxy."""

import numpy as np

#: From the Sun to the centre of the Galaxy [kpc] (GRAVITY Collaboration 2018, A&A 615, L15).
R_SUN = 8.122

#: Of the Sun above the plane [kpc] (Bennett & Bovy 2019, MNRAS 482, 1417).
Z_SUN = 0.0208

# Newton's method has converged to 1e-10 by then, apart from the poles, which are known.
_ITERATIONS = 40


def mollweide(l: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:  # noqa: E741
    """The Mollweide projection of the sky: equal areas, the centre of the Galaxy in the middle.

    Longitude grows to the left, as seen from inside (Snyder 1987, Map Projections: a Working Manual,
    USGS Professional Paper 1395, equations 31-1 to 31-3).

    Args:
        l, b: Galactic longitude and latitude [deg].

    Returns:
        x in [-2, 2] and y in [-1, 1].
    """
    latitude = np.radians(np.clip(np.asarray(b, float), -90, 90))
    target = np.pi * np.sin(latitude)
    theta = latitude.copy()
    for _ in range(_ITERATIONS):
        slope = 2 + 2 * np.cos(2 * theta)
        step = (2 * theta + np.sin(2 * theta) - target) / np.where(slope < 1e-12, np.inf, slope)
        theta -= step
        if not (np.abs(np.nan_to_num(step)) > 1e-10).any():
            break
    longitude = (np.asarray(l, float) + 180) % 360 - 180
    return -longitude / 90 * np.cos(theta), np.sin(theta)


def graticule(step_l: float = 30.0, step_b: float = 30.0) -> list[tuple[np.ndarray, np.ndarray]]:
    """The lines of a Mollweide map: meridians, parallels, and its edge twice (l = ±180)."""
    along_b, along_l = np.linspace(-90, 90, 181), np.linspace(-179.999, 180, 361)
    # A longitude of 180 is at both ends of the map: just inside of it there is only one.
    meridians = np.clip(np.arange(-180.0, 180.1, step_l), -179.999, 179.999)
    lines = [mollweide(np.full_like(along_b, longitude), along_b) for longitude in meridians]
    parallels = np.arange(-90 + step_b, 89.9, step_b)
    return lines + [mollweide(along_l, np.full_like(along_l, latitude)) for latitude in parallels]


def galactocentric(
    l: np.ndarray,  # noqa: E741
    b: np.ndarray,
    dist: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places in the Galaxy, its centre at the origin and the Sun at (8.122, 0, 0.0208).

    X points from the centre to the Sun, Y to l = 90°, where the Sun moves to, Z to the north pole; the
    tilt of 0.15° that comes with the Sun's height is left out.

    Args:
        l, b: Galactic longitude and latitude [deg].
        dist: Distance from the Sun [pc].

    Returns:
        X, Y, Z [kpc].
    """
    longitude, latitude = np.radians(l), np.radians(b)
    projected = dist / 1000 * np.cos(latitude)
    x = R_SUN - projected * np.cos(longitude)
    return x, projected * np.sin(longitude), dist / 1000 * np.sin(latitude) + Z_SUN
