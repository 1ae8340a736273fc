"""Stars with parallaxes in the database, many rows at once, and files whose spectra tell luminosities."""

from pathlib import Path

import numpy as np
import peewee
from builders import N_PIXELS, write_apstar

from astra.models import ApogeeCoaddedSpectrumInApStar, Source, Spectrum

GOOD_STAR = {"k_mag": 10.0, "ebv": 0.1, "plx": 0.5, "e_plx": 0.02, "ruwe": 1.0, "gaia_release": "dr3"}
GOOD_SPECTRUM = {"snr": 250.0, "spectrum_flags": 0}
A_K_PER_EBV = 0.3517

# A line in the middle of the blue detector, as deep as the star is faint.
LINE = slice(1600, 1680)


def insert_stars(number, path, **values):
    """Insert good stars with one spectrum each; a value may be an array. Gives the keys of the spectra."""
    # Far from the keys that the database gives by itself.
    used = [model.select(peewee.fn.MAX(model.pk)).scalar() or 0 for model in (Source, Spectrum)]
    first = max(1_000_000, *used) + 1
    keys = range(first, first + number)
    paths = path if isinstance(path, list) else [path] * number
    identity = {"release": "dr17", "apred": "dr17", "telescope": "apo25m"}
    _insert(Source, {"pk": keys}, GOOD_STAR, values)
    _insert(Spectrum, {"pk": keys}, {}, {})
    named = {"source": keys, "spectrum_pk": keys, "path": [str(path) for path in paths]}
    named |= {"product_id": [f"p{key}" for key in keys], "obj": [f"o{key}" for key in keys]}
    _insert(ApogeeCoaddedSpectrumInApStar, named, GOOD_SPECTRUM | identity, values)
    return list(keys)


def _insert(model, columns, defaults, values):
    number = len(next(iter(columns.values())))
    for name, default in defaults.items():
        columns[name] = np.broadcast_to(values.get(name, default), number).tolist()
    rows = (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))
    for part in peewee.chunked(rows, 2000):
        model.insert_many(part).execute()


def luminosities(number: int, seed: int = 0) -> np.ndarray:
    """Pseudo-luminosities of giants and dwarfs, 5 to 100 mas."""
    return 10 ** np.random.default_rng([seed, 3]).uniform(0.7, 2.0, number)


def write_stars(folder: Path, fakemag: np.ndarray, seed: int = 0) -> list[Path]:
    """Files of stars whose spectra tell these pseudo-luminosities [mas]."""
    generator = np.random.default_rng([seed, 0])
    files = []
    for place, depth in enumerate(0.4 * (np.log10(fakemag) - 0.7) / 1.3):
        flux = np.full(N_PIXELS, 1000.0)
        flux[LINE] *= 1 - depth
        flux += generator.normal(0, 5, N_PIXELS)
        files.append(write_apstar(folder / f"apStar-dr17-{seed}-{place}.fits", flux, stacked=False))
    return files


def observed(fakemag: np.ndarray, significance: np.ndarray, seed: int = 0, scatter: float = 0.0) -> dict:
    """Columns of stars with these luminosities, whose parallaxes are so many times their errors.

    Args:
        fakemag: Pseudo-luminosities [mas].
        significance: Expected parallax over its error.
        seed: Of the noise.
        scatter: Relative scatter of the true pseudo-luminosities about these.
    """
    generator = np.random.default_rng([seed, 1])
    size = len(fakemag)
    k_mag, ebv = generator.uniform(8, 13, size), generator.uniform(0.1, 0.8, size)
    expected = fakemag / 10 ** (0.2 * k_mag)
    return {
        "plx": generator.normal(expected * generator.normal(1, scatter, size), expected / significance),
        "e_plx": expected / significance,
        "k_mag": generator.normal(k_mag + A_K_PER_EBV * ebv, 0.02),
        "ebv": generator.normal(ebv, 0.02),
    }


def mostly_noise(number: int, significance: float, seed: int = 0) -> np.ndarray:
    """Significances of which 30 % give a negative parallax: nine of ten stars are too far for theirs."""
    generator = np.random.default_rng([seed, 2])
    near = generator.random(number) < 0.1
    return np.where(near, significance * 10 ** generator.uniform(-0.3, 0.3, number), 0.42)
